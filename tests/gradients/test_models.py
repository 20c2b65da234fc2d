import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnlite import Sequential, losses, regularizers
from nnlite.gradcheck import check_model
from nnlite.layers import Activation, Dense, Dropout, Flatten, ReLU, Softmax
from nnlite.serialization.registry import snake_case

from .strategies import generators, sizes, values

# Those that losses are joined with, and some of each other kind; test_activations.py has them all.
ACTIVATIONS = ["linear", "leaky_relu", "relu", "sigmoid", "softmax", "tanh", "gelu", "selu"]
# Those that activations are joined with, and some of each other kind; test_losses.py has them all.
LOSSES = [
    losses.BinaryCrossEntropy,
    losses.BinaryFocalCrossEntropy,
    losses.CategoricalCrossEntropy,
    losses.CategoricalFocalCrossEntropy,
    losses.SparseCategoricalCrossEntropy,
    losses.CosineSimilarity,
    losses.Huber,
    losses.MeanAbsoluteError,
    losses.MeanSquaredError,
]
PENALTIES = [
    snake_case(name) for name in regularizers.__all__ if name not in ("Regularizer", "get")
]
penalties = st.sampled_from([None, *PENALTIES])
flat_penalties = st.sampled_from([None, "l1", "l2", "l1_l2"])
RANDOM = {"kernel_initializer": "random_normal", "bias_initializer": "random_normal"}


def penalty(name):
    """Return a penalty that is large enough to tell."""
    if name is None:
        return None
    cls = type(regularizers.get(name))
    return cls(
        **dict.fromkeys(cls._parameters(), 0.3)
        | ({"mode": "rows"} if "mode" in cls._parameters() else {})
    )


@st.composite
def dense(draw, units=None, activation="tanh"):
    layer = Dense(
        draw(sizes) if units is None else units,
        activation,
        use_bias=draw(st.booleans()),
        kernel_regularizer=penalty(draw(penalties)),
        bias_regularizer=penalty(draw(flat_penalties)),
        activity_regularizer=penalty(draw(flat_penalties)),
        bias_initializer="random_normal",
    )
    layer.trainable = draw(st.sampled_from([True, True, False]))
    return layer


hidden = st.one_of(
    st.sampled_from(ACTIVATIONS).flatmap(lambda name: dense(activation=name)),
    st.sampled_from(ACTIVATIONS).map(
        lambda name: Activation(name, activity_regularizer=penalty("l2"))
    ),
    st.sampled_from([0.0, 0.4]).map(lambda rate: Dropout(rate, seed=5)),
    st.lists(dense() | st.builds(ReLU), min_size=1, max_size=2).map(Sequential),
)


def a_loss(cls, activation, draw):
    """Return a loss of the class that is defined for what the activation puts out."""
    arguments = {"reduction": draw(st.sampled_from(["mean", "sum", "mean_with_sample_weight"]))}
    if issubclass(cls, losses.CategoricalCrossEntropy) and activation not in ("softmax", "sigmoid"):
        arguments["from_logits"] = True  # of numbers of both signs a distribution cannot be made
    if hasattr(cls(), "label_smoothing") and cls is not losses.SparseCategoricalCrossEntropy:
        arguments["label_smoothing"] = draw(st.sampled_from([0, 0.2]))
    return cls(**arguments)


def targets(loss, output_shape, generator):
    if isinstance(loss, losses.SparseCategoricalCrossEntropy):
        return generator.integers(0, output_shape[-1], output_shape[:-1])
    if isinstance(loss, losses.CategoricalCrossEntropy):
        return generator.dirichlet(np.ones(output_shape[-1]), output_shape[:-1])
    if isinstance(loss, losses.BinaryCrossEntropy):
        return generator.integers(0, 2, output_shape).astype(float)
    return generator.standard_normal(output_shape)


def sample_weights(generator, samples):
    weights = generator.choice([0.0, 0.5, 2.0], samples)
    weights[0] = 1.0
    return weights


@pytest.mark.filterwarnings("ignore:The model ends in a")  # such as a softmax over one output
@pytest.mark.parametrize("cls", LOSSES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@given(st.data(), st.lists(hidden, max_size=3), generators, sizes, sizes)
@settings(max_examples=8)
def test_a_step_computes_the_slope_of_its_loss(
    activation, cls, data, chain, generator, samples, outputs
):
    loss = a_loss(cls, activation, data.draw)
    last = data.draw(
        st.one_of(
            dense(outputs, activation),
            dense(outputs, None).map(lambda layer: Sequential([layer, Activation(activation)])),
        )
    )
    shape = data.draw(st.sampled_from([(3,), (2, 3)]))
    if len(shape) == 2 and data.draw(st.booleans()):
        chain = [*chain, Flatten()]
    model = Sequential([*chain, last])
    model.compile("sgd", loss)
    model.build((None, *shape))
    x = values(generator, (samples, *shape))
    y = targets(loss, (samples, *model.output_shape[1:]), generator)
    weight = sample_weights(generator, samples) if data.draw(st.booleans()) else None
    check_model(model, x, y, weight)


def joined(activation, loss, outputs=3, **kwargs):
    model = Sequential([Dense(4, "tanh"), Dense(outputs, activation, **kwargs)])
    model.compile("sgd", loss)
    return model


@pytest.mark.parametrize("scale", [1, 30, 1e3])
@pytest.mark.parametrize(
    ("activation", "loss"),
    [
        ("sigmoid", "binary_crossentropy"),
        ("sigmoid", "binary_focal_crossentropy"),
        ("softmax", "categorical_crossentropy"),
        ("softmax", "categorical_focal_crossentropy"),
        ("softmax", "sparse_categorical_crossentropy"),
    ],
)
@given(generators)
@settings(max_examples=10)
def test_saturated_pairs_have_their_slope_too(activation, loss, scale, generator):
    model = joined(activation, loss)
    model.build((None, 2))
    model.set_weights([scale * generator.standard_normal(w.shape) for w in model.weights])
    y = targets(losses.get(loss), (5, 3), generator)
    check_model(model, values(generator, (5, 2)), y)


@pytest.mark.parametrize("name", PENALTIES)
def test_every_public_regularizer_counts_on_weights_and_on_outputs(name):
    model = Sequential(
        [
            Dense(4, "tanh", kernel_regularizer=penalty(name), activity_regularizer=penalty(name)),
            Sequential([Dense(3, kernel_regularizer=penalty(name))]),
            Dense(3, "softmax", activity_regularizer=penalty(name)),
        ]
    )
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((5, 2)), generator.integers(0, 3, 5)
    check_model(model, x, y)
    free = Sequential([Dense(4, "tanh"), Sequential([Dense(3)]), Dense(3, "softmax")])
    free.build((None, 2))
    model.build((None, 2))
    free.set_weights(model.get_weights())
    first, _, last = model.layers
    h, output = first(x), model.predict(x)
    expected = free.evaluate(x, y, verbose=0)
    expected += sum(penalty(name)(w.value) for w in model.weights if w.name == "kernel")
    expected -= penalty(name)(last.kernel.value)
    expected += (penalty(name)(h) + penalty(name)(output)) / len(x)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-6)
    assert model.train_on_batch(x, y) == pytest.approx(expected, rel=1e-6)


@given(generators, st.sampled_from(["mean", "sum", "mean_with_sample_weight"]))
@settings(max_examples=10)
def test_float32_gives_the_gradients_of_float64(generator, reduction):
    x = generator.standard_normal((6, 4)).astype("float32")
    y, weight = generator.integers(0, 3, 6), sample_weights(generator, 6)
    gradients = []
    kept = None
    for dtype in ("float32", "float64"):
        layers = [
            Dense(5, "tanh", kernel_regularizer="l2", activity_regularizer="l2", dtype=dtype),
            Sequential([Dense(4, "sigmoid", dtype=dtype), Softmax(dtype=dtype)]),
            Dense(3, "softmax", dtype=dtype),
        ]
        model = Sequential(layers)
        model.compile("sgd", losses.SparseCategoricalCrossEntropy(reduction=reduction))
        model.build((None, 4))
        kept = kept or model.get_weights()
        model.set_weights(kept)
        with np.errstate(all="raise"):
            model.train_on_batch(x, y, weight)
        gradients.append([w.gradient for w in model.weights])
    for single, double in zip(*gradients, strict=True):
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-6 * np.abs(double).max())


def test_frozen_layers_pass_the_gradient_on():
    model = Sequential([Dense(4, "tanh"), Dense(3, "relu"), Dense(2)])
    model.layers[1].trainable = False
    x = np.random.default_rng(0).standard_normal((5, 3))
    check_model(model, x, x[:, :2])
    model.trainable = False
    check_model(model, x, x[:, :2])


def test_a_softmax_and_a_loss_of_different_axes_are_not_taken_as_one():
    generator = np.random.default_rng(0)
    x = generator.standard_normal((4, 3, 2))
    y = generator.dirichlet(np.ones(2), (4, 3))
    for axis in (1, -1):
        model = Sequential([Dense(2, dtype="float64"), Softmax(axis=axis, dtype="float64")])
        loss = losses.CategoricalCrossEntropy()
        model.compile("sgd", loss)
        check_model(model, x, y)
        value = model.evaluate(x, y, verbose=0)
        assert value == pytest.approx(loss(y, model.predict(x)), rel=1e-6)

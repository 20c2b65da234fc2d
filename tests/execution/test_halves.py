"""Batches in two halves: the outputs and gradients are those of the halves, one by one."""

import numpy as np
import pytest

import nnlite
from nnlite import Input, Model, Sequential, layers
from nnlite.execution import Memory, Plan, ReferenceExecutor, halves, infer
from nnlite.execution.halves import in_halves

generator = np.random.default_rng(4)


@pytest.fixture(params=[0, 1], ids=["one thread", "two threads"])
def idle(request, monkeypatch):
    monkeypatch.setattr("nnlite.backend.two_threads.idle_threads", lambda: request.param)


def images(samples, *shape):
    return generator.normal(size=(samples, *shape)).astype("float32")


def convolutions():
    return Sequential(
        [
            Input((81,)),
            layers.Reshape((9, 9, 1)),
            layers.Conv2D(5, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.SeparableConv2D(4, 2, padding="same", activation="tanh"),
            layers.ZeroPadding2D(1),
            layers.Conv2DTranspose(3, 3, strides=2),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )


def residual():
    x = Input((8, 8, 2))
    y = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    z = layers.Conv2D(4, 3, padding="same")(y)
    y = layers.ReLU()(layers.BatchNormalization()(layers.Add()([y, z])))
    y = layers.DepthwiseConv2D(3, strides=2, activation="gelu")(y)
    y = layers.Concatenate()([y, layers.UpSampling2D(3)(layers.MaxPooling2D(3)(y))])
    return Model(x, layers.Dense(3)(layers.GlobalAveragePooling2D()(y)))


def steps(model, batches, **options):
    """Return the output and the gradients of a step for each batch."""
    variables = model.learning_variables()
    plan = Plan(model.graph(training=True), variables, [batches[0]], Memory(), **options)
    found = []
    for x in batches:
        for variable in variables:
            variable.gradient.fill(np.nan)
        (y,) = plan.forward([x])
        y = y.copy()
        plan.backward([np.cos(y)])
        found.append((y, [variable.gradient.copy() for variable in variables]))
        plan.forget_inputs()
    return found


@pytest.mark.parametrize("samples", [2, 7])
def test_halves_are_those_of_the_reference_executor(samples, idle):
    model = convolutions()
    batches = [images(samples, 81) for _ in range(3)]
    for x, (y, gradients) in zip(batches, steps(model, batches, in_halves=True), strict=True):
        middle, outputs, sums = (samples + 1) // 2, [], []
        for half in (x[:middle], x[middle:]):
            executor = ReferenceExecutor(model.graph(training=True), model.learning_variables())
            outputs += executor.forward([half])
            executor.backward([np.cos(outputs[-1])])
            sums.append([variable.gradient.copy() for variable in model.learning_variables()])
        np.testing.assert_array_equal(y, np.concatenate(outputs))
        for found, first, second in zip(gradients, *sums, strict=True):
            np.testing.assert_array_equal(found, first + second)


def test_layers_over_the_batch_run_on_all_of_it(idle):
    nnlite.config.set_floatx("float64")
    try:
        model = residual()
        batches = [images(6, 8, 8, 2).astype("float64") for _ in range(3)]
        split, whole = steps(model, batches, in_halves=True), steps(model, batches)
    finally:
        nnlite.config.set_floatx("float32")
    for (y, gradients), (expected, slopes) in zip(split, whole, strict=True):
        np.testing.assert_allclose(y, expected, rtol=1e-12)
        for found, slope in zip(gradients, slopes, strict=True):
            np.testing.assert_allclose(found, slope, rtol=1e-10, atol=1e-12)


def calls_on_halves(model, x):
    plan = Plan(model.graph(training=True), model.learning_variables(), [x], Memory(), True)
    return [call.layer.name for call in plan.graph.calls if call in plan._halves.calls]


def test_only_calls_beside_a_convolution_run_on_halves():
    class Own(layers.Conv2D):
        def apart(self):
            """Do nothing more than `Conv2D`."""

    twice = layers.Conv2D(2, 3, padding="same", name="twice")
    x = y = Input((6, 6, 2))
    for layer in (
        layers.Conv2D(2, 3, padding="same", name="first"),
        layers.ReLU(activity_regularizer="l2"),
        layers.Dropout(0.5),
        Own(2, 3, padding="same"),
        twice,
        twice,
        layers.Softmax(axis=(0, -1)),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(2),
    ):
        y = layer(y)
    model = Model(x, y)
    assert calls_on_halves(model, images(4, 6, 6, 2)) == ["first"]


def test_frozen_normalization_has_no_twin():
    model = Sequential([Input((6, 6, 2)), layers.Conv2D(2, 3), layers.BatchNormalization()])
    model.layers[-1].trainable = False
    assert len(calls_on_halves(model, images(4, 6, 6, 2))) == 1


def test_weights_that_move_to_a_vector_are_found(idle):
    model = convolutions()
    x = images(4, 81)
    variables = model.learning_variables()
    plan = Plan(model.graph(training=True), variables, [x], Memory(), True)
    for variable in variables:
        variable.rebind(0.5 * variable.value, np.full_like(variable.value, np.nan))
    plan.forward([x])
    plan.backward([np.ones((4, 4), "float32")])
    found = [variable.gradient.copy() for variable in variables]
    plan = Plan(model.graph(training=True), variables, [x], Memory(), True)
    plan.forward([x])
    plan.backward([np.ones((4, 4), "float32")])
    for variable, gradient in zip(variables, found, strict=True):
        np.testing.assert_array_equal(variable.gradient, gradient)
        assert np.isfinite(gradient).all()


def test_a_changed_attribute_is_that_of_both_halves(idle):
    model = Sequential([Input((6, 6, 1)), layers.Conv2D(2, 3), layers.LeakyReLU()])
    x, variables = images(4, 6, 6, 1), model.learning_variables()
    plan = Plan(model.graph(training=True), variables, [x], Memory(), True)
    model.layers[-1].negative_slope = 0.9
    found = []
    for one in (plan, Plan(model.graph(training=True), variables, [x], Memory(), True)):
        (y,) = one.forward([x])
        one.backward([np.cos(y)])
        found.append([variable.gradient.copy() for variable in variables])
    for gradient, expected in zip(*found, strict=True):
        np.testing.assert_array_equal(gradient, expected)


def test_batches_are_split_where_convolutions_take_most_time(monkeypatch):
    monkeypatch.setattr(halves, "usable_threads", lambda: 2)
    small = Sequential([Input((28, 28, 1)), layers.Conv2D(32, 3), layers.Flatten()])
    assert not in_halves(small.layers, 16)  # 3 million multiplications
    assert in_halves(small.layers, 128)  # 25 million
    assert not in_halves(small.layers, 1)
    wide = [*small.layers, layers.Dense(2000)]
    wide[-1].build((None, 21_632))
    assert not in_halves(wide, 128)  # the dense layer's have 5.5 billion
    monkeypatch.setattr(halves, "usable_threads", lambda: 1)
    assert not in_halves(small.layers, 128)


def test_a_model_learns_in_halves_as_in_whole_batches(monkeypatch):
    x, y = images(48, 81), generator.integers(0, 4, 48)
    found = []
    for threads in (1, 2):
        monkeypatch.setattr(halves, "usable_threads", lambda threads=threads: threads)
        monkeypatch.setattr(halves, "_WORTH_SPLITTING", 1)
        monkeypatch.setattr(
            "nnlite.backend.two_threads.idle_threads", lambda threads=threads: threads - 1
        )
        nnlite.utils.set_random_seed(3)
        model = convolutions()
        model.compile("adam", nnlite.losses.SparseCategoricalCrossentropy(from_logits=True))
        history = model.fit(x, y, batch_size=20, epochs=3, shuffle=False, verbose=0)
        split = [plan._halves is not None for plan in model._step.objective._plans.values()]
        assert split == [threads == 2] * len(split)
        found.append((history.history["loss"], model.predict(x, verbose=0)))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-3, atol=1e-4)


def test_a_weight_replaced_between_steps_is_that_of_the_whole_batch(monkeypatch):
    x, found = images(4, 6, 6, 1), []
    for threads in (1, 2):
        monkeypatch.setattr(halves, "usable_threads", lambda threads=threads: threads)
        monkeypatch.setattr(halves, "_WORTH_SPLITTING", 1)
        nnlite.utils.set_random_seed(3)
        first, second = (layers.Conv2D(1, 3, padding="same") for _ in range(2))
        model = Sequential([Input((6, 6, 1)), first, second])
        model.compile("sgd", "mse")
        model.train_on_batch(x, x)
        second.kernel = first.kernel
        found.append([model.train_on_batch(x, x) for _ in range(3)])
    np.testing.assert_allclose(*found, rtol=1e-5)


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setattr(halves, "_WORTH_INFERRING", 1)
    monkeypatch.setattr(halves, "usable_threads", lambda: 2)


@pytest.mark.parametrize(("make", "shape"), [(convolutions, (81,)), (residual, (8, 8, 2))])
def test_predictions_are_those_of_the_halves(make, shape, always, idle):
    model, x = make(), images(3, *shape)
    for layer in model.layers:
        layer.set_weights([np.abs(images(1, *w.shape)[0]) for w in layer.get_weights()])
    graph, seen = model.graph(training=False), []

    def one_half(graph, inputs):
        seen.append(len(inputs[0]))
        return [y.copy() for y in ReferenceExecutor(graph).forward(inputs)]

    (halved,) = halves.infer_in_halves(one_half, graph, [x])
    assert sorted(seen) == [1, 2]
    expected = [one_half(graph, [half])[0] for half in (x[:2], x[2:])]
    np.testing.assert_array_equal(halved, np.concatenate(expected))
    np.testing.assert_allclose(model.predict(x, verbose=0), halved, rtol=1e-5)


def test_layers_that_mix_samples_predict_whole_batches(always):
    class Own(layers.Conv2D):
        def apart(self):
            """Do nothing more than `Conv2D`."""

    for layer in (layers.Softmax(axis=(0, -1)), Own(2, 3), layers.BatchNormalization(axis=-1)):
        model = Sequential([Input((6, 6, 2)), layers.Conv2D(2, 3), layer])
        alone = isinstance(layer, layers.BatchNormalization)  # by its moving averages
        found = halves.infer_in_halves(infer, model.graph(False), [images(4, 6, 6, 2)])
        assert (found is not None) == alone


def test_few_multiplications_are_not_split(monkeypatch):
    monkeypatch.setattr(halves, "usable_threads", lambda: 2)
    graph = convolutions().graph(False)
    each = sum(call.layer._convolved(1) for call in graph.calls)
    monkeypatch.setattr(halves, "_WORTH_INFERRING", 9 * each)
    assert halves.infer_in_halves(infer, graph, [images(8, 81)]) is None
    assert halves.infer_in_halves(infer, graph, [images(9, 81)]) is not None

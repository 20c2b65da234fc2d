"""Functional models of several inputs and outputs, trained beside Keras from equal weights."""

import keras
import numpy as np
import pytest

import nnlite

# Keras's variables do not take NumPy 2's argument of __array__.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RNG = np.random.default_rng(11)
ROWS = 26
X = {"a": RNG.standard_normal((ROWS, 3)), "b": RNG.standard_normal((ROWS, 2))}
Y = {"z": RNG.standard_normal((ROWS, 1)), "c": RNG.integers(0, 3, ROWS)}
WEIGHT = {"z": RNG.uniform(0.5, 2, ROWS), "c": RNG.uniform(0.5, 2, ROWS)}
LOSSES = {"z": "mse", "c": "sparse_categorical_crossentropy"}


def two_by_two(module, structure=list):
    """Two inputs joined, and two outputs off one hidden layer, smooth throughout."""
    layers = module.layers
    a, b = module.Input((3,), name="a"), module.Input((2,), name="b")
    hidden = layers.Dense(5, activation="tanh", name="hidden")(layers.Concatenate()([a, b]))
    z = layers.Dense(1, name="z")(hidden)
    c = layers.Dense(3, activation="softmax", name="c")(hidden)
    if structure is dict:
        return module.Model({"a": a, "b": b}, {"z": z, "c": c})
    return module.Model([a, b], [z, c])


def pair(structure=list, make=two_by_two):
    there, here = make(keras, structure), make(nnlite, structure)
    here.set_weights(there.get_weights())
    return here, there


def given(data, structure):
    return data if structure is dict else list(data.values())


def assert_equal_weights(here, there):
    for found, expected in zip(here.get_weights(), there.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def assert_equal_logs(found, expected):
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=2e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("structure", [list, dict])
@pytest.mark.parametrize(
    ("arguments", "weighted"),
    [
        ({"loss": LOSSES}, False),
        (
            {
                "loss": LOSSES,
                "loss_weights": {"z": 0.3, "c": 2.0},
                "metrics": {"z": ["mae", "mse"], "c": "accuracy"},
                "weighted_metrics": {"z": "mae", "c": ["acc"]},
            },
            True,
        ),
        ({"loss": {"z": None, "c": LOSSES["c"]}, "metrics": {"z": "mae"}}, False),
    ],
)
def test_fit_evaluate_and_predict(structure, arguments, weighted):
    here, there = pair(structure)
    x, y, weight = (given(data, structure) for data in (X, Y, WEIGHT))
    options = {"sample_weight": weight} if weighted else {}
    results = []
    for model, module in ((here, nnlite), (there, keras)):
        model.compile(module.optimizers.SGD(0.1, momentum=0.9), **arguments)
        history = model.fit(
            x, y, 8, 4, 0, shuffle=False, validation_data=(x, y, *options.values()), **options
        )
        logs = model.evaluate(x, y, 8, 0, return_dict=True, **options)
        results.append((history.history, logs, model.predict(x, verbose=0)))
    (history, logs, outputs), (keras_history, keras_logs, keras_outputs) = results
    assert_equal_weights(here, there)
    assert_equal_logs(history, keras_history)
    assert_equal_logs(logs, keras_logs)
    assert type(outputs) is type(keras_outputs)
    keys = keras_outputs if structure is dict else range(2)
    for key in keys:
        np.testing.assert_allclose(outputs[key], keras_outputs[key], rtol=1e-5, atol=1e-5)


def test_results_in_a_list_stand_in_keras_order():
    here, there = pair()
    x, y = list(X.values()), list(Y.values())
    for model in (here, there):
        model.compile("sgd", LOSSES, metrics={"z": ["mse", "mae"], "c": "accuracy"})
    for step in ("evaluate", "test_on_batch", "train_on_batch"):
        options = {"verbose": 0} if step == "evaluate" else {}
        found = getattr(here, step)(x, y, **options)
        assert found == pytest.approx(getattr(there, step)(x, y, **options), rel=1e-4)
    assert_equal_weights(here, there)


def test_validation_split_and_one_weight_for_all_outputs():
    here, there = pair()
    x, y = list(X.values()), list(Y.values())
    histories = []
    for model in (here, there):
        model.compile("sgd", list(LOSSES.values()))
        history = model.fit(
            x, y, 8, 3, 0, validation_split=0.3, shuffle=False, sample_weight=WEIGHT["z"]
        )
        histories.append(history.history)
    assert_equal_logs(*histories)
    assert_equal_weights(here, there)


def test_generator_of_structures():
    here, there = pair(dict)

    def batches():
        for start in range(0, ROWS, 8):
            rows = slice(start, start + 8)
            yield tuple({k: v[rows] for k, v in part.items()} for part in (X, Y, WEIGHT))

    for model in (here, there):
        model.compile("sgd", LOSSES)
        model.fit(batches(), verbose=0, shuffle=False, steps_per_epoch=4)
    assert_equal_weights(here, there)


def siamese(module, structure):
    """One encoder for both inputs, integers through an embedding beside, and two outputs."""
    layers = module.layers
    left, right = module.Input((4,), name="left"), module.Input((4,), name="right")
    word = module.Input((2,), dtype="int32", name="word")
    encoder = module.Sequential([module.Input((4,)), layers.Dense(3, activation="tanh")])
    vectors = layers.Flatten()(layers.Embedding(7, 2)(word))
    both = [encoder(left), encoder(right)]
    same = layers.Dense(1, activation="sigmoid", name="same")(
        layers.Concatenate()([*both, vectors])
    )
    gap = layers.Subtract(name="gap")(both)
    return module.Model([left, right, word], [same, gap])


def test_shared_layers_and_integers():
    here, there = pair(list, siamese)
    x = [RNG.standard_normal((ROWS, 4)) for _ in range(2)]
    x.append(RNG.integers(0, 7, (ROWS, 2)))
    y = [RNG.integers(0, 2, ROWS), RNG.standard_normal((ROWS, 3))]
    histories = []
    for model in (here, there):
        model.compile("adam", ["binary_crossentropy", "mae"], metrics=[["accuracy"], "mse"])
        histories.append(model.fit(x, y, 8, 3, 0, shuffle=False).history)
    assert_equal_logs(*histories)
    assert_equal_weights(here, there)

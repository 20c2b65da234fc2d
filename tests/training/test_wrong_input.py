"""Wrong data are refused at the entrance: a clear error, and the model is as it was before."""

import numpy as np
import pytest
from helpers import BITS, LABELS, ONE_HOT, SAMPLES, X, a_model, refuses

from nnlite import Input, Sequential, callbacks
from nnlite.layers import Dense

# x, y and more keywords to each way in that takes them.
WITH_Y = {
    "fit": lambda model, x, y, **more: model.fit(x, y, verbose=0, **more),
    "train_on_batch": lambda model, x, y, **more: model.train_on_batch(x, y, **more),
    "evaluate": lambda model, x, y, **more: model.evaluate(x, y, verbose=0, **more),
    "test_on_batch": lambda model, x, y, **more: model.test_on_batch(x, y, **more),
}
WITHOUT_Y = {
    "predict": lambda model, x, y: model.predict(x, verbose=0),
    "predict_on_batch": lambda model, x, y: model.predict_on_batch(x),
}


def with_entry(array, value, dtype=None):
    array = array.astype(dtype or array.dtype)
    array[(2,) * array.ndim if array.shape[-1] > 2 else (2, 0)] = value
    return array


def holding(array, value):
    """Return the array as objects with one entry replaced."""
    return with_entry(array, value, object)


NOT_NUMBERS = {
    "none": (lambda a: None, TypeError, "{} is missing.*Received: None"),
    "string": (lambda a: "abc", TypeError, "{} must hold real numbers. Received: str"),
    "strings": (lambda a: a.astype(str), TypeError, "{} must hold real numbers.*type <U"),
    "bytes": (lambda a: a.astype(bytes), TypeError, "{} must hold real numbers.*type [|]S"),
    "objects": (lambda a: a.astype(object), TypeError, "{} must hold real numbers.*type object"),
    "a None within": (lambda a: holding(a, None), TypeError, "{} must hold real numbers"),
    "a None in a list": (
        lambda a: holding(a, None).tolist(),
        TypeError,
        "{} must hold real numbers. Received: list",
    ),
    "complex": (lambda a: a * 1j, TypeError, "{} must hold real numbers.*type complex"),
    "dates": (
        lambda a: np.zeros(a.shape, "datetime64[s]"),
        TypeError,
        "{} must hold real numbers.*datetime64",
    ),
    "a dict": (lambda a: {"x": a}, TypeError, "{} must hold real numbers. Received: dict"),
    "a generator": (
        lambda a: (row for row in a),
        TypeError,
        "{} must hold real numbers. Received: generator",
    ),
    "ragged": (
        lambda a: [[1.0, 2.0, 3.0, 4.0]] * 5 + [[1.0]],
        ValueError,
        "{} must be a rectangular array of numbers.*Received: list",
    ),
    "nan": (lambda a: with_entry(a, np.nan), ValueError, "{} .*nan"),
    "inf": (lambda a: with_entry(a, np.inf), ValueError, "{} .*inf"),
    "-inf": (lambda a: with_entry(a, -np.inf), ValueError, "{} .*-inf"),
    "too large": (lambda a: with_entry(a, 1e300, float), ValueError, "{} .*(inf|1e[+]300)"),
    "too small": (lambda a: with_entry(a, -1e39, float), ValueError, "{} .*(-inf|-1e[+]39)"),
}
EMPTY = {
    "no rows": (lambda a: a[:0], ValueError, "x.*Received: shape [(]0, 4[)]"),
    "no columns": (lambda a: a[:, :0], ValueError, "x.*[(]6, 0[)]"),
    "an empty list": (lambda a: [], ValueError, "x.*Received: shape [(]0,[)]"),
}
SHAPES = {
    "a scalar": (lambda a: 1.0, ValueError, "x .*Received: shape [(][)]"),
    "a vector": (lambda a: a[0], ValueError, "x .*Received: shape [(]4,[)]"),
    "fewer features": (
        lambda a: a[:, :3],
        ValueError,
        "expects x of shape [(]samples, 4[)]. Received: x of shape [(]6, 3[)]",
    ),
    "more features": (
        lambda a: np.hstack([a, a]),
        ValueError,
        "expects x of shape [(]samples, 4[)]. Received: x of shape [(]6, 8[)]",
    ),
    "an axis more": (
        lambda a: np.repeat(a[..., None], 2, -1),
        ValueError,
        "x of shape [(]6, 4, 2[)]",
    ),
    "transposed": (lambda a: a.T, ValueError, "x of shape [(]4, 6[)]"),
}


@pytest.mark.parametrize("state", ["unbuilt", "built", "trained"])
@pytest.mark.parametrize("way", [*WITH_Y, *WITHOUT_Y])
@pytest.mark.parametrize("bad", [*NOT_NUMBERS, *EMPTY])
def test_bad_x(bad, way, state):
    spoil, error, message = {**NOT_NUMBERS, **EMPTY}[bad]
    model = a_model(state=state)
    call = {**WITH_Y, **WITHOUT_Y}[way]
    if (bad, way) == ("a generator", "predict"):  # predict takes one, if it gives batches
        if state == "unbuilt":
            return  # each row is good, as a batch of one feature
        error, message = ValueError, "Batch 0 of generator: x must have an axis of samples"
    elif bad == "a generator" and way in ("fit", "evaluate"):
        error, message = ValueError, "x is a generator, which gives .x, y.: do not pass y"
    refuses(lambda: call(model, spoil(X), X[:, :1]), error, message.format("x"), model)


@pytest.mark.parametrize("state", ["built", "trained"])
@pytest.mark.parametrize("way", [*WITH_Y, *WITHOUT_Y])
@pytest.mark.parametrize("bad", SHAPES)
def test_x_of_another_shape(bad, way, state):
    spoil, error, message = SHAPES[bad]
    model = a_model(state=state)
    call = {**WITH_Y, **WITHOUT_Y}[way]
    refuses(lambda: call(model, spoil(X), X[:, :1]), error, message, model)


def test_a_declared_shape_counts_before_the_first_data_too():
    for first in [[Input((4,))], []]:
        layers = [*first, Dense(2) if first else Dense(2, input_shape=(4,))]
        with pytest.raises(ValueError, match=r"x of shape \(samples, 4\)\. Received: .*\(6, 3\)"):
            Sequential(layers).predict(X[:, :3])


@pytest.mark.parametrize("state", ["unbuilt", "trained"])
@pytest.mark.parametrize("way", WITH_Y)
@pytest.mark.parametrize("bad", NOT_NUMBERS)
def test_bad_y(bad, way, state):
    spoil, error, message = NOT_NUMBERS[bad]
    model = a_model(state=state)
    call = WITH_Y[way]
    refuses(lambda: call(model, X, spoil(X[:, :1])), error, message.format("y"), model)


LENGTH = "same number of samples.*x of shape [(]6, 4[)], y of shape "
BAD_TARGETS = [
    ("mse", X[:5, :1], ValueError, LENGTH + "[(]5, 1[)]"),
    ("mse", X[:0, :1], ValueError, LENGTH + "[(]0, 1[)]"),
    ("mse", [], ValueError, LENGTH + "[(]0,[)]"),
    ("mse", 1.0, ValueError, LENGTH + "[(][)]"),
    ("mse", X[:, :2], ValueError, "expects y .*[(]6, 1[)]. Received: y of shape [(]6, 2[)]"),
    ("mse", X[:, None, :], ValueError, "expects y .*Received: y of shape [(]6, 1, 4[)]"),
    ("mse", np.zeros((6, 6)), ValueError, "expects y .*Received: y of shape [(]6, 6[)]"),
    ("binary", BITS * 2 - 1, ValueError, r"expects y in \[0, 1\].*from -1.0 to 1.0"),
    ("binary", BITS * 255, ValueError, r"expects y in \[0, 1\].*from 0.0 to 255.0"),
    ("binary", BITS + 1e-3, ValueError, r"expects y in \[0, 1\]"),
    ("binary", LABELS, ValueError, r"expects y in \[0, 1\].*from 0 to 2"),
    ("binary", LABELS.astype("uint8"), ValueError, r"expects y in \[0, 1\].*from 0 to 2"),
    ("binary", ONE_HOT, ValueError, r"expects y .*\(6, 1\).*Received: y of shape \(6, 3\)"),
    ("categorical", LABELS, ValueError, "y of shape [(]6,[)].*SparseCategoricalCrossEntropy"),
    ("categorical", LABELS[:, None], ValueError, "[(]6, 1[)].*SparseCategoricalCrossEntropy"),
    ("categorical", ONE_HOT[:, :2], ValueError, r"\(6, 3\).*Received: y of shape \(6, 2\)"),
    ("sparse", ONE_HOT, ValueError, "y of shape [(]6, 3[)].*use CategoricalCrossEntropy"),
    ("sparse", ONE_HOT[:, :2], ValueError, r"expects y of shape \(6,\).*shape \(6, 2\)"),
    ("sparse", LABELS + 1, ValueError, "expects y from 0 to 2.*Received: a label 3"),
    ("sparse", LABELS - 1, ValueError, "expects y from 0 to 2.*Received: a label -1"),
    ("sparse", LABELS.astype("uint8") + 254, ValueError, "from 0 to 2.*a label 25[45]"),
    ("sparse", LABELS.astype(float), TypeError, "expects y .*indices, as integers.*float64"),
    ("sparse", LABELS + 0.5, TypeError, "expects y to hold class indices, as integers.*float64"),
    ("sparse", np.where(LABELS, LABELS, np.nan), ValueError, "y .*nan"),
]


@pytest.mark.parametrize("state", ["unbuilt", "trained"])
@pytest.mark.parametrize("way", WITH_Y)
@pytest.mark.parametrize(("task", "y", "error", "message"), BAD_TARGETS)
def test_targets_that_do_not_fit_the_loss(task, y, error, message, way, state):
    model = a_model(task, state)
    refuses(lambda: WITH_Y[way](model, X, y), error, message, model, task)


@pytest.mark.parametrize("state", ["unbuilt", "trained"])
@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        (np.ones(5), ValueError, r"sample_weight .*\(6,\). Received: shape \(5,\)"),
        (np.ones((1, 6)), ValueError, r"sample_weight .*Received: .*shape \(1, 6\)"),
        (np.ones((6, 2)), ValueError, r"sample_weight .*Received: .*shape \(6, 2\)"),
        (2.0, ValueError, r"sample_weight .*Received: shape \(\)"),
        ([], ValueError, r"sample_weight .*Received: shape \(0,\)"),
        ("heavy", TypeError, "sample_weight must hold real numbers. Received: str"),
        (np.ones(6) * 1j, TypeError, "sample_weight must hold real numbers.*complex"),
        ([1, 1, 1, 1, 1, None], TypeError, "sample_weight must hold real numbers"),
        ([1, 1, 1, 1, 1, np.nan], ValueError, "sample_weight .*nan"),
        ([1, 1, 1, 1, 1, np.inf], ValueError, "sample_weight .*inf"),
        ([1, 1, 1, 1, 1, 1e300], ValueError, "sample_weight .*(inf|1e[+]300)"),
    ],
)
@pytest.mark.parametrize("way", WITH_Y)
def test_bad_sample_weight(weight, error, message, way, state):
    model = a_model(state=state)
    call = WITH_Y[way]
    refuses(lambda: call(model, X, X[:, :1], sample_weight=weight), error, message, model)


@pytest.mark.parametrize("state", ["unbuilt", "trained"])
@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ({0: 1.0, 1: 2.0, "sample_weight": 1}, ValueError, "class_weight or sample_weight, not"),
        ([1.0, 2.0, 3.0], TypeError, r"class_weight must be a dict.*Received: \[1.0, 2.0, 3.0\]"),
        ("balanced", TypeError, "class_weight must be a dict.*Received: 'balanced'"),
        ({0: "1"}, TypeError, "class_weight.*0.* must be a number.*'1'"),
        ({0: None}, TypeError, "class_weight.*0.* must be a number.*None"),
        ({1: np.nan}, ValueError, "class_weight.*1.*nan"),
        ({1: np.inf}, ValueError, "class_weight.*1.*inf"),
    ],
)
@pytest.mark.parametrize("way", ["fit", "train_on_batch"])
def test_bad_class_weight(weights, error, message, way, state):
    more = {}
    if isinstance(weights, dict) and "sample_weight" in weights:
        weights = {key: value for key, value in weights.items() if key != "sample_weight"}
        more = {"sample_weight": np.ones(SAMPLES)}
    model = a_model("sparse", state)
    call = WITH_Y[way]
    refuses(
        lambda: call(model, X, LABELS, class_weight=weights, **more),
        error,
        message,
        model,
        "sparse",
    )


COUNTS = [
    (0, ValueError, "must be at least {minimum}. Received: {name}=0"),
    (-1, ValueError, "must be at least {minimum}. Received: {name}=-1"),
    (2.5, TypeError, "must be an integer. Received: {name}=2.5"),
    (2.0, TypeError, "must be an integer. Received: {name}=2.0"),
    (True, TypeError, "must be an integer. Received: {name}=True"),
    ("2", TypeError, "must be an integer. Received: {name}='2'"),
    (np.nan, TypeError, "must be an integer. Received: {name}=nan"),
    ([2], TypeError, "must be an integer.* Received: {name}=.2."),
]
COUNTED = [
    ("fit", "batch_size", 1),
    ("fit", "epochs", 0),
    ("fit", "initial_epoch", 0),
    ("fit", "steps_per_epoch", 1),
    ("fit", "validation_steps", 1),
    ("fit", "validation_batch_size", 1),
    ("evaluate", "batch_size", 1),
    ("evaluate", "steps", 1),
    ("predict", "batch_size", 1),
    ("predict", "steps", 1),
]


@pytest.mark.parametrize("state", ["unbuilt", "trained"])
@pytest.mark.parametrize(("way", "name", "minimum"), COUNTED)
@pytest.mark.parametrize(("value", "error", "message"), COUNTS)
def test_bad_counts(way, name, minimum, value, error, message, state):
    if value == minimum == 0 and value is not False:
        return  # 0 epochs are none, and no error
    model = a_model(state=state)
    y = () if way == "predict" else (X[:, :1],)
    refuses(
        lambda: getattr(model, way)(X, *y, verbose=0, **{name: value}),
        error,
        f"^{name} " + message.format(name=name, minimum=minimum),
        model,
    )


BAD_FIT = [
    ({"validation_split": 1}, ValueError, r"validation_split must lie in \[0, 1\).*=1"),
    ({"validation_split": -0.1}, ValueError, r"validation_split must lie in \[0, 1\).*=-0.1"),
    ({"validation_split": np.nan}, ValueError, r"validation_split must lie in \[0, 1\).*=nan"),
    ({"validation_split": 0.99}, ValueError, "validation_split=0.99 of 6 samples leaves none"),
    ({"validation_split": "0.2"}, TypeError, "validation_split must be a number.*'0.2'"),
    ({"validation_split": True}, TypeError, "validation_split must be a number.*True"),
    ({"shuffle": "batch"}, TypeError, "shuffle must be True or False. Received: shuffle='batch'"),
    ({"shuffle": X}, TypeError, "shuffle must be True or False. Received: shuffle=array"),
    ({"validation_freq": 0}, ValueError, "validation_freq must be at least 1"),
    ({"validation_freq": "all"}, TypeError, "validation_freq must be an integer.*'all'"),
    ({"validation_freq": 1.5}, TypeError, "validation_freq must be an integer.*1.5"),
    ({"validation_data": X}, ValueError, r"validation_data must be \(x, y\).*ndarray"),
    ({"validation_data": (X,)}, ValueError, r"validation_data must be \(x, y\)"),
    ({"validation_data": (X, X[:, :1], None, None)}, ValueError, "validation_data must be"),
    ({"validation_data": (X, None)}, TypeError, "validation.*y is missing"),
    ({"validation_data": (X[:, :3], X[:, :1])}, ValueError, r"validation.*x of shape \(6, 3\)"),
    ({"validation_data": (X, X[:5, :1])}, ValueError, "validation.*same number of samples"),
    ({"validation_data": (X, X[:, :2])}, ValueError, r"validation.*y of shape \(6, 2\)"),
    ({"validation_data": (X * np.nan, X[:, :1])}, ValueError, "validation.*x .*nan"),
    ({"validation_data": (X, X[:, :1], np.ones(3))}, ValueError, "validation.*sample_weight"),
    ({"validation_data": (X[:0], X[:0, :1])}, ValueError, r"validation.*x is empty.*\(0, 4\)"),
]
BAD_RUN = [
    ({"verbose": 3}, ValueError, "verbose must be 'auto', 0, 1 or 2. Received: verbose=3"),
    ({"verbose": "loud"}, ValueError, "verbose must be .*Received: verbose='loud'"),
    ({"verbose": None}, ValueError, "verbose must be .*Received: verbose=None"),
    ({"callbacks": [object()]}, TypeError, "callbacks .*Received: <object"),
    ({"callbacks": [print]}, TypeError, "callbacks .*Received: <built-in function print>"),
    ({"callbacks": "stop"}, TypeError, "callbacks .*Received: 's"),
    ({"callbacks": 5}, TypeError, "callbacks .*Received: 5"),
    ({"callbacks": callbacks.EarlyStopping}, TypeError, "callbacks .*Received: <class"),
    ({"callbacks": [callbacks.EarlyStopping]}, TypeError, "callbacks .*Received: <class"),
]


@pytest.mark.parametrize("state", ["unbuilt", "trained"])
@pytest.mark.parametrize(("options", "error", "message"), BAD_FIT)
def test_bad_arguments_of_fit(options, error, message, state):
    model = a_model(state=state)
    refuses(lambda: model.fit(X, X[:, :1], **{"verbose": 0, **options}), error, message, model)


@pytest.mark.parametrize("state", ["unbuilt", "trained"])
@pytest.mark.parametrize("way", ["fit", "evaluate", "predict"])
@pytest.mark.parametrize(("options", "error", "message"), BAD_RUN)
def test_bad_arguments_of_every_run(options, error, message, way, state):
    model = a_model(state=state)
    y = () if way == "predict" else (X[:, :1],)
    refuses(lambda: getattr(model, way)(X, *y, **{"verbose": 0, **options}), error, message, model)


@pytest.mark.parametrize("way", ["fit", "evaluate", "predict"])
def test_unknown_keywords(way):
    model = a_model()
    y = () if way == "predict" else (X[:, :1],)
    refuses(lambda: getattr(model, way)(X, *y, epoch=3), TypeError, "'epoch'", model)


def test_an_optimizer_serves_one_model():
    first, second = a_model(), a_model(state="unbuilt")
    second.compile(first.optimizer, "mse")
    refuses(lambda: second.fit(X, X[:, :1], verbose=0), ValueError, "Adam.*belongs to", first)
    assert not second.built


@pytest.mark.parametrize("state", ["unbuilt", "trained"])
@pytest.mark.parametrize("way", ["train_on_batch", "test_on_batch", "evaluate"])
@pytest.mark.parametrize("flag", [X, "no", None, 2])
def test_an_argument_in_the_place_of_return_dict_is_refused(flag, way, state):
    model = a_model(state=state)
    refuses(
        lambda: getattr(model, way)(X, X[:, :1], return_dict=flag),
        TypeError,
        "return_dict must be True or False. Received: return_dict=",
        model,
    )
    assert set(getattr(model, way)(X, X[:, :1], return_dict=1)) == {"loss", "accuracy"}

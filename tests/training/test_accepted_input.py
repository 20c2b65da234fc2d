"""Every form that the same numbers can come in gives the same result."""

import warnings

import numpy as np
import pytest
from helpers import (
    CLASSES,
    FEATURES,
    LABELS,
    SAMPLES,
    TASKS,
    X,
)

from nnlite import Sequential, optimizers, set_random_seed
from nnlite.layers import Activation, Dense, Dropout

ROWS = 7  # with batch_size=3, the last batch has one row
WHOLE = np.random.default_rng(2).integers(0, 9, (ROWS, FEATURES)).astype("float32")
ZEROES_AND_ONES = WHOLE % 2
READ_ONLY = WHOLE.copy()
READ_ONLY.flags.writeable = False


def strided(a):
    """Return a view with gaps in both axes that equals ``a``."""
    return np.repeat(np.repeat(a, 2, axis=0), 3, axis=1)[::2, ::3]


FORMS = {
    "list": lambda a: a.tolist(),
    "tuple": lambda a: tuple(map(tuple, a.tolist())),
    "list of arrays": list,
    "float64": lambda a: a.astype("float64"),
    "float16": lambda a: a.astype("float16"),
    "longdouble": lambda a: a.astype("longdouble"),
    "big-endian": lambda a: a.astype(">f4"),
    "int64": lambda a: a.astype("int64"),
    "int8": lambda a: a.astype("int8"),
    "uint8": lambda a: a.astype("uint8"),
    "uint64": lambda a: a.astype("uint64"),
    "Fortran": np.asfortranarray,
    "strided": strided,
    "strided uint8": lambda a: strided(a.astype("uint8")),
    "negative stride": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "broadcast view": lambda a: np.broadcast_to(a, (1, *a.shape))[0],
}


def outcome(x, y, task="mse", **more):
    """Train, evaluate and predict; return every number that came of it."""
    set_random_seed(5)
    last, loss, _ = TASKS[task]
    model = Sequential([Dense(5, activation="relu"), last()])
    model.compile(optimizers.Adam(0.01), loss, metrics=["accuracy"])
    history = model.fit(x, y, batch_size=3, epochs=3, verbose=0, **more)
    batch = model.train_on_batch(x, y)
    scores = model.evaluate(x, y, batch_size=3, verbose=0)
    numbers = [history.history["loss"], batch, scores, model.predict(x, batch_size=3)]
    return [*map(np.asarray, numbers), *model.get_weights()]


def assert_same(got, wanted, exact=True):
    for one, other in zip(got, wanted, strict=True):
        if exact:
            np.testing.assert_array_equal(one, other)
        else:
            np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_numbers_trains_alike(form, shuffle):
    x, y = WHOLE, WHOLE[:, :1]
    given_x, given_y = FORMS[form](x), FORMS[form](y)
    kept = np.array(given_x), np.array(given_y)
    got = outcome(given_x, given_y, shuffle=shuffle)
    # BLAS may add up a strided array in another order: equal but for rounding.
    exact = not ("strid" in form or form == "Fortran")
    assert_same(got, outcome(x, y, shuffle=shuffle), exact)
    np.testing.assert_array_equal(np.array(given_x), kept[0])
    np.testing.assert_array_equal(np.array(given_y), kept[1])


def test_booleans_are_0_and_1():
    x, y = ZEROES_AND_ONES, ZEROES_AND_ONES[:, :1]
    plain = outcome(x, y, "binary")
    assert_same(outcome(x.astype(bool), y.astype(bool), "binary"), plain)
    assert_same(outcome(x.astype(bool).tolist(), y.astype(bool).tolist(), "binary"), plain)


@pytest.mark.parametrize(
    ("task", "y"),
    [
        ("mse", WHOLE[:, 0]),
        ("binary", ZEROES_AND_ONES[:, 0]),
        ("sparse", WHOLE[:, 0].astype(int) % CLASSES),
    ],
)
@pytest.mark.parametrize("dtype", [None, "uint8", "int64", "float64"])
def test_m_targets_are_a_column_of_m_targets(task, y, dtype):
    if task == "sparse" and dtype == "float64":
        dtype = "int32"  # class indices are integers
    flat = y.astype(dtype or y.dtype)
    assert_same(outcome(WHOLE, flat, task), outcome(WHOLE, flat[:, None], task))
    assert_same(outcome(WHOLE, flat.tolist(), task), outcome(WHOLE, y, task))


@pytest.mark.parametrize("form", ["list", "float64", "uint8", "strided", "read-only"])
def test_every_form_of_sample_weights(form):
    weights = WHOLE[:, :1]
    given = FORMS[form](weights)
    wanted = outcome(WHOLE, WHOLE[:, :1], sample_weight=weights[:, 0])
    assert_same(outcome(WHOLE, WHOLE[:, :1], sample_weight=given), wanted)


@pytest.mark.parametrize("task", TASKS)
def test_one_row_is_enough(task):
    y = TASKS[task][2][:1]
    model = Sequential([Dense(3, "relu"), TASKS[task][0]()])
    model.compile("adam", TASKS[task][1])
    history = model.fit(X[:1], y, epochs=2, verbose=0)
    assert history.history["loss"][1] < history.history["loss"][0]
    assert model.predict(X[:1]).shape == (1, model.output_shape[-1])
    assert model.evaluate(X[:1], y, verbose=0) == pytest.approx(model.test_on_batch(X[:1], y))


def test_the_arrays_of_the_user_are_never_written_to():
    x, y, weight = X.copy(), LABELS.copy(), np.ones(SAMPLES)
    kept = x.copy(), y.copy(), weight.copy()
    for array in (x, y, weight):
        array.flags.writeable = False
    model = Sequential([Activation("relu"), Dropout(0.5), Dense(CLASSES, "softmax")])
    model.compile("sgd", metrics=["accuracy"])
    for batch_size in (2, 100):
        model.fit(x, y, batch_size, verbose=0, sample_weight=weight, validation_data=(x, y))
    model.train_on_batch(x, y, weight)
    model.evaluate(x, y, verbose=0)
    model.predict(x)
    for array, before in zip((x, y, weight), kept, strict=True):
        np.testing.assert_array_equal(array, before)


def test_an_activation_borrowed_from_a_layer_leaves_its_input_alone():
    borrowed = Dense(2, activation="relu").activation
    for layer in (borrowed, Activation(borrowed)):
        x = X.copy()
        Sequential([layer]).predict(x)
        layer(x)
        np.testing.assert_array_equal(x, X)


def test_nothing_here_warns_in_numpy():
    with warnings.catch_warnings(), np.errstate(over="raise", divide="raise", invalid="raise"):
        warnings.simplefilter("error")
        outcome(WHOLE, WHOLE[:, :1])

"""Data of every kind: trained on as the plain array of the same numbers is, or refused by name."""

import array
import re
import sys

import numpy as np
import pytest

import nnlite
from nnlite import Sequential
from nnlite.layers import Dense, Input

GENERATOR = np.random.default_rng(0)
NUMBERS = GENERATOR.integers(0, 5, (20, 3))
X = NUMBERS.astype(np.float32)
Y = (NUMBERS[:, 0] > 2).astype(np.float32)
W = GENERATOR.integers(1, 4, 20).astype(np.float32)
NAMES = ["a", "b", "c"]


def net(trained=False):
    nnlite.set_random_seed(1)
    model = Sequential([Input((3,)), Dense(4, "tanh"), Dense(1, "sigmoid")])
    model.compile("adam", metrics=["accuracy"], weighted_metrics=["mse"])
    if trained:
        model.fit(X, Y, verbose=0)
    return model


def bits(model):
    state = model.optimizer.state.values() if model.optimizer else []
    return [a.tobytes() for a in [*model.get_weights(), *state]]


class Holding:
    """An object with nothing but one of the ways to become an array."""

    def __init__(self, values, way):
        if way == "interface":
            self.kept, self.__array_interface__ = values, values.__array_interface__
        else:
            self.__class__ = type("Holding", (), WAYS[way](values))


WAYS = {
    "array": lambda v: {"__array__": lambda self, dtype=None, copy=None: v},
    "dlpack": lambda v: {
        "__dlpack__": lambda self, **options: v.__dlpack__(**options),
        "__dlpack_device__": lambda self: v.__dlpack_device__(),
    },
}


def pandas():
    return pytest.importorskip("pandas", exc_type=ImportError)


def polars():
    return pytest.importorskip("polars", exc_type=ImportError)


def torch():
    return pytest.importorskip("torch", exc_type=ImportError)


def jax():
    return pytest.importorskip("jax.numpy", exc_type=ImportError)


def on_disk(values, folder, mode):
    written = np.memmap(folder / "numbers", values.dtype, "w+", shape=values.shape)
    written[:] = values
    written.flush()
    return np.memmap(folder / "numbers", values.dtype, mode, shape=values.shape)


def matrix(values):
    with pytest.warns(PendingDeprecationWarning):
        return np.matrix(values)


def frame(values, dtype):
    table = pandas().DataFrame(values.reshape(len(values), -1))
    return table.astype(dtype)


def series(values, dtype):
    """Return a column as one, a table as the frame of such columns."""
    table = frame(values, dtype)
    return table if values.ndim == 2 else table[0]


def columns(values):
    table = polars().DataFrame(values.reshape(len(values), -1), schema=NAMES[: values[0].size])
    return table if values.ndim == 2 else table["a"]


def structure_of(values):
    """Return a frame whose columns are of different types."""
    table = frame(values, "int16")
    kinds = ["float64", "Int32", "category"]
    return table.astype(dict(zip(table.columns, kinds, strict=False)))


#: Each makes the same numbers, given as float32, another kind of data.
SAME = {
    "a list": lambda v, _: v.tolist(),
    "a tuple": lambda v, _: tuple(map(tuple, v.tolist())) if v.ndim == 2 else tuple(v.tolist()),
    "a list of arrays": lambda v, _: list(v),
    "a memoryview": lambda v, _: memoryview(v),
    "an array.array": lambda v, _: array.array("d", v) if v.ndim == 1 else v,
    "a memory map to write": lambda v, folder: on_disk(v, folder, "r+"),
    "a memory map to read": lambda v, folder: on_disk(v, folder, "r"),
    "a matrix": lambda v, _: matrix(v) if v.ndim == 2 else v,
    "a masked array without gaps": lambda v, _: np.ma.array(v),
    "int8": lambda v, _: v.astype(np.int8),
    "uint8": lambda v, _: v.astype(np.uint8),
    "uint64": lambda v, _: v.astype(np.uint64),
    "float16": lambda v, _: v.astype(np.float16),
    "float64": lambda v, _: v.astype(np.float64),
    "longdouble": lambda v, _: v.astype(np.longdouble),
    "big-endian floats": lambda v, _: v.astype(">f4"),
    "big-endian integers": lambda v, _: v.astype(">i2"),
    "Fortran's order": lambda v, _: np.asfortranarray(v),
    "backwards": lambda v, _: v[::-1].copy()[::-1],
    "with gaps between": lambda v, _: np.repeat(v, 2, axis=-1)[..., ::2],
    "read only": lambda v, _: np.broadcast_to(v, v.shape),
    "a subclass": lambda v, _: v.view(type("Own", (np.ndarray,), {})),
    "only __array__": lambda v, _: Holding(v, "array"),
    "only __dlpack__": lambda v, _: Holding(v, "dlpack"),
    "only __array_interface__": lambda v, _: Holding(v, "interface"),
    "pandas int64": lambda v, _: series(v, "int64"),
    "pandas float64": lambda v, _: series(v, "float64"),
    "pandas Int64": lambda v, _: series(v, "Int64"),
    "pandas Float32": lambda v, _: series(v, "Float32"),
    "pandas categories": lambda v, _: series(v, "int64").astype("category"),
    "pandas of several types": lambda v, _: structure_of(v) if v.ndim == 2 else v,
    "pandas with an index of its own": lambda v, _: series(v, "int64").set_axis(
        range(len(v), 0, -1)
    ),
    "polars": lambda v, _: columns(v),
    "polars integers": lambda v, _: columns(v.astype(np.int32)),
    "torch": lambda v, _: torch().tensor(v),
    "torch half": lambda v, _: torch().tensor(v).half(),
    "torch integers": lambda v, _: torch().tensor(v).long(),
    "torch, transposed": lambda v, _: torch().tensor(v.T.copy()).T if v.ndim == 2 else v,
    "jax": lambda v, _: jax().asarray(v),
    "jax half": lambda v, _: jax().asarray(v, jax().float16),
}


@pytest.mark.parametrize("kind", SAME)
def test_data_of_this_kind_are_as_good_as_a_plain_array(tmp_path, kind):
    x, y, weight, vx, vy = (
        SAME[kind](values, (tmp_path / name).mkdir() or tmp_path / name)
        for name, values in [("x", X), ("y", Y), ("w", W), ("vx", X[::2]), ("vy", Y[::2])]
    )
    results = []
    for data, labels, weights, held in [
        (X, Y, W, (X[::2], Y[::2])),
        (x, y, weight, (vx, vy)),
    ]:
        model = net()
        history = model.fit(
            data, labels, 8, 2, 0, validation_data=held, sample_weight=weights
        ).history
        model.fit(data, labels, class_weight={1: 2.0}, verbose=0)
        loss = model.train_on_batch(data, labels, sample_weight=weights)
        results.append(
            [
                history,
                loss,
                bits(model),
                model.evaluate(data, labels, sample_weight=weights, verbose=0),
                model.test_on_batch(data, labels),
                model.predict(data, batch_size=7).tobytes(),
                model.predict(data).tobytes(),
                model.predict_on_batch(data).tobytes(),
            ]
        )
    assert results[0] == results[1]


def test_booleans_are_zeros_and_ones():
    flags = NUMBERS > 2
    kinds = [flags, flags.tolist()]
    if "pandas" in sys.modules:
        kinds += [frame(flags, bool), frame(flags, "boolean"), frame(flags, {0: "float32"})]
    model, expected = net(), net()
    for x in kinds:
        assert model.predict(x).tobytes() == expected.predict(flags.astype("float32")).tobytes()


def raising(error):
    def read(self, dtype=None, copy=None):
        raise error

    return type("Own", (), {"__array__": read, "__len__": lambda self: 20})()


def scipy(kind):
    sparse = pytest.importorskip("scipy.sparse", exc_type=ImportError)
    return getattr(sparse, kind)(X)


def with_gap(table, gap):
    table.iloc[3, 1] = gap
    return table


class Sparse:
    """What a sparse matrix shows of itself, where SciPy is not installed."""

    nnz, shape = 3, (20, 3)

    def toarray(self):
        raise AssertionError("it is not made dense by us")

    __iter__ = toarray


#: What cannot be trained on, and what is said of it.
REFUSED = {
    "nothing": (lambda: None, "is missing"),
    "a number": (lambda: 3, "must have an axis of samples"),
    "text": (lambda: "abc", "Text must become numbers"),
    "bytes": (lambda: b"abc", "Text must become numbers"),
    "texts": (lambda: [["a", "b", "c"]] * 20, "Text must become numbers"),
    "a dict": (lambda: {"a": X}, "must hold real numbers. Received: dict"),
    "a set": (lambda: {1.0, 2.0}, "must hold real numbers. Received: set"),
    "a range": (lambda: range(20), r"Received: shape \(20,\)"),
    "rows of different lengths": (lambda: [[1.0, 2.0, 3.0], [1.0]], "rectangular"),
    "tuples of different lengths": (lambda: ((1.0, 2.0, 3.0), (1.0, 2.0)), "rectangular"),
    "complex numbers": (lambda: X + 1j, "real and imaginary parts"),
    "dates": (lambda: NUMBERS.astype("M8[s]"), "Dates must become numbers"),
    "durations": (lambda: NUMBERS.astype("m8[s]"), "Durations must become numbers"),
    "objects": (lambda: X.astype(object), "of type object. Convert it first"),
    "a structure": (lambda: np.zeros(20, [("a", "f4"), ("b", "f4")]), "Make its fields columns"),
    "a masked array with gaps": (lambda: np.ma.array(X, mask=X > 3), "masked array with gaps"),
    "no samples": (lambda: X[:0], "is empty"),
    "no features": (lambda: X[:, :0], "is empty"),
    "one axis": (lambda: X[:, 0], r"x\[:, None\]"),
    "an infinity": (lambda: np.where(X > 3, np.inf, X), r"must be finite as float32.*\] = inf"),
    "a gap": (lambda: np.where(X > 3, np.nan, X), r"must be finite as float32.*\] = nan"),
    "too large for float32": (lambda: X.astype(np.float64) * 1e300, "must be finite as float32"),
    "longdoubles beyond doubles": (
        lambda: X * np.longdouble("1e4000"),
        "must be finite as float32",
    ),
    "an object whose array fails": (lambda: raising(RuntimeError("mine")), "Own, which says: mine"),
    "an object whose array is wrong": (lambda: raising(ValueError("mine")), "which says: mine"),
    "a sparse matrix": (Sparse, r"is a sparse Sparse. Pass (validation )?x.toarray\(\)"),
    "scipy's csr matrix": (lambda: scipy("csr_matrix"), r"is a sparse csr_matrix"),
    "scipy's coo array": (lambda: scipy("coo_array"), r"is a sparse coo_array"),
    "pandas texts": (lambda: frame(X, str), r"x\[0\] must hold real numbers"),
    "pandas objects": (lambda: frame(X, object), r"x\[0\] must hold real numbers"),
    "pandas, one column of dates": (
        lambda: frame(X, "int64").assign(at=pandas().Timestamp(2020, 1, 1)),
        r"x\['at'\] must hold real numbers.*Dates",
    ),
    "pandas with NaN": (lambda: with_gap(frame(X, "float64"), np.nan), r"\[3, 1\] = nan"),
    "pandas with NA": (lambda: with_gap(frame(X, "Int64"), pandas().NA), r"x.* = nan|x\[1\] must"),
    "polars with null": (
        lambda: polars().DataFrame({"a": [None, 1.0], "b": [1, 2], "c": [1, 2]}),
        r"\[0, 0\] = nan",
    ),
    "polars texts": (
        lambda: polars().DataFrame({"a": ["x", "y"], "b": [1, 2]}),
        r"x\['a'\] must hold real numbers",
    ),
    "polars, not computed": (
        lambda: columns(X).lazy(),
        r"LazyFrame. Compute it first, .*x.collect",
    ),
    "torch with gradients": (
        lambda: torch().tensor(X, requires_grad=True),
        r"Received: Tensor, which says: .*detach",
    ),
    "torch bfloat16": (lambda: torch().tensor(X).bfloat16(), "NumPy array of floats.*BFloat16"),
    "torch sparse": (lambda: torch().tensor(X).to_sparse(), "which says: .*to_dense"),
    "torch without memory": (lambda: torch().tensor(X).to("meta"), "which says: .*meta"),
    "jax bfloat16": (lambda: jax().asarray(X, jax().bfloat16), "of type bfloat16. Convert"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_data_of_this_kind_are_refused_before_anything_changes(kind):
    make, message = REFUSED[kind]
    bad = make()
    pattern = re.compile(message, re.DOTALL)
    model = net(trained=True)
    before = bits(model)
    for call in (
        lambda: model.fit(bad, Y, verbose=0),
        lambda: model.fit(X, Y, verbose=0, validation_data=(bad, Y)),
        lambda: model.evaluate(bad, Y, verbose=0),
        lambda: model.predict(bad),
        lambda: model.predict_on_batch(bad),
        lambda: model.train_on_batch(bad, Y),
        lambda: model.test_on_batch(bad, Y),
    ):
        with pytest.raises((TypeError, ValueError), match=pattern):
            call()
        assert bits(model) == before


@pytest.mark.parametrize("kind", REFUSED)
def test_targets_and_weights_of_this_kind_are_refused_before_anything_changes(kind):
    make, _ = REFUSED[kind]
    if kind in ("nothing", "a range", "one axis"):
        return  # no targets is another matter; the others are good ones, or of a wrong length
    bad = make()
    model = net(trained=True)
    before = bits(model)
    for call in (
        lambda: model.fit(X, bad, verbose=0),
        lambda: model.fit(X, Y, sample_weight=bad, verbose=0),
        lambda: model.fit(X, Y, validation_data=(X, bad), verbose=0),
        lambda: model.evaluate(X, Y, sample_weight=bad, verbose=0),
    ):
        with pytest.raises((TypeError, ValueError), match=r"\by\b|sample_weight"):
            call()
        assert bits(model) == before


def test_memory_that_runs_out_is_not_called_a_wrong_type():
    with pytest.raises(MemoryError):
        net().predict(raising(MemoryError()))


def test_lists_of_tuples_are_samples_unless_they_hold_arrays_of_samples():
    model = net(trained=True)
    two = Sequential([Input((2,)), Dense(1)])
    rows = [(0.5, 1.0), (2.0, 3.0)]
    assert two.predict(rows).tobytes() == two.predict(np.float32(rows)).tobytes()
    held = two.fit(np.float32(rows), [1, 2], validation_data=(tuple(rows), (1, 2)), verbose=0)
    assert "val_loss" in held.history
    pairs = [(X[:10], Y[:10]), [X[10:], Y[10:]]]
    assert model.evaluate(pairs, verbose=0) == model.evaluate(X, Y, 10, verbose=0)


@pytest.mark.parametrize(
    "weights", [{"a": 2.0}, {0.5: 2.0}, {None: 1.0}, {np.nan: 1.0}, [1.0, 2.0]]
)
def test_class_weights_are_by_class_index(weights):
    model = net(trained=True)
    before = bits(model)
    with pytest.raises((TypeError, ValueError), match="class_weight"):
        model.fit(X, Y, class_weight=weights, verbose=0)
    assert bits(model) == before

"""Data of several arrays: shuffled and cut together, and arranged by the names of a model."""

import h5py
import numpy as np
import pytest

from nnlite.data import HDF5
from nnlite.data.arrays import Samples, check_rows
from nnlite.data.blocks import StoredSamples
from nnlite.data.iterables import IterableBatches
from nnlite.data.sources import holds_batches, open_stored
from nnlite.utils.structures import arranged

A = np.arange(14.0).reshape(7, 2)
B = np.arange(7)
Y = 10.0 * np.arange(7)[:, None]


def several() -> Samples:
    return Samples(
        [A, B], [Y, None], [B / 7, None], ["float32", "int32"], ["float32", None], None, "float32"
    )


def test_arrays_of_a_batch_are_cut_together_each_of_its_own_type():
    assert [len(x[0]) for x, _, _ in several().batches(3)] == [3, 3, 1]
    batches = iter(several().batches(3))
    next(batches)
    (a, b), (y, nothing), (weight, none) = next(batches)
    assert a.dtype == np.float32
    assert b.dtype == np.int32
    assert a.tolist() == [[6, 7], [8, 9], [10, 11]]
    assert b.tolist() == [3, 4, 5]
    assert y.tolist() == [[30], [40], [50]]
    assert nothing is none is None
    assert weight.tolist() == (np.arange(3, 6) / 7).astype(np.float32).tolist()


def test_arrays_of_a_batch_are_shuffled_together():
    seen = []
    for (a, b), (y, _), (weight, _) in several().batches(3, np.random.default_rng(0)):
        assert a[:, 0].tolist() == (2 * b).tolist()
        assert y[:, 0].tolist() == (10 * b).tolist()
        assert weight == pytest.approx(b / 7)
        seen += b.tolist()
    assert seen != sorted(seen)
    assert sorted(seen) == B.tolist()


def test_samples_of_several_arrays_are_split_by_rows():
    first, last = several().split(0.3)
    assert (first.rows, last.rows) == (4, 3)
    assert last.shape == [(3, 2), (3,)]
    assert last.whole()[0][1].tolist() == [4, 5, 6]


def test_one_list_beside_single_arrays():
    ((x, y, weight),) = Samples([A, B], Y, None, ["float64", "int64"], "float64").batches(9)
    assert [one.tolist() for one in x] == [A.tolist(), B.tolist()]
    assert y.tolist() == Y.tolist()
    assert weight is None


def test_numbers_of_samples_that_differ_are_refused_by_name():
    check_rows([("x['a']", A), ("y", None), ("x['b']", B)])
    message = r"x\['a'\] and x\['b'\] must have the same number of samples"
    with pytest.raises(ValueError, match=message):
        check_rows([("x['a']", A), ("x['b']", B[:3])])


@pytest.mark.parametrize("shuffle", [None, np.random.default_rng(1)])
def test_several_datasets_of_a_file_are_read_together(tmp_path, shuffle):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["people/age"], file["b"], file["y"] = A, B, Y
    data = HDF5(path, x={"b": "b", "a": "people/age"}, y=["y"])

    def arrange(parts):
        x, y, _ = parts
        return [arranged("x", x, ["a", "b"], "input"), y, None]

    opener, counts = open_stored(data, None, None, arrange=arrange)
    assert counts == (2, 1, None)
    admitted = []
    samples = StoredSamples(
        opener,
        (0, 7),
        [(2,), (), (1,), None],
        ["float32", "int32", "float32", None],
        lambda parts, row: admitted.append((len(parts[0]), len(parts[1]), row)),
        counts=counts,
    )
    assert samples.shape == [(7, 2), (7,)]
    seen = []
    for (a, b), (y,), weight in samples.batches(2, shuffle):
        assert a[:, 0].tolist() == (2 * b).tolist()
        assert y[:, 0].tolist() == (10 * b).tolist()
        assert weight is None
        seen += b.tolist()
    assert sorted(seen) == B.tolist()
    assert admitted == [(2, 1, 0)]
    with pytest.raises(ValueError, match=r"has no dataset 'c'\. It has: b, people/age, y"):
        open_stored(HDF5(path, x={"a": "c"}), None, None, arrange=arrange)
    with pytest.raises(TypeError, match="x must be the name of a dataset"):
        HDF5(path, x={"a": 1})


def test_datasets_and_arrays_of_different_lengths_are_refused(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["a"] = A
        with pytest.raises(ValueError, match=r"x\[0\] of shape \(7, 2\), x\[1\] of shape \(3,\)"):
            open_stored([file["a"], B[:3]], Y, None, arrange=list)


def test_a_part_for_each_name():
    assert arranged("x", [1, 2], {"b": "b", "a": "a"}, "input") == [1, 2]  # in the sorted order
    assert arranged("x", {"b": 2, "a": 1}, {"b": "b", "a": "a"}, "input") == [1, 2]
    assert arranged("x", {"b": 2, "a": 1}, ["b", "a"], "input") == [2, 1]
    nested = {"left": ["a", "b"], "right": "c"}
    assert arranged("x", {"right": 3, "left": [1, 2]}, nested, "input") == [1, 2, 3]
    assert arranged("y", {"b": 2}, ["a", "b"], "output", optional={"a"}) == [None, 2]
    assert arranged("y", [2], ["a", "b"], "output", optional={"a"}) == [None, 2]


class Frame(dict):
    """What a data frame shows of itself."""

    shape = (7, 2)

    @property
    def columns(self):
        return list(self)


def test_a_frame_gives_columns_by_name():
    first, second = arranged("x", Frame(b=B, a=A[:, 0]), ["a", "b"], "input")
    assert first.tolist() == A[:, 0].tolist()
    assert second is not first
    with pytest.raises(ValueError, match="has 'c' more"):
        arranged("x", Frame(b=B, a=B, c=B), ["a", "b"], "input")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": 1}, r"each input: 'a', 'b'. Received: 'a', which lacks 'b'"),
        ({"a": 1, "b": 1, "c": 1}, r"Received: 'a', 'b', 'c', which has 'c' more"),
        ([1, 2, 3], r"as a list or a dict. Received: 3 parts"),
        (A, r"Received: one ndarray"),
    ],
)
def test_what_does_not_fit_the_names_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        arranged("x", given, ["a", "b"], "input")


def test_batches_of_several_arrays_are_told_from_samples():
    assert holds_batches([({"a": A, "b": B}, Y)])
    assert holds_batches([([A, A], [Y, Y])])
    assert not holds_batches([A, B])
    assert not holds_batches([[[1.0, 2.0], [1.0]], [[1.0, 2.0], [2.0]]])
    batches = IterableBatches([([A, B], Y)], lambda batch: batch)
    assert len(next(iter(batches))[0]) == 2

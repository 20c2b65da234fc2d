"""What one process does of training on several: names, refusals, shares. The rest needs MPI."""

from unittest import mock

import numpy as np
import pytest
from helpers import SERIES, TARGETS, small

import nnlite
from nnlite import distribution, losses
from nnlite.distribution import data_parallel
from nnlite.distribution.processes import Processes, Share, current


def group(rank, size):
    made = Processes()
    made.rank, made.size = rank, size
    return made


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 8, 32, 101])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_shares_are_all_rows_once_and_differ_by_one_at_most(rows, size):
    shares = [Share(rows, group(rank, size)) for rank in range(size)]
    taken = [list(range(rows))[share.rows] if share.weight else [] for share in shares]
    assert [row for own in taken for row in own] == list(range(rows))
    assert max(map(len, taken)) - min(map(len, taken)) <= 1
    assert [share.weight for share in shares] == [len(own) / rows for own in taken]
    assert shares[0].counts == [len(own) for own in taken]


def test_a_process_without_a_row_takes_another_process_s_with_the_weight_0():
    share = Share(1, group(0, 2))
    x = np.arange(3.0)[None]
    assert share.weight == 0
    np.testing.assert_array_equal(share.of([x, None])[0], x)
    assert share.of([x, None])[1] is None


@pytest.mark.parametrize(
    ("loss", "y", "by_rows"),
    [
        (losses.MeanSquaredError(), np.zeros((4, 2)), True),
        (losses.MeanSquaredError(reduction="sum"), np.zeros((4, 2)), False),
        (losses.MeanSquaredError(reduction="mean_with_sample_weight"), np.zeros((4, 2)), False),
        (losses.SparseCategoricalCrossentropy(), np.zeros(4, int), True),
        (losses.SparseCategoricalCrossentropy(ignore_class=1), np.zeros(4, int), False),
        (losses.Circle(), np.zeros(4, int), False),
        (losses.Dice(), np.zeros((4, 2)), False),
        (losses.Dice(axis=-1), np.zeros((4, 2)), True),
        (losses.Dice(axis=(-2, -1)), np.zeros((4, 2)), False),
    ],
)
def test_which_losses_are_means_of_those_of_their_shares(loss, y, by_rows):
    assert loss.averages_rows(y, 2) is by_rows


def test_without_mpiexec_there_is_one_device_and_no_distribution():
    assert distribution.list_devices() == distribution.list_devices("cpu") == ["cpu:0"]
    assert distribution.list_devices("gpu") == []
    assert distribution.distribution() is None
    assert current().size == 1


def test_what_is_not_a_distribution_is_refused():
    with pytest.raises(TypeError, match=r"value must be a DataParallel or None\. Received: 'all'"):
        distribution.set_distribution("all")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device_mesh": "mesh"}, "device_mesh must be None.*'mesh'"),
        ({"auto_shard_dataset": False}, "auto_shard_dataset must be True.*False"),
        ({"devices": ["cpu:7"]}, r"devices must be all of them, \['cpu:0'\].*cpu:7"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        distribution.DataParallel(**options)


def test_without_mpi4py_an_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mpi4py", None)
    with pytest.raises(ImportError, match=r"pip install nnlite\[mpi\]"):
        distribution.initialize()


@pytest.mark.parametrize("name", ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE"])
def test_processes_that_train_apart_are_warned_of_once(monkeypatch, name):
    monkeypatch.setattr(data_parallel, "_warned", False)
    monkeypatch.setenv(name, "4")
    model = small()
    with pytest.warns(UserWarning, match="mpiexec started 4 processes, but each of them trains"):
        model.fit(SERIES, TARGETS, verbose=0)
    model.fit(SERIES, TARGETS, verbose=0)


def test_synchronized_batch_normalization_of_one_process_is_the_ordinary_one():
    x = np.random.default_rng(3).standard_normal((8, 3))
    plain, synchronized = (
        nnlite.layers.BatchNormalization(synchronized=on)(x, training=True) for on in (False, True)
    )
    np.testing.assert_array_equal(plain, synchronized)
    assert nnlite.layers.BatchNormalization(synchronized=True).get_config()["synchronized"] is True


def test_a_row_of_another_process_has_no_derivative_in_synchronized_normalization(monkeypatch):
    layer = nnlite.layers.BatchNormalization(synchronized=True)
    layer.build((None, 3))
    first = group(0, 3)
    monkeypatch.setattr(first, "average", lambda mean, what: None)
    x = np.random.default_rng(3).standard_normal((2, 3)).astype("float32")
    for rows, has in [(3, True), (2, False)]:  # of two rows, process 0 has none
        first.share = Share(rows, first)
        monkeypatch.setattr("nnlite.distribution.processes._current", mock.Mock(get=lambda: first))
        layer(x, training=True)
        assert np.any(layer.backward(x)) == has

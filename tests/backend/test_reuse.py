"""Memory that is used again, but never while an array shows it."""

import threading

import numpy as np
import pytest

from nnlite import Input, Sequential, layers
from nnlite.backend import reuse
from nnlite.backend.reuse import empty, maker_of

LARGE = (300, 1000)


@pytest.fixture(autouse=True)
def no_buffers(monkeypatch):
    monkeypatch.setattr(reuse, "_own", reuse._Buffers())


def place_of(shape=LARGE, dtype="float32"):
    return empty(shape, dtype).ctypes.data


def test_memory_without_an_array_is_used_again():
    place = place_of()
    assert place_of() == place
    assert place_of((150, 1000), "float64") == place
    assert place_of((200, 1000)) == place  # the head of the buffer
    array = empty(LARGE, "float32")
    assert array.shape == LARGE
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    assert array.flags.writeable


@pytest.mark.parametrize(
    "part",
    [
        lambda y: y,
        lambda y: y[5:7, ::2],
        lambda y: y.T,
        lambda y: y.reshape(-1).view("int32")[:1],
        lambda y: np.moveaxis(y, 0, 1)[None],
        memoryview,
        lambda y: [y[0]],
    ],
)
def test_memory_is_not_used_again_while_any_view_shows_it(part):
    array = empty(LARGE, "float32")
    place, kept = array.ctypes.data, part(array)
    del array
    assert place_of() != place
    del kept
    assert place in {place_of(), place_of()}


def test_the_smallest_buffer_that_fits_is_taken():
    small, large = empty(LARGE, "float32"), empty((900, 1000), "float32")
    places = small.ctypes.data, large.ctypes.data
    del small, large
    assert place_of((250, 1000)) == places[0]
    assert place_of((800, 1000)) == places[1]


def test_small_arrays_and_objects_have_memory_of_their_own():
    assert empty((10, 10), "float32").base is None
    assert empty(LARGE, object).base is None
    assert reuse._own.all == []


def test_makers_know_large_arrays():
    assert maker_of(LARGE, "float32") is empty
    assert maker_of((10, 10), "float32") is np.empty


def test_no_more_is_kept_than_the_limit(monkeypatch):
    monkeypatch.setattr(reuse, "_KEPT", 3_000_000)
    first, second = empty(LARGE, "float32"), empty(LARGE, "float32")
    assert empty(LARGE, "float32").base is None  # both buffers are in use
    del second
    assert empty((450, 1000), "float32").base is not None  # in the place of the second
    assert [buffer.size for buffer in reuse._own.all] == [1_200_000, 1_800_000]
    assert np.shares_memory(first, reuse._own.all[0])


def test_each_thread_has_its_own_buffers():
    places = [place_of()]
    thread = threading.Thread(target=lambda: places.append(place_of()))
    thread.start()
    thread.join()
    assert len(reuse._own.all) == 1
    assert place_of() == places[0]


def test_predictions_stay_as_they_were():
    model = Sequential([Input((40, 40, 3)), layers.Conv2D(8, 3), layers.ReLU(), layers.Flatten()])
    x = np.random.default_rng(0).normal(size=(3, 16, 40, 40, 3)).astype("float32")
    outputs = [model(batch) for batch in x]
    kept = [y.copy() for y in outputs]
    outputs += [model.predict(batch, verbose=0) for batch in x]
    for y, expected in zip(outputs, 2 * kept, strict=True):
        np.testing.assert_array_equal(y, expected)
    features = Sequential([Input((40, 40, 3)), layers.Conv2D(8, 3)])
    a, b = features(x[0]), features(x[1])
    assert not np.shares_memory(a, b)

"""BLAS: one thread for small products, always put back; and its updates of vectors."""

import threading

import numpy as np
import pytest

from nnlite import Sequential, layers
from nnlite.backend import blas
from nnlite.layers import Dense, Input
from nnlite.optimizers import SGD

LONG = 20_001  # what BLAS itself is called for, and no multiple of its blocks


@pytest.fixture
def threads(monkeypatch):
    """A BLAS of four threads, as the list of what it was set to."""
    history = [4]
    functions = {
        "openblas_get_num_threads": lambda: history[-1],
        "openblas_set_num_threads": history.append,
    }
    monkeypatch.setattr(blas, "_openblas", functions.get)
    return history


def test_small_products_take_one_thread_and_large_ones_all(threads):
    with blas.threads_for(5_999_999):
        assert threads == [4, 1]
    assert threads == [4, 1, 4]
    with blas.threads_for(6_000_000):
        assert threads == [4, 1, 4]


def test_threads_are_idle_within_small_products_only(threads):
    assert blas.idle_threads() == 0
    with blas.threads_for(6_000_000):
        assert blas.idle_threads() == 0
    with blas.threads_for(1):
        assert blas.idle_threads() == 3
    threads.append(1)
    with blas.threads_for(1):
        assert blas.idle_threads() == 0


def test_the_setting_is_put_back_after_an_error(threads):
    with pytest.raises(KeyError), blas.threads_for(1):
        raise KeyError
    assert threads == [4, 1, 4]


def test_runs_that_overlap_put_it_back_once_the_last_has_ended(threads):
    inside, leave = threading.Event(), threading.Event()

    def other():
        with blas.threads_for(1):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(10)
    with blas.threads_for(1):
        pass
    assert threads == [4, 1]
    leave.set()
    thread.join()
    assert threads == [4, 1, 4]


@pytest.mark.parametrize(
    ("layer", "shape", "multiplications"),
    [
        (Dense(3), (None, 4), 10 * 12),
        (Dense(3), (None, 5, 4), 10 * 5 * 12),
        (layers.EinsumDense("abc,cde->abde", (None, 2, 3)), (None, 5, 4), 10 * 5 * 24),
        (layers.EinsumDense("abc,bcd->ad", 3), (None, 5, 4), 10 * 60),
        (layers.Conv2D(6, 3, padding="same"), (None, 8, 8, 2), 10 * 64 * 108),
        # 2 MiB of columns are 524,288 floats, those of 4 such images: 4 * 32^2 * 3^2 * 14.
        (layers.Conv2D(6, 3, padding="same"), (None, 32, 32, 14), 4 * 1024 * 9 * 14 * 6),
        (layers.Conv2DTranspose(6, 3, 2), (None, 4, 4, 2), 10 * 16 * 108),
        (layers.DepthwiseConv2D(3), (None, 8, 8, 2), 0),
        (layers.Embedding(1000, 8), (None, 5), 0),
        (layers.SimpleRNN(7), (None, 5, 4), 10 * 49),  # of one step
        (layers.ReLU(), (None, 5), 0),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_layer_knows_its_largest_product(layer, shape, multiplications):
    layer.ensure_built(shape)
    found = max(part._largest_product(10) for part in layer.all_layers())
    assert found == multiplications


def test_threads_are_for_a_convolution_of_many_places(threads):
    model = Sequential([Input((64, 64, 3)), layers.Conv2D(64, 3), layers.GlobalMaxPooling2D()])
    model.predict(np.zeros((1, 64, 64, 3)), verbose=0)
    with model._step.blas_threads(1):
        assert threads == [4]  # 62^2 places times 1,728
    with Sequential([Input((64,)), Dense(64)])._step.blas_threads(128):
        assert threads == [4, 1]


def test_another_blas_is_left_alone(monkeypatch):
    monkeypatch.setattr(blas, "_openblas", lambda name: None)
    with blas.threads_for(1):
        pass


def test_numpys_own_openblas_is_found_and_obeys():
    getter = blas._openblas("openblas_get_num_threads")
    if getter is None:
        pytest.skip("NumPy is linked against another BLAS here")
    before = getter()
    with blas.threads_for(1):
        assert getter() == 1
    assert getter() == before


def vectors(n, dtype):
    rng = np.random.default_rng(n)
    return rng.standard_normal((2, n)).astype(dtype)


@pytest.mark.parametrize("n", [0, 1, 100, LONG])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_updates_of_any_length_are_those_of_the_formula(n, dtype):
    x, y = vectors(n, dtype)
    expected, untouched = y.astype(float) + 0.3 * x, x.copy()
    blas.add_scaled(y, 0.3, x, np.empty_like(x))
    tolerance = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(x, untouched)
    blas.scale(x, 0.3)
    np.testing.assert_allclose(x, 0.3 * untouched.astype(float), rtol=tolerance, atol=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_long_vectors_go_to_blas_and_short_ones_do_not(dtype, monkeypatch):
    if not blas.takes_long_vectors(dtype):
        pytest.skip("NumPy is linked against another BLAS here")
    called = []
    found = blas._update
    monkeypatch.setattr(
        blas, "_update", lambda name, dtype: called.append(name) or found(name, dtype)
    )
    for n in (blas._LONG - 1, blas._LONG):
        x, y = vectors(n, dtype)
        blas.add_scaled(y, 2.0, x, np.empty_like(x))
        blas.scale(y, 2.0)
        assert called == ([] if n < blas._LONG else ["axpy", "scal"])


def test_what_blas_cannot_take_by_its_address_is_left_to_numpy():
    x, y = vectors(2 * LONG, "float32")
    expected = y[::2] + 2 * x[::2]
    blas.add_scaled(y[::2], 2.0, x[::2], np.empty(LONG, "float32"))
    np.testing.assert_array_equal(y[::2], expected)
    expected = y + 2 * x
    blas.add_scaled(y, 2.0, x.astype(float), np.empty(len(x)))  # two types
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match="broadcast"):
        blas.add_scaled(y, 2.0, x[:-1], np.empty(len(x) - 1, "float32"))
    y.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        blas.add_scaled(y, 2.0, x, np.empty_like(x))
    with pytest.raises(ValueError, match="read-only"):
        blas.scale(y, 2.0)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize(
    "options", [{}, {"nesterov": True}, {"weight_decay": 0.1, "use_ema": True}]
)
def test_sgd_is_the_same_with_and_without_blas(momentum, options, monkeypatch):
    def trained():
        model = Sequential([Input((200,)), Dense(150, kernel_initializer="ones")])
        model.compile(SGD(0.01, momentum, **options), "mse")
        x = np.random.default_rng(0).standard_normal((60, 200))
        model.fit(x, x[:, :150], batch_size=20, epochs=3, shuffle=False, verbose=0)
        return model.get_weights()

    by_blas = trained()
    assert by_blas[0].size > blas._LONG
    monkeypatch.setattr(blas, "_update", lambda name, dtype: None)
    assert not blas.takes_long_vectors("float32")
    for one, other in zip(by_blas, trained(), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)

"""The number of BLAS threads: one for small products, and always put back."""

import threading

import pytest

from nnlite import blas


@pytest.fixture
def threads(monkeypatch):
    """A BLAS of four threads, as the list of what it was set to."""
    history = [4]
    monkeypatch.setattr(blas, "_openblas", lambda: (lambda: history[-1], history.append))
    return history


def test_small_products_take_one_thread_and_large_ones_all(threads):
    with blas.threads_for(5_999_999):
        assert threads == [4, 1]
    assert threads == [4, 1, 4]
    with blas.threads_for(6_000_000):
        assert threads == [4, 1, 4]


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


def test_another_blas_is_left_alone(monkeypatch):
    monkeypatch.setattr(blas, "_openblas", lambda: None)
    with blas.threads_for(1):
        pass


def test_numpys_own_openblas_is_found_and_obeys():
    functions = blas._openblas()
    if functions is None:
        pytest.skip("NumPy is linked against another BLAS here")
    getter, _ = functions
    before = getter()
    with blas.threads_for(1):
        assert getter() == 1
    assert getter() == before

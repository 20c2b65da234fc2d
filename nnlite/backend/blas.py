"""NumPy's OpenBLAS: the number of threads of its products, and two updates that NumPy lacks.

OpenBLAS splits every product of more than about 260,000 multiplications over all cores. The results
are in the caches of several cores, and the element-wise operations that follow on one core wait for
them. Up to about six million multiplications this costs more than the second core gains: a step of
784-128-10 at batch size 32 took 365 us with two threads and 260 us with one.

NumPy computes y <- y + a x in two operations on one core. BLAS needs one pass, on all cores for
long vectors. A step of 784-512-512-10 at batch size 128 took 2.90 ms with NumPy and 2.77 ms with
BLAS (with momentum 3.20 and 2.97 ms); a step of 1024-2048-2048-10 at 256 took 48.3 and 43.4 ms.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnlite.utils.typing import Array

__all__ = [
    "ALWAYS_ONE",
    "add_scaled",
    "idle_threads",
    "limit_threads",
    "scale",
    "takes_long_vectors",
    "threads_for",
    "usable_threads",
]


ALWAYS_ONE = 262_144  # multiplications up to which OpenBLAS uses one thread
_WORTH_SPLITTING = 6_000_000  # multiplications of the largest product of a step
_LONG = 16_384  # entries from which the overhead of a BLAS call (2 us) pays

_lock = threading.Lock()
_holders = 0  # the number of active contexts with one thread
_threads_before = 0


@functools.cache
def _openblas(name: str) -> Any:
    """Return a function of NumPy's OpenBLAS, or None for another BLAS."""
    package = os.path.dirname(np.__file__)
    for folder in (f"{package}.libs", f"{package}/.dylibs"):
        names = os.listdir(folder) if os.path.isdir(folder) else []
        for library in sorted(name for name in names if "openblas" in name):
            try:
                loaded = ctypes.CDLL(os.path.join(folder, library))
            except OSError:
                continue
            for full_name in (f"scipy_{name}64_", f"scipy_{name}"):
                function = getattr(loaded, full_name, None)
                if function is not None:
                    return function
    return None


@contextmanager
def threads_for(multiplications: int) -> Iterator[None]:
    """Context in which matrix products use one thread if ``multiplications`` is small.

    If it is large, they use all threads again within a context of one thread, unless another Python
    thread is in one too. It has no effect unless NumPy uses the OpenBLAS of its wheels. The setting
    is global: products in other Python threads use one thread too.

    Args:
        multiplications: The number of multiplications of the largest product.

    >>> with threads_for(1000):
    ...     product = np.ones((10, 10)) @ np.ones((10, 10))
    """
    small = multiplications < _WORTH_SPLITTING
    change = 1 if small else -min(_holders, 1)
    _hold(change)
    try:
        yield
    finally:
        _hold(-change)


def _hold(change: int) -> None:
    """Change the number of active contexts with one thread."""
    global _holders, _threads_before
    getter, setter = _openblas("openblas_get_num_threads"), _openblas("openblas_set_num_threads")
    if change == 0 or getter is None or setter is None:
        return
    with _lock:
        before, _holders = _holders, _holders + change
        if before == 0 and change > 0:
            _threads_before = getter()
            setter(1)
        elif _holders == 0:
            setter(_threads_before)


def limit_threads(count: int) -> int:
    """Let matrix products use ``count`` threads; return how many they use then, 0 if unknown.

    ``OPENBLAS_NUM_THREADS``, where it is set, stays in force.
    """
    getter, setter = _openblas("openblas_get_num_threads"), _openblas("openblas_set_num_threads")
    if getter is None or setter is None:
        return 0
    if "OPENBLAS_NUM_THREADS" not in os.environ:
        setter(count)
    return int(getter())


def idle_threads() -> int:
    """Return how many threads BLAS leaves to others now: all but one within `threads_for` of few.

    Outside of it there are none: for some milliseconds after a product on all cores, OpenBLAS's
    threads ask for the next one without a pause. A second thread of Python's then waits for a core
    (a step of Adam over 670,000 weights between such products took 1.4 ms instead of 1.2 ms).
    """
    with _lock:
        return _threads_before - 1 if _holders > 0 else 0


def usable_threads() -> int:
    """Return how many threads products may use outside of `threads_for`; 1 if unknown."""
    getter = _openblas("openblas_get_num_threads")
    with _lock:
        return _threads_before if _holders > 0 else int(getter()) if getter else 1


@functools.cache
def _update(name: str, dtype: np.dtype[Any]) -> Any:
    """Return BLAS's ``axpy`` or ``scal`` for a float type, or None if not available."""
    letter, number = ("s", ctypes.c_float) if dtype == np.float32 else ("d", ctypes.c_double)
    function = _openblas(f"cblas_{letter}{name}")
    if function is None or dtype not in (np.float32, np.float64):
        return None
    integer = ctypes.c_int64 if function.__name__.endswith("64_") else ctypes.c_int
    vector = [ctypes.c_void_p, integer]
    function.argtypes = [integer, number, *vector, *(vector if name == "axpy" else [])]
    function.restype = None
    return function


def takes_long_vectors(dtype: Any) -> bool:
    """Return whether `add_scaled` and `scale` use BLAS, which is fastest on whole vectors."""
    return _update("axpy", np.dtype(dtype)) is not None


def add_scaled(y: Array, a: float, x: Array, scratch: Array) -> None:
    """Y <- y + a x, in place.

    Args:
        y: A contiguous vector.
        a: The factor.
        x: A contiguous vector of the same length and type.
        scratch: A temporary vector of the same length and type.

    >>> y = np.ones(3)
    >>> add_scaled(y, 2.0, np.arange(3.0), np.empty(3))
    >>> y
    array([1., 3., 5.])
    """
    axpy = _update("axpy", y.dtype) if len(y) >= _LONG and _alike(y, x) else None
    if axpy is not None:
        axpy(len(y), a, x.ctypes.data, 1, y.ctypes.data, 1)
        return
    if a != 1:
        x = np.multiply(x, a, out=scratch)
    y += x


def scale(x: Array, a: float) -> None:
    """X <- a x, in place, for a contiguous vector.

    >>> x = np.ones(3)
    >>> scale(x, 2.0)
    >>> x
    array([2., 2., 2.])
    """
    scal = _update("scal", x.dtype) if len(x) >= _LONG and _alike(x) else None
    if scal is not None:
        scal(len(x), a, x.ctypes.data, 1)
        return
    x *= a


def _alike(y: Array, *others: Array) -> bool:
    """Return whether BLAS can be applied to the vectors, and write into the first."""
    return y.flags.writeable and all(
        x.ndim == 1 and x.flags.c_contiguous and x.dtype == y.dtype and len(x) == len(y)
        for x in (y, *others)
    )

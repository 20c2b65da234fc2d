"""How many threads NumPy's matrix products use: one where two would only get in each other's way.

OpenBLAS splits every product of more than some 260,000 multiplications over all cores. What a core
computed lies in that core's own cache, and the element-wise steps that follow, on one core, wait
for it to be sent over. Up to some six million multiplications that costs more than the second core
gains: a step of 784-128-10 at batch 32 took 365 us with two threads and 260 us with one.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = ["ALWAYS_ONE", "threads_for"]

ALWAYS_ONE = 262_144  # multiplications of a product that OpenBLAS itself leaves to one thread
_WORTH_SPLITTING = 6_000_000  # multiplications of the largest product of a step

_lock = threading.Lock()
_holders = 0  # how many runs are within threads_for(few multiplications) right now
_threads_before = 0


@functools.cache
def _openblas() -> tuple[Callable[[], int], Callable[[int], Any]] | None:
    """Return OpenBLAS's own functions to get and set its threads, or None for another BLAS."""
    package = os.path.dirname(np.__file__)
    for folder in (f"{package}.libs", f"{package}/.dylibs"):
        names = os.listdir(folder) if os.path.isdir(folder) else []
        for library in sorted(name for name in names if "openblas" in name):
            try:
                loaded = ctypes.CDLL(os.path.join(folder, library))
            except OSError:
                continue
            for name in ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads"):
                getter = getattr(loaded, name.format("get"), None)
                setter = getattr(loaded, name.format("set"), None)
                if getter is not None and setter is not None:
                    return getter, setter
    return None


@contextmanager
def threads_for(multiplications: int) -> Iterator[None]:
    """Let matrix products use one thread within, if ``multiplications`` is too few for more.

    Where NumPy uses another BLAS than its own wheels' OpenBLAS, this does nothing. The setting is
    the process's: products that other threads make meanwhile use one thread too.

    Args:
        multiplications: Those of the largest product that will be computed.

    >>> with threads_for(1000):
    ...     product = np.ones((10, 10)) @ np.ones((10, 10))
    """
    global _holders, _threads_before
    functions = _openblas() if multiplications < _WORTH_SPLITTING else None
    if functions is None:
        yield
        return
    getter, setter = functions
    with _lock:
        if _holders == 0:
            _threads_before = getter()
            setter(1)
        _holders += 1
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if _holders == 0:
                setter(_threads_before)

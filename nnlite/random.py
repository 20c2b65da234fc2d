"""Random numbers: NumPy Generators, seeded by the user or from one global root."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any
from weakref import WeakSet

import numpy as np

__all__ = ["new_generator", "new_seed", "set_random_seed"]

_root: np.random.Generator | None = None  # see `_global_root`; numpy.random is slow to import
_forks = 0  # the number of forks since the seed was set
_own: ContextVar[np.random.Generator | None] = ContextVar("_own", default=None)
_waiting: WeakSet[Seed] = WeakSet()  # those that the root is still to draw
_reserved = 0  # how many draws that will take: seeds that are gone count too
_lock = Lock()


class Seed:
    """A seed that is given, or drawn from the root in the order of creation.

    A model with its own seed draws instead of the root if it reads the seed first. The root then
    draws as if this one had never been created.
    """

    def __init__(self, seed: int | None = None) -> None:
        global _reserved
        if seed is not None and (
            not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0
        ):
            raise ValueError(
                f"seed must be None or an integer of at least 0. Received: seed={seed!r}"
            )
        self.root = _own.get()  # what it is drawn from; None for the global root
        self._value = None if seed is None else int(seed)
        self._settled = seed is not None
        if not self._settled:
            if self.root is not None:
                self.read()
            else:
                with _lock:  # another thread may be drawing
                    self._turn = _reserved
                    _reserved += 1
                    _waiting.add(self)

    def read(self) -> int:
        """Return the seed, from now on always the same."""
        own = _own.get()
        if own is not None and not self._settled:
            self.root, self._value = own, int(own.integers(2**63))
            with _lock:
                self._withdraw()
        self._settled = True
        return self._drawn()

    def _withdraw(self) -> None:
        global _reserved
        if self in _waiting:
            _waiting.remove(self)
            _reserved -= 1
            for seed in _waiting:
                seed._turn -= seed._turn > self._turn

    def _drawn(self) -> int:
        if self._value is None:
            _draw_waiting()
        assert self._value is not None
        return self._value

    def __getstate__(self) -> dict[str, Any]:
        self._drawn()  # a copy has the same seed
        return vars(self)


def _global_root() -> np.random.Generator:
    global _root
    if _root is None:
        _root = np.random.default_rng()
    return _root


def _draw_waiting() -> None:
    global _reserved
    with _lock:
        root, at = _global_root(), 0
        stream: Any = root.bit_generator  # a PCG64
        for seed in sorted(_waiting, key=lambda seed: seed._turn):
            stream.advance(seed._turn - at)  # one step for each seed that is gone
            seed._value = int(root.integers(2**63))
            at = seed._turn + 1
        stream.advance(_reserved - at)
        _waiting.clear()
        _reserved = 0


@contextmanager
def drawing_from(root: np.random.Generator | None) -> Iterator[None]:
    """Draw seeds from ``root`` instead of the global root; None changes nothing."""
    token = _own.set(_own.get() if root is None else root)
    try:
        yield
    finally:
        _own.reset(token)


def set_random_seed(seed: int) -> None:
    """Set the global seed, which makes all random numbers reproducible.

    This seeds the root of initializers, dropout and shuffling and, as in Keras, Python's
    ``random`` and NumPy's global state. A forked process draws different but reproducible
    numbers; a spawned process must call this function itself.

    Args:
        seed: An integer in ``[0, 2**32 - 1]``.

    Raises:
        TypeError: If ``seed`` is not an integer.
        ValueError: If ``seed`` is out of range.

    >>> set_random_seed(7)
    >>> first = new_generator().random()
    >>> set_random_seed(7)
    >>> first == new_generator().random()
    True
    """
    global _root, _forks
    import random as python_random  # slow to import

    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool):
        raise TypeError(f"seed must be an integer. Received: seed={seed!r}")
    if not 0 <= seed <= 2**32 - 1:
        raise ValueError(f"seed must lie in [0, 2**32 - 1]. Received: seed={seed!r}")
    _draw_waiting()
    python_random.seed(int(seed))
    np.random.seed(int(seed))  # noqa: NPY002  Keras's function seeds the legacy state too
    _root = np.random.default_rng(int(seed))
    _forks = 0


def _count_fork() -> None:
    global _forks
    _lock.acquire()  # no thread is to draw meanwhile: the child would wait for it for ever
    _forks += 1


def _part_ways() -> None:
    """Give a forked process its own root."""
    global _root, _forks
    _lock.release()
    _draw_waiting()
    _root = np.random.default_rng([int(_global_root().integers(2**63)), _forks])
    _forks = 0


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(
        before=_count_fork, after_in_parent=_lock.release, after_in_child=_part_ways
    )


def states() -> dict[str, Any]:
    """Return the states of the global random numbers."""
    import random as python_random

    _draw_waiting()
    return {
        "root": copy.deepcopy(_global_root()),
        "numpy": np.random.get_state(legacy=False),  # noqa: NPY002  users draw from it
        "python": python_random.getstate(),
    }


def set_states(states: Mapping[str, Any]) -> None:
    """Restore the result of `states`."""
    import random as python_random

    _draw_waiting()
    _global_root().bit_generator.state = states["root"].bit_generator.state
    np.random.set_state(states["numpy"])  # noqa: NPY002
    python_random.setstate(states["python"])


def new_seed() -> int:
    """Return a new seed from the root, or from the model with a seed that draws.

    >>> 0 <= new_seed() < 2**63
    True
    """
    return Seed().read()


def new_generator(seed: int | None = None) -> np.random.Generator:
    """Return a new Generator, seeded from ``seed`` or, if None, from the root.

    Raises:
        ValueError: If ``seed`` is not an integer of at least 0.

    >>> new_generator(3).random() == new_generator(3).random()
    True
    """
    return np.random.Generator(np.random.SFC64(Seed(seed).read()))

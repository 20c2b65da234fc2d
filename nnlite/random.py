"""Random numbers: NumPy Generators, seeded by the user or from one global root."""

from __future__ import annotations

import copy
import os
import random as python_random
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["new_generator", "new_seed", "set_random_seed"]

_root = np.random.default_rng()
_forks = 0  # the number of forks since the seed was set


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
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool):
        raise TypeError(f"seed must be an integer. Received: seed={seed!r}")
    if not 0 <= seed <= 2**32 - 1:
        raise ValueError(f"seed must lie in [0, 2**32 - 1]. Received: seed={seed!r}")
    python_random.seed(int(seed))
    np.random.seed(int(seed))  # noqa: NPY002  Keras's function seeds the legacy state too
    _root = np.random.default_rng(int(seed))
    _forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


def _part_ways() -> None:
    """Give a forked process its own root."""
    global _root, _forks
    _root = np.random.default_rng([new_seed(), _forks])
    _forks = 0


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(before=_count_fork, after_in_child=_part_ways)


def states() -> dict[str, Any]:
    """Return the states of the global random numbers."""
    return {
        "root": copy.deepcopy(_root),
        "numpy": np.random.get_state(legacy=False),  # noqa: NPY002  users draw from it
        "python": python_random.getstate(),
    }


def set_states(states: Mapping[str, Any]) -> None:
    """Restore the result of `states`."""
    _root.bit_generator.state = states["root"].bit_generator.state
    np.random.set_state(states["numpy"])  # noqa: NPY002
    python_random.setstate(states["python"])


def new_seed() -> int:
    """Return a new seed from the root.

    >>> 0 <= new_seed() < 2**63
    True
    """
    return int(_root.integers(2**63))


def new_generator(seed: int | None = None) -> np.random.Generator:
    """Return a new Generator, seeded from ``seed`` or, if None, from the root.

    Raises:
        ValueError: If ``seed`` is not an integer of at least 0.

    >>> new_generator(3).random() == new_generator(3).random()
    True
    """
    if seed is None:
        seed = new_seed()
    elif not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"seed must be None or an integer of at least 0. Received: seed={seed!r}")
    return np.random.Generator(np.random.SFC64(int(seed)))

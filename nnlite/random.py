"""Where random numbers come from: NumPy Generators, seeded by the user or from one root."""

from __future__ import annotations

import copy
import os
import random as python_random
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["new_generator", "new_seed", "set_random_seed"]

_root = np.random.default_rng()
_forks = 0  # how many processes were forked off since the seed was set


def set_random_seed(seed: int) -> None:
    """Make everything random that follows repeat bit for bit.

    Seeds nnlite's own root, from which initializers, dropout and shuffling draw their seeds, and,
    as Keras does, Python's ``random`` and NumPy's global state as well. A process that is forked
    off then draws numbers of its own, which repeat too: they follow from the seed, what was drawn
    before, and how many were forked before it. A spawned one is to call this itself.

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
    """Draw, in a forked process, from another root than the parent and its other children do."""
    global _root, _forks
    _root = np.random.default_rng([new_seed(), _forks])
    _forks = 0


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(before=_count_fork, after_in_child=_part_ways)


def states() -> dict[str, Any]:
    """Return where all random numbers stand, which are not drawn from a Generator of their own."""
    return {
        "root": copy.deepcopy(_root),
        "numpy": np.random.get_state(legacy=False),  # noqa: NPY002  users draw from it
        "python": python_random.getstate(),
    }


def set_states(states: Mapping[str, Any]) -> None:
    """Make all random numbers go on where `states` found them."""
    _root.bit_generator.state = states["root"].bit_generator.state
    np.random.set_state(states["numpy"])  # noqa: NPY002
    python_random.setstate(states["python"])


def new_seed() -> int:
    """Draw a fresh seed from the root.

    >>> 0 <= new_seed() < 2**63
    True
    """
    return int(_root.integers(2**63))


def new_generator(seed: int | None = None) -> np.random.Generator:
    """Return a Generator of its own: from ``seed``, or from the root where ``seed`` is None.

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

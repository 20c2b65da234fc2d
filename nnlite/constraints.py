"""Constraints: projections that are applied to weights after each update."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnlite.config import epsilon
from nnlite.serialization.registry import Configurable, Registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import as_number, as_returned, check_axis, check_fraction

if TYPE_CHECKING:
    from nnlite.backend.variables import Variable

__all__ = ["Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "get"]


class Constraint(Configurable):
    """Base class of constraints; a subclass defines ``__call__``.

    >>> class AtMostOne(Constraint):
    ...     def __call__(self, w):
    ...         return np.minimum(w, 1)
    >>> AtMostOne()(np.array([0.5, 2.0]))
    array([0.5, 1. ])
    """

    def __call__(self, w: Array) -> Array:
        """Return the projection of ``w``, a new array of the same shape and type."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(w)")


registry = Registry("constraint", Constraint, "keras.constraints")


def get(identifier: Any) -> Callable[[Array], Array] | None:
    """Return a constraint, or None for None.

    Args:
        identifier: A name such as ``"non_neg"``, a `Constraint` class or instance, a function that
            returns the projection of a weight, or None.

    Raises:
        ValueError: If no constraint has that name.
        TypeError: If ``identifier`` has the wrong type.

    >>> get("max_norm")
    MaxNorm()
    """
    if callable(identifier) and not isinstance(identifier, type):
        function: Callable[[Array], Array] = identifier
        return function
    return None if identifier is None else registry.get(identifier)


def project(variable: Variable, constraint: Callable[[Array], Any]) -> None:
    """Apply a constraint to a weight."""
    value = constraint(variable.value)
    if getattr(value, "dtype", None) != variable.dtype or value.shape != variable.shape:
        source = f"constraint {constraint!r} of weight {variable.name!r}"
        value = as_returned(source, value, variable.shape, variable.dtype)
    np.copyto(variable.value, value)


@registry.register()
class NonNeg(Constraint):
    """Non-negative weights: max(w, 0).

    >>> NonNeg()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def __call__(self, w: Array) -> Array:
        """Return max(w, 0)."""
        return np.maximum(w, 0)


@registry.register()
class MinMaxNorm(Constraint):
    """Norms of weight vectors in [min_value, max_value].

    w * (rate * clip(||w||, min_value, max_value) + (1 - rate) * ||w||) / (||w|| + 1e-7)

    Args:
        min_value: The smallest norm.
        max_value: The largest norm.
        rate: The fraction of the correction per update; 1 corrects fully.
        axis: The axis or axes of a vector; None for all. For a ``Dense`` kernel of shape
            (inputs, outputs), 0 selects the weights into each unit.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If not 0 <= ``min_value`` <= ``max_value``, or ``rate`` is not in [0, 1].

    >>> MinMaxNorm(max_value=1.0)(np.array([[3.0, 0.3], [4.0, 0.4]])).round(4)
    array([[0.6, 0.3],
           [0.8, 0.4]])
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] | None = 0,
    ) -> None:
        as_number("min_value", min_value)
        as_number("max_value", max_value)
        check_fraction("rate", rate, including_one=True)
        for one in axis if isinstance(axis, Iterable) else [] if axis is None else [axis]:
            check_axis(one)
        if not 0 <= min_value <= max_value:
            raise ValueError(
                "max_value must be at least min_value, and min_value at least 0. "
                f"Received: {min_value=}, {max_value=}"
            )
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Array) -> Array:
        """Return ``w`` with scaled vectors."""
        axis: Any = tuple(self.axis) if isinstance(self.axis, Iterable) else self.axis
        # In float64, squares of float32 neither overflow nor underflow.
        norms = np.sqrt(np.square(w, dtype=np.float64).sum(axis, keepdims=True))
        nearest = np.clip(norms, self.min_value, self.max_value)
        target = self.rate * nearest + (1 - self.rate) * norms
        scale: Array = (target / (norms + epsilon())).astype(w.dtype)
        return w * scale


@registry.register()
class MaxNorm(MinMaxNorm):
    """Norms of weight vectors of at most ``max_value``.

    w * min(||w||, max_value) / (||w|| + 1e-7); Srivastava et al. (2014), section 5.1, use it
    with dropout.

    Args:
        max_value: The largest norm.
        axis: As for `MinMaxNorm`.

    Raises:
        ValueError: If ``max_value`` is negative.

    >>> MaxNorm(max_value=1)(np.array([[3.0, 0.3], [4.0, 0.4]])).round(4)
    array([[0.6, 0.3],
           [0.8, 0.4]])
    """

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] | None = 0) -> None:
        super().__init__(max_value=max_value, axis=axis)


@registry.register()
class UnitNorm(MinMaxNorm):
    """Weight vectors of norm 1: w / (||w|| + 1e-7).

    Args:
        axis: As for `MinMaxNorm`.

    >>> UnitNorm()(np.array([[3.0, 0.3], [4.0, 0.4]])).round(4)
    array([[0.6, 0.6],
           [0.8, 0.8]])
    """

    def __init__(self, axis: int | Sequence[int] | None = 0) -> None:
        super().__init__(min_value=1.0, max_value=1.0, axis=axis)


# Keras's other spellings.
max_norm = MaxNorm
min_max_norm = MinMaxNorm
non_neg = NonNeg
unit_norm = UnitNorm

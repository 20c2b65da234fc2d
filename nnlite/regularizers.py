"""Regularizers: penalties that are added to the loss, with their derivatives."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from nnlite.config import epsilon
from nnlite.serialization.registry import Configurable, Registry
from nnlite.utils.overrides import overridden, require_derivative
from nnlite.utils.typing import Array
from nnlite.utils.user_code import floats, lent, read_only

__all__ = ["L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "get"]


class Regularizer(Configurable):
    """Base class of penalties R(x); a subclass defines ``__call__`` and `gradient`.

    >>> class Sum(Regularizer):
    ...     def __call__(self, x):
    ...         return float(x.sum())
    ...
    ...     def gradient(self, x):
    ...         return np.ones_like(x)
    >>> Sum()(np.array([1.0, 2.0]))
    3.0
    """

    #: Whether a user's class defines the value or the derivative.
    of_user: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.of_user = overridden(cls, "__call__", "gradient")
        require_derivative(cls, Regularizer, "__call__", "gradient", "self, x")

    def __call__(self, x: Array) -> float:
        """Return R(x)."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(x)")

    def gradient(self, x: Array) -> Array:
        """Return dR/dx, a new array of the shape and type of x."""
        raise NotImplementedError(f"{type(self).__name__} must define gradient(x)")


registry = Registry("regularizer", Regularizer, "keras.regularizers")


def get(identifier: Any) -> Regularizer | None:
    """Return a regularizer, or None for None.

    Args:
        identifier: A name such as ``"l2"``, a `Regularizer` class or instance, or None.

    Raises:
        ValueError: If no regularizer has that name.
        TypeError: If ``identifier`` has the wrong type.

    >>> get("l2")
    L2()
    """
    return None if identifier is None else registry.get(identifier)


def _factor(name: str, value: Any) -> float:
    if not isinstance(value, (int, float, np.number)) or not 0 <= value < math.inf:
        raise ValueError(
            f"{name} must be a finite number of at least 0. Received: {name}={value!r}"
        )
    return float(value)


@registry.register()
class L1(Regularizer):
    """L1 penalty R(x) = l1 * sum |x|, the lasso of Tibshirani (1996), which gives sparse weights.

    Args:
        l1: The factor.

    Raises:
        ValueError: If ``l1`` is negative or not finite.

    >>> L1(0.5)(np.array([3.0, -1.0, 0.0]))
    2.0
    """

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = _factor("l1", l1)

    def __call__(self, x: Array) -> float:
        """Return l1 * sum |x|."""
        return self.l1 * float(np.abs(x).sum())

    def gradient(self, x: Array) -> Array:
        """Return l1 * sign(x), with 0 at 0.

        >>> L1(0.5).gradient(np.array([3.0, -1.0, 0.0]))
        array([ 0.5, -0.5,  0. ])
        """
        gradient = np.sign(x)
        gradient *= self.l1
        return gradient


@registry.register()
class L2(Regularizer):
    """L2 penalty R(x) = l2 * sum x^2, the weight decay of Krogh & Hertz (1992).

    Args:
        l2: The factor, which is not halved, as in Keras.

    Raises:
        ValueError: If ``l2`` is negative or not finite.

    >>> L2(0.5)(np.array([3.0, -1.0, 0.0]))
    5.0
    """

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = _factor("l2", l2)

    def __call__(self, x: Array) -> float:
        """Return l2 * sum x^2."""
        return self.l2 * float(np.vdot(x, x))

    def gradient(self, x: Array) -> Array:
        """Return 2 * l2 * x.

        >>> L2(0.5).gradient(np.array([3.0, -1.0, 0.0]))
        array([ 3., -1.,  0.])
        """
        return 2 * self.l2 * x


@registry.register("l1l2")
class L1L2(L1, L2):
    """Penalty l1 * sum |x| + l2 * sum x^2, the naive elastic net of Zou & Hastie (2005), section 2.

    Args:
        l1: The factor of the first sum. Both factors are 0 by default, so that ``"l1_l2"`` has no
            effect.
        l2: The factor of the second sum.

    Raises:
        ValueError: If ``l1`` or ``l2`` is negative or not finite.

    >>> L1L2(l1=0.5, l2=0.5)(np.array([3.0, -1.0, 0.0]))
    7.0
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        L1.__init__(self, l1)
        L2.__init__(self, l2)

    def __call__(self, x: Array) -> float:
        """Return the sum of both penalties."""
        return L1.__call__(self, x) + L2.__call__(self, x)

    def gradient(self, x: Array) -> Array:
        """Return the sum of both derivatives.

        >>> L1L2(l1=0.5, l2=0.5).gradient(np.array([3.0, -1.0, 0.0]))
        array([ 3.5, -1.5,  0. ])
        """
        gradient = L1.gradient(self, x)
        gradient += L2.gradient(self, x)
        return gradient


@registry.register()
class OrthogonalRegularizer(Regularizer):
    """The mean absolute cosine between the rows, or the columns, of a matrix.

    R(x) = factor / (n (n - 1)) * sum over i != j of |u_i . u_j|,  u_i = x_i / ||x_i||

    for the n rows x_i. It is the penalty of Brock et al. (2017), sum |W W^T - I|, without the
    lengths, as in Keras. For a single row it is 0.

    Args:
        factor: The factor.
        mode: Whether to penalize ``"rows"`` or ``"columns"``.

    Raises:
        ValueError: If ``factor`` is negative or not finite, ``mode`` is unknown, or, at a
            call, x is not a matrix.

    >>> OrthogonalRegularizer(factor=1.0)(np.array([[3.0, 0.0], [3.0, 4.0]]))
    0.6
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        if mode not in ("rows", "columns"):
            raise ValueError(f"mode must be 'rows' or 'columns'. Received: {mode=}")
        self.factor = _factor("factor", factor)
        self.mode = mode

    def _cosines(self, x: Array) -> tuple[Array, Array, Array, float]:
        """Return the cosines u_i . u_j with a diagonal of 0, the u_i, the ||x_i||, the weight."""
        if x.ndim != 2:
            raise ValueError(
                f"x must be 2-D for OrthogonalRegularizer. Received: an x of shape {x.shape}"
            )
        rows = x if self.mode == "rows" else x.T
        norms = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), epsilon())
        units = rows / norms
        cosines = units @ units.T
        np.fill_diagonal(cosines, 0)
        n = len(rows)
        return cosines, units, norms, self.factor / max(1, n * (n - 1))

    def __call__(self, x: Array) -> float:
        """Return R(x) for a matrix x."""
        cosines, _, _, weight = self._cosines(x)
        return weight * float(np.abs(cosines, out=cosines).sum())

    def gradient(self, x: Array) -> Array:
        """Return dR/dx for a matrix x.

        Through the cosines, dR/du_i = 2 factor / (n (n - 1)) * sum_j sign(u_i . u_j) u_j =: g_i;
        through the lengths, dR/dx_i = (g_i - (g_i . u_i) u_i) / ||x_i||.

        >>> OrthogonalRegularizer(factor=1.0).gradient(np.array([[1.0, 0.0], [3.0, 4.0]]))
        array([[ 0.   ,  0.8  ],
               [ 0.128, -0.096]])
        """
        cosines, units, norms, weight = self._cosines(x)
        gradient = np.sign(cosines, out=cosines) @ units
        gradient -= np.einsum("ij,ij->i", gradient, units)[:, None] * units
        gradient *= 2 * weight / norms
        return gradient if self.mode == "rows" else gradient.T


# Keras's other spellings.
l1 = L1
l2 = L2
l1_l2 = L1L2
orthogonal_regularizer = OrthogonalRegularizer


def penalty(regularizer: Regularizer, x: Array) -> float:
    """Return the penalty on ``x``; the result of a user's regularizer is checked."""
    if not regularizer.of_user:
        return regularizer(x)
    what = f"__call__ of regularizer {type(regularizer).__name__}"
    with lent(what):
        return float(floats(what, regularizer(read_only(x)), (), np.float64))


def penalty_gradient(regularizer: Regularizer, x: Array) -> Array:
    """Return the derivative of the penalty; the result of a user's regularizer is checked."""
    if not regularizer.of_user:
        return regularizer.gradient(x)
    what = f"gradient of regularizer {type(regularizer).__name__}"
    with lent(what):
        return floats(what, regularizer.gradient(read_only(x)), x.shape, x.dtype)

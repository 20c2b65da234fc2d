"""Elementwise operations on one array, or on two arrays with broadcasting."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from nnlite.layers.layer import Shape
from nnlite.ops.operation import Operation, broadcast, chain, numpy
from nnlite.utils.typing import Array
from nnlite.utils.validation import ArgumentError


class _Unary(Operation):
    """Base class of functions ``ufunc`` of each entry."""

    elementwise = True

    ufunc: ClassVar[Any]

    def forward_into(self, x: Array, y: Array) -> None:
        """Write the function of ``x`` into ``y``."""
        self.ufunc(x, out=y)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape``."""
        return tuple(input_shape)


@numpy.register()
class Negative(_Unary):
    """y = -x, with dy/dx = -1."""

    ufunc = np.negative

    def backward_into(self, dy: Array, dx: Array) -> None:
        """Write dJ/dx."""
        chain(dx, dy, -1)


@numpy.register("abs")
class Absolute(_Unary):
    """y = |x|, with dy/dx = sign(x), which is 0 at 0."""

    ufunc = np.absolute

    def backward_into(self, dy: Array, x: Array, dx: Array) -> None:
        """Write dJ/dx."""
        chain(dx, dy, np.sign(x))


@numpy.register()
class Square(_Unary):
    """y = x^2, with dy/dx = 2 x."""

    ufunc = np.square

    def backward_into(self, dy: Array, x: Array, dx: Array) -> None:
        """Write dJ/dx."""
        chain(dx, dy, 2 * x)


@numpy.register()
class Sqrt(_Unary):
    """y = sqrt(x), with dy/dx = 1 / (2 y)."""

    makes_floats = True
    ufunc = np.sqrt

    def backward_into(self, dy: Array, y: Array, dx: Array) -> None:
        """Write dJ/dx."""
        chain(dx, dy, 0.5 / y)


@numpy.register()
class Exp(_Unary):
    """y = exp(x), with dy/dx = y."""

    makes_floats = True
    ufunc = np.exp

    def backward_into(self, dy: Array, y: Array, dx: Array) -> None:
        """Write dJ/dx."""
        chain(dx, dy, y)


@numpy.register()
class Log(_Unary):
    """y = log(x), with dy/dx = 1 / x."""

    makes_floats = True
    ufunc = np.log

    def backward_into(self, dy: Array, x: Array, dx: Array) -> None:
        """Write dJ/dx."""
        chain(dx, dy, 1 / x)


@numpy.register()
class Clip(_Unary):
    """y = x, clipped to [``x_min``, ``x_max``].

    dy/dx is 1 between the bounds, 0 outside and 1/2 on a bound, as on JAX.
    """

    def __init__(self, x_min: float, x_max: float, *, name: str | None = None) -> None:
        super().__init__(name=name)
        for which, bound in (("x_min", x_min), ("x_max", x_max)):
            if np.ndim(bound) or np.asarray(bound).dtype.kind not in "fiu":
                raise ArgumentError(f"{which} must be a number. Received: {which}={bound!r}")
        self.x_min, self.x_max = np.asarray(x_min).item(), np.asarray(x_max).item()

    def _promoted(self, dtypes: Any) -> str:
        return super()._promoted([*dtypes, type(self.x_min).__name__, type(self.x_max).__name__])

    def forward_into(self, x: Array, y: Array) -> None:
        """Write the clipped ``x`` into ``y``."""
        np.clip(x, self.x_min, self.x_max, out=y)

    def backward_into(self, dy: Array, x: Array, dx: Array) -> None:
        """Write dJ/dx."""
        chain(dx, dy, _share(x, self.x_min) * _share(-x, -self.x_max))


class _Binary(Operation):
    """Base class of functions ``ufunc`` of pairs of entries."""

    argument_names = ("x1", "x2")

    ufunc: ClassVar[Any]

    def forward_into(self, x: list[Array], y: Array) -> None:
        """Write the function of the two arrays into ``y``."""
        self.ufunc(*x, out=y)

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        """Return the broadcast shape."""
        return broadcast(self.name, *input_shape)


@numpy.register()
class Add(_Binary):
    """y = a + b."""

    ufunc = np.add

    def backward_into(self, dy: Array, dx: list[Array]) -> None:
        """Write dJ/da and dJ/db."""
        chain(dx[0], dy)
        chain(dx[1], dy)


@numpy.register()
class Subtract(_Binary):
    """y = a - b."""

    ufunc = np.subtract

    def backward_into(self, dy: Array, dx: list[Array]) -> None:
        """Write dJ/da and dJ/db."""
        chain(dx[0], dy)
        chain(dx[1], dy, -1)


@numpy.register()
class Multiply(_Binary):
    """y = a b, with dy/da = b and dy/db = a."""

    ufunc = np.multiply

    def backward_into(self, dy: Array, x: list[Array], dx: list[Array]) -> None:
        """Write dJ/da and dJ/db."""
        chain(dx[0], dy, x[1])
        chain(dx[1], dy, x[0])


@numpy.register()
class Divide(_Binary):
    """y = a / b, with dy/da = 1 / b and dy/db = -y / b."""

    makes_floats = True
    ufunc = np.true_divide

    def backward_into(self, dy: Array, x: list[Array], y: Array, dx: list[Array]) -> None:
        """Write dJ/da and dJ/db."""
        chain(dx[0], dy / x[1])
        chain(dx[1], dy, -y / x[1])


@numpy.register()
class TrueDivide(Divide):
    """`Divide` with Keras's name of the operator ``/``."""


@numpy.register()
class Power(_Binary):
    """y = a^b, with dy/da = b a^(b - 1), 0 where b is 0, and dy/db = y log(a), 0 where a is 0."""

    ufunc = np.power

    def backward_into(self, dy: Array, x: list[Array], y: Array, dx: list[Array]) -> None:
        """Write dJ/da and dJ/db."""
        a, b = x
        if dx[0] is not None:
            less = np.where(np.equal(b, 0), 1, np.subtract(b, 1)).astype(y.dtype)
            chain(dx[0], dy, b * np.power(a, less))
        if dx[1] is not None:
            with np.errstate(invalid="ignore"):  # a < 0 gives NaN, which is unused for a constant
                chain(dx[1], dy, y * np.log(np.where(np.equal(a, 0), 1, a)))


@numpy.register()
class Maximum(_Binary):
    """The larger of a and b; if they are equal, each gets half of the gradient."""

    ufunc = np.maximum

    def backward_into(self, dy: Array, x: list[Array], dx: list[Array]) -> None:
        """Write dJ/da and dJ/db."""
        chain(dx[0], dy, _share(x[0], x[1]))
        chain(dx[1], dy, _share(x[1], x[0]))


@numpy.register()
class Minimum(_Binary):
    """The smaller of a and b; if they are equal, each gets half of the gradient."""

    ufunc = np.minimum

    def backward_into(self, dy: Array, x: list[Array], dx: list[Array]) -> None:
        """Write dJ/da and dJ/db."""
        chain(dx[0], dy, _share(x[1], x[0]))
        chain(dx[1], dy, _share(x[0], x[1]))


def _share(larger: Any, smaller: Any) -> Array:
    """Return 1 where the first is larger, 1/2 where they are equal, and 0 elsewhere."""
    return np.greater(larger, smaller) + np.equal(larger, smaller) * np.float32(0.5)

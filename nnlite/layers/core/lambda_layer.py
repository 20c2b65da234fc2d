"""Lambda: a function as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nnlite.layers.layer import Layer, as_shape
from nnlite.utils.structures import flatten, map_structure
from nnlite.utils.typing import Array
from nnlite.utils.user_code import lent, read_only
from nnlite.utils.validation import ArgumentError, as_returned


class Lambda(Layer):
    """A function of arrays as a layer: y = f(x).

    A model with a Lambda can be trained and used but not saved, as a function is not data.

    Args:
        function: f, called as ``function(x, **arguments)``; returns a new array. x is an array of
            floats, or a list of them.
        derivative: The backward pass: ``derivative(x, y, dy)`` returns dJ/dx, of the shape of x,
            given dy = dJ/dy; for several inputs a list. Without it, nothing before the layer can
            learn.
        output_shape: The shape of a sample of y, or a function of the input's shape (batch axis
            first) that returns the output's; None runs f on one sample of zeros.
        mask: The mask of the output, or a function of ``(inputs, mask)`` that returns it; None for
            none.
        arguments: Keyword arguments of f in each call.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If f or ``derivative`` cannot be called, or f takes a ``mask`` or ``training``
            that ``arguments`` does not give.

    >>> square = Lambda(lambda x: x**2, derivative=lambda x, y, dy: 2 * x * dy)
    >>> square(np.array([[1.0, 3.0]]))
    array([[1., 9.]], dtype=float32)
    """

    takes_several = True

    def __init__(
        self,
        function: Callable[..., Any],
        derivative: Callable[..., Any] | None = None,
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, given in (("function", function), ("derivative", derivative or len)):
            if not callable(given):
                raise ArgumentError(f"{name} must be a function. Received: {name}={given!r}")
        self.function, self.derivative = function, derivative
        self.arguments = dict(arguments or {})
        try:
            parameters = {*inspect.signature(function).parameters} - {*self.arguments}
        except ValueError:  # some NumPy functions have no signature
            parameters = set()
        if unknown := parameters & {"mask", "training"}:
            raise ArgumentError(
                f"function is called as function(x, **arguments), without {min(unknown)}. "
                f"Received: function={function!r}"
            )
        self.output_shape = output_shape
        self.mask = mask
        self.supports_masking = self.makes_mask = mask is not None

    def forward_into(self, x: Any, y: Array) -> None:
        """Write f(x) into ``y``."""
        y[...] = as_returned(f"function of layer {self.name!r}", self._of(x), y.shape, y.dtype)

    def _of(self, x: Any) -> Any:
        what = f"function of layer {self.name!r}"
        with lent(what):
            return self.function(map_structure(read_only, x), **self.arguments)

    def backward_into(self, dy: Array, x: Any, y: Array, dx: Any) -> None:
        """Write the result of ``derivative`` into ``dx``."""
        if self.derivative is None:
            raise ValueError(
                f"Layer {self.name!r} has no derivative, but a layer before it learns. Give "
                "derivative=, a function of (x, y, dy) that returns dJ/dx, or freeze the layers "
                "before it by trainable = False."
            )
        what = f"derivative of layer {self.name!r}"
        with lent(what):
            made = self.derivative(map_structure(read_only, x), read_only(y), read_only(dy))
        parts = flatten(made) if isinstance(x, list) else [made]
        if len(parts) != len(flatten(x)):
            raise ValueError(
                f"{what} must return a list of {len(flatten(x))} arrays, one for each input. "
                f"Received: {len(parts)}"
            )
        for out, of, part in zip(flatten(dx), flatten(x), parts, strict=True):
            slope = as_returned(what, part, of.shape, of.dtype)
            if out is not None:
                out[...] = slope

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape from ``output_shape``, or from f of one sample of zeros."""
        if callable(self.output_shape):
            return tuple(self.output_shape(input_shape))
        batch = (input_shape[0] if isinstance(input_shape, list) else input_shape)[0]
        if self.output_shape is not None:
            return (batch, *as_shape("output_shape", self.output_shape))
        zeros = map_structure(
            lambda shape: np.zeros([size or 1 for size in shape], self.dtype), input_shape, (list,)
        )
        return (batch, *np.shape(self._of(zeros))[1:])

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the mask from ``mask``."""
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        """Raise a TypeError."""
        raise TypeError(
            f"Layer {self.name!r} is a Lambda, whose function cannot be saved or copied as data. "
            "Save only the weights, by save_weights, or write a subclass of Layer."
        )

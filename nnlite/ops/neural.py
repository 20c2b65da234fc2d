"""Operations for activations, one-hot vectors and types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from nnlite.config import float_type, floatx
from nnlite.layers import activations
from nnlite.layers.layer import Layer, Shape
from nnlite.ops.operation import Operation, canonical_axes, chain, core, nn
from nnlite.ops.operation import numpy as numpy_registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_axis, check_count


class _Activation(Operation):
    """Base class of activations, which use their layers; integers give floats."""

    makes_floats = True

    #: The class of the layer.
    layer: ClassVar[type[Layer]]

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._stages = (self.layer(),)

    def stages(self, training: bool) -> Sequence[Layer]:
        """Return the layer of the activation."""
        return self._stages

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape``."""
        if not input_shape:
            raise ValueError(f"{self.name} takes arrays of at least one axis. Received: shape ()")
        return tuple(input_shape)


@nn.register()
class Relu(_Activation):
    """y = max(x, 0): see `nnlite.layers.ReLU`."""

    layer = activations.ReLU


@nn.register()
class Sigmoid(_Activation):
    """y = 1 / (1 + exp(-x)): see `nnlite.layers.Sigmoid`."""

    layer = activations.Sigmoid


@numpy_registry.register()
class Tanh(_Activation):
    """y = tanh(x): see `nnlite.layers.Tanh`."""

    layer = activations.Tanh


@nn.register()
class Softmax(_Activation):
    """Numbers that sum to 1 along an axis: see `nnlite.layers.Softmax`.

    Args:
        axis: The axis, or axes.
        name: As for `Operation`.
    """

    layer = activations.Softmax

    def __init__(self, axis: int | Sequence[int] = -1, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.axis = axis
        self._stages = (activations.Softmax(axis),)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape``."""
        canonical_axes(self.name, self.axis, len(input_shape))
        return super().compute_output_shape(input_shape)


class _OfType(Operation):
    """Base class of operations with an argument ``dtype``, the type of the output."""

    output_dtype: str

    def compute_output_dtype(self, *input_dtypes: str) -> str:
        """Return the requested type."""
        return self.output_dtype

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "dtype": self.output_dtype}


@core.register()
class Cast(_OfType):
    """An array converted to another type."""

    def __init__(self, dtype: Any, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.output_dtype = _number_type(dtype)

    def forward_into(self, x: Array, y: Array) -> None:
        """Write ``x`` into ``y``."""
        np.copyto(y, x, casting="unsafe")

    def backward_into(self, dy: Array, dx: Array) -> None:
        """Write dJ/dx: dJ/dy from float to float, otherwise 0."""
        chain(dx, dy, int(self.output_dtype.startswith("float")))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape``."""
        return tuple(input_shape)


@nn.register()
class OneHot(_OfType):
    """One-hot vectors of class indices; an invalid index gives zeros."""

    def __init__(
        self,
        num_classes: int,
        axis: int = -1,
        dtype: Any = None,
        sparse: bool = False,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.num_classes = check_count("num_classes", num_classes, 1)
        self.axis = check_axis(axis)
        self.output_dtype = _number_type(dtype or floatx())
        if sparse:
            raise ValueError("one_hot makes dense arrays only. Received: sparse=True")
        self.sparse = False

    def forward_into(self, x: Array, y: Array) -> None:
        """Write the vectors for ``x`` into ``y``."""
        classes = np.arange(self.num_classes)
        last = y if self.axis == -1 else np.moveaxis(y, self.axis, -1)
        last[...] = x[..., None] == classes

    def backward_into(self, dx: Array) -> None:
        """Write zeros, since a class index has no gradient."""
        dx.fill(0)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape`` with the number of classes inserted."""
        rank = len(input_shape)
        if self.axis != -1 and not 0 <= self.axis < rank:
            raise ValueError(
                f"axis must be -1 or an axis of the input, of {rank} axes. "
                f"Received: axis={self.axis}"
            )
        at = rank if self.axis == -1 else self.axis
        return (*input_shape[:at], self.num_classes, *input_shape[at:])


def _number_type(dtype: Any) -> str:
    """Return the name of a type of integers, booleans or nnlite's floats."""
    try:
        known = np.dtype(dtype)
    except TypeError:
        known = None
    if known is None or known.kind not in "iub":
        return float_type(dtype).name
    return known.name

"""Layers that only rearrange entries: Flatten, Reshape, Permute, RepeatVector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.layers.layer import Layer, Shape, registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import ArgumentError, check_axes_count, check_count, is_listed


def check_data_format(data_format: Any) -> str:
    """Return ``"channels_last"``, also for None, or ``"channels_first"``."""
    if data_format not in (None, "channels_last", "channels_first"):
        raise ValueError(
            "data_format must be 'channels_last' or 'channels_first'. "
            f"Received: data_format={data_format!r}"
        )
    return data_format or "channels_last"


class Rearrangement(Layer):
    """Base class of layers whose output is a view of the input, and dJ/dx a view of dJ/dy."""

    samplewise = True

    def forward_into(self, x: Array, y: Array) -> None:
        """Copy the view of ``x`` into ``y``."""
        np.copyto(y, self.forward_view(x))

    def backward_into(self, dy: Array, dx: Array) -> None:
        """Copy the view of ``dy`` into ``dx``."""
        np.copyto(dx, self.backward_view(dy, dx.shape))


@registry.register()
class Flatten(Rearrangement):
    """Each sample as one row of numbers: (m, a, b, ...) becomes (m, a b ...).

    Args:
        data_format: ``"channels_last"`` (or None) keeps the order; ``"channels_first"`` moves the
            first axis of a sample to the end before flattening.
        **kwargs: As for `Layer`.

    Raises:
        ValueError: If ``data_format`` is unknown.

    >>> Flatten()(np.zeros((5, 8, 8))).shape
    (5, 64)
    """

    def __init__(self, data_format: str | None = "channels_last", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = check_data_format(data_format)

    def forward_view(self, x: Array) -> Array:
        """Return ``x`` with its features in one axis."""
        if self.data_format == "channels_first" and x.ndim > 2:
            x = np.moveaxis(x, 1, -1)
        return x.reshape(len(x), -1)

    def backward_view(self, dy: Array, shape: tuple[int, ...]) -> Array:
        """Return ``dy`` in the shape of the input."""
        if self.data_format == "channels_first" and len(shape) > 2:
            batch, channels, *others = shape
            return np.moveaxis(dy.reshape(batch, *others, channels), -1, 1)
        return dy.reshape(shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, product of the other sizes)."""
        sizes = input_shape[1:]
        known = [size for size in sizes if size is not None]
        return (input_shape[0], math.prod(known) if len(known) == len(sizes) else None)


@registry.register()
class Reshape(Rearrangement):
    """The numbers of each sample in another shape.

    Args:
        target_shape: The shape of one sample of the output. One size may be -1 or None, which is
            inferred from the others.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``target_shape`` is not a sequence of integers.
        ValueError: If a size is neither positive nor -1, or more than one is inferred; or if
            the number of entries differs.

    >>> Reshape((3, -1))(np.zeros((5, 12))).shape
    (5, 3, 4)
    """

    def __init__(self, target_shape: Sequence[int | None], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = check_integers("target_shape", target_shape, or_none=True)
        open_sizes = [size for size in self.target_shape if size in (-1, None)]
        if len(open_sizes) > 1 or any(
            size is not None and size != -1 and size < 1 for size in self.target_shape
        ):
            raise ValueError(
                "target_shape must hold positive sizes, and at most one -1 (or None) for a size "
                f"that is inferred. Received: target_shape={self.target_shape}"
            )

    def forward_view(self, x: Array) -> Array:
        """Return ``x`` in its new shape."""
        return x.reshape(len(x), *(-1 if size is None else size for size in self.target_shape))

    def backward_view(self, dy: Array, shape: tuple[int, ...]) -> Array:
        """Return ``dy`` in the shape of the input."""
        return dy.reshape(shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the batch axis and the target shape, with an inferred size if known.

        Raises:
            ValueError: If the input's entries do not fill that shape.
        """
        known = math.prod(size for size in self.target_shape if size is not None and size != -1)
        sizes = [size for size in input_shape[1:] if size is not None]
        left: int | None = None
        if len(sizes) == len(input_shape) - 1:
            left, rest = divmod(math.prod(sizes), known)
            if rest or (left != 1 and not {-1, None} & set(self.target_shape)):
                raise ValueError(
                    f"Layer {self.name!r} cannot give a sample of shape {input_shape[1:]} the "
                    f"target_shape {self.target_shape}: the number of entries differs."
                )
        return (input_shape[0], *(left if s in (-1, None) else s for s in self.target_shape))


@registry.register()
class Permute(Rearrangement):
    """The samples with their axes in another order.

    Args:
        dims: The new order of the input's axes, counted from 1 (0 is the batch): ``(2, 1)``
            transposes.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``dims`` is not a sequence of integers.
        ValueError: If they are not the numbers 1, 2, ..., each once; or if the input has
            another number of axes.

    >>> Permute((2, 1))(np.zeros((5, 10, 64))).shape
    (5, 64, 10)
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = check_integers("dims", dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                "dims must be the numbers 1, 2, ... of a sample's axes in their new order, each "
                f"once. Received: dims={self.dims}"
            )

    def forward_view(self, x: Array) -> Array:
        """Return ``x`` with its axes permuted."""
        return x.transpose(0, *self.dims)

    def backward_view(self, dy: Array, shape: tuple[int, ...]) -> Array:
        """Return ``dy`` with its axes put back."""
        return dy.transpose(0, *(self.dims.index(i) + 1 for i in range(1, dy.ndim)))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the sizes in their new order.

        Raises:
            ValueError: If the number of axes does not fit.
        """
        if len(input_shape) != len(self.dims) + 1:
            raise ValueError(
                f"Layer {self.name!r} permutes {len(self.dims)} axes besides the batch axis. "
                f"Received: input_shape={input_shape}"
            )
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))


@registry.register()
class RepeatVector(Layer):
    """Each sample, a vector, n times: (m, features) becomes (m, n, features).

    Args:
        n: The number of repetitions.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``n`` is not an integer.
        ValueError: If ``n`` is below 1; or if a sample of the input is not a vector.

    >>> RepeatVector(2)(np.array([[1.0, 2.0]]))
    array([[[1., 2.],
            [1., 2.]]], dtype=float32)
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = check_count("n", n, 1)

    def forward_into(self, x: Array, y: Array) -> None:
        """Write n copies of each row of ``x`` into ``y``."""
        y[...] = x[:, None]

    def backward_into(self, dy: Array, dx: Array) -> None:
        """Write the sum of the gradients of the copies into ``dx``."""
        np.add.reduce(dy, axis=1, out=dx)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, n, features).

        Raises:
            ValueError: If a sample is not a vector.
        """
        if len(input_shape) != 2:
            raise ValueError(
                f"Layer {self.name!r} expects an input of shape (batch, features). "
                f"Received: input_shape={input_shape}"
            )
        return (input_shape[0], self.n, input_shape[1])


def check_integers(name: str, values: Any, or_none: bool = False) -> tuple[Any, ...]:
    """Return a sequence of integers, or of None if allowed, as a tuple."""
    sizes = check_axes_count(name, tuple(values) if is_listed(values) else (values, ""))
    if not all(
        (size is None and or_none)
        or (isinstance(size, (int, np.integer)) and not isinstance(size, bool))
        for size in sizes
    ):
        raise ArgumentError(
            f"{name} must be a sequence of integers, such as (2, 3). Received: {name}={values!r}"
        )
    return tuple(None if size is None else int(size) for size in sizes)

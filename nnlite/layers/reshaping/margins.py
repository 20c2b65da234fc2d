"""ZeroPadding and Cropping: margins added to or cut off from images and sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlite.layers.layer import Shape, registry
from nnlite.layers.reshaping.reshaping import check_data_format
from nnlite.layers.spatial import Spatial
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_sizes


class Margins(Spatial):
    """Base class of layers that add or cut off margins."""

    samplewise = True

    def _checked(self, name: str, value: Any) -> tuple[Any, ...]:
        """Return the margins of each axis, given by one integer, or an integer or pair per axis."""
        if self.rank == 1:
            return check_sizes(name, value, 2, 0)
        each = [value] * self.rank if isinstance(value, (int, np.integer)) else value
        if not isinstance(each, (list, tuple)) or len(each) != self.rank:
            raise ValueError(
                f"{name} must be an integer, or a tuple of {self.rank} integers or pairs of them. "
                f"Received: {name}={value!r}"
            )
        return tuple(check_sizes(f"{name}[{i}]", pair, 2, 0) for i, pair in enumerate(each))

    @property
    def _margins(self) -> Any:
        """The sizes of the margins, (before, after) for each axis."""
        raise NotImplementedError

    def _resized(self, shape: Shape, sign: int) -> Shape:
        """Return ``shape`` with the margins added, or cut off if ``sign`` is -1."""
        sizes, channels = self._split(shape)
        pairs = zip(sizes, self._margins, strict=True)
        made = [None if n is None else n + sign * sum(margins) for n, margins in pairs]
        return self._joined(shape[0], made, channels)

    def _inner(self, x: Array) -> Array:
        """Return a view of ``x`` without the margins."""
        x = self._channels_last(x)
        pairs = zip(x.shape[1:], self._margins, strict=False)
        return x[(slice(None), *(slice(low, n - high) for n, (low, high) in pairs))]


class ZeroPadding(Margins):
    """Base class of layers that pad an image with zeros; dJ/dx is dJ/dy without margins.

    Args:
        padding: The numbers of zeros: an integer for all sides, or for each axis an integer or a
            pair of them, before and after. For sequences an integer or a pair.
        data_format: ``"channels_last"`` (or None), or ``"channels_first"`` for an input of shape
            (batch, channels, ...).
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If a number is not an integer, or a keyword is unknown.
        ValueError: If a number is negative, or the numbers do not fit; or if the input has
            the wrong number of axes.
    """

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.padding = self._checked("padding", padding)
        self.data_format = check_data_format(data_format)

    @property
    def _margins(self) -> Any:
        return (self.padding,) if self.rank == 1 else self.padding

    def forward_into(self, x: Array, y: Array) -> None:
        """Write ``x`` and the zeros into ``y``."""
        y.fill(0)
        self._inner(y)[...] = self._channels_last(x)

    def backward_into(self, dy: Array, dx: Array) -> None:
        """Write the inner part of ``dy`` into ``dx``."""
        self._channels_last(dx)[...] = self._inner(dy)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with the margins."""
        return self._resized(input_shape, 1)


class Cropping(Margins):
    """Base class of layers that cut margins off an image; dJ/dx is dJ/dy with margins of zeros.

    Args:
        cropping: The sizes of the margins: an integer for all sides, or for each axis an integer or
            a pair of them, before and after. For sequences an integer or a pair.
        **kwargs: As for `Layer`; for images and volumes also ``data_format``.

    Raises:
        TypeError: If a size is not an integer, or a keyword is unknown.
        ValueError: If a size is negative, or the sizes do not fit; or if the input has
            the wrong number of axes, or nothing is left of it.
    """

    def __init__(self, cropping: Any = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cropping = self._checked("cropping", cropping)

    @property
    def _margins(self) -> Any:
        return (self.cropping,) if self.rank == 1 else self.cropping

    def forward_into(self, x: Array, y: Array) -> None:
        """Write the inner part of ``x`` into ``y``."""
        self._channels_last(y)[...] = self._inner(x)

    def backward_into(self, dy: Array, dx: Array) -> None:
        """Write ``dy``, and zeros around it, into ``dx``."""
        dx.fill(0)
        self._inner(dx)[...] = self._channels_last(dy)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape without the margins."""
        shape = self._resized(input_shape, -1)
        if any(size is not None and size < 1 for size in self._split(shape)[0]):
            raise ValueError(
                f"Layer {self.name!r} crops all of its input. "
                f"Received: cropping={self.cropping}, input_shape={input_shape}"
            )
        return shape


@registry.register()
class ZeroPadding1D(ZeroPadding):
    """Zeros before and after the steps of a sequence.

    See `ZeroPadding` for the arguments.

    >>> ZeroPadding1D((1, 2))(np.ones((1, 2, 1)))[0, :, 0]
    array([0., 1., 1., 0., 0.], dtype=float32)
    """

    rank = 1


@registry.register()
class ZeroPadding2D(ZeroPadding):
    """Zeros around an image.

    See `ZeroPadding` for the arguments.

    >>> ZeroPadding2D(((1, 0), (2, 2)))(np.ones((1, 5, 5, 3))).shape
    (1, 6, 9, 3)
    """

    rank = 2


@registry.register()
class ZeroPadding3D(ZeroPadding):
    """Zeros around a volume.

    See `ZeroPadding` for the arguments.

    >>> ZeroPadding3D(1)(np.ones((1, 5, 5, 5, 3))).shape
    (1, 7, 7, 7, 3)
    """

    rank = 3


@registry.register()
class Cropping1D(Cropping):
    """A sequence without its first and last steps.

    See `Cropping` for the arguments.

    >>> Cropping1D((1, 0))(np.array([[[1.0], [2.0], [3.0]]]))[0, :, 0]
    array([2., 3.], dtype=float32)
    """

    rank = 1


@registry.register()
class Cropping2D(Cropping):
    """An image without its margins.

    See `Cropping` for the arguments.

    >>> Cropping2D(((1, 0), (2, 2)))(np.ones((1, 9, 9, 3))).shape
    (1, 8, 5, 3)
    """

    rank = 2

    def __init__(self, cropping: Any = 0, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, **kwargs)
        self.data_format = check_data_format(data_format)


@registry.register()
class Cropping3D(Cropping):
    """A volume without its margins.

    See `Cropping` for the arguments.

    >>> Cropping3D(1)(np.ones((1, 9, 9, 9, 3))).shape
    (1, 7, 7, 7, 3)
    """

    rank = 3

    def __init__(self, cropping: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, **kwargs)
        self.data_format = check_data_format(data_format)

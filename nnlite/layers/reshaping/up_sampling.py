"""UpSampling: images and sequences enlarged by whole factors."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlite.backend.resampling import line_weights, resample, resample_back
from nnlite.layers.layer import Shape, registry
from nnlite.layers.reshaping.reshaping import check_data_format
from nnlite.layers.spatial import Spatial
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_count, check_sizes


class UpSampling(Spatial):
    """Base class of layers that repeat each entry; dJ/dx is the sum of dJ/dy over copies."""

    samplewise = True

    size: Any

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with each size times its factor."""
        sizes, channels = self._split(input_shape)
        pairs = zip(sizes, self._factors, strict=True)
        made = [None if size is None else size * factor for size, factor in pairs]
        return self._joined(input_shape[0], made, channels)

    @property
    def _factors(self) -> tuple[int, ...]:
        return (self.size,) if self.rank == 1 else self.size

    def forward_into(self, x: Array, y: Array) -> None:
        """Write the repeated entries of ``x`` into ``y``."""
        x = self._channels_last(x)
        spread = (slice(None), *(part for _ in self._factors for part in (slice(None), None)))
        self._copies(y, x)[...] = x[spread]

    def backward_into(self, dy: Array, dx: Array) -> None:
        """Write the sums over copies into ``dx``."""
        dx = self._channels_last(dx)
        np.add.reduce(self._copies(dy, dx), axis=tuple(range(2, 2 * self.rank + 1, 2)), out=dx)

    def _copies(self, y: Array, x: Array) -> Array:
        """Return a view of ``y`` with an axis for the copies after each axis of ``x``."""
        sizes = [part for pair in zip(x.shape[1:], self._factors, strict=False) for part in pair]
        return self._channels_last(y).reshape(len(x), *sizes, x.shape[-1])


@registry.register()
class UpSampling1D(UpSampling):
    """The steps of a sequence, each ``size`` times.

    Args:
        size: The number of repetitions.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``size`` is not an integer, or a keyword is unknown.
        ValueError: If ``size`` is below 1; or if the input has the wrong number of axes.

    >>> UpSampling1D(2)(np.array([[[1.0], [3.0]]]))[0, :, 0]
    array([1., 1., 3., 3.], dtype=float32)
    """

    rank = 1

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = check_count("size", size, 1)


@registry.register()
class UpSampling2D(UpSampling):
    """Enlarged images, by copies of the entries or by linear interpolation.

    Args:
        size: The factors of rows and columns: one integer, or a pair.
        data_format: ``"channels_last"`` (or None), or ``"channels_first"`` for an input of shape
            (batch, channels, rows, columns).
        interpolation: ``"nearest"``, or ``"bilinear"``: with input i centred at i + 1/2 and outputs
            of width 1 / size, an output at p is the mean of the inputs less than 1 away, weighted
            by 1 - |p - i - 1/2|.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If a factor is not an integer, or a keyword is unknown.
        ValueError: If one is below 1, or ``interpolation`` or ``data_format`` is unknown; or if the
            input has the wrong number of axes.

    >>> UpSampling2D((1, 2), interpolation="bilinear")(np.array([[[[0.0], [4.0]]]]))[0, 0, :, 0]
    array([0., 1., 3., 4.], dtype=float32)
    """

    rank = 2

    def __init__(
        self,
        size: Any = 2,
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size = check_sizes("size", size, 2)
        self.data_format = check_data_format(data_format)
        self.interpolation = str(interpolation).lower()
        if self.interpolation not in ("nearest", "bilinear"):
            raise ValueError(
                "interpolation must be 'nearest' or 'bilinear'. "
                f"Received: interpolation={interpolation!r}"
            )

    def arrays(self, shape: Any) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Return the array of images with new rows and old columns, if bilinear."""
        number, rows, *others = self._images(shape)
        new = 0 if self.interpolation == "nearest" else rows * self.size[0]
        return {"between": ((number, new, *others), self.dtype)}

    def forward_into(self, x: Array, y: Array, between: Array) -> None:  # type: ignore[override]
        """Write the larger image into ``y``."""
        if self.interpolation == "nearest":
            super().forward_into(x, y)
        else:
            resample(*self._with_lines(x), between, y.reshape(self._images(y.shape)))

    def backward_into(self, dy: Array, dx: Array, between: Array) -> None:  # type: ignore[override]
        """Write the weighted sums of ``dy`` into ``dx``."""
        if self.interpolation == "nearest":
            super().backward_into(dy, dx)
        else:
            dx, rows, columns = self._with_lines(dx)
            resample_back(dy.reshape(self._images(dy.shape)), rows, columns, between, dx)

    def _with_lines(self, x: Array) -> tuple[Array, Array, Array]:
        """Return a view of images, channels last, and the weights of their rows and columns."""
        images = x.reshape(self._images(x.shape))
        rows, columns = (
            line_weights(n, n * factor, self.dtype)
            for n, factor in zip(images.shape[1:3], self.size, strict=True)
        )
        return images, rows, columns


@registry.register()
class UpSampling3D(UpSampling):
    """Enlarged volumes, by copies of the entries.

    Args:
        size: The factors: one integer, or one for each axis.
        data_format: ``"channels_last"`` (or None), or ``"channels_first"`` for an input of shape
            (batch, channels, ...).
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If a factor is not an integer, or a keyword is unknown.
        ValueError: If one is below 1, or ``data_format`` is unknown; or if the input has the wrong
            number of axes.

    >>> UpSampling3D((1, 2, 3))(np.zeros((1, 4, 4, 4, 2))).shape
    (1, 4, 8, 12, 2)
    """

    rank = 3

    def __init__(self, size: Any = 2, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = check_sizes("size", size, 3)
        self.data_format = check_data_format(data_format)

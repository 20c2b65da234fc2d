"""Images of another size: Y = R X C^T for each channel, R and C being weights of old pixels."""

from __future__ import annotations

import functools

import numpy as np

from nnlite.utils.typing import Array


@functools.lru_cache(maxsize=64)
def line_weights(
    size: int,
    new: int,
    dtype: str,
    nearest: bool = False,
    wide: bool = False,
    count: int | None = None,
) -> Array:
    """Return the matrix of weights that resizes a line of ``size`` pixels to ``new`` pixels.

    Args:
        size: The number of old pixels.
        new: The number of new pixels.
        dtype: The type of the weights.
        nearest: Whether a new pixel copies the nearest old one instead of interpolating.
        wide: Whether the mean is one of all that the new pixel covers.
        count: Of how many pixels the line is that the new ones divide, if there are more than
            ``size``, as many before them as behind; those have no share.
    """
    count = count or size
    new_ones, old = np.arange(new)[:, np.newaxis], np.arange(count)
    if nearest:
        shares = (old == (2 * new_ones + 1) * count // (2 * new)).astype(float)
    else:
        reach = max(count / new, 1.0) if wide else 1.0
        center = (new_ones + 0.5) * count / new - 0.5
        shares = np.maximum(0.0, 1.0 - np.abs(center - old) / reach)
        shares /= shares.sum(axis=1, keepdims=True)
    before = (count - size) // 2
    return shares[:, before : before + size].astype(dtype)


def resample(x: Array, rows: Array, columns: Array, between: Array, y: Array) -> None:
    """Write R X C^T for each image and channel into ``y``.

    Args:
        x: The images, of shape (n, h, w, channels).
        rows: R, of shape (h', h).
        columns: C, of shape (w', w).
        between: An array of shape (n, h', w, channels), whatever it holds.
        y: Where the result goes, of shape (n, h', w', channels).
    """
    np.matmul(rows, _lines(x), out=_lines(between))
    np.matmul(columns, between, out=y)


def resample_back(dy: Array, rows: Array, columns: Array, between: Array, dx: Array) -> None:
    """Write R^T dJ/dY C into ``dx``, where `resample` has made Y."""
    np.matmul(columns.T, dy, out=between)
    np.matmul(rows.T, _lines(between), out=_lines(dx))


def _lines(x: Array) -> Array:
    """Return a view of images with columns and channels in one axis."""
    return x.reshape(*x.shape[:2], -1)

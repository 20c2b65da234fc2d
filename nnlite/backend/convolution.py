"""Windows over images and sequences, for convolution and pooling.

A window has ``kernel`` entries on each axis, ``dilation`` apart, and is ``strides`` away from the
previous window. All functions take arrays of shape (samples, sizes..., channels), or views with the
channels moved last.

A convolution is one matrix product for many windows, whose entries are copied to the rows of a
matrix, the columns (Chellapilla, Puri and Simard, "High Performance Convolutional Neural Networks
for Document Processing", 2006). The columns are larger than the image by the number of entries of
the kernel. The batch is therefore processed in parts whose columns stay in the cache: several
samples, or where one is too large, some rows of its windows.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nnlite.utils.typing import Array

__all__ = [
    "BUDGET",
    "Windows",
    "gather",
    "kernel_gradient",
    "scatter",
    "transposed_windows",
    "windows",
]


#: The maximum size in bytes of the columns, where one row of windows is not larger.
BUDGET = 2**21

_FEW = 8  # channels below which copying whole axes is faster than copying windows


@dataclass(frozen=True)
class Windows:
    """The positions of windows on an image.

    Attributes:
        sizes: The image's sizes.
        kernel: The size of a window on each axis.
        strides: The distance between windows.
        dilation: The distance between the entries of a window.
        before: The padding before the image.
        counts: The numbers of windows.
    """

    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    counts: tuple[int, ...]

    @functools.cached_property
    def extents(self) -> tuple[int, ...]:
        """The extent of a window on the image."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @functools.cached_property
    def padded(self) -> tuple[int, ...]:
        """The sizes of the padded image."""
        rows = zip(self.sizes, self.before, self.counts, self.strides, self.extents, strict=True)
        return tuple(max(low + n, (count - 1) * s + e) for n, low, count, s, e in rows)

    @functools.cached_property
    def image(self) -> tuple[slice, ...]:
        """The slices of the image in the padded image."""
        inner = zip(self.before, self.sizes, strict=True)
        return (slice(None), *(slice(low, low + n) for low, n in inner))

    @functools.cached_property
    def taps(self) -> list[tuple[tuple[slice, ...], tuple[slice, ...]]]:
        """For each entry of a window, its positions in the image and its windows."""
        found = []
        for place in np.ndindex(self.kernel):
            image, own = [slice(None)], [slice(None)]
            for axis, at in enumerate(place):
                stride = self.strides[axis]
                first = at * self.dilation[axis] - self.before[axis]  # position in the first window
                low = max(0, -(first // stride))
                high = min(self.counts[axis], (self.sizes[axis] - 1 - first) // stride + 1)
                start = first + low * stride
                image.append(slice(start, max(start, first + (high - 1) * stride + 1), stride))
                own.append(slice(low, max(low, high)))
            found.append((tuple(image), tuple(own)))
        return found

    @functools.cached_property
    def tile(self) -> bool:
        """Whether each entry of the image belongs to exactly one window."""
        pairs = zip(self.counts, self.strides, strict=True)
        return self.kernel == self.strides and self.sizes == tuple(n * s for n, s in pairs)

    @functools.cached_property
    def inside(self) -> Array:
        """The number of entries of each window in the image, shape (counts..., 1)."""
        number = np.zeros((1, *self.counts, 1))
        for _, own in self.taps:
            number[own] += 1
        return number[0]

    def samples_at_once(self, samples: int, channels: int, itemsize: int) -> int:
        """Return the number of samples whose columns fit the budget."""
        each = math.prod(self.counts) * math.prod(self.kernel) * channels * itemsize
        return min(samples, max(1, BUDGET // max(each, 1)))

    def rows_at_once(self, channels: int, itemsize: int) -> int:
        """Return the number of rows of windows of one sample whose columns fit the budget."""
        each = math.prod(self.counts[1:]) * math.prod(self.kernel) * channels * itemsize
        return min(self.counts[0], max(1, BUDGET // max(each, 1)))

    def rows(self, start: int, stop: int) -> Windows:
        """Return the windows of rows ``start`` to ``stop``."""
        return self if stop - start == self.counts[0] else _rows(self, start, stop)


@functools.lru_cache(maxsize=1024)
def _rows(windows: Windows, start: int, stop: int) -> Windows:
    before = (windows.before[0] - start * windows.strides[0], *windows.before[1:])
    return replace(windows, before=before, counts=(stop - start, *windows.counts[1:]))


@functools.lru_cache(maxsize=256)
def windows(
    sizes: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: str,
) -> Windows:
    """Return the windows of a convolution or a pooling.

    Args:
        sizes: The image's sizes.
        kernel: The size of a window on each axis.
        strides: The distance between windows.
        dilation: The distance between the entries of a window.
        padding: ``"valid"`` for none, ``"same"`` for one window per stride (padding on both sides,
            the larger part at the end), ``"causal"`` for padding at the start only.

    >>> windows((5,), (3,), (2,), (1,), "same")
    Windows(sizes=(5,), kernel=(3,), strides=(2,), dilation=(1,), before=(1,), counts=(3,))
    """
    before, counts = [], []
    for n, k, s, d in zip(sizes, kernel, strides, dilation, strict=True):
        extent = d * (k - 1) + 1
        count = (n - extent) // s + 1 if padding == "valid" else -(-n // s)
        total = max((count - 1) * s + extent - n, 0)
        before.append({"valid": 0, "same": total // 2, "causal": extent - 1}[padding])
        counts.append(count)
    return Windows(sizes, kernel, strides, dilation, tuple(before), tuple(counts))


@functools.lru_cache(maxsize=256)
def transposed_windows(
    counts: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: str,
    more: tuple[int | None, ...],
) -> Windows:
    """Return the windows of a transposed convolution, which lie on its output.

    Args:
        counts: The sizes of the input, one window per entry.
        kernel: The size of a window on each axis.
        strides: The distance between windows.
        dilation: The distance between the entries of a window.
        padding: ``"valid"`` for an output with all windows, ``"same"`` for an output of one
            stride per window.
        more: The output padding: by how much the output is larger than necessary.

    >>> transposed_windows((3,), (3,), (2,), (1,), "same", (None,))
    Windows(sizes=(6,), kernel=(3,), strides=(2,), dilation=(1,), before=(0,), counts=(3,))
    """
    sizes, before = [], []
    for n, k, s, d, longer in zip(counts, kernel, strides, dilation, more, strict=True):
        extent = d * (k - 1) + 1
        if padding == "valid":
            size = (n - 1) * s + extent + (max(s - extent, 0) if longer is None else longer)
            cut = 0
        else:
            size = n * s if longer is None else (n - 1) * s + extent % 2 + longer
            cut = max(extent - 1 - (size - (n - 1) * s + extent - 1) // 2, 0)
        sizes.append(size)
        before.append(cut)
    return Windows(tuple(sizes), kernel, strides, dilation, tuple(before), counts)


def parts(samples: int, step: int) -> Iterator[slice]:
    """Yield slices of ``step`` samples, or of other things."""
    for start in range(0, samples, step):
        yield slice(start, min(start + step, samples))


def pad(windows: Windows, x: Array, buffer: Array) -> Array:
    """Return ``x`` padded with zeros in ``buffer``, or ``x`` without padding."""
    if not buffer.size:
        return x
    padded = buffer[: len(x)]
    if windows.padded != windows.sizes:
        padded.fill(0)
    padded[windows.image] = x
    return padded


def gather(windows: Windows, padded: Array, columns: Array) -> Array:
    """Return the windows of an image as a matrix, shape (windows, entries * channels).

    Args:
        windows: The windows.
        padded: The padded image.
        columns: The buffer of the matrix, a vector.
    """
    rank, channels = len(windows.kernel), padded.shape[-1]
    view = sliding_window_view(padded, windows.extents, axis=tuple(range(1, rank + 1)))
    starts = [slice(0, n * s, s) for n, s in zip(windows.counts, windows.strides, strict=True)]
    apart = [slice(None, None, d) for d in windows.dilation]
    view = view[(slice(None), *starts, slice(None), *apart)]
    batch, inner = (*range(rank + 1),), (*range(rank + 2, 2 * rank + 2), rank + 1)
    turned = channels < _FEW
    view = view.transpose(*inner, *batch) if turned else view.transpose(*batch, *inner)
    if not view.flags.c_contiguous:  # contiguous for a kernel of size 1 or of the size of the image
        matrix = columns[: view.size].reshape(view.shape)
        np.copyto(matrix, view)
        view = matrix
    width = math.prod(windows.kernel) * channels
    return view.reshape(width, -1).T if turned else view.reshape(-1, width)


def product(a: Array, b: Array, y: Array) -> None:
    """Write the matrix product of ``a`` and ``b`` into ``y``, with the last axis of ``b``."""
    if y.flags.c_contiguous:
        a.dot(b, y.reshape(len(a), -1))
    else:
        y[...] = a.dot(b).reshape(y.shape)


def kernel_gradient(columns: Array, dy: Array, gradient: Array, first: bool) -> None:
    """Write the kernel gradient of the first part of a batch, or add that of a later part."""
    part = columns.T.dot(dy.reshape(len(columns), -1)).reshape(gradient.shape)
    if first:
        gradient[...] = part
    else:
        gradient += part


def scatter(windows: Windows, dy: Array, kernel: Array, dx: Array, partial: Array) -> None:
    """Add the sum over all windows of ``dy``, spread by the kernel, to an image.

    This is the adjoint of a convolution, with one product per entry of the kernel.

    Args:
        windows: The windows.
        dy: The values of the windows, shape (samples, counts..., filters).
        kernel: The kernel, shape (sizes..., channels, filters).
        dx: The image.
        partial: The buffer of one product, a vector.
    """
    channels, filters = kernel.shape[-2:]
    rows = dy.reshape(-1, filters)
    part = partial[: len(rows) * channels].reshape(len(rows), channels)
    added = part.reshape(*dy.shape[:-1], channels)
    for (image, own), entry in zip(
        windows.taps, kernel.reshape(-1, channels, filters), strict=True
    ):
        rows.dot(entry.T, part)
        dx[image] += added[own]


def depthwise(windows: Windows, x: Array, kernel: Array, y: Array, partial: Array) -> None:
    """Write the depthwise convolution of ``x`` into ``y``.

    Args:
        windows: The windows.
        x: The image.
        kernel: The kernels, (sizes..., channels, kernels of a channel).
        y: The output, (samples, counts..., channels, kernels of a channel).
        partial: An array of the shape of ``y`` without the last axis.
    """
    for at, entries in enumerate(_of_each_kernel(kernel)):
        out = y[..., at]
        out.fill(0)
        for (image, own), entry in zip(windows.taps, entries, strict=True):
            out[own] += np.multiply(x[image], entry, out=partial[own])


def depthwise_back(
    windows: Windows,
    dy: Array,
    x: Array,
    kernel: Array,
    partial: Array,
    gradient: Array | None,
    dx: Array | None,
) -> None:
    """Compute the backward pass of `depthwise`: add to ``gradient``, and write ``dx``."""
    if dx is not None:
        dx.fill(0)
    for at, entries in enumerate(_of_each_kernel(kernel)):
        d = dy[..., at]
        for number, ((image, own), entry) in enumerate(zip(windows.taps, entries, strict=True)):
            if gradient is not None:
                each = np.multiply(x[image], d[own], out=partial[own])
                total = np.add.reduce(each, axis=tuple(range(each.ndim - 1)))
                gradient.reshape(-1, *gradient.shape[-2:])[number, :, at] += total
            if dx is not None:
                dx[image] += np.multiply(d[own], entry, out=partial[own])


def _of_each_kernel(kernel: Array) -> Iterator[Array]:
    """Yield one kernel per channel at a time, shape (entries, channels)."""
    for at in range(kernel.shape[-1]):
        yield kernel[..., at].reshape(-1, kernel.shape[-2])

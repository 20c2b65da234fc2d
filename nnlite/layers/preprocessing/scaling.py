"""Layers that scale inputs, by given or by measured numbers."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nnlite.backend.variables import Variable
from nnlite.config import epsilon
from nnlite.data.hdf5 import HDF5
from nnlite.data.iterables import is_sequence
from nnlite.layers.layer import Layer, Shape, fits, registry, same_shape
from nnlite.utils.typing import Array
from nnlite.utils.validation import (
    as_numeric,
    as_samples,
    check_axis,
    check_finite,
    is_sparse,
    optional_count,
)

# The number of values along each kept index, their mean, and their squared distances from it.
Moments = tuple[int, Any, Any]

_ENTRIES = 262_144  # adapt reads about so many numbers of an array at once


@registry.register()
class Rescaling(Layer):
    """y = scale x + offset, such as ``Rescaling(1 / 255)`` for images.

    Args:
        scale: A number, or an array that fits a sample (its shape, or 1 along an axis).
        offset: A number or an array, like ``scale``.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``scale`` or ``offset`` is not numeric.
        ValueError: If an entry is not finite, or a shape does not fit a sample.

    >>> Rescaling(1 / 127.5, offset=-1)(np.array([[0, 255]], "uint8"))
    array([[-1.,  1.]], dtype=float32)
    """

    supports_masking = True
    elementwise = True

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._scale = self._constant("scale", scale)
        self._offset = self._constant("offset", offset)
        self.scale = scale.copy() if isinstance(scale, np.ndarray) else scale
        self.offset = offset.copy() if isinstance(offset, np.ndarray) else offset

    def _constant(self, name: str, value: Any) -> Array:
        array = as_numeric(name, value)
        check_finite(name, np.atleast_1d(array).astype(np.float64), self.dtype)
        return array.astype(self.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape``.

        Raises:
            ValueError: If scale or offset does not fit such samples.
        """
        for name, array in [("scale", self._scale), ("offset", self._offset)]:
            shape = (1,) * (len(input_shape) - array.ndim) + array.shape
            if len(shape) != len(input_shape) or any(
                size not in (1, want) and want is not None
                for size, want in zip(shape, (1, *input_shape[1:]), strict=True)
            ):
                raise ValueError(
                    f"Layer {self.name!r}: {name} must be a number, or an array that fits a sample "
                    f"of shape {input_shape[1:]}. Received: {name} of shape {array.shape}"
                )
        return input_shape

    def forward_into(self, x: Array, y: Array) -> None:
        """Write scale x + offset into ``y``."""
        np.multiply(x, self._scale, out=y)
        y += self._offset

    def backward_into(self, dy: Array, dx: Array) -> None:
        """Write scale times ``dy`` into ``dx``."""
        np.multiply(dy, self._scale, out=dx)


@registry.register()
class Normalization(Layer):
    """y = (x - mean) / max(sqrt(variance), 1e-7), with the mean and variance of given data.

    `adapt` measures them for each index along ``axis``, unless they are given. A change of the
    weights ``mean`` and ``variance`` takes effect in the next batch, also in a model. Training does
    not change them. With ``axis=None`` the layer accepts inputs of any shape.

    Args:
        axis: The axis, or axes, with a mean and a variance for each index; None
            for one mean and variance of all numbers.
        mean: The mean, if known: a number, or an array of the sizes along ``axis``, or
            along its last axes.
        variance: The variance, of the same shape.
        invert: Whether to compute the inverse, y = mean + x max(sqrt(variance), 1e-7).
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If an axis is not an integer, or ``mean`` or ``variance`` not numeric.
        ValueError: If only one of the two is given, or their shapes differ or have more axes than
            ``axis``; if an entry is not finite, or a variance negative; when built, if the input
            lacks an axis, or its size is unknown.

    >>> layer = Normalization()
    >>> layer.adapt(np.array([[0.0, 7.0], [2.0, 9.0], [0.0, 7.0], [2.0, 9.0]]))
    >>> layer(np.array([[0.0, 10.0]]))
    array([[-1.,  2.]], dtype=float32)
    """

    supports_masking = True
    elementwise = True

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if axis is None:
            axis = ()
        self.axis = tuple(map(check_axis, axis if isinstance(axis, (list, tuple)) else [axis]))
        self.invert = bool(invert)
        if (mean is None) != (variance is None):
            raise ValueError(
                "Give both mean and variance, or neither. "
                f"Received: mean={mean!r}, variance={variance!r}"
            )
        self.input_mean = self._given("mean", mean)
        self.input_variance = self._given("variance", variance)
        if self.input_mean is not None and self.input_variance is not None:
            shape = self.input_mean.shape
            if self.input_variance.shape != shape or len(shape) > len(self.axis):
                raise ValueError(
                    "mean and variance must have the same shape, of no more axes than axis="
                    f"{self.axis}. Received: shapes {shape} and {self.input_variance.shape}"
                )
            if (self.input_variance < 0).any():
                raise ValueError(f"variance must not be negative. Received: variance={variance!r}")

    def _given(self, name: str, value: Any) -> Array | None:
        if value is None:
            return None
        array = as_numeric(name, value).astype(np.float64)
        check_finite(name, np.atleast_1d(array), self.dtype)
        return array

    def _spread(self, name: str, given: Any, shape: list[int]) -> Array:
        if given.ndim and any(
            size not in (1, want)
            for size, want in zip(given.shape[::-1], shape[::-1], strict=False)
        ):
            raise ValueError(
                f"Layer {self.name!r}: {name} must be a number, or fit the sizes {tuple(shape)} "
                f"along axis={self.axis}. Received: {name} of shape {given.shape}"
            )
        return np.broadcast_to(given.astype(self.dtype), shape)  # one number takes no more memory

    def build(self, input_shape: Shape) -> None:
        """Add the weights mean, variance and count, unless mean and variance are given."""
        ndim = len(input_shape)
        kept = sorted(axis % ndim for axis in self.axis if -ndim <= axis < ndim)
        if len(set(kept) - {0}) < len(self.axis) or any(input_shape[axis] is None for axis in kept):
            raise ValueError(
                f"Layer {self.name!r} needs a mean for each index along axis={self.axis}, which "
                f"are not all different axes of known size in a sample of shape {input_shape}."
            )
        self._kept = kept
        #: The shape of a mean that broadcasts over a batch.
        self._broadcast = [(axis in kept and size) or 1 for axis, size in enumerate(input_shape)]
        shape = [self._broadcast[axis] for axis in kept]
        if self.input_mean is not None:
            self._mean = self._spread("mean", self.input_mean, shape)
            self._variance = self._spread("variance", self.input_variance, shape)
            return
        self.adapt_mean = self.add_weight("mean", shape, "zeros", trainable=False)
        self.adapt_variance = self.add_weight("variance", shape, "ones", trainable=False)
        # The only weight with integers, as in Keras's files.
        self.count = Variable(np.zeros((), np.int64), "count", trainable=False)
        self._variables.append(self.count)

    def takes(self, input_shape: Shape) -> bool:
        """Return whether the shape fits the layer; with ``axis=None`` any does."""
        return not self.axis or super().takes(input_shape)

    def forward_into(self, x: Array, y: Array) -> None:
        """Write (x - mean) / max(sqrt(variance), 1e-7), or its inverse, into ``y``."""
        mean, deviation = self._in_use()
        if self.invert:
            np.multiply(x, deviation, out=y)
            y += mean
        else:
            np.subtract(x, mean, out=y)
            y /= deviation

    def backward_into(self, dy: Array, dx: Array) -> None:
        """Write ``dy`` over max(sqrt(variance), 1e-7), or times it, into ``dx``."""
        _, deviation = self._in_use()
        (np.multiply if self.invert else np.divide)(dy, deviation, out=dx)

    compute_output_shape = same_shape

    def _in_use(self) -> tuple[Array, Array]:
        """Return the mean and the divisor, in shapes that broadcast over a batch."""
        mean = self._mean if self.input_mean is not None else self.adapt_mean.value
        deviation = np.maximum(np.sqrt(self._variance_in_use()), epsilon())
        shape = self._broadcast if self.axis else ()
        return mean.reshape(shape), deviation.reshape(shape)

    def _variance_in_use(self) -> Array:
        return self._variance if self.input_mean is not None else self.adapt_variance.value

    # ---- adapting -------------------------------------------------------------------------

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Measure mean and variance of all of ``data``.

        They are combined from those of batches, in float64, so streams of any length can be
        measured without a loss of digits in long sums.

        Source: Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing
        Sample Variances", 1979, equations 2.1.

        Args:
            data: An array of samples (one feature of many samples may be a vector), or a dataset
                in a file or an `nnlite.data.HDF5`, which are read in parts, or an iterable
                or a sequence of such arrays, or of tuples whose first element is one.
            batch_size: The number of samples of an array to read at once, which does not affect the
                result; by default 32 with ``steps``, else as many as suit the cache.
            steps: The number of batches to take; None takes all.

        Raises:
            TypeError: If ``data`` is none of these, or not numeric.
            ValueError: If there is no data, a shape does not fit the layer, an entry is not finite,
                or the layer was given mean and variance. Nothing is changed then.

        >>> layer = Normalization(axis=None)
        >>> layer.adapt([np.array([[1.0], [3.0]]), np.array([[5.0], [7.0]])])
        >>> [float(weight) for weight in layer.get_weights()]
        [4.0, 5.0, 4.0]
        """
        steps = optional_count("steps", steps)
        size = optional_count("batch_size", batch_size) or (32 if steps else None)
        fresh = not self.built
        moments: Moments = (0, 0.0, 0.0)
        try:
            for batch in itertools.islice(_batches(data, size), steps):
                moments = _merged(moments, self._measured(batch))
            self._hold(moments)
        except BaseException:
            if fresh:
                self.forget_weights()
            raise

    def update_state(self, data: Any) -> None:
        """Add the samples of an array to mean and variance; see `adapt`."""
        new = self._measured(data)
        mean, variance, count = (weight.astype(np.float64) for weight in self.get_weights())
        self._hold(_merged((int(count), mean, variance * count), new))

    def reset_state(self) -> None:
        """Reset mean to 0 and variance to 1, as after the build."""
        if self.built and self.input_mean is None:
            shape = self.adapt_mean.shape
            self.set_weights([np.zeros(shape), np.ones(shape), 0])

    def finalize_state(self) -> None:
        """Do nothing: changes of the weights take effect in the next batch.

        In Keras, changes take effect with this call.
        """

    def _measured(self, data: Any) -> Moments:
        """Return the moments of an array of samples, and build the layer for them if needed."""
        if self.input_mean is not None:
            raise ValueError(
                f"Layer {self.name!r} was given mean and variance: there is nothing to adapt."
            )
        array = as_samples("data", data)
        if array.ndim == 1:
            array = array[:, None]
        known = self.input_shape if self.built else self.declared_shape
        if not (self.takes(array.shape) if self.built else fits(array.shape, known)):
            raise ValueError(
                f"Layer {self.name!r} expects an input of shape {known}. "
                f"Received: data of shape {array.shape}"
            )
        check_finite("data", array, self.dtype)
        if not self.built:
            self.ensure_built(known or (None, *array.shape[1:]))
        along = tuple(axis for axis in range(array.ndim) if axis not in self._kept)
        array = array.astype(np.float64)
        mean = array.mean(axis=along, keepdims=True)
        array -= mean
        squares = np.square(array, out=array).sum(axis=along)
        return math.prod(array.shape[axis] for axis in along), mean.reshape(squares.shape), squares

    def _hold(self, moments: Moments) -> None:
        count, mean, squares = moments
        if not count:
            raise ValueError("data must hold samples. Received: no batches")
        deviation = np.ravel(np.sqrt(squares / count))
        step = np.spacing(np.ravel(np.abs(mean)).astype(self.dtype))
        coarse = (step > 0.01 * deviation) & (deviation > 0)
        if coarse.any():
            at = int(np.argmax(coarse))
            warnings.warn(
                f"Layer {self.name!r} measured a mean of {np.ravel(mean)[at]:.10g} and a standard "
                f"deviation of {deviation[at]:.3g}, where {self.dtype} has steps of {step[at]:.3g}:"
                " normalized values keep less than two digits. Subtract a number near the mean "
                "from the data first"
                + (", or make the model float64." if self.dtype == "float32" else "."),
                stacklevel=3,
            )
        self.set_weights([mean, squares / count, count])

    # ---- configuration and files -------------------------------------------------------

    @property
    def mean(self) -> Array | None:
        """The mean in use, in a shape that broadcasts over a batch; None before the build."""
        return self._in_use()[0].reshape(self._broadcast).copy() if self.built else None

    @property
    def variance(self) -> Array | None:
        """The variance in use; see `mean`."""
        return self._variance_in_use().reshape(self._broadcast).copy() if self.built else None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name; ``mean`` and ``variance`` only if given."""
        given = {"mean": self.input_mean, "variance": self.input_variance}
        lists = {name: None if v is None else v.tolist() for name, v in given.items()}
        return {**super().get_config(), **lists}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build the layer from the result of another one's `get_build_config`.

        Keras includes the number of samples that a layer was adapted to.
        """
        super().build_from_config({"input_shape": (None, *config["input_shape"][1:])})


def _merged(one: Moments, other: Moments) -> Moments:
    """Return the moments of two sets of numbers together."""
    count, mean, squares = one
    more, other_mean, other_squares = other
    total = count + more
    apart = other_mean - mean
    squares = squares + other_squares + np.square(apart) * (count * (more / total))
    return total, mean + apart * (more / total), squares


def _batches(data: Any, size: int | None) -> Iterator[Any]:
    """Yield the batches of an array, a dataset in a file, an iterable or a sequence of batches."""
    if isinstance(data, HDF5):
        with data.open(targets=False) as columns:
            yield from _batches(columns[0], size)
        return
    if is_sparse(data):
        as_numeric("data", data)  # whose error says what to do
    if hasattr(data, "shape"):
        if not data.shape:
            yield data
            return
        rows = size or max(1, _ENTRIES // max(1, math.prod(data.shape[1:])))
        chunk = (getattr(data, "chunks", None) or (1,))[0]  # each is read and unpacked once
        rows = size or -(-rows // chunk) * chunk
        for start in range(0, data.shape[0], rows):
            yield data[start : start + rows]
        return
    if isinstance(data, (str, bytes, Mapping)) or not (
        isinstance(data, Iterable) or is_sequence(data)
    ):
        raise TypeError(
            "data must be an array, or an iterable of arrays, or an HDF5 file. "
            f"Received: {type(data).__name__}"
        )
    for batch in map(data.__getitem__, range(len(data))) if is_sequence(data) else data:
        yield _inputs(batch)


def _inputs(batch: Any) -> Any:
    several = isinstance(batch, (list, tuple)) and len(batch) > 0
    x = batch[0] if several and (isinstance(batch, tuple) or hasattr(batch[0], "shape")) else batch
    if not hasattr(x, "shape"):
        raise TypeError(
            "data must be an array, or an iterable of arrays; a list counts as a list of batches. "
            f"Received: an element of type {type(x).__name__}. Pass np.array(data)."
        )
    return x

"""Initializers of weights: constants, scaled random values and orthogonal matrices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from nnlite.config import float_type
from nnlite.random import Seed, new_generator
from nnlite.serialization.objects import PUBLIC
from nnlite.serialization.registry import Configurable, Registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import as_number, as_numeric, check_axis

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "get",
]


_MODES = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")

# The standard deviation of a standard normal truncated to [-2, 2]: its square is
# 1 - 4 phi(2) / (2 Phi(2) - 1), with the density phi and the distribution function Phi.
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer(Configurable):
    """Base class of initializers, which return an array of a given shape.

    A subclass defines ``__call__``. One instance always returns the same values for one shape.

    >>> class Half(Initializer):
    ...     def __call__(self, shape, dtype=None):
    ...         return np.full(shape, 0.5, dtype)
    >>> Half()((2,))
    array([0.5, 0.5])
    """

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> Array:
        """Return a new array of initial values.

        Args:
            shape: The shape of the weight; a kernel's is ``(..., inputs, outputs)``.
            dtype: ``"float32"`` or ``"float64"``; None means `nnlite.config.floatx`.

        Raises:
            ValueError: If ``dtype`` is invalid, or ``shape`` is not possible.
        """
        raise NotImplementedError(f"{type(self).__name__} must define __call__(shape, dtype=None)")


registry = Registry("initializer", Initializer, "keras.initializers")


def get(identifier: Any) -> Callable[..., Array] | None:
    """Return an initializer, or None for None.

    Args:
        identifier: A name such as ``"he_normal"``, an `Initializer` class or instance, a function
            ``f(shape, dtype=...)`` that returns an array, or an array of the shape of the weight.

    Raises:
        ValueError: If no initializer has that name.
        TypeError: If ``identifier`` has the wrong type.

    >>> get("glorot_uniform")
    GlorotUniform()
    >>> get(np.zeros) is np.zeros
    True
    """
    if callable(identifier) and not isinstance(identifier, type):
        function: Callable[..., Array] = identifier
        return function
    if isinstance(identifier, (np.ndarray, np.generic)):
        return _Given(identifier)
    return None if identifier is None else registry.get(identifier)


@registry.register("zero")
class Zeros(Initializer):
    """Initializer of zeros.

    >>> Zeros()((2, 2))
    array([[0., 0.],
           [0., 0.]], dtype=float32)
    """

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> Array:
        """Return zeros of ``shape``."""
        return np.zeros(shape, float_type(dtype))


@registry.register("one")
class Ones(Initializer):
    """Initializer of ones.

    >>> Ones()((2,), "float64")
    array([1., 1.])
    """

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> Array:
        """Return ones of ``shape``."""
        return np.ones(shape, float_type(dtype))


@registry.register()
class Constant(Initializer):
    """Initializer of a constant, broadcast to the shape.

    Args:
        value: A number, or an array that broadcasts to the shape of the weight.

    Raises:
        TypeError: If ``value`` is not numeric.

    >>> Constant(0.5)((2,), "float64")
    array([0.5, 0.5])
    >>> Constant(np.array([1.0, 2.0]))((2, 2))
    array([[1., 2.],
           [1., 2.]], dtype=float32)
    """

    def __init__(self, value: Any = 0.0) -> None:
        as_numeric("value", value)
        self.value = value.copy() if isinstance(value, np.ndarray) else value

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> Array:
        """Return an array of ``shape`` full of ``value``.

        Raises:
            ValueError: If ``value`` is an array that does not fit ``shape``.
        """
        try:
            return np.full(shape, self.value, float_type(dtype))
        except ValueError:
            if np.ndim(self.value) == 0:
                raise
            raise ValueError(
                f"value has shape {np.shape(self.value)}, which does not fit the weight's. "
                f"Received: shape={shape}"
            ) from None


class _Given(Constant):
    """An array as the initializer of one weight."""

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> Array:
        """Return the array."""
        if tuple(shape) != self.value.shape:
            raise ValueError(
                f"An array as initializer must have the weight's shape {tuple(shape)}. "
                f"Received: an array of shape {self.value.shape}"
            )
        return super().__call__(shape, dtype)


PUBLIC[_Given] = PUBLIC[Constant]  # for files


@registry.register("IdentityInitializer")
class Identity(Initializer):
    """The identity matrix times ``gain``; non-square matrices are padded with zeros.

    Args:
        gain: The number on the diagonal.

    >>> Identity(gain=2.0)((2, 3), "float64")
    array([[2., 0., 0.],
           [0., 2., 0.]])
    """

    def __init__(self, gain: float = 1.0) -> None:
        as_number("gain", gain)
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> Array:
        """Return ``gain`` times the identity.

        Raises:
            ValueError: If ``shape`` is not 2-D.
        """
        if len(shape) != 2:
            raise ValueError(f"shape must be 2-D for Identity. Received: shape={shape!r}")
        return float(self.gain) * np.eye(*shape, dtype=float_type(dtype))


class _Random(Initializer):
    """Base class of random initializers, with a fixed seed per instance."""

    def __init__(self, seed: int | None) -> None:
        self._seed = Seed(seed)
        self.seed = seed

    def _generator(self) -> np.random.Generator:
        return new_generator(self._seed.read())


@registry.register("normal")
class RandomNormal(_Random):
    """Random values from the normal distribution N(mean, stddev^2).

    Args:
        mean: The mean.
        stddev: The standard deviation.
        seed: An integer for reproducible values; None chooses a seed per instance.

    Raises:
        ValueError: If ``stddev`` or ``seed`` is negative.

    >>> values = RandomNormal(mean=3.0, stddev=0.1, seed=1)((100, 100))
    >>> bool(abs(values.mean() - 3) < 0.01), bool(abs(values.std() - 0.1) < 0.01)
    (True, True)
    """

    _cutoff = math.inf

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        as_number("mean", mean)
        if not as_number("stddev", stddev) >= 0:
            raise ValueError(f"stddev must be at least 0. Received: {stddev=}")
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> Array:
        """Return random values of ``shape``."""
        dtype = float_type(dtype)
        generator = self._generator()
        values: Array = generator.standard_normal(math.prod(shape), dtype)
        outside = np.flatnonzero(np.abs(values) > self._cutoff)
        while outside.size:
            values[outside] = generator.standard_normal(outside.size, dtype)
            outside = outside[np.abs(values[outside]) > self._cutoff]
        values *= self.stddev
        values += self.mean
        return values.reshape(shape)


@registry.register()
class TruncatedNormal(RandomNormal):
    """Random values from N(mean, stddev^2) truncated to two standard deviations.

    The standard deviation of the result is 0.8796 ``stddev``.

    Args:
        mean: The mean.
        stddev: The standard deviation before truncation.
        seed: An integer for reproducible values; None chooses a seed per instance.

    Raises:
        ValueError: If ``stddev`` or ``seed`` is negative.

    >>> values = TruncatedNormal(stddev=1.0, seed=1)((100, 100))
    >>> bool(abs(values).max() <= 2), bool(abs(values.std() - 0.88) < 0.02)
    (True, True)
    """

    _cutoff = 2.0


@registry.register("uniform")
class RandomUniform(_Random):
    """Random values from the uniform distribution over ``[minval, maxval)``, up to rounding.

    Args:
        minval: The lower end.
        maxval: The upper end.
        seed: An integer for reproducible values; None chooses a seed per instance.

    Raises:
        ValueError: If ``maxval`` is less than ``minval``, or ``seed`` is negative.

    >>> values = RandomUniform(0.0, 1.0, seed=1)((100, 100))
    >>> bool(values.min() >= 0), bool(values.max() < 1)
    (True, True)
    """

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        if not as_number("minval", minval) <= as_number("maxval", maxval):
            raise ValueError(f"minval must be at most maxval. Received: {minval=}, {maxval=}")
        super().__init__(seed)
        self.minval = minval
        self.maxval = maxval

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> Array:
        """Return random values of ``shape``."""
        values: Array = self._generator().random(tuple(shape), float_type(dtype))
        values *= self.maxval - self.minval
        values += self.minval
        return values


@registry.register()
class VarianceScaling(_Random):
    """Random values with mean 0 and variance ``scale / n``, which preserve the scale of signals.

    ``n`` is the number of inputs (``"fan_in"``) or of outputs (``"fan_out"``) of one unit, or the
    mean of both (``"fan_avg"``). A kernel of shape ``(..., inputs, outputs)`` has

        fan_in = inputs * r,  fan_out = outputs * r,  r the product of the leading dimensions;

    for a vector of length n both are n. Subclasses such as `GlorotUniform` have the settings of
    LeCun et al. (1998), Glorot & Bengio (2010) and He et al. (2015).

    Args:
        scale: The factor of the variance.
        mode: ``"fan_in"``, ``"fan_out"`` or ``"fan_avg"``.
        distribution: ``"truncated_normal"`` (or ``"normal"``), truncated to two standard
            deviations and rescaled to the right variance; ``"untruncated_normal"``; or
            ``"uniform"`` over +-sqrt(3 scale / n).
        seed: An integer for reproducible values; None chooses a seed per instance.
        input_axes: The axes whose sizes multiply to fan_in, for kernels of another layout.
        output_axes: The axes whose sizes multiply to fan_out; required with ``input_axes``.

    Raises:
        TypeError: If an axis is not an integer.
        ValueError: If ``scale`` is not positive, ``seed`` is negative, ``mode`` or
            ``distribution`` is unknown, or only one of the lists of axes is given.

    >>> values = VarianceScaling(scale=2.0, seed=1)((200, 100))
    >>> bool(abs(values.std() - 0.1) < 0.002)
    True
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        if not as_number("scale", scale) > 0:
            raise ValueError(f"scale must be greater than 0. Received: {scale=}")
        if mode not in _MODES:
            raise ValueError(f"mode must be one of {_MODES}. Received: {mode=}")
        if distribution == "normal":
            distribution = "truncated_normal"
        if distribution not in _DISTRIBUTIONS:
            raise ValueError(
                f"distribution must be one of {_DISTRIBUTIONS}. Received: {distribution=}"
            )
        super().__init__(seed)
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        if (input_axes is None) != (output_axes is None):
            raise ValueError(
                "Give both input_axes and output_axes, or neither. "
                f"Received: input_axes={input_axes!r}, output_axes={output_axes!r}"
            )
        self.input_axes = None if input_axes is None else [*map(check_axis, input_axes)]
        self.output_axes = None if output_axes is None else [*map(check_axis, output_axes)]

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> Array:
        """Return random values of ``shape``."""
        if self.input_axes is not None and self.output_axes is not None:
            fan_in = math.prod(shape[axis] for axis in self.input_axes)
            fan_out = math.prod(shape[axis] for axis in self.output_axes)
        elif len(shape) < 2:
            fan_in = fan_out = math.prod(shape)
        else:
            *field, inputs, outputs = shape
            fan_in, fan_out = inputs * math.prod(field), outputs * math.prod(field)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1, n))
        seed = self._seed.read()
        draw: _Random
        if self.distribution == "uniform":
            limit = math.sqrt(3) * stddev
            draw = RandomUniform(-limit, limit, seed)
        elif self.distribution == "untruncated_normal":
            draw = RandomNormal(0.0, stddev, seed)
        else:
            draw = TruncatedNormal(0.0, stddev / _TRUNCATED_STDDEV, seed)
        return draw(shape, dtype)


class _Scaled(VarianceScaling):
    """A `VarianceScaling` with fixed scale, mode and distribution."""

    _settings: ClassVar[tuple[float, str, str]]

    def __init__(
        self,
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(*self._settings, seed, input_axes, output_axes)


@registry.register()
class GlorotUniform(_Scaled):
    """Uniform over +-sqrt(6 / (fan_in + fan_out)): Glorot & Bengio (2010), equation 16.

    Also called Xavier initialization. The fans are those of `VarianceScaling`.

    Args:
        seed, input_axes, output_axes: As for `VarianceScaling`.

    >>> values = GlorotUniform(seed=1)((4, 2))
    >>> bool(abs(values).max() < 1)
    True
    """

    _settings = (1.0, "fan_avg", "uniform")


@registry.register()
class GlorotNormal(_Scaled):
    """Truncated normal of variance 2 / (fan_in + fan_out): Glorot & Bengio (2010), equation 12.

    Also called Xavier initialization. The fans are those of `VarianceScaling`.

    Args:
        seed, input_axes, output_axes: As for `VarianceScaling`.

    >>> values = GlorotNormal(seed=1)((150, 50))
    >>> bool(abs(values.std() - 0.1) < 0.005)
    True
    """

    _settings = (1.0, "fan_avg", "truncated_normal")


@registry.register()
class HeUniform(_Scaled):
    """Uniform over +-sqrt(6 / fan_in), for ReLU: the variance of He et al. (2015), equation 10.

    Args:
        seed, input_axes, output_axes: As for `VarianceScaling`.

    >>> values = HeUniform(seed=1)((6, 50))
    >>> bool(abs(values).max() < 1)
    True
    """

    _settings = (2.0, "fan_in", "uniform")


@registry.register()
class HeNormal(_Scaled):
    """Truncated normal of variance 2 / fan_in, for ReLU: He et al. (2015), equation 10.

    Args:
        seed, input_axes, output_axes: As for `VarianceScaling`.

    >>> values = HeNormal(seed=1)((200, 50))
    >>> bool(abs(values.std() - 0.1) < 0.005)
    True
    """

    _settings = (2.0, "fan_in", "truncated_normal")


@registry.register()
class LecunUniform(_Scaled):
    """Uniform over +-sqrt(3 / fan_in): the variance of LeCun et al. (1998), section 4.6.

    Args:
        seed, input_axes, output_axes: As for `VarianceScaling`.

    >>> values = LecunUniform(seed=1)((3, 50))
    >>> bool(abs(values).max() < 1)
    True
    """

    _settings = (1.0, "fan_in", "uniform")


@registry.register()
class LecunNormal(_Scaled):
    """Truncated normal of variance 1 / fan_in: LeCun et al. (1998), section 4.6.

    Recommended for SELU (Klambauer et al., 2017).

    Args:
        seed, input_axes, output_axes: As for `VarianceScaling`.

    >>> values = LecunNormal(seed=1)((100, 50))
    >>> bool(abs(values.std() - 0.1) < 0.005)
    True
    """

    _settings = (1.0, "fan_in", "truncated_normal")


@registry.register("OrthogonalInitializer")
class Orthogonal(_Random):
    """Random matrix with orthogonal columns, or rows if there are fewer: Saxe et al. (2014).

    This is the Q of the QR decomposition of a normal matrix, with signs that make the diagonal of R
    positive, so that all orthogonal matrices are equally likely (Mezzadri, 2007). For shapes of
    more dimensions, a matrix of shape ``(product of the others, last)`` is reshaped.

    Args:
        gain: The length of each orthogonal column or row.
        seed: An integer for reproducible values; None chooses a seed per instance.

    Raises:
        ValueError: If ``seed`` is negative.

    >>> q = Orthogonal(seed=1)((5, 3), "float64")
    >>> bool(np.allclose(q.T @ q, np.eye(3)))
    True
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        as_number("gain", gain)
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> Array:
        """Return an orthogonal matrix of ``shape``.

        Raises:
            ValueError: If ``shape`` has fewer than two dimensions.
        """
        if len(shape) < 2:
            raise ValueError(f"shape must be at least 2-D for Orthogonal. Received: {shape=}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        q, r = np.linalg.qr(self._generator().standard_normal(tall, float_type(dtype)))
        q *= self.gain * np.copysign(1, np.diag(r))
        return np.ascontiguousarray(q if rows >= columns else q.T).reshape(shape)


# Keras's other spellings.
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal
constant, identity, ones, orthogonal, zeros = Constant, Identity, Ones, Orthogonal, Zeros
glorot_normal, glorot_uniform = GlorotNormal, GlorotUniform
he_normal, he_uniform = HeNormal, HeUniform
lecun_normal, lecun_uniform = LecunNormal, LecunUniform
random_normal, random_uniform = RandomNormal, RandomUniform
truncated_normal, variance_scaling = TruncatedNormal, VarianceScaling

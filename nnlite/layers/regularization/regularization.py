"""Layers against overfitting: dropout, noise in training, and a penalty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from nnlite import regularizers
from nnlite.backend.structure_cache import invalidate
from nnlite.layers.layer import Layer, Shape, registry, same_shape
from nnlite.layers.random_layer import RandomLayer
from nnlite.layers.reshaping.reshaping import check_data_format, check_integers
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_fraction, check_number

_DRAWS = 65_536  # the values of sixteen bits


class NoiseLayer(RandomLayer):
    """Base class of layers that add noise in training, and else return their input.

    Args:
        seed: Seed of the layer's draws. None draws one from a model that has a ``seed``, otherwise
            from the root of `set_random_seed`.
        **kwargs: As for `Layer`.
    """

    supports_masking = True

    recipe: ClassVar[str] = (
        "For noise outside of training too, as in Monte-Carlo dropout, call the model as "
        "model(x, training=True): no class is needed."
    )

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed_with(seed)

    compute_output_shape = same_shape

    def stages(self, training: bool) -> Sequence[Layer]:
        """Return the layer in training, and no stages otherwise."""
        return (self,) if training else ()

    def _draw_normal(self, noise: Array) -> None:
        """Fill ``noise`` with draws of mean 0 and variance 1."""
        self.generator.standard_normal(out=noise, dtype=noise.dtype)


class MaskLayer(NoiseLayer):
    """Base class of layers that drop each input with probability ``rate``; see `Dropout`."""

    elementwise = True

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.rate = rate
        self.noise_shape: Shape | None = None
        if noise_shape is not None:
            self.noise_shape = check_integers("noise_shape", noise_shape, or_none=True)
            if any(size is not None and size < 1 for size in self.noise_shape):
                raise ValueError(
                    "noise_shape must hold positive integers, or None for the input's size. "
                    f"Received: noise_shape={noise_shape!r}"
                )

    @property
    def rate(self) -> float:
        """The probability; a new value takes effect in the next call.

        Raises:
            TypeError: If a value that is not a number is assigned.
            ValueError: If a number outside [0, 1] is assigned.
        """
        return self._rate

    @rate.setter
    def rate(self, value: float) -> None:
        rate = check_fraction("rate", value, including_one=True)
        self._derive(rate)
        self._rate = rate
        invalidate()

    def _derive(self, rate: float) -> None:
        """Compute the constants that depend on the rate."""
        self._threshold = round(rate * _DRAWS)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape``.

        Raises:
            ValueError: If the mask cannot be broadcast over such an input.
        """
        self._mask_shape(input_shape)
        return input_shape

    def _mask_shape(self, shape: Shape) -> Shape:
        if self.noise_shape is None:
            return shape
        sizes = tuple(
            shape[axis] if size is None and axis < len(shape) else size
            for axis, size in enumerate(self.noise_shape)
        )
        if len(sizes) > len(shape) or any(
            size not in (None, 1, want) and want is not None
            for size, want in zip(sizes[::-1], shape[::-1], strict=False)
        ):
            raise ValueError(
                f"Layer {self.name!r}: noise_shape must have, for each axis of the input's shape "
                f"{shape}, None, 1 or its size. Received: noise_shape={self.noise_shape}"
            )
        return sizes

    def arrays(self, shape: Any) -> dict[str, tuple[Any, Any]]:
        """Return the array of the random mask, ``kept``."""
        return {"kept": (self._mask_shape(shape), bool)}

    def _draw_mask(self, kept: Array) -> None:
        """Fill ``kept``, True for each input that is kept."""
        # Sixteen random bits per entry, straight from the generator: five times faster than floats.
        bits = self.generator.bit_generator.random_raw(-(-kept.size // 4)).view(np.uint16)
        np.greater_equal(bits[: kept.size].reshape(kept.shape), self._threshold, out=kept)


@registry.register()
class Dropout(MaskLayer):
    """In training, each input is 0 with probability ``rate``, and x / (1 - rate) otherwise.

    So the expected output is the input, which the layer returns outside of training.

    Source: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from
    Overfitting", 2014.

    Args:
        rate: The fraction of inputs to drop, in [0, 1], rounded to a multiple of 1 / 65,536.
        noise_shape: The shape of the random mask, which is broadcast over the input: axes of size
            1 share one draw, and sizes of None are those of the input. None draws for every entry.
        seed: As for `NoiseLayer`.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``noise_shape`` contains anything but integers and None.
        ValueError: If ``rate`` is outside [0, 1], a size is below 1, or the mask does not fit the
            input.

    >>> Dropout(0.5, seed=1)(np.ones((1, 4)), training=True)
    array([[0., 0., 2., 2.]], dtype=float32)
    """

    def _derive(self, rate: float) -> None:
        super()._derive(rate)
        kept = _DRAWS - self._threshold
        self._scale = _DRAWS / kept if kept else 0.0

    def stages(self, training: bool) -> Sequence[Layer]:
        """Return the layer in training, and no stages if nothing is dropped."""
        return (self,) if training and self.rate else ()

    def forward_into(self, x: Array, y: Array, kept: Array) -> None:
        """Write ``x`` times a mask of 0 and 1 / (1 - rate) into ``y``."""
        self._draw_mask(kept)
        np.multiply(x, kept, out=y)
        y *= self._scale

    def backward_into(self, dy: Array, dx: Array, kept: Array) -> None:
        """Write ``dy`` times the mask into ``dx``."""
        np.multiply(dy, kept, out=dx)
        dx *= self._scale


class SpatialDropout(Dropout):
    """Base class of dropouts that drop whole features of a sample.

    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", 2015,
    section 3.2.
    """

    #: The number of axes of a feature.
    axes: ClassVar[int]

    def __init__(self, rate: float, data_format: str | None, **kwargs: Any) -> None:
        self.data_format = check_data_format(data_format)
        shared = (1,) * self.axes
        first = self.data_format == "channels_first"
        super().__init__(
            rate, noise_shape=(None, None, *shared) if first else (None, *shared, None), **kwargs
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape``.

        Raises:
            ValueError: If it has the wrong number of axes.
        """
        if len(input_shape) != self.axes + 2:
            raise ValueError(
                f"Layer {self.name!r} expects an input of {self.axes + 2} axes. "
                f"Received: shape {input_shape}"
            )
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name, with the float type as in Keras."""
        return {**super().get_config(), "dtype": self.dtype}


@registry.register()
class SpatialDropout1D(SpatialDropout):
    """Dropout of whole features of (m, steps, features).

    Args:
        rate: The fraction of features to drop, in [0, 1].
        seed: As for `Dropout`.
        name, dtype: As for `Layer`.

    Raises:
        ValueError: If ``rate`` is outside [0, 1], or the input does not fit.

    >>> SpatialDropout1D(0.5, seed=1)(np.ones((1, 2, 4)), training=True)
    array([[[0., 0., 2., 2.],
            [0., 0., 2., 2.]]], dtype=float32)
    """

    axes = 1

    def __init__(
        self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(rate, None, seed=seed, name=name, dtype=dtype)


@registry.register()
class SpatialDropout2D(SpatialDropout):
    """Dropout of whole features of (m, rows, columns, features).

    Args:
        rate: The fraction of features to drop, in [0, 1].
        data_format: ``"channels_last"``, or ``"channels_first"`` for (m, features, rows, columns).
        seed: As for `Dropout`.
        name, dtype: As for `Layer`.

    Raises:
        ValueError: If ``rate`` is outside [0, 1], ``data_format`` is unknown, or
            the input does not fit.

    >>> SpatialDropout2D(0.5, seed=1)(np.ones((1, 5, 5, 4)), training=True)[0, 3, 3]
    array([0., 0., 2., 2.], dtype=float32)
    """

    axes = 2

    def __init__(
        self,
        rate: float,
        data_format: str | None = "channels_last",
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(rate, data_format, seed=seed, name=name, dtype=dtype)


@registry.register()
class SpatialDropout3D(SpatialDropout2D):
    """Dropout of whole features of (m, a, b, c, features).

    See `SpatialDropout2D` for the arguments.

    >>> SpatialDropout3D(0.5, seed=1)(np.ones((1, 5, 5, 5, 4)), training=True)[0, 3, 3, 3]
    array([0., 0., 2., 2.], dtype=float32)
    """

    axes = 3


@registry.register()
class AlphaDropout(MaskLayer):
    """In training, inputs become SELU's lower limit with probability ``rate``, then a x + b.

    With the limit l = -scale alpha = -1.758, the a = ((1 - rate) (1 + rate l^2))^(-1/2) and
    b = -a l rate preserve a mean of 0 and a variance of 1.

    Source: Klambauer et al., "Self-Normalizing Neural Networks", 2017, section "New Dropout
    Technique".

    Args:
        rate: The fraction of inputs to drop, in [0, 1), rounded to a multiple of 1 / 65,536.
        noise_shape, seed: As for `Dropout`.
        **kwargs: As for `Layer`.

    Raises:
        ValueError: If ``rate`` is outside [0, 1), where no a preserves the variance.

    >>> AlphaDropout(0.5, seed=1)(np.ones((1, 4)), training=True).round(3)
    array([[-0.779, -0.779,  1.666,  1.666]], dtype=float32)
    """

    _LIMIT = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717

    def _derive(self, rate: float) -> None:
        p = round(rate * _DRAWS) / _DRAWS
        if p == 1:
            raise ValueError(
                "rate must lie in [0, 1), and below 1 by 1 / 65,536, as inputs that are all "
                f"dropped have no variance to keep. Received: rate={rate}"
            )
        super()._derive(rate)
        self._factor = ((1 - p) * (1 + p * self._LIMIT**2)) ** -0.5
        self._dropped = self._factor * self._LIMIT * (1 - p)  # a l + b

    def forward_into(self, x: Array, y: Array, kept: Array) -> None:
        """Write a x + b into ``y``, where dropped entries of x are the limit."""
        self._draw_mask(kept)
        np.subtract(x, self._LIMIT, out=y)
        y *= kept
        y *= self._factor
        y += self._dropped

    def backward_into(self, dy: Array, dx: Array, kept: Array) -> None:
        """Write ``dy`` times a, where the input was kept, else 0, into ``dx``."""
        np.multiply(dy, kept, out=dx)
        dx *= self._factor


@registry.register()
class GaussianNoise(NoiseLayer):
    """In training, y = x + stddev e with e normal, of mean 0 and variance 1, for every entry.

    Args:
        stddev: The standard deviation of the noise, 0 or more.
        seed: As for `Dropout`.
        **kwargs: As for `Layer`.

    Raises:
        ValueError: If ``stddev`` is negative or not finite.

    >>> GaussianNoise(0.1, seed=1)(np.ones((1, 2)), training=True).round(2)
    array([[1.05, 1.18]], dtype=float32)
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed=seed, **kwargs)
        self.stddev = check_number("stddev", stddev)

    def forward_into(self, x: Array, y: Array) -> None:
        """Write ``x`` with noise added into ``y``."""
        self._draw_normal(y)
        y *= self.stddev
        y += x

    def backward_into(self, dy: Array, dx: Array) -> None:
        """Write ``dy`` into ``dx``."""
        np.copyto(dx, dy)


@registry.register()
class GaussianDropout(NoiseLayer):
    """In training, y = x e with e normal, of mean 1 and variance rate / (1 - rate).

    Source: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from
    Overfitting", 2014, section 10.

    Args:
        rate: The rate of a `Dropout` with that variance, in [0, 1).
        seed: As for `Dropout`.
        **kwargs: As for `Layer`.

    Raises:
        ValueError: If ``rate`` is outside [0, 1).

    >>> GaussianDropout(0.1, seed=1)(np.ones((1, 2)), training=True).round(2)
    array([[1.16, 1.6 ]], dtype=float32)
    """

    elementwise = True

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed=seed, **kwargs)
        self.rate = check_fraction("rate", rate)

    def arrays(self, shape: Any) -> dict[str, tuple[Any, Any]]:
        """Return the array of the noise."""
        return {"noise": (shape, self.dtype)}

    def forward_into(self, x: Array, y: Array, noise: Array) -> None:
        """Write ``x`` times the noise into ``y``."""
        self._draw_normal(noise)
        noise *= math.sqrt(self.rate / (1 - self.rate))
        noise += 1
        np.multiply(x, noise, out=y)

    def backward_into(self, dy: Array, dx: Array, noise: Array) -> None:
        """Write ``dy`` times the noise into ``dx``."""
        np.multiply(dy, noise, out=dx)


@registry.register()
class ActivityRegularization(Layer):
    """Returns its input, and adds l1 sum |x| + l2 sum x^2 to the loss, averaged over the batch.

    Args:
        l1: The factor of the first sum.
        l2: The factor of the second.
        **kwargs: As for `Layer`, but for the ``activity_regularizer``, which this layer is.

    Raises:
        ValueError: If a factor is negative or not finite.

    >>> ActivityRegularization(l2=0.01)(np.array([[1.0, 2.0]]))
    array([[1., 2.]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1, l2), **kwargs)
        self.l1 = l1
        self.l2 = l2

    @classmethod
    def _parameters(cls) -> dict[str, Any]:
        parameters = super()._parameters()
        return {k: v for k, v in parameters.items() if k != "activity_regularizer"}

    def stages(self, training: bool) -> Sequence[Layer]:
        """Return no stages: the output is the input."""
        return ()

    compute_output_shape = same_shape

"""Normalization over the batch: BatchNormalization gives each feature mean 0 and variance 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nnlite import constraints, initializers, regularizers
from nnlite.backend.variables import Variable
from nnlite.layers.layer import Layer, Shape, ones, registry
from nnlite.utils.validation import check_axis, check_fraction, check_positive

__all__ = ["BatchNormalization"]

Array = NDArray[Any]


@registry.register()
class BatchNormalization(Layer):
    """Each feature normalized over the batch, then scaled and shifted: y = gamma n + beta.

    In training n = (x - mean) / sqrt(variance + epsilon), with mean and (biased) variance of the
    batch, and both are remembered in moving averages, v <- momentum v + (1 - momentum) new, which
    take their place outside of training, and in a frozen layer.

    With g = dJ/dy and sums over the m rows of the batch, dJ/dbeta = sum g, dJ/dgamma = sum g n,
    and dJ/dx = gamma / sqrt(variance + epsilon) (g - dJ/dbeta / m - n dJ/dgamma / m).

    Source: Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing
    Internal Covariate Shift", 2015, algorithms 1 and 2 and the derivatives of section 3.

    Args:
        axis: The axis of the features, an integer or a list of one; all others count as the batch.
        momentum: The share that the moving averages keep of themselves, in [0, 1].
        epsilon: Keeps the divisor off 0.
        center: Whether there is a beta.
        scale: Whether there is a gamma.
        beta_initializer: How beta, of shape (features,), begins.
        gamma_initializer: How gamma begins.
        moving_mean_initializer: How the moving mean begins.
        moving_variance_initializer: How the moving variance begins.
        beta_regularizer: A penalty on beta that is added to the loss.
        gamma_regularizer: A penalty on gamma.
        beta_constraint: A projection of beta after each update.
        gamma_constraint: A projection of gamma after each update.
        **kwargs: As for `Layer`; and ``renorm`` and ``synchronized``, which are False.

    Raises:
        TypeError: If ``axis`` is no integer.
        ValueError: If ``momentum`` is outside [0, 1], ``epsilon`` not positive, or the input lacks
            the axis.

    >>> BatchNormalization()(np.array([[1.0], [3.0]]), training=True).round(2)
    array([[-1.],
           [ 1.]], dtype=float32)
    """

    supports_masking = True

    input_gradient_optional = True

    fixed_config: ClassVar[Mapping[str, Any]] = {
        "renorm": False,
        "renorm_clipping": None,
        "renorm_momentum": 0.99,
        "synchronized": False,
    }

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(axis, (list, tuple)) and len(axis) == 1:
            (axis,) = axis  # as old files have it
        self.axis = check_axis(axis)
        self.momentum = check_fraction("momentum", momentum, including_one=True)
        self.epsilon = check_positive("epsilon", epsilon)  # a batch may hold one value only
        self.center = bool(center)
        self.scale = bool(scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Variable | None = None
        self.beta: Variable | None = None
        self._moments: tuple[Array, ...] = ()  # of a batch in training, until the step is settled

    def build(self, input_shape: Shape) -> None:
        """Make gamma, beta and the moving averages."""
        if not -len(input_shape) <= self.axis < len(input_shape) or self.axis == 0:
            raise ValueError(
                f"Layer {self.name!r} normalizes axis={self.axis}, which is no axis of features in "
                f"an input of shape {input_shape}."
            )
        shape = (input_shape[self.axis],)
        if self.scale:
            self.gamma = self.add_weight(
                "gamma",
                shape,
                self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_weight(
                "beta",
                shape,
                self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )
        self.moving_mean = self.add_weight(
            "moving_mean", shape, self.moving_mean_initializer, trainable=False
        )
        self.moving_variance = self.add_weight(
            "moving_variance", shape, self.moving_variance_initializer, trainable=False
        )

    def forward(self, x: Array, training: bool = False) -> Array:
        """Return gamma n + beta."""
        rows = self._rows(x)
        if not (training and self._trainable):
            mean = self.moving_mean.value
            factor = self._factor(self.moving_variance.value)
            if training:
                self.cache = (rows - mean, self._spread(self.moving_variance.value), factor)
            y = rows * factor
            y += (0 if self.beta is None else self.beta.value) - mean * factor
            return self._like(y, x)
        mean = self._mean(rows)
        centered = np.subtract(rows, mean, out=self.scratch("centered", rows.shape))
        y = self.scratch("output", rows.shape)
        variance = self._mean(np.square(centered, out=y))
        self._moments = (mean, variance)
        factor = self._factor(variance)
        self.cache = (centered, self._spread(variance), factor)
        np.multiply(centered, factor, out=y)
        if self.beta is not None:
            y += self.beta.value
        return self._like(y, x)

    def settle(self) -> None:
        """Move the averages on, by the moments of the last batch."""
        moments, self._moments = self._moments, ()
        averages = (self.moving_mean, self.moving_variance)[: len(moments)]
        for moving, new in zip(averages, moments, strict=True):
            moving.value *= self.momentum
            moving.value += (1 - self.momentum) * new

    def backward(self, gradient: Array, *, input_gradient: bool = True) -> Array:
        """Fill dJ/dgamma and dJ/dbeta and return dJ/dx."""
        centered, spread, factor = self.cache
        g = self._rows(gradient)
        dx = np.multiply(g, centered, out=self.scratch("input_gradient", g.shape))
        mean_g, mean_gn = self._mean(g), self._mean(dx) / spread
        if self.gamma is not None:
            np.multiply(mean_gn, len(g), out=self.gamma.gradient)
        if self.beta is not None:
            np.multiply(mean_g, len(g), out=self.beta.gradient)
        if not input_gradient:
            return gradient
        if not self._trainable:  # the moving averages do not depend on x
            return self._like(np.multiply(g, factor, out=dx), gradient)
        np.multiply(centered, mean_gn / spread, out=dx)
        dx += mean_g
        np.subtract(g, dx, out=dx)
        dx *= factor
        return self._like(dx, gradient)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape``."""
        return input_shape

    def _mean(self, rows: Array) -> Array:
        return ones(len(rows), self.dtype).dot(rows) / len(rows)

    def _spread(self, variance: Array) -> Array:
        return np.sqrt(variance + self.epsilon)

    def _factor(self, variance: Array) -> Array:
        gamma = 1 if self.gamma is None else self.gamma.value
        return gamma / self._spread(variance)

    def _rows(self, x: Array) -> Array:
        """Return ``x`` as a matrix with the features in its columns."""
        if x.ndim == 2 and self.axis in (-1, 1):
            return x
        return np.moveaxis(x, self.axis, -1).reshape(-1, x.shape[self.axis])

    def _like(self, rows: Array, x: Array) -> Array:
        """Return ``rows`` in the shape of ``x``."""
        if x.ndim == 2 and self.axis in (-1, 1):
            return rows
        moved = np.moveaxis(x, self.axis, -1).shape
        return np.moveaxis(rows.reshape(moved), -1, self.axis)

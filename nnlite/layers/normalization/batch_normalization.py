"""BatchNormalization: normalization of each feature over the batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nnlite import initializers
from nnlite.backend.variables import Variable
from nnlite.distribution.processes import current, weight_in_step
from nnlite.layers.layer import Layer, Shape, ones, registry, same_shape
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_axis, check_fraction, check_positive


@registry.register()
class BatchNormalization(Layer):
    """Each feature normalized over the batch, then scaled and shifted: y = gamma n + beta.

    In training n = (x - mean) / sqrt(variance + epsilon), with mean and (biased) variance of the
    batch. Both are remembered in moving averages, v <- momentum v + (1 - momentum) new, which
    replace them outside of training and in a frozen layer.

    With g = dJ/dy and sums over the m rows of the batch, dJ/dbeta = sum g, dJ/dgamma = sum g n,
    and dJ/dx = gamma / sqrt(variance + epsilon) (g - dJ/dbeta / m - n dJ/dgamma / m).

    With a mask, mean and variance are those of the unmasked steps, and m is their number. The
    masked steps are normalized like them, so the sums include their g, but m is infinite in their
    dJ/dx.

    Source: Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing
    Internal Covariate Shift", 2015, algorithms 1 and 2 and the derivatives of section 3.

    Args:
        axis: The axis of the features, an integer or a list of one; all others belong to the batch.
        momentum: The weight of the old value in the moving averages, in [0, 1].
        epsilon: Keeps the divisor above 0.
        center: Whether to add beta.
        scale: Whether to multiply by gamma.
        beta_initializer: Initializer of beta, of shape (features,).
        gamma_initializer: Initializer of gamma.
        moving_mean_initializer: Initializer of the moving mean.
        moving_variance_initializer: Initializer of the moving variance.
        beta_regularizer: A penalty on beta, added to the loss.
        gamma_regularizer: A penalty on gamma.
        beta_constraint: A projection of beta after each update.
        gamma_constraint: A projection of gamma after each update.
        synchronized: Whether mean and variance are those of the whole batch if several processes
            share it; False uses those of each process's part, as in Keras.
        **kwargs: As for `Layer`; and ``renorm``, which is False.

    Raises:
        TypeError: If ``axis`` is not an integer.
        ValueError: If ``momentum`` is outside [0, 1], ``epsilon`` not positive, or the input lacks
            the axis.

    >>> BatchNormalization()(np.array([[1.0], [3.0]]), training=True).round(2)
    array([[-1.],
           [ 1.]], dtype=float32)
    """

    supports_masking = True
    elementwise = True

    fixed_config: ClassVar[Mapping[str, Any]] = {
        "renorm": False,
        "renorm_clipping": None,
        "renorm_momentum": 0.99,
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
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(axis, (list, tuple)) and len(axis) == 1:
            (axis,) = axis  # the form of old files
        self.axis = check_axis(axis)
        self.momentum = check_fraction("momentum", momentum, including_one=True)
        self.epsilon = check_positive("epsilon", epsilon)  # a batch may have a single value
        self.center = bool(center)
        self.scale = bool(scale)
        self.synchronized = bool(synchronized)
        self._keep("beta", beta_initializer, beta_regularizer, beta_constraint)
        self._keep("gamma", gamma_initializer, gamma_regularizer, gamma_constraint)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.gamma: Variable | None = None
        self.beta: Variable | None = None
        self._by_averages = _ByMovingAverages(self)

    def build(self, input_shape: Shape) -> None:
        """Add gamma, beta and the moving averages."""
        if not -len(input_shape) <= self.axis < len(input_shape) or self.axis == 0:
            raise ValueError(
                f"Layer {self.name!r} normalizes axis={self.axis}, which is not an axis of "
                f"features in an input of shape {input_shape}."
            )
        shape = (input_shape[self.axis],)
        if self.scale:
            self.gamma = self._add_named("gamma", shape, "gamma")
        if self.center:
            self.beta = self._add_named("beta", shape, "beta")
        self.moving_mean = self.add_weight(
            "moving_mean", shape, self.moving_mean_initializer, trainable=False
        )
        self.moving_variance = self.add_weight(
            "moving_variance", shape, self.moving_variance_initializer, trainable=False
        )

    def stages(self, training: bool) -> Sequence[Layer]:
        """Return the layer in training; otherwise, or if frozen, a layer with the averages."""
        return (self,) if training and self._trainable else (self._by_averages,)

    def arrays(self, shape: Any) -> dict[str, tuple[Any, Any]]:
        """Return the arrays of x - mean, features last, and of numbers per feature."""
        axis = self.axis % len(shape)
        features = (shape[axis],)
        centered = (*shape[:axis], *shape[axis + 1 :], *features)
        names = ("mean", "variance", "spread", "factor")
        return {"centered": (centered, self.dtype), **dict.fromkeys(names, (features, self.dtype))}

    def forward_into(
        self,
        x: Array,
        y: Array,
        centered: Array,
        mean: Array,
        variance: Array,
        spread: Array,
        factor: Array,
        mask: Array | None = None,
    ) -> None:
        """Write gamma n + beta into ``y``."""
        counts, part = self._counted(mask, x)
        x = self._features_last(x)
        seen = x if counts is None else x * counts
        np.subtract(x, self._of_all(_mean(seen, mean), part), out=centered)
        squares = np.square(centered, out=y.reshape(centered.shape))
        if counts is not None:
            squares *= counts
        self._of_all(_mean(squares, variance), part)
        self._divide(variance, spread, factor)
        y = self._features_last(y)
        np.multiply(centered, factor, out=y)
        if self.beta is not None:
            y += self.beta.value

    def backward_into(
        self,
        dy: Array,
        centered: Array,
        spread: Array,
        factor: Array,
        dx: Array | None = None,
        mask: Array | None = None,
    ) -> None:
        """Fill dJ/dgamma and dJ/dbeta, and write dJ/dx."""
        g = self._features_last(dy)
        d = np.empty_like(centered) if dx is None else dx.reshape(centered.shape)
        mean_g, mean_gn = _mean(g), _mean(np.multiply(g, centered, out=d)) / spread
        m = g.size // len(spread)
        if self.gamma is not None:
            np.multiply(mean_gn, m, out=self.gamma.gradient)
        if self.beta is not None:
            np.multiply(mean_g, m, out=self.beta.gradient)
        if dx is not None:
            counts, part = self._counted(mask, dy)
            if self.synchronized or part is not None:
                mean_g, mean_gn = self._of_all(np.stack([mean_g, mean_gn]), part)
            if not weight_in_step():  # its row is another process's, which has the derivative
                factor = np.zeros_like(factor)
            np.multiply(centered, mean_gn / spread, out=d)
            d += mean_g
            if counts is not None:
                d *= counts
            np.subtract(g, d, out=d)
            np.multiply(d, factor, out=self._features_last(dx))

    def _of_all(self, mean: Array, part: Array | None = None) -> Array:
        """Return the mean over this process's rows, or over all rows if synchronized.

        The mean is over the rows that count, if not all do.
        """
        if self.synchronized:
            current().average(mean, f"average the moments of {self.name!r}")
        return mean if part is None else np.divide(mean, part, out=mean)

    def _counted(self, mask: Array | None, x: Array) -> tuple[Array | None, Array | None]:
        """Return 1 for each entry of ``x`` that counts, features last, and their fraction."""
        if mask is None:
            return None, None
        shown = np.broadcast_to(mask.reshape(*mask.shape, *(1,) * (x.ndim - mask.ndim)), x.shape)
        counts = self._features_last(shown).astype(x.dtype)
        part = self._of_all(_mean(counts))
        part[part == 0] = 1  # the mean of no rows is 0
        return counts, part

    def settle_from(self, arrays: Mapping[str, Any]) -> None:
        """Update the moving averages with the moments of the batch."""
        averages = {"mean": self.moving_mean, "variance": self.moving_variance}
        for name, moving in averages.items():
            moving.value *= self.momentum
            moving.value += (1 - self.momentum) * arrays[name]

    compute_output_shape = same_shape

    def _divide(self, variance: Array, spread: Array, factor: Array) -> None:
        """Write s = sqrt(variance + epsilon) into ``spread``, and gamma / s into ``factor``."""
        np.sqrt(variance + self.epsilon, out=spread)
        np.divide(1 if self.gamma is None else self.gamma.value, spread, out=factor)

    def _features_last(self, x: Array) -> Array:
        return x if self.axis in (-1, x.ndim - 1) else np.moveaxis(x, self.axis, -1)


class _ByMovingAverages(Layer):
    """The primitive layer of a `BatchNormalization` outside of training: y = gamma n + beta.

    Here n = (x - moving mean) / s, with s = sqrt(moving variance + epsilon), which do not depend on
    x. So dJ/dx = gamma / s dJ/dy; dJ/dbeta and dJ/dgamma are as in training.
    """

    elementwise = True
    samplewise = True
    supports_masking = True

    def __init__(self, owner: BatchNormalization) -> None:
        super().__init__(dtype=owner.dtype)
        self._owner = owner
        self._variables = owner._variables

    def arrays(self, shape: Any) -> dict[str, tuple[Any, Any]]:
        """Return the arrays of numbers per feature."""
        features = (shape[self._owner.axis],)
        return dict.fromkeys(("spread", "factor"), (features, self._owner.dtype))

    def reads(self, name: str) -> bool:
        """Return whether the backward pass reads ``"x"``, as for dJ/dgamma."""
        return name == "x" and self._owner._trainable

    def forward_into(self, x: Array, y: Array, spread: Array, factor: Array) -> None:
        """Write gamma n + beta, as gamma / s x + (beta - gamma / s mean), into ``y``."""
        layer = self._owner
        x, y = layer._features_last(x), layer._features_last(y)
        layer._divide(layer.moving_variance.value, spread, factor)
        np.multiply(x, factor, out=y)
        beta = 0 if layer.beta is None else layer.beta.value
        y += beta - layer.moving_mean.value * factor

    def backward_into(
        self, dy: Array, x: Array, spread: Array, factor: Array, dx: Array | None = None
    ) -> None:
        """Fill dJ/dgamma and dJ/dbeta, unless they are frozen, and write dJ/dx."""
        layer = self._owner
        g = layer._features_last(dy)
        if layer._trainable and layer.gamma is not None:
            n = (layer._features_last(x) - layer.moving_mean.value) / spread
            layer.gamma.gradient[...] = _sum(g * n)
        if layer._trainable and layer.beta is not None:
            layer.beta.gradient[...] = _sum(g)
        if dx is not None:
            np.multiply(g, factor, out=layer._features_last(dx))

    compute_output_shape = same_shape

    def compute_output_dtype(self, *input_dtypes: str) -> str:
        """Return the memory of the layer's weights."""
        return self._owner.dtype


def _sum(x: Array) -> Array:
    """Return the sum of ``x`` over all axes but the last."""
    rows = x if x.ndim == 2 else x.reshape(-1, x.shape[-1])
    return ones(len(rows), x.dtype).dot(rows)


def _mean(x: Array, out: Array | None = None) -> Array:
    """Return the mean of ``x`` over all axes but the last, written into ``out`` if given."""
    return np.divide(_sum(x), x.size // x.shape[-1], out=out)

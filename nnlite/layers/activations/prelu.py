"""PReLU: a rectified linear unit that learns its slope below 0."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from nnlite.layers.layer import Layer, Shape, ones, registry, same_shape
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_axis


@registry.register()
class PReLU(Layer):
    """Parametric rectified linear unit: y = x where x > 0, else alpha x, with a learned alpha.

    For g = dJ/dy, dJ/dx = g where x > 0, else alpha g, and dJ/dalpha = sum g min(x, 0) over the
    batch and the shared axes.

    Source: He, Zhang, Ren and Sun, "Delving Deep into Rectifiers", 2015, equations 1, 8 and 9.

    Args:
        alpha_initializer: Initializer of alpha, which has the shape of a sample.
        alpha_regularizer: A penalty on alpha, added to the loss.
        alpha_constraint: A projection of alpha after each update.
        shared_axes: The axes, counted from 1 (0 is the batch), along which alpha is shared and has
            size 1.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If a shared axis is not an integer.
        ValueError: When built, if the input lacks an axis, or a size of alpha is unknown.

    >>> PReLU(alpha_initializer="ones")(np.array([[-1.0, 2.0]]))
    array([[-1.,  2.]], dtype=float32)
    """

    supports_masking = True

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keep("alpha", alpha_initializer, alpha_regularizer, alpha_constraint)
        listed = shared_axes if isinstance(shared_axes, Iterable) else [shared_axes]
        self.shared_axes = None if shared_axes is None else [*map(check_axis, listed)]

    def build(self, input_shape: Shape) -> None:
        """Add alpha."""
        shape = list(input_shape[1:])
        for axis in self.shared_axes or ():
            if not 1 <= axis <= len(shape):
                raise ValueError(
                    f"Layer {self.name!r}: shared_axes count a sample's axes from 1 to "
                    f"{len(shape)}. Received: shared_axes={self.shared_axes}"
                )
            shape[axis - 1] = 1
        self.alpha = self._add_named("alpha", shape, "alpha")

    def arrays(self, shape: Any) -> dict[str, tuple[Any, Any]]:
        """Return the arrays of min(x, 0), of its products, and of x > 0."""
        floats = (shape, self.dtype)
        return {"negative": floats, "product": floats, "positive": (shape, bool)}

    def forward_into(self, x: Array, y: Array, negative: Array, product: Array) -> None:
        """Write max(x, 0) + alpha min(x, 0) into ``y``."""
        np.minimum(x, 0, out=negative)
        np.maximum(x, 0, out=y)
        y += np.multiply(negative, self.alpha.value, out=product)

    def backward_into(
        self,
        dy: Array,
        x: Array,
        negative: Array,
        product: Array,
        positive: Array,
        dx: Array | None = None,
    ) -> None:
        """Fill dJ/dalpha, and write dJ/dx."""
        if self._trainable:
            np.multiply(dy, negative, out=product)
            total = ones(len(x), self.dtype).dot(product.reshape(len(x), -1)).reshape(x.shape[1:])
            for axis in self.shared_axes or ():
                total = total.sum(axis=axis - 1, keepdims=True)
            self.alpha.gradient[...] = total
        if dx is not None:
            np.greater(x, 0, out=positive)
            np.multiply(positive, 1 - self.alpha.value, out=dx)  # faster than a masked copy
            dx += self.alpha.value
            dx *= dy

    compute_output_shape = same_shape

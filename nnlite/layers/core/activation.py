"""Activation: an activation function as a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnlite.backend.structure_cache import invalidate
from nnlite.layers import activations
from nnlite.layers.layer import Layer, Shape, registry


@registry.register()
class Activation(Layer):
    """An activation by name: ``Activation("relu")`` computes the same as ``ReLU()``.

    Args:
        activation: A name, an activation layer, or a function of `nnlite.activations`.
        **kwargs: As for `Layer`.

    Raises:
        ValueError: If the name is unknown.

    >>> import numpy as np
    >>> Activation("relu")(np.array([[-1.0, 2.0]]))
    array([[0., 2.]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activation
        self.built = type(self).build is Activation.build and self.activation.built

    @property
    def activation(self) -> Layer:
        """The activation's layer; a name, a layer or a function can be assigned.

        Raises:
            ValueError: If the name is unknown.
            TypeError: If anything else is assigned.
        """
        return self._activation

    @activation.setter
    def activation(self, value: Any) -> None:
        layer = activations.get(value, self.dtype)
        if self.built and self.input_shape is not None:
            layer.ensure_built(self.input_shape)
        self._activation = layer
        invalidate()

    def build(self, input_shape: Shape) -> None:
        """Build the activation."""
        self.activation.ensure_built(input_shape)

    def stages(self, training: bool) -> Sequence[Layer]:
        """Return the activation's stages."""
        return self._activation.in_stages(training)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the output: ``input_shape`` unless the activation is a `GLU`."""
        return self.activation.compute_output_shape(input_shape)

    def sublayers(self) -> Sequence[Layer]:
        """Return the activation."""
        return (self.activation,)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data, the activation by its name if it has one."""
        return {**super().get_config(), "activation": activations.serialize(self.activation)}

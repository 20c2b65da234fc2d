"""Activated: a layer that computes z of its input, and puts out an activation of that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnlite.backend.structure_cache import invalidate
from nnlite.layers import activations
from nnlite.layers.layer import Layer, Shape

__all__ = ["Activated"]


class Activated(Layer):
    """Base class of layers of an activation: their own mathematics gives z, their output is g(z).

    A subclass defines `_z_shape`, and assigns ``activation`` once it can be called.
    """

    @property
    def activation(self) -> Layer:
        """The layer that computes g; a name, a layer or a function can be assigned.

        Raises:
            ValueError: On assigning an unknown name, or a layer that changes the shape.
            TypeError: On assigning anything else.
        """
        return self._activation

    @activation.setter
    def activation(self, value: Any) -> None:
        layer = activations.get(value, self.dtype)
        shape = self._z_shape(None)
        if layer.compute_output_shape(shape) != shape and not isinstance(layer, activations.GLU):
            shown = ", ".join("..." if size is None else str(size) for size in shape[1:])
            raise ValueError(
                f"activation must keep the shape of what it takes, (batch, {shown}). "
                f"Received: activation={layer!r}"
            )
        if self.built and self.input_shape is not None:
            layer.ensure_built(self._z_shape(self.input_shape))
        self._activation = layer
        invalidate()

    def _z_shape(self, input_shape: Shape | None) -> Shape:
        """Return the shape of z for an input of ``input_shape``, or for any input, by None."""
        raise NotImplementedError

    def stages(self, training: bool) -> Sequence[Layer]:
        """Return the layer, which computes z, and what computes g(z)."""
        return (self, *self._activation.in_stages(training))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of g(z): that of z, by a `GLU` half of its last size."""
        return self.activation.compute_output_shape(self._z_shape(input_shape))

    def sublayers(self) -> Sequence[Layer]:
        """Return the activation."""
        return (self.activation,)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data, the activation by its name where it has one."""
        return {**super().get_config(), "activation": activations.serialize(self.activation)}

    def _shown(self) -> dict[str, Any]:
        shown = super()._shown()
        if isinstance(self.activation, activations.Identity):
            shown.pop("activation", None)
        return shown

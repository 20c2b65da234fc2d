"""Activated: a layer that ends with an activation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnlite.backend.structure_cache import invalidate
from nnlite.layers import activations
from nnlite.layers.layer import Layer, Shape


class Activated(Layer):
    """Base class of layers with an activation: they compute z and return g(z).

    A subclass defines `_z_shape`, and then assigns ``activation``.
    """

    @property
    def activation(self) -> Layer:
        """The layer that computes g; a name, a layer or a function can be assigned.

        Raises:
            ValueError: If the name is unknown, or the layer changes the shape.
            TypeError: If anything else is assigned.
        """
        return self._activation

    @activation.setter
    def activation(self, value: Any) -> None:
        layer = activations.get(value, self.dtype)
        shape = self._z_shape(None)
        if layer.compute_output_shape(shape) != shape and not isinstance(layer, activations.GLU):
            shown = ", ".join("..." if size is None else str(size) for size in shape[1:])
            raise ValueError(
                f"activation must keep the shape of its input, (batch, {shown}). "
                f"Received: activation={layer!r}"
            )
        if self.built and self.input_shape is not None:
            layer.ensure_built(self._z_shape(self.input_shape))
        self._activation = layer
        invalidate()

    def _z_shape(self, input_shape: Shape | None) -> Shape:
        """Return the shape of z for an input of ``input_shape``; None is any shape."""
        raise NotImplementedError

    def stages(self, training: bool) -> Sequence[Layer]:
        """Return the layer itself, which computes z, and the stages of g."""
        return (self, *self._activation.in_stages(training))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of g(z), which is that of z unless g is a `GLU`."""
        return self.activation.compute_output_shape(self._z_shape(input_shape))

    def sublayers(self) -> Sequence[Layer]:
        """Return the activation."""
        return (self.activation,)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data, the activation by its name if it has one."""
        return {**super().get_config(), "activation": activations.serialize(self.activation)}

    def _shown(self) -> dict[str, Any]:
        shown = super()._shown()
        if isinstance(self.activation, activations.Identity):
            shown.pop("activation", None)
        return shown

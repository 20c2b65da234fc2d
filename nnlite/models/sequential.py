"""Sequential: a chain of layers."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from nnlite.backend.structure_cache import invalidate
from nnlite.config import floatx
from nnlite.execution import Graph
from nnlite.layers.core import InputLayer
from nnlite.layers.layer import Layer, Shape, as_shape, dtype_policy, registry
from nnlite.models.model import Model, seed_of
from nnlite.random import drawing_from
from nnlite.serialization.objects import PUBLIC, CustomObjectScope, serialize_keras_object
from nnlite.symbolic import KerasTensor
from nnlite.utils.validation import ArgumentError


class Sequential(Model):
    """A chain of layers that can be trained.

    The weights are created once the input shape is known: from an `Input` as the first layer, the
    ``input_shape`` of the first layer, `build`, or the first data. Models are layers and can be
    nested.

    Args:
        layers: The layers in order; `add` appends more.
        trainable: Whether the weights are trained.
        name: The name.
        seed: An integer, from which the model draws the first weights, the dropout and noise of its
            layers, and the shuffling of `fit`; see `Model`. None draws from the root of
            `set_random_seed`.

    Raises:
        TypeError: If an element of ``layers`` is not a layer.
        ValueError: If a layer or name occurs twice, layers differ in float type,
            or ``seed`` is not an integer of at least 0.

    >>> import numpy as np
    >>> from nnlite.layers import Dense, Input
    >>> model = Sequential([Input((4,)), Dense(3, activation="relu"), Dense(1)])
    >>> model.count_params()
    19
    >>> model.predict(np.zeros((2, 4)))
    array([[0.],
           [0.]], dtype=float32)
    """

    refused_overrides: ClassVar[Mapping[str, str]] = {
        **Model.refused_overrides,
        "call": Layer.refused_overrides["call"],
        "all_layers": Layer.refused_overrides["all_layers"],
    }

    single_ended = True

    def __init__(
        self,
        layers: Iterable[Layer | KerasTensor] | None = None,
        trainable: bool = True,
        name: str | None = None,
        *,
        seed: int | None = None,
    ) -> None:
        self._layers: list[Layer] = []
        self._input_layer: InputLayer | None = None
        super().__init__(name=name, seed=seed)
        if isinstance(layers, Layer) or not hasattr(layers or (), "__iter__"):
            raise ArgumentError(
                f"Sequential takes a list of layers, Sequential([...]). Received: {layers!r}"
            )
        for layer in layers or ():
            self.add(layer)
        if not trainable:
            self.trainable = False

    # ---- the chain ------------------------------------------------------------------------

    @property
    def dtype(self) -> str:
        """The float type of all layers."""
        first = self._layers[0] if self._layers else self._input_layer
        return floatx() if first is None else first.dtype

    @dtype.setter
    def dtype(self, value: str) -> None:
        """Ignored, since the layers have their types."""

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the `Input`."""
        return list(self._layers)

    def sublayers(self) -> Sequence[Layer]:
        """Return the layers of the chain."""
        return self._layers

    def _input_dtype(self) -> str:
        """Return the input type of the first layer."""
        first = self._layers[0]
        if first.takes_integers and self._input_layer is not None:
            return self._input_layer.data_type
        return first.default_input_dtype or self.dtype

    @property
    def input_dtypes(self) -> list[str]:
        """The list of the type of the input."""
        return super().input_dtypes if self.built or not self._layers else [self._input_dtype()]

    def _set_tensors(self, output: Any) -> None:
        self._tensors = dict.fromkeys((False, True), (self.input, output))

    def add(self, layer: Layer | KerasTensor) -> None:
        """Append a layer, and build it if the model is built.

        Raises:
            TypeError: If it is not a layer.
            ValueError: If the layer or its name occurs already, float types differ, an `Input` is
                not first, or the layer does not fit the output of the model.
        """
        if isinstance(layer, KerasTensor) and layer.node is not None and not layer.node.inputs:
            layer = layer.node.layer  # from Input
        if not isinstance(layer, Layer):
            raise ArgumentError(
                "Sequential takes layers, such as Dense(10). Received: "
                f"{layer!r} (of type {type(layer).__name__})"
            )
        if isinstance(layer, InputLayer):
            if self._layers or self._input_layer:
                raise ValueError(f"An Input comes first, and once. Received: {layer!r}")
            self._input_layer = layer
            return
        if not set(layer.all_layers()).isdisjoint(self.all_layers()):
            raise ValueError(f"Layer {layer.name!r} is in the model already: make another one.")
        names = {own.name for own in self._layers}
        if layer.name in names and layer.name_settled:
            raise ValueError(
                f"The model has a layer named {layer.name!r} already. Give one of the two another "
                "name=."
            )
        if self._layers and layer.dtype != self.dtype:
            raise ValueError(
                f"One model has one dtype. Layer {layer.name!r} is {layer.dtype}, the model "
                f"{self.dtype}. Give all layers the same dtype=, or use nnlite.config.set_floatx."
            )
        self._take_in([layer])
        if self.built:
            with drawing_from(self._seed_root):
                self._set_tensors(layer.on_tensors((self.output,)))
        self._name_apart(layer, names)
        self._layers.append(layer)
        invalidate()
        declared = self.declared_input_shape()
        if not self.built and declared is not None and len(self._layers) == 1:
            try:
                self.build(declared)
            except BaseException:
                self._layers.pop()
                invalidate()
                raise

    def pop(self) -> Layer:
        """Remove and return the last layer.

        Raises:
            ValueError: If the model is empty.
        """
        if not self._layers:
            raise ValueError("pop() finds no layer: the model is empty.")
        layer = self._layers.pop()
        invalidate()
        if self.built:
            (read,) = self.output.node.inputs
            layer.nodes.remove(self.output.node)
            self._set_tensors(read)
        if not self._layers:
            self.built = False
            self.input_shape = self.column_names = None
        return layer

    # ---- building -------------------------------------------------------------------------

    def declared_input_shape(self) -> Shape | None:
        """Return the input shape of the `Input` or of the first layer, if any."""
        if self._input_layer is not None:
            return self._input_layer.declared_shape
        if not self._layers:
            return None
        first = self._layers[0]
        return (first.input_shape if first.built else None) or first.declared_shape

    def build(self, input_shape: Any = None) -> None:
        """Create the weights of all layers.

        Args:
            input_shape: The shape of the input, such as ``(None, 4)``; None means the declared one.

        Raises:
            ValueError: If the shape is unknown or does not fit a layer. No layer is built then.
        """
        if not self._layers:
            raise ValueError("The model is empty: add layers first, Sequential([Dense(1)]).")
        shape = self.declared_input_shape() if input_shape is None else input_shape
        if shape is None:
            raise ValueError(
                "The input shape is unknown. Call build((None, features)), or begin with "
                "Input((features,))."
            )
        shape = as_shape("input_shape", shape, 1)
        fresh = [layer for layer in self._layers if not layer.built]
        calls = {layer: len(layer.nodes) for layer in self._layers}
        entry = self._input_layer
        if entry is None or entry.batch_shape != shape:
            entry = InputLayer(batch_shape=shape, dtype=self._input_dtype())
        try:
            tensor = entry.tensor
            with drawing_from(self._seed_root):
                for layer in self._layers:
                    tensor = layer.on_tensors((tensor,))
        except BaseException:
            for layer in fresh:
                layer.forget_weights()
            for layer, count in calls.items():
                del layer.nodes[count:]
            raise
        self._tensors = {False: (entry.tensor, tensor), True: (entry.tensor, tensor)}
        self.input_shape = shape
        self.built = True
        invalidate()

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the output for ``input_shape``.

        Raises:
            ValueError: If the model is empty.
        """
        if not self._layers:
            raise ValueError(f"Model {self.name!r} is empty: add layers, Sequential([Dense(1)]).")
        with drawing_from(copy.deepcopy(self._seed_root)):  # a layer of a user's may be tried out
            for layer in self._layers:
                input_shape = layer.told_shape(input_shape)
        return input_shape

    def add_to(self, graph: Graph, x: Any, training: bool) -> Any:
        """Add the calls of the layers in order."""
        for layer in self._layers:
            x = graph.add(layer, x, training=training)
        return x

    # ---- configuration --------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the layers as plain data in Keras's format."""
        entry = self._input_layer
        if entry is None and self.built:
            entry = InputLayer(batch_shape=self.input_shape, dtype=self.dtype)
        layers = self._layers if entry is None else [entry, *self._layers]
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": dtype_policy(self.dtype),
            "layers": [serialize_keras_object(layer) for layer in layers],
        }
        config |= {"build_input_shape": self.input_shape} if self.built else {}
        return config | self._given_seed()

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Sequential:
        """Create a model with new weights from what `get_config` returned.

        Args:
            config: The configuration.
            custom_objects: Your own classes, by name.

        Raises:
            ValueError: If there are no layers, a layer is unknown, or a configuration does not fit.
        """
        layers = config.get("layers") if isinstance(config, Mapping) else None
        if not isinstance(layers, (list, tuple)):
            raise ValueError(  # noqa: TRY004  data, not a caller's mistake
                f"A Sequential's config has a list of 'layers'. Received: {config!r}"
            )
        with CustomObjectScope(custom_objects):
            made = [registry.deserialize(layer) for layer in layers]
        model = cls(made, name=config.get("name"), **seed_of(config))
        model._trainable = bool(config.get("trainable", True))  # each layer has its own
        invalidate()
        shape = config.get("build_input_shape")
        if shape is not None and made and not model.built:
            model.build(shape)
        return model

    def __repr__(self) -> str:
        return f"Sequential([{', '.join(repr(layer) for layer in self._chain())}])"

    def _chain(self) -> list[Layer]:
        head: list[Layer] = [self._input_layer] if self._input_layer else []
        return head + self._layers


registry.add("Sequential", Sequential)
PUBLIC[Sequential] = ("keras", "Sequential")

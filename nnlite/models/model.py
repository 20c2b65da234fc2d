"""Model: layers put together, how a batch goes through them, and the trainer that fits them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from nnlite.backend.structure_cache import per_structure
from nnlite.backend.variables import Variable
from nnlite.execution import Graph, ReferenceExecutor
from nnlite.layers.activations import ActivationLayer
from nnlite.layers.layer import Layer, Shape, Shapes
from nnlite.models.summary import print_summary
from nnlite.training.trainer import Trainer
from nnlite.utils.structures import flatten, pack_as
from nnlite.utils.validation import ArgumentError

__all__ = ["Model"]

Array = NDArray[Any]


class Model(Trainer):
    """What `Sequential` and functional models have in common."""

    is_model = True

    def __init__(self, **kwargs: Any) -> None:
        self._input_shape: Shapes = None
        super().__init__(**kwargs)

    # ---- its layers -----------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers that the model is made of."""
        return list(self.sublayers())

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return the layer of a name, or at an index of `layers`.

        Raises:
            ValueError: If there is none, or not just one of the two is given.
        """
        if (name is None) == (index is None):
            raise ValueError(f"Give a name or an index. Received: name={name!r}, index={index!r}")
        if index is not None:
            if not isinstance(index, int):
                raise ArgumentError(f"index must be an integer. Received: index={index!r}")
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(
                    f"The model has {len(self.layers)} layers. Received: index={index}"
                )
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = ", ".join(repr(layer.name) for layer in self.layers)
        raise ValueError(f"No layer is named {name!r}. The model's layers are: {names}.")

    @property
    def weights(self) -> list[Variable]:
        """All weights, first layer to last, trainable or not.

        Raises:
            ValueError: If the model is empty, or not built yet, so that it has none to show.
        """
        if not self._layers:
            raise ValueError(f"Model {self.name!r} is empty: add layers, Sequential([Dense(1)]).")
        return super().weights

    @property
    def input_shape(self) -> Shape:
        """The shape of a batch of inputs, the batch axis None.

        Raises:
            AttributeError: If the model is not built, so that ``hasattr`` tells whether it is.
        """
        if self._input_shape is None:
            raise AttributeError(f"Model {self.name!r} has no input shape before it is built.")
        return self._input_shape

    @input_shape.setter
    def input_shape(self, value: Shape | None) -> None:
        self._input_shape = value

    @property
    def output_shape(self) -> Shape:
        """The shape of the output for a batch of ``input_shape``.

        Raises:
            AttributeError: If the model is not built.
        """
        return self.compute_output_shape(self.input_shape)

    # ---- the way of a batch ---------------------------------------------------------------

    def add_to(self, graph: Graph, x: Any, training: bool) -> Any:
        """Add the calls of the model's layers on the slots ``x``; return those of its output."""
        raise NotImplementedError

    def graph(self, training: bool) -> Graph:
        """Return the calls of the model's layers in order, as in training or outside of it.

        A model whose passes a user has written is a single call.
        """
        return self._graph(training, whole=self.of_user)

    def _graph(self, training: bool, whole: bool = False) -> Graph:
        graphs = self._graphs()
        graph = graphs.get((training, whole))
        if graph is None:
            graph = Graph(training)
            structure = self.input_structure()
            x = pack_as(structure, [graph.add_input() for _ in flatten(structure)])
            if whole:
                y = graph.add(self, x, self.output_structure())
            else:
                y = self.add_to(graph, x, training)
            graphs[training, whole] = graph.finish(flatten(y))
        return graph

    @per_structure
    def _graphs(self) -> dict[tuple[bool, bool], Graph]:
        return {}

    def input_structure(self) -> Any:
        """Return a structure as that of the input; None where it is a single array."""
        return None

    def output_structure(self) -> Any:
        """Return a structure as that of the output; None where it is a single array."""
        return None

    def forward(self, x: Any, training: bool = False) -> Any:
        """Return the output for the batch ``x``."""
        executor = ReferenceExecutor(self._graph(training), self.learning_variables())
        outputs = executor.forward(flatten(x))
        if training:
            self.cache = (executor,)
        return pack_as(self.output_structure(), outputs)

    def backward(self, gradient: Any) -> Any:
        """Fill the gradient of every weight and return that of the input.

        Args:
            gradient: The loss's derivative by the output of the last ``forward(training=True)``.
        """
        (executor,) = self.cache
        return pack_as(self.input_structure(), executor.backward(flatten(gradient)))

    def settle(self) -> None:
        """As `Layer.settle`; within a step, `update_weights` does it."""
        if self._own_step is None and self.cache:
            self.cache[0].settle()

    def step_penalty(self) -> float:
        """Return the penalties on the layers' outputs in the last ``forward(training=True)``."""
        if not self._penalizes_outputs():
            return 0.0
        penalty: float = self.cache[0].penalty()
        return penalty

    def activity_penalty(self, x: Any) -> float:
        """Return the penalties on the layers' outputs for the batch ``x``, writing nothing.

        Only a model that has such a penalty pays for a pass of its own.
        """
        if not self._penalizes_outputs():
            return 0.0
        executor = ReferenceExecutor(self._graph(False))
        executor.forward(flatten(x))
        return executor.penalty()

    @per_structure
    def _penalizes_outputs(self) -> bool:
        """Return whether any layer, however deep, has an activity regularizer."""
        return any(layer.activity_regularizer is not None for layer in self.all_layers())

    def final_activation(self) -> Layer | None:
        """Return the activation that the model ends in, if it does."""
        if self.of_user:
            return None
        graph = self.graph(False)
        maker = graph.maker(graph.outputs[0])
        return maker.layer if maker and isinstance(maker.layer, ActivationLayer) else None

    # ---- as files -------------------------------------------------------------------------

    def save(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = True,
        zipped: bool | None = None,
        **options: Any,
    ) -> None:
        """Write the model to a ``.keras`` or ``.h5`` file; see `nnlite.saving.save_model`."""
        from nnlite.saving.writing import save_model

        save_model(self, filepath, overwrite, zipped, **options)

    def save_weights(
        self, filepath: str | os.PathLike[str], overwrite: bool = True, **options: Any
    ) -> None:
        """Write the weights to a ``.weights.h5`` file; see `nnlite.saving.save_weights`."""
        from nnlite.saving.writing import save_weights

        save_weights(self, filepath, overwrite, **options)

    def load_weights(
        self, filepath: str | os.PathLike[str], skip_mismatch: bool = False, **options: Any
    ) -> None:
        """Copy weights out of a file; see `nnlite.saving.load_weights`."""
        from nnlite.saving.reading import load_weights

        load_weights(self, filepath, skip_mismatch, **options)

    def to_json(self, **options: Any) -> str:
        """Return the model without its weights as JSON, for `nnlite.models.model_from_json`.

        Args:
            **options: Those of ``json.dumps``.
        """
        from nnlite.saving.writing import model_json

        return model_json(self, **options)

    # ---- to look at -----------------------------------------------------------------------

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: tuple[str, str] | None = None,
    ) -> None:
        """Print a table of the layers, their output shapes and numbers of weights.

        Args:
            line_length: The table's width; None takes the terminal's.
            positions: Where columns end, as fractions of the width; None fits them.
            print_fn: Called with the whole table in the place of ``print``.
            expand_nested: Whether to list the layers of nested models too.
            show_trainable: Whether to tell of each layer whether it is trained.
            layer_range: The names (or regular expressions) of the first and last layer to show.
        """
        print_summary(
            self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range
        )

"""Model: a network of layers, with training and prediction."""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nnlite.backend.structure_cache import invalidate, per_structure, without_memo
from nnlite.backend.variables import Variable
from nnlite.execution import Graph, ReferenceExecutor, infer
from nnlite.layers.activations import ActivationLayer
from nnlite.layers.core import InputLayer
from nnlite.layers.layer import Layer, Shapes, as_shapes, fits
from nnlite.layers.random_layer import draw_from_model
from nnlite.models.summary import html_summary, print_summary
from nnlite.ops.operation import Operation
from nnlite.random import Seed, drawing_from
from nnlite.serialization.objects import CustomObjectScope
from nnlite.symbolic import KerasTensor, Node, in_order
from nnlite.training.trainer import Trainer
from nnlite.utils.overrides import overridden
from nnlite.utils.structures import SHAPES, arranged, flatten, map_structure, pack_as
from nnlite.utils.validation import ArgumentError, as_samples, as_text
from nnlite.version import __version__

_NO_ATTRIBUTES = ("cache", "_traced")  # the model's own records of layers


class Model(Trainer):
    """An acyclic network of layers that can be trained.

    ``Model(inputs, outputs)`` creates a model of the layers between tensors. Models are layers, so
    that they can be nested, and they can share layers.

    Alternatively, a subclass with layers as attributes defines ``call(self, x)`` or
    ``call(self, x, training)``. `call` runs on tensors once per value of ``training``, so it can
    use layers, operators and `nnlite.ops`, but not the values of arrays.

    Args:
        inputs: A tensor from `Input`, or a list or dict of them.
        outputs: A tensor computed from the inputs, or a list or dict.
        name: The name.
        trainable: Whether the weights are trained.
        seed: An integer, from which the model draws its random numbers: the shuffling of `fit`, the
            dropout and noise of its layers, and the first weights of layers that it builds. None
            draws from the root of `set_random_seed`. See below.

    With a ``seed``, models that are made and trained alike have equal weights, whatever the program
    draws elsewhere, and no global random number is used up. Layers and initializers with a
    seed of their own, and nested models with theirs, keep to that. The layers of ``Model(inputs,
    outputs)`` have their weights already, since a layer is built when it is called: there ``seed``
    governs dropout, noise and shuffling only, and `set_random_seed` or ``seed=`` in the
    initializers the weights. The same holds for any layer built before it joins the model, and an
    initializer that has already made weights keeps its values. A layer that several such models
    share draws from the one made last. Numbers that your own functions and layers draw from
    elsewhere are not governed.

    Raises:
        TypeError: If ``inputs`` or ``outputs`` hold anything but tensors.
        ValueError: If ``outputs`` depend on a missing input, or two layers share a name,
            or ``seed`` is not an integer of at least 0.

    >>> import numpy as np
    >>> from nnlite import Input, Model
    >>> from nnlite.layers import Dense
    >>> a, b = Input((4,), name="a"), Input((2,), name="b")
    >>> shared = Dense(3)
    >>> y = Dense(1)(shared(a) * shared(Dense(4)(b)))
    >>> model = Model([a, b], y)
    >>> model.predict([np.zeros((5, 4)), np.zeros((5, 2))]).shape
    (5, 1)

    >>> class Residual(Model):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.dense = Dense(4, activation="relu")
    ...
    ...     def call(self, x):
    ...         return x + self.dense(x)
    >>> Residual().predict(np.zeros((5, 4))).shape
    (5, 4)
    """

    is_model = True
    left_out_if_none = (*Trainer.left_out_if_none, "seed")

    #: The model's own seed, or None.
    seed: int | None = None

    refused_overrides: ClassVar[Mapping[str, str]] = {
        name: instead
        for name, instead in Trainer.refused_overrides.items()
        if name not in ("call", "all_layers")
    } | {"sublayers": "a layer that is an attribute of the model is one of its layers."}

    #: Whether layers in attributes belong to the model.
    tracks_layers: ClassVar[bool] = False

    #: The class of ``Model(inputs, outputs)``.
    functional_class: ClassVar[type[Model] | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.tracks_layers = overridden(cls, "call")
        if cls.tracks_layers and "build" in vars(cls):
            cls.build = _and_traced(cls.build)  # type: ignore[method-assign]

    def __new__(cls, *args: Any, **kwargs: Any) -> Model:
        """Return a functional model for ``Model(inputs, outputs)``."""
        connected = args or "inputs" in kwargs or "outputs" in kwargs
        if cls is Model and connected and cls.functional_class is not None:
            return object.__new__(cls.functional_class)
        return object.__new__(cls)

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if seed is not None:
            self.seed = Seed(seed).read()
            self._seed_root = np.random.default_rng(self.seed)
        self._input_shape: Shapes = None
        #: The tensors of inputs and outputs, for inference and for training.
        self._tensors: dict[bool, tuple[Any, Any]] = {}
        self._connected = False  # defined by Model(inputs, outputs)
        self._traced: list[Layer] = []  # the layers at the last run of `call`
        super().__init__(name=name, **kwargs)
        if inputs is not None or outputs is not None:
            self._connect(inputs, outputs)
        if not trainable:
            self.trainable = False

    def call(self, x: Any, training: bool = False) -> Any:
        """Return the output for tensors; defined by subclasses."""
        raise NotImplementedError(
            f"Model {self.name!r} has no layers to run: give Model(inputs, outputs), or define "
            f"call(self, x) in {type(self).__name__}."
        )

    # ---- tensors --------------------------------------------------------------------------

    def _connect(self, inputs: Any, outputs: Any) -> None:
        """Define the model by its input and output tensors."""
        for what, structure in (("inputs", inputs), ("outputs", outputs)):
            for tensor in flatten(structure) or [structure]:
                if not isinstance(tensor, KerasTensor):
                    raise ArgumentError(
                        f"Model takes tensors, as Input and calls of layers give them, as {what}. "
                        f"Received: {tensor!r} (of type {type(tensor).__name__})"
                    )
        nodes = in_order(flatten(outputs), until=flatten(inputs))
        known = {id(tensor) for tensor in flatten(inputs)}
        for node in nodes:
            if not node.inputs and not any(id(tensor) in known for tensor in node.outputs):
                raise ValueError(
                    f"The outputs depend on input {node.layer.name!r}, which is not among inputs: "
                    f"{', '.join(t.name for t in flatten(inputs))}."
                )
        if len(known) < len(flatten(inputs)):
            raise ValueError(f"An input is given twice. Received: inputs={inputs!r}")
        inputs, outputs = _without_list_of_one(inputs), _without_list_of_one(outputs)
        self._tensors = dict.fromkeys((False, True), (inputs, outputs))
        self._connected = True
        self._name_layers()
        self._take_in(self.sublayers())
        dtypes = {layer.dtype for layer in self.sublayers()}
        if len(dtypes) > 1:
            raise ValueError(
                f"One model has one dtype. Model {self.name!r} has layers of "
                f"{' and '.join(sorted(dtypes))}. Give all the same dtype=, or use "
                "nnlite.config.set_floatx."
            )
        self.input_shape = map_structure(lambda tensor: tensor.shape, inputs)
        self.built = True
        invalidate()

    def _trace(self, input_shape: Shapes) -> None:
        """Trace `call` on tensors of ``input_shape``."""
        takes_training = "training" in inspect.signature(self.call).parameters
        for training in (False, True):
            if training and not takes_training:
                self._tensors[True] = self._tensors[False]
                break
            if self._tensors:  # keep the inputs
                inputs = map_structure(lambda tensor: tensor, self._tensors[False][0])
            else:
                inputs = map_structure(
                    lambda shape: InputLayer(batch_shape=shape).tensor, input_shape, SHAPES
                )
            options = {"training": training} if takes_training else {}
            try:
                outputs = self.call(inputs, **options)
            except (AttributeError, TypeError) as error:
                if "KerasTensor" not in str(error):
                    raise
                raise TypeError(
                    f"call of model {self.name!r} is run on tensors, once, to find out its layers: "
                    f"{error}"
                ) from error
            for tensor in flatten(outputs) or [outputs]:
                if not isinstance(tensor, KerasTensor):
                    raise TypeError(
                        f"call of model {self.name!r} must return tensors that layers have put "
                        f"out. Received: an object of type {type(tensor).__name__}"
                    )
            self._tensors[training] = (inputs, outputs)
            own = {id(layer) for layer in self.sublayers()}
            for node in in_order(flatten(outputs), until=flatten(inputs)):
                layer = node.layer
                if id(layer) not in own and (layer._variables or layer.sublayers()):
                    raise ValueError(
                        f"call of model {self.name!r} makes layer {layer.name!r} itself, so that "
                        "its weights would be new at each call: make it in __init__, as an "
                        "attribute of the model."
                    )
        for tensor in flatten(self._tensors[False][0]):
            _take_type_of_reader(tensor, self._nodes())

    @property
    def inputs(self) -> list[KerasTensor]:
        """The list of input tensors."""
        return flatten(self._known_tensors()[0])

    @property
    def outputs(self) -> list[KerasTensor]:
        """The list of output tensors."""
        return flatten(self._known_tensors()[1])

    @property
    def input(self) -> Any:
        """The input tensor, or the list or dict of them."""
        return self._known_tensors()[0]

    @property
    def output(self) -> Any:
        """The output tensor, or the list or dict of them."""
        return self._known_tensors()[1]

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        return [tensor.name for tensor in self.inputs] if self._tensors else ["input"]

    @property
    def output_names(self) -> list[str]:
        """The names of the output layers."""
        if not self._tensors:
            return ["output"]
        return [tensor.node.layer.name if tensor.node else tensor.name for tensor in self.outputs]

    @property
    def input_dtypes(self) -> list[str]:
        """The types of the inputs."""
        dtypes = [tensor.dtype for tensor in self.inputs] if self._tensors else ["float"]
        return [self.dtype if dtype.startswith("float") else dtype for dtype in dtypes]

    def _known_tensors(self) -> tuple[Any, Any]:
        if not self._tensors:
            raise AttributeError(f"Model {self.name!r} has no tensors before it is built.")
        return self._tensors[False]

    def calls(self) -> list[Node]:
        """Return the calls of layers in order; empty before the model is built."""
        return self._nodes() if self._tensors else []

    def _as_arrays(self, x: Any) -> Any:
        structure, dtypes = self.input_structure(), self.input_dtypes
        if not self._tensors and self.tracks_layers and _holds_arrays(x):
            structure = map_structure(lambda part: "x", x)
            dtypes = dtypes * len(flatten(x))
        arrays = [
            as_text("x", part)
            if dtype == "string"
            else as_samples("x", part).astype(dtype, copy=False)
            for part, dtype in zip(arranged("x", x, structure, "input"), dtypes, strict=True)
        ]
        return pack_as(structure, arrays)

    def _nodes(self, training: bool = False) -> list[Node]:
        """Return the calls of layers between the inputs and the outputs, in order."""
        inputs, outputs = self._tensors[training]
        return in_order(flatten(outputs), until=flatten(inputs))

    def __getstate__(self) -> dict[str, Any]:
        tensors = self._tensors
        same = tensors.get(True) is tensors.get(False)
        flat = {k: _as_data(*ends) for k, ends in tensors.items() if not (k and same)}
        return {**super().__getstate__(), "_tensors": flat, "version": __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        version = state.get("version")
        if version != __version__:
            raise ValueError(
                f"The pickle or copy of a model is of nnlite {version or 'before 0.3'}, this is "
                f"{__version__}: files are the way across versions, model.save(...) and load_model."
            )
        self.__dict__.update({key: state[key] for key in state if key != "version"})
        self._tensors = {k: _from_data(data) for k, data in state["_tensors"].items()}
        if len(self._tensors) == 1:
            self._tensors[True] = self._tensors[False]

    @property
    def dtype(self) -> str:
        """The float type of all layers."""
        layers = self.sublayers()
        return layers[0].dtype if layers else self._dtype

    @dtype.setter
    def dtype(self, value: str) -> None:
        self._dtype = value  # used without layers

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    # ---- layers ---------------------------------------------------------------------------

    def sublayers(self) -> Sequence[Layer]:
        """Return the layers of the model that compute something."""
        if self._connected:
            return [layer for layer in self.layers if not isinstance(layer, InputLayer)]
        return list(
            dict.fromkeys(layer for layers in self.attributes().values() for layer in layers)
        )

    def attributes(self) -> dict[str, list[Layer]]:
        """Return the layers in attributes, lists and dicts of a subclass, by name."""
        if not self.tracks_layers:
            return {}
        held = {
            name: [layer for layer in _layers_within(value) if layer is not self]
            for name, value in without_memo(vars(self)).items()
            if name not in _NO_ATTRIBUTES
        }
        return {name: layers for name, layers in held.items() if layers}

    @property
    def layers(self) -> list[Layer]:
        """The layers, input layers included, from the farthest from the outputs to the nearest."""
        return list(self._layers_in_order() if self._connected else self.sublayers())

    @per_structure
    def _layers_in_order(self) -> list[Layer]:
        nodes = self._nodes()
        depth = _depths(nodes, flatten(self._tensors[False][1]))
        deepest: dict[Layer, int] = {}
        for node in nodes:
            deepest[node.layer] = max(deepest.get(node.layer, 0), depth[id(node)])
        first = [t.node.layer for t in self.inputs if t.node is not None and not t.node.inputs]
        bottom = max(deepest.values(), default=-1) + 1
        for tensor, layer in zip(self.inputs, first, strict=False):
            reading = [depth[id(n)] for n in nodes if any(tensor is read for read in n.inputs)]
            deepest[layer] = max(reading, default=bottom - 1) + 1
        order = [*dict.fromkeys(first), *(layer for layer in deepest if layer not in first)]
        return sorted(order, key=lambda layer: -deepest[layer])

    def _take_in(self, layers: Iterable[Layer]) -> None:
        """Let the layers draw from the model, if it has a seed."""
        if self._seed_root is not None:
            with drawing_from(self._seed_root):
                for layer in layers:
                    draw_from_model(layer, self._seed_root)

    def _given_seed(self) -> dict[str, Any]:
        """Return the model's own seed as a keyword argument, if it has one."""
        return {} if self._seed_root is None or self.seed is None else {"seed": self.seed}

    def _name_layers(self) -> None:
        """Number the unnamed layers: dense, dense_1, dense_2."""
        names: set[str] = set()
        layers = self.layers
        for layer in sorted(layers, key=lambda layer: not layer.named_by_user):
            if layer.name in names and layer.named_by_user:
                raise ValueError(
                    f"Two layers of the model are named {layer.name!r}. Give one of the two "
                    "another name=."
                )
            self._name_apart(layer, names)
            names.add(layer.name)
        for layer in layers:
            for node in layer.nodes:
                for tensor in node.outputs:
                    tensor.name = layer.name

    def _name_apart(self, layer: Layer, names: set[str]) -> None:
        """Number a layer whose name is taken: dense, dense_1, dense_2."""
        base = re.sub(r"_\d+$", "", layer.name)
        number = 0
        while layer.name in names:
            number += 1
            layer.name = f"{base}_{number}"
        layer.name_variables(layer.name)
        layer.name_settled = True

    def __setattr__(self, name: str, value: Any) -> None:
        old = self.__dict__.get(name)
        super().__setattr__(name, value)
        if self.tracks_layers and name not in _NO_ATTRIBUTES and [*_layers_within([old, value])]:
            self._take_in(_layers_within(value))
            invalidate()

    def _follow_attributes(self) -> None:
        """Trace `call` again if the layers in attributes have changed."""
        if self._tensors and self._traced != self.sublayers():
            self._tensors, self.built = {}, False
            invalidate()

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return the layer with a name or an index in `layers`.

        Raises:
            ValueError: If the layer does not exist, or not exactly one argument is given.
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
        """All weights, trainable or not, in the order of layers.

        Raises:
            ValueError: If the model is empty or not built.
        """
        if not self.sublayers():
            raise ValueError(f"Model {self.name!r} is empty: add layers, Sequential([Dense(1)]).")
        return super().weights

    @property
    def input_shape(self) -> Shapes:
        """The shape of the input, with None for the batch axis.

        Raises:
            AttributeError: If the model is not built.
        """
        if self._input_shape is None:
            raise AttributeError(f"Model {self.name!r} has no input shape before it is built.")
        return self._input_shape

    @input_shape.setter
    def input_shape(self, value: Shapes) -> None:
        self._input_shape = value

    @property
    def output_shape(self) -> Shapes:
        """The shape of the output for ``input_shape``.

        Raises:
            AttributeError: If the model is not built.
        """
        return self.compute_output_shape(self.input_shape)

    # ---- forward and backward -------------------------------------------------------------

    def build(self, input_shape: Any = None) -> None:
        """Create the weights of all layers.

        Args:
            input_shape: The shape of the input, such as ``(None, 4)``, or a list or dict of them;
                functional models are already built.

        Raises:
            ValueError: If the shape is unknown or does not fit a layer. No layer is built then.
        """
        if self.built:
            return
        if input_shape is None:
            raise ValueError(
                f"The input shape of model {self.name!r} is unknown. Call build((None, features))."
            )
        shape = as_shapes("input_shape", input_shape)
        fresh = [layer for layer in self.sublayers() if not layer.built]
        self._take_in(self.sublayers())
        try:
            with drawing_from(self._seed_root):
                self._trace(shape)
        except BaseException:
            self._tensors = {}
            for layer in fresh:
                layer.forget_weights()
            raise
        self._traced = list(self.sublayers())
        self._name_layers()
        self.input_shape = shape
        self.built = True
        invalidate()

    def declared_input_shape(self) -> Shapes:
        """Return the shape of the inputs, if known."""
        return self._input_shape

    def compute_output_shape(self, input_shape: Shapes) -> Shapes:
        """Return the shape of the output for ``input_shape``."""
        if not self.built:
            self.build(input_shape)
        outputs = self.output
        if fits(input_shape, self.input_shape) and input_shape == self.input_shape:
            return map_structure(lambda tensor: tensor.shape, outputs)
        shapes = {id(t): s for t, s in zip(self.inputs, flatten(input_shape, SHAPES), strict=True)}
        for node in self._nodes():
            if isinstance(node.layer, Operation):  # constants such as slices count too
                x = map_structure(
                    lambda t: KerasTensor(shapes[id(t)]) if id(t) in shapes else t, node.x
                )
                told = flatten(node.layer.output_shape_for(x), SHAPES)
            else:
                x = map_structure(lambda leaf: shapes.get(id(leaf), np.shape(leaf)), node.x)
                options = {k: v for k, v in node.options.items() if k != "training"}
                told = flatten(node.layer.told_shape(x, **options), SHAPES)
            shapes.update((id(t), s) for t, s in zip(node.outputs, told, strict=True))
        return map_structure(lambda tensor: shapes[id(tensor)], outputs)

    # ---- forward and backward -------------------------------------------------------------

    def add_to(self, graph: Graph, x: Any, training: bool) -> Any:
        """Add the calls of the model's layers on the slots ``x``; return those of its output."""
        inputs, outputs = self._tensors[training]
        slots = {id(t): slot for t, slot in zip(flatten(inputs), flatten(x), strict=True)}
        for node in self._nodes(training):
            arguments = map_structure(lambda leaf: slots.get(id(leaf), leaf), node.x)
            several = None if len(node.outputs) == 1 else node.output_structure
            y = graph.add(node.layer, arguments, several, **{"training": training, **node.options})
            slots.update((id(t), slot) for t, slot in zip(node.outputs, flatten(y), strict=True))
        return map_structure(lambda tensor: slots[id(tensor)], outputs)

    def graph(self, training: bool) -> Graph:
        """Return the calls of layers in order, for training or for inference.

        A model with its own forward and backward passes is a single call.
        """
        return self._graph(training, whole=self.of_user)

    def _graph(self, training: bool, whole: bool = False) -> Graph:
        graphs = self._graphs()
        graph = graphs.get((training, whole))
        if graph is None:
            graph = Graph(training)
            inputs = [graph.add_input(dtype) for dtype in self.input_dtypes]
            x = pack_as(self.input_structure(), inputs)
            if whole:
                y = graph.add(self, x, self.output_structure())
            else:
                y = self.add_to(graph, x, training)
            graphs[training, whole] = graph.finish(flatten(y))
            graph.single = not isinstance(self.output_structure(), (list, dict))
        return graph

    @per_structure
    def _graphs(self) -> dict[tuple[bool, bool], Graph]:
        return {}

    @per_structure
    def input_structure(self) -> Any:
        """Return the structure of the input, or None for a single array."""
        return map_structure(lambda t: t.name, self.input) if self._tensors else None

    @per_structure
    def output_structure(self) -> Any:
        """Return the structure of the output, or None for a single array."""
        return map_structure(lambda t: t.name, self.output) if self._tensors else None

    def forward(self, x: Any, training: bool = False) -> Any:
        """Return the output for the batch ``x``."""
        graph = self._graph(training)
        if training:
            executor = ReferenceExecutor(graph, self.learning_variables())
            outputs = executor.forward(flatten(x))
            self.cache = (executor,)
        else:
            outputs = infer(graph, [x] if type(x) is np.ndarray else flatten(x))
        return outputs[0] if graph.single else pack_as(self.output_structure(), outputs)

    def backward(self, gradient: Any) -> Any:
        """Compute the gradient of every weight, and return that of the input.

        Args:
            gradient: The derivative of the loss by the output of the last
                ``forward(training=True)``.
        """
        (executor,) = self.cache
        return pack_as(self.input_structure(), executor.backward(flatten(gradient)))

    def settle(self) -> None:
        """See `Layer.settle`; within a step, `update_weights` does this."""
        if self._step.own is None and self.cache:
            self.cache[0].settle()

    def step_penalty(self) -> float:
        """Return the activity penalties of the last ``forward(training=True)``."""
        if not self._penalizes_outputs():
            return 0.0
        penalty: float = self.cache[0].penalty()
        return penalty

    def activity_penalty(self, x: Any) -> float:
        """Return the activity penalties for the batch ``x``, without changing any state."""
        if not self._penalizes_outputs():
            return 0.0
        executor = ReferenceExecutor(self._graph(False))
        executor.forward(flatten(x))
        return executor.penalty()

    @per_structure
    def _penalizes_outputs(self) -> bool:
        """Return whether any layer, nested ones included, has an activity regularizer."""
        return any(layer.activity_regularizer is not None for layer in self.all_layers())

    def final_activation(self) -> Layer | None:
        """Return the final activation of the model, if any."""
        if self.of_user:
            return None
        graph = self.graph(False)
        maker = graph.maker(graph.outputs[0])
        return maker.layer if maker and isinstance(maker.layer, ActivationLayer) else None

    # ---- configuration --------------------------------------------------------------------

    @classmethod
    def _parameters(cls) -> dict[str, Any]:
        """Return the constructor arguments except the tensors."""
        found = super()._parameters()
        return {name: found[name] for name in found if name not in ("inputs", "outputs")}

    def serialized(self) -> dict[str, Any]:
        """Return the model as plain data, in Keras's format."""
        data = super().serialized()
        if self._connected and self._is_made_of_tensors():  # Keras refuses it there
            data |= {"seed": data["config"].pop("seed")} if "seed" in data["config"] else {}
        return data

    @classmethod
    def _is_made_of_tensors(cls) -> bool:
        """Return whether the class is defined by inputs and outputs, without a `call`."""
        return cls.__init__ is Model.__init__ and not cls.tracks_layers

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments by name, or layers and calls of a functional model.

        Raises:
            NotImplementedError: If an argument has no attribute of its name.
        """
        if self._connected and self._is_made_of_tensors() and self.functional_class is not None:
            return self.functional_class.get_config(self)
        return super().get_config()

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Model:
        """Create a model with new weights from what `get_config` returned.

        Args:
            config: The configuration.
            custom_objects: Your own classes, by name.

        Raises:
            TypeError: If an entry is not a constructor argument.
            ValueError: If the configuration does not fit.
        """
        with CustomObjectScope(custom_objects):
            if cls._is_made_of_tensors() and "input_layers" in config and cls.functional_class:
                made = vars(cls.functional_class)["from_config"].__func__(cls, config)
                assert isinstance(made, Model)
                return made
            return super().from_config(config)

    # ---- files ----------------------------------------------------------------------------

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
        """Load weights from a file; see `nnlite.saving.load_weights`."""
        from nnlite.saving.reading import load_weights

        load_weights(self, filepath, skip_mismatch, **options)

    def export(
        self,
        filepath: str | os.PathLike[str],
        format: str = "onnx",  # noqa: A002  Keras's name
        verbose: bool | None = None,
        input_signature: Any = None,
    ) -> None:
        """Write what the model computes in `predict` to an ONNX file, for other programs to run.

        The file is replaced as a whole or not at all. It is of opset 13. The axis of the batch is
        of any size there, and so are the others that are unknown here.

        Args:
            filepath: Where to, such as ``"model.onnx"``.
            format: ``"onnx"``.
            verbose: False to print nothing.
            input_signature: A tensor for each input, or anything else with a ``shape``, that tells
                more of the sizes than the model's own input; None takes that.

        Raises:
            ValueError: If ``format`` is another, the model is not built, layers have no form in
                ONNX (all of which are named), a shape does not fit, or it has 2 GiB or more.
            OSError: If the file cannot be written.

        >>> import tempfile
        >>> from nnlite import Input, Sequential
        >>> from nnlite.layers import Dense
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model = Sequential([Input((4,)), Dense(3, activation="relu")])
        ...     model.export(os.path.join(folder, "m.onnx"), format="onnx", verbose=False)
        """
        from nnlite.saving.onnx.exporting import export_model

        if format != "onnx":
            raise ValueError(f"format must be 'onnx'. Received: format={format!r}")
        export_model(self, filepath, input_signature)
        if verbose or verbose is None:
            print(f"Saved artifact at '{os.fspath(filepath)}'.")

    def to_json(self, **options: Any) -> str:
        """Return the model without its weights as JSON, for `nnlite.models.model_from_json`.

        Args:
            **options: Arguments of ``json.dumps``.
        """
        from nnlite.saving.writing import model_json

        return model_json(self, **options)

    # ---- display --------------------------------------------------------------------------

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: tuple[str, str] | None = None,
    ) -> None:
        """Print a table of the layers, their output shapes and numbers of weights.

        Args:
            line_length: The width of the table; None means that of the terminal.
            positions: The ends of the columns as fractions of the width; None means automatic.
            print_fn: A function to call with the table instead of ``print``.
            expand_nested: Whether to list the layers of nested models too.
            show_trainable: Whether to show which layers are trainable.
            layer_range: Names or regular expressions of the first and last layer to show.
        """
        print_summary(
            self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range
        )

    def _repr_html_(self) -> str:
        return html_summary(self)


def seed_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the seed in a model's configuration as a keyword argument, if there is one."""
    return {} if config.get("seed") is None else {"seed": config["seed"]}


def _and_traced(build: Callable[..., None]) -> Callable[..., None]:
    """Wrap the `build` of a user class so that `call` is traced at its end."""

    @functools.wraps(build)
    def build_and_trace(self: Model, input_shape: Any = None) -> None:
        if not self.built:
            with drawing_from(self._seed_root):
                build(self, input_shape)
            Model.build(self, input_shape)  # without effect if already called

    return build_and_trace


def _holds_arrays(x: Any) -> bool:
    """Return whether ``x`` is a dict or list of arrays, not a list of numbers."""
    listed = isinstance(x, (list, tuple)) and all(isinstance(part, np.ndarray) for part in x)
    return isinstance(x, dict) or (listed and len(x) > 0)


def _without_list_of_one(structure: Any) -> Any:
    """Return the tensor of a list of one, as in Keras."""
    one = isinstance(structure, (list, tuple)) and len(structure) == 1
    return structure[0] if one else structure


def _layers_within(value: Any) -> Iterator[Layer]:
    """Yield the layers in an attribute, lists and dicts included."""
    if isinstance(value, Layer):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _layers_within(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _layers_within(part)


def _depths(nodes: Sequence[Node], outputs: Sequence[KerasTensor]) -> dict[int, int]:
    """Return the longest distance of each node from an output."""
    depth: dict[int, int] = dict.fromkeys((id(node) for node in nodes), 0)
    for node in reversed(nodes):
        for tensor in node.inputs:
            if tensor.node is not None and id(tensor.node) in depth:
                depth[id(tensor.node)] = max(depth[id(tensor.node)], depth[id(node)] + 1)
    return depth


def _take_type_of_reader(tensor: KerasTensor, nodes: Sequence[Node]) -> None:
    """Give an input without a type the type that its first reader requires."""
    for node in nodes:
        if node.layer.default_input_dtype and any(tensor is read for read in node.inputs):
            tensor.dtype = node.layer.default_input_dtype
            return


class _Reference(int):
    """The index of a tensor in the plain data of a model."""


def _as_data(inputs: Any, outputs: Any) -> dict[str, Any]:
    """Return the calls between tensors as flat lists, so that long chains do not recurse."""
    nodes = in_order(flatten(outputs), until=flatten(inputs))
    tensors = [*flatten(inputs), *(tensor for node in nodes for tensor in node.outputs)]
    makers = [tensor.node for tensor in flatten(inputs)]
    number = {id(tensor): _Reference(at) for at, tensor in enumerate(tensors)}

    def replaced(structure: Any) -> Any:
        return map_structure(lambda leaf: number.get(id(leaf), leaf), structure)

    return {
        "ends": (replaced(inputs), replaced(outputs)),
        "tensors": [(t.shape, t.dtype, t.name) for t in tensors],
        "entries": [node.layer if node and not node.inputs else None for node in makers],
        "nodes": [
            (node.layer, replaced(node.arguments), replaced(node.output_structure), node.options)
            for node in nodes
        ],
    }


def _from_data(data: dict[str, Any]) -> tuple[Any, Any]:
    """Return the input and output tensors of the result of `_as_data`, and record the calls."""
    tensors = [KerasTensor(*parts) for parts in data["tensors"]]

    def replaced(structure: Any) -> Any:
        return map_structure(
            lambda leaf: tensors[leaf] if isinstance(leaf, _Reference) else leaf, structure
        )

    for layer, tensor in zip(data["entries"], tensors, strict=False):
        if layer is not None:
            layer.nodes.append(Node(layer, (), tensor))
    for layer, arguments, outputs, options in data["nodes"]:
        layer.nodes.append(Node(layer, replaced(arguments), replaced(outputs), options))
    inputs, outputs = map(replaced, data["ends"])
    return inputs, outputs

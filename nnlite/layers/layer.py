"""Base class of layers: build, forward, backward and weights."""

from __future__ import annotations

import copy
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nnlite import constraints, initializers, regularizers
from nnlite.backend.reuse import empty
from nnlite.backend.structure_cache import invalidate, per_structure, without_memo
from nnlite.backend.variables import Variable, array_for_file
from nnlite.config import data_type, float_type, floatx
from nnlite.layers import user_code
from nnlite.serialization.registry import Configurable, Registry
from nnlite.symbolic import KerasTensor, Node, any_symbolic
from nnlite.utils.overrides import overridden, refuse_overrides, require_derivative
from nnlite.utils.structures import SHAPES, flatten, map_structure, pack_as
from nnlite.utils.typing import Array
from nnlite.utils.validation import (
    ArgumentError,
    as_returned,
    as_samples,
    check_axes_count,
    check_finite,
    is_listed,
)

Shape = tuple[int | None, ...]
Shapes = Any  # a `Shape`, or a list or dict of them


class _NothingCached(tuple[Any, ...]):
    """The cache of a layer before its first forward pass in training."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError(
            "backward(...) needs the cache of forward(x, training=True). Call that first."
        )


_NOTHING_CACHED = _NothingCached()

_BOTH_WAYS = (
    "a layer defines forward(self, x, training=False), which keeps what it needs in self.cache, "
    "and backward(self, gradient)."
)
_DECLARED = "weights are declared in build, by self.add_weight(...)."


def _once(build: Callable[[Any, Shape], None]) -> Callable[[Any, Shape], None]:
    """Wrap a layer's `build` so that a user can call it, once."""

    @functools.wraps(build)
    def build_once(self: Any, input_shape: Shape) -> None:
        if self._building:  # by `ensure_built`, or the build of a subclass
            build(self, input_shape)
        elif self.built and self.input_shape is not None:
            raise ValueError(
                f"Layer {self.name!r} is already built, for an input of shape {self.input_shape}."
            )
        else:
            self.ensure_built(as_shapes("input_shape", input_shape))

    return build_once


class Layer(Configurable):
    """Base class of layers: one step of a network, forward and backward.

    Your own layer defines `forward` and `backward`, and `build` if it has weights.
    ``forward(training=True)`` stores what `backward` needs in ``self.cache``, a tuple;
    ``forward(training=False)`` writes nothing on the layer, so many threads can predict.

    Args:
        activity_regularizer: A penalty on the layer's output, averaged over the batch.
        name: Name in messages and summaries; by default the class's name in snake case.
        trainable: False to keep all of the layer's weights as they are.
        dtype: ``"float32"`` or ``"float64"``; None takes ``nnlite.config.floatx()``.
        **kwargs: ``input_shape`` (without the batch axis) or ``input_dim``, for the first layer
            of a model.

    Raises:
        TypeError: If a keyword is unknown.
        ValueError: If ``dtype`` is not supported, or an option of Keras's layer that nnlite does
            not have is given a value other than its default.

    >>> class Scale(Layer):
    ...     def build(self, input_shape):
    ...         self.scale = self.add_weight("scale", input_shape[1:], "ones")
    ...
    ...     def forward(self, x, training=False):
    ...         if training:
    ...             self.cache = (x,)
    ...         return x * self.scale.value
    ...
    ...     def backward(self, gradient):
    ...         (x,) = self.cache
    ...         np.sum(gradient * x, axis=0, out=self.scale.gradient)
    ...         return gradient * self.scale.value
    >>> Scale()(np.array([[1.0, 2.0]]))
    array([[1., 2.]], dtype=float32)
    """

    left_out_if_none: ClassVar[tuple[str, ...]] = ("activity_regularizer",)

    #: The methods that a user's subclass cannot override, with what it defines instead.
    refused_overrides: ClassVar[Mapping[str, str]] = {
        "call": _BOTH_WAYS,
        "__call__": _BOTH_WAYS,
        "compute_output_spec": "define compute_output_shape(self, input_shape).",
        "weights": _DECLARED,
        "trainable_weights": _DECLARED,
        "non_trainable_weights": _DECLARED,
        "variables": _DECLARED,
        "trainable_variables": _DECLARED,
        "non_trainable_variables": _DECLARED,
        "all_variables": _DECLARED,
        "learning_variables": _DECLARED,
        "own_variables": _DECLARED,
        "all_layers": "inner layers are declared by sublayers(self).",
        "trainable": "give trainable=False, or set layer.trainable.",
        "ensure_built": "define build(self, input_shape).",
        "forget_weights": "define build(self, input_shape).",
        "name_variables": _DECLARED,
        "forget_caches": _BOTH_WAYS,
        "told_shape": "define compute_output_shape(self, input_shape).",
        "sample_shape": "define compute_output_shape(self, input_shape).",
        **dict.fromkeys(
            (
                *("run_forward", "run_backward", "forward_into", "backward_into", "arrays"),
                *("forward_view", "backward_view", "run_into", "run_back"),
                *("arrays_for", "stages", "in_stages", "reads", "on_tensors", "on_arrays"),
                *("settle_from", "keep"),
            ),
            _BOTH_WAYS,
        ),
        "compute_output_dtype": "an output has the float type that the layer is given as dtype=.",
        "output_shape_for": "define compute_output_shape(self, input_shape).",
    }

    #: Advice for a refused subclass: how to do without one what most are written for.
    recipe: ClassVar[str] = ""

    #: Whether a class outside of nnlite defines the layer's forward or backward pass.
    of_user: ClassVar[bool] = False

    #: Whether a second call of `build` by a user is an error.
    builds_once: ClassVar[bool] = True
    _building = False

    #: Whether the gradients that `backward` writes must still be checked, in a first step.
    unproven = False

    #: The shape of the batch in the current step, for a layer ``of_user``.
    shape_in_step: Shapes = None

    #: Whether the layer runs as `forward_into` and `backward_into`, and is not ``of_user``.
    primitive: ClassVar[bool] = False

    #: Whether the output can be a view of the input, by `forward_view`.
    views: ClassVar[bool] = False

    #: Whether the layer is a model; a graph takes its layers one by one.
    is_model: ClassVar[bool] = False

    #: The generator of a model with a ``seed``; None for other layers, and for the global root.
    _seed_root: np.random.Generator | None = None

    #: The arrays that `forward_into` and `backward_into` name.
    forward_names: ClassVar[tuple[str, ...]] = ()
    backward_names: ClassVar[tuple[str, ...]] = ()

    #: How many outputs, from the first, have the mask of the input; None for all.
    mask_outputs: int | None = None

    #: Whether a model passes masks only to calls on a single input.
    masks_one: ClassVar[bool] = False

    #: Whether `forward_into` or `backward_into` names ``mask``, the masks of the input.
    takes_mask: ClassVar[bool] = False

    #: Whether `backward_into` can do without ``dx``.
    dx_optional: ClassVar[bool] = False

    #: Whether the output can be written over the input, entry by entry.
    elementwise: ClassVar[bool] = False

    #: Whether the layer is max(x, 0), or takes the maximum of each of some windows of x.
    rectifies: bool = False
    takes_maximum: ClassVar[bool] = False

    #: Whether each sample of the output is computed from the same sample of the input alone.
    samplewise: bool = False

    #: Whether the output has the mask of the input, or one that `compute_mask` makes of it.
    supports_masking: bool = False

    #: Whether the output has a mask where the input has none.
    makes_mask: bool = False

    #: The type of a model's input if this is the first layer; None for floats.
    default_input_dtype: str | None = None

    #: Whether a list of arrays is several inputs; otherwise it is one array, as in NumPy.
    takes_several: ClassVar[bool] = False

    #: The names of the further arguments of a call, beside ``training``.
    call_options: ClassVar[tuple[str, ...]] = ()

    #: Whether integers reach `forward` as they are; otherwise they become floats.
    takes_integers: ClassVar[bool] = False

    #: Whether the layer accepts text.
    takes_strings: bool = False

    #: Whether the layer has a backward pass.
    differentiable: ClassVar[bool] = True

    #: Layers that are made for this one but make no weights: their seeds are not drawn.
    aside: Sequence[Layer] = ()

    #: Arrays that the last ``forward(training=True)`` stored for `backward`.
    cache: tuple[Any, ...] = _NOTHING_CACHED
    _unsettled: Sequence[tuple[Layer, Any]] = ()

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        input_shape = kwargs.pop("input_shape", None)
        if "input_dim" in kwargs:
            input_shape = (kwargs.pop("input_dim"),)
        for option, supported in self.fixed_config.items():
            if (given := kwargs.pop(option, supported)) != supported:
                raise ValueError(
                    f"{type(self).__name__} supports {option}={supported!r} only. "
                    f"Received: {option}={given!r}"
                )
        if kwargs:
            known = ", ".join([*self._parameters(), "input_shape", "input_dim"])
            raise TypeError(
                f"{type(self).__name__} got an unexpected argument {next(iter(kwargs))!r}. "
                f"Its arguments are: {known}."
            )
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name must be a string. Received: name={name!r}")
        self.name = name or self.default_name()
        self.named_by_user = name is not None
        self.name_settled = name is not None  # by the user, or by its first model
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.dtype = float_type(dtype).name
        self.declared_shape: Shape | None = None
        if input_shape is not None:
            self.declared_shape = (None, *as_shape("input_shape", input_shape))
        self.built = type(self).build is Layer.build
        self.input_shape: Shape | None = None  # None if `build` is not needed
        if not isinstance(trainable, (bool, np.bool_)):
            raise ArgumentError(f"trainable must be True or False. Received: {trainable!r}")
        self._trainable = bool(trainable)
        self._variables: list[Variable] = []
        self.nodes: list[Node] = []  # its calls on tensors

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        try:
            refuse_overrides(cls, cls.refused_overrides)
            require_derivative(cls, Layer, "forward", "backward", "self, gradient")
        except TypeError as error:
            raise TypeError(f"{error} {cls.recipe}".strip()) from None
        if overridden(cls, "compute_mask"):
            cls.supports_masking = cls.makes_mask = True
        passes = ("forward", "backward", "apply", "chain", "settle", "compute_mask")
        cls.of_user = overridden(cls, *passes)
        own = cls.forward is Layer.forward and cls.forward_into is not Layer.forward_into
        cls.primitive = own and not cls.of_user
        cls.views = cls.primitive and cls.forward_view is not Layer.forward_view
        cls.forward_names = _names(cls.forward_into)
        cls.backward_names = _names(cls.backward_into)
        cls.takes_mask = not cls.of_user and "mask" in (*cls.forward_names, *cls.backward_names)
        optional = cls.backward_names[-len(cls.backward_into.__defaults__ or ()) :]
        cls.dx_optional = bool(cls.backward_into.__defaults__) and "dx" in optional
        if "build" in vars(cls) and cls.builds_once:
            cls.build = _once(cls.build)  # type: ignore[method-assign]
        if overridden(cls, "forward") and not _takes(cls.forward, 3):
            raise TypeError(
                f"{cls.__name__}.forward must take (self, x, training=False). Received: "
                f"forward{inspect.signature(cls.forward)}"
            )

    def __setattr__(self, name: str, value: Any) -> None:
        if type(self.__dict__.get(name)) is Variable:
            if not isinstance(value, Variable | None):
                raise AttributeError(
                    f"{name!r} of layer {self.name!r} is a weight: set its values by "
                    f"layer.{name}.assign(...). Received: an object of type {type(value).__name__}"
                )
            invalidate()
        object.__setattr__(self, name, value)

    # ---- what a layer defines -------------------------------------------------------------

    @_once
    def build(self, input_shape: Shape) -> None:
        """Declare the weights, by `add_weight`, for inputs of ``input_shape`` (batch axis None).

        Raises:
            ValueError: If the layer is already built.
        """

    def forward(self, x: Any, training: bool = False) -> Any:
        """Return the output for the batch ``x``, whose first axis counts the samples.

        A layer with several inputs takes a list of arrays; one with several outputs returns a list.
        """
        return self._forward(x, training)

    def _forward(self, x: Any, training: bool, mask: Any = None, **options: Any) -> Any:
        """Run the stages with the masks and the options of a call, and return the output."""
        kept: list[tuple[Layer, Any]] = []
        for stage in self.stages(training, **options):
            if stage.primitive or stage is self:
                arrays = stage.run_into(x, mask)
                x = arrays["y"]
            else:
                arrays, x = None, stage.run_forward(x, training)
            kept.append((stage, arrays))
        if training:
            self.cache = (kept,)
            self._unsettled = kept
        return x

    def keep(self, stage: Layer, arrays: Any, first: bool) -> None:
        """Keep what the backward pass of a stage needs, for a user who calls `backward`.

        Args:
            stage: The stage that has been run.
            arrays: Its arrays from `arrays_for`; None if it keeps its own cache.
            first: Whether it is the layer's first stage.
        """
        if type(self).forward is Layer.forward:
            if first:
                self.cache = ([],)
            self.cache[0].append((stage, arrays))

    def backward(self, gradient: Any) -> Any:
        """Fill the gradient of each weight, and return that of the input.

        Args:
            gradient: The derivative of the loss with respect to the last output, of its shape. It
                is not written to.
        """
        (kept,) = self.cache
        for stage, arrays in reversed(kept):
            if arrays is not None:
                gradient = stage.run_back(gradient, arrays)
            else:
                gradient = stage.run_backward(gradient)
        return gradient

    # ---- the mathematics of nnlite's own layers -------------------------------------------

    def forward_into(self, *arrays: Any) -> None:
        """Write the output for ``x`` into ``y``.

        `forward` and `backward` of nnlite's own layers call `forward_into` and `backward_into`,
        which get the arrays that their parameters name: input ``x``, output ``y``, the derivatives
        ``dy`` and ``dx`` of the loss, and the arrays of `arrays`, kept from the forward to the
        backward pass. ``mask`` tells which steps of ``x`` count, as booleans of shape (batch,
        steps), or is None; for several inputs it is a list. If `backward_into` does not name
        ``x``, the output may be written over the input. If its ``dx`` is None by default, it can
        do without the gradient of the input.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define forward(x, training)")

    def backward_into(self, *arrays: Any) -> None:
        """Write the gradient of the input into ``dx``, and fill those of the weights."""
        raise NotImplementedError(f"{type(self).__name__} does not define backward(gradient)")

    def forward_view(self, x: Array) -> Array:
        """Return the output as a view of ``x``, in a layer that only rearranges entries.

        It may be called instead of `forward_into` if nothing writes to the output.
        """
        raise NotImplementedError

    def backward_view(self, dy: Array, shape: tuple[int, ...]) -> Array:
        """Return the gradient of the input, which has ``shape``, as a view of ``dy``."""
        raise NotImplementedError

    def settle_from(self, arrays: Mapping[str, Any]) -> None:
        """Update the layer with what `forward_into` has gathered in its arrays."""

    def arrays(self, shape: Any) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Return the shape and type of each further array by name, for an input of ``shape``."""
        return {}

    def stages(self, training: bool) -> Sequence[Layer]:
        """Return the layers that together compute this one's output, such as its activation.

        Further options of a call are keywords here.
        """
        return (self,)

    def in_stages(self, training: bool) -> Sequence[Layer]:
        """Return the layer's stages; a layer ``of_user`` is its only stage."""
        return (self,) if self.of_user else self.stages(training)

    def arrays_for(self, x: Any) -> dict[str, Any]:
        """Return ``x``, a new array for the output and those of `arrays`, by name."""
        dtypes = [np.asarray(array).dtype for array in flatten(x)]
        dtype = next((d for d in dtypes if d.kind == "f"), None)
        if dtype is None or type(self).compute_output_dtype is not Layer.compute_output_dtype:
            dtype = data_type(self.compute_output_dtype(*(d.name for d in dtypes)))
        y = map_structure(lambda shape: empty(shape, dtype), self.output_shape_for(x), SHAPES)
        made = self.arrays(map_structure(np.shape, x))
        return {"x": x, "y": y, **{name: empty(*array) for name, array in made.items()}}

    def run_into(self, x: Any, mask: Any = None) -> dict[str, Any]:
        """Run the layer's forward pass alone, and return all of its arrays by name."""
        if self.views:
            return {"x": x, "y": self.forward_view(x)}
        arrays = self.arrays_for(x)
        if self.takes_mask or self.of_user:
            arrays["mask"] = map_structure(lambda _: None, x) if mask is None else mask
        self.forward_into(*[arrays[name] for name in self.forward_names])
        return arrays

    def run_back(self, dy: Any, arrays: dict[str, Any]) -> Any:
        """Run the backward pass of `run_into`, which returned ``arrays``: return x's gradient."""
        x = arrays["x"]
        if self.views:
            return self.backward_view(dy, x.shape)
        arrays.update(dy=dy, dx=map_structure(empty_like, x))
        self.backward_into(*[arrays[name] for name in self.backward_names])
        return arrays["dx"]

    def reads(self, name: str) -> bool:
        """Return whether the backward pass reads ``"x"`` or ``"y"``."""
        return name in self.backward_names

    def compute_output_shape(self, input_shape: Shapes) -> Shapes:
        """Return the shape of the output for an input of ``input_shape``, the batch axis first.

        A layer without its own `compute_output_shape` is run on one sample of zeros.
        """
        layer = self
        if not self.built:
            layer = copy.deepcopy(self)
            layer.ensure_built(input_shape)
        zeros = map_structure(
            lambda shape: np.zeros([1 if size is None else size for size in shape], self.dtype),
            input_shape,
            SHAPES,
        )
        batch = flatten(input_shape, SHAPES)[0][0]
        output = user_code.output(layer, zeros)
        return map_structure(lambda y: (batch, *y.shape[1:]), output)

    def compute_output_dtype(self, *input_dtypes: str) -> str:
        """Return the type of the output's entries for inputs of ``input_dtypes``."""
        return self.dtype

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return which steps of the output count: booleans of shape (batch, steps), or None.

        Args:
            inputs: The input, or a list of them.
            previous_mask: The mask of the input, or a list with a mask or None for each.
        """
        return previous_mask if self.supports_masking else None

    def run_forward(self, x: Array, training: bool = False) -> Array:
        """Return the output for the batch ``x``; checked if `forward` is a user's."""
        return user_code.forward(self, x, training) if self.of_user else self.forward(x, training)

    def run_backward(self, gradient: Array) -> Array:
        """Run the backward pass of `run_forward`; checked if `backward` is a user's."""
        return user_code.backward(self, gradient) if self.of_user else self.backward(gradient)

    def told_shape(self, input_shape: Shapes, **options: Any) -> Shapes:
        """Return what `compute_output_shape` returns; checked if it is a user's.

        Raises:
            TypeError: If it is not a tuple with a batch axis, or a list or dict of such.
        """
        shape: Any = self.compute_output_shape(input_shape, **options)
        if type(shape) is list and not any(isinstance(one, (list, tuple, dict)) for one in shape):
            shape = tuple(shape)
        for one in flatten(shape, SHAPES) or [None]:
            if not isinstance(one, tuple) or not one:
                raise TypeError(
                    f"compute_output_shape of layer {self.name!r} must return a tuple, the batch "
                    f"axis first. Received: {shape!r}"
                )
        return shape

    def _keep(self, prefix: str, initializer: Any, regularizer: Any, constraint: Any) -> None:
        """Keep the arguments of a weight for `_add_named`, in attributes with a prefix."""
        setattr(self, f"{prefix}_initializer", initializers.get(initializer))
        setattr(self, f"{prefix}_regularizer", regularizers.get(regularizer))
        setattr(self, f"{prefix}_constraint", constraints.get(constraint))

    def _add_named(self, name: str, shape: Any, prefix: str, initializer: Any = None) -> Variable:
        """Return a new weight, made with the arguments that `_keep` stored."""
        own = {part: getattr(self, f"{prefix}_{part}") for part in ("regularizer", "constraint")}
        draw = initializer or getattr(self, f"{prefix}_initializer")
        return self.add_weight(name, shape, draw, **own)

    def _largest_product(self, samples: int) -> int:
        """Estimate the multiplications of the largest matrix product for a batch."""
        return samples * max((variable.size for variable in self._variables), default=0)

    def _convolved(self, samples: int) -> int:
        """Return the multiplications of a convolution for a batch; 0 for other layers."""
        return 0

    def output_shape_for(self, x: Any) -> Shapes:
        """Return the shape of the output for the arrays ``x``, with their number of samples."""
        if isinstance(x, np.ndarray):
            return (len(x), *self.sample_shape(x.shape[1:]))
        shapes = map_structure(lambda a: np.shape(a), x)
        return self.told_shape(shapes)

    def sample_shape(self, input_shape: tuple[int, ...]) -> tuple[Any, ...]:
        """Return the shape of one sample's output, given that of its input."""
        known = self._sample_shapes()
        if input_shape not in known:
            known[input_shape] = self.told_shape((None, *input_shape))[1:]
        return known[input_shape]

    @per_structure
    def _sample_shapes(self) -> dict[tuple[int, ...], tuple[Any, ...]]:
        return {}

    def settle(self) -> None:
        """Update the layer with what ``forward(training=True)`` gathered, such as averages.

        A training step does so only when the loss and the gradient are known to be finite: a
        refused step leaves no trace.
        """
        for stage, arrays in self._unsettled:
            if arrays is not None:
                stage.settle_from(arrays)
        self._unsettled = ()
        for layer in self.sublayers():
            layer.settle()

    # ---- weights and inner layers ---------------------------------------------------------

    def add_weight(
        self,
        name: str | None = None,
        shape: Sequence[int | None] = (),
        initializer: Any = "glorot_uniform",
        *,
        regularizer: Any = None,
        constraint: Any = None,
        trainable: bool = True,
    ) -> Variable:
        """Return a new weight, whose arrays are ``.value`` and ``.gradient``.

        Args:
            name: Name within the layer, such as ``"kernel"``; None numbers it.
            shape: Its shape.
            initializer: A name, an initializer, or a function of ``(shape, dtype=...)``.
            regularizer: A penalty on the weight, added to the loss.
            constraint: A projection of the weight after each update.
            trainable: False to keep optimizers from changing the weight.

        Raises:
            ValueError: If a size in ``shape`` or a name is unknown.
        """
        name = name or f"variable_{len(self._variables)}"
        if None in shape:
            raise ValueError(
                f"Layer {self.name!r} cannot make weight {name!r} of shape {tuple(shape)}: "
                "every size must be known. Give the model's input shape in full."
            )
        what = f"weight {name!r} of layer {self.name!r}"
        value = array_for_file(what, shape, self.dtype)  # type: ignore[arg-type]
        if value is None:
            draw = initializers.get(initializer) or initializers.GlorotUniform()
            source = f"initializer {draw!r} of {what}"
            sizes: Any = tuple(shape)
            value = as_returned(source, draw(sizes, dtype=self.dtype), sizes, self.dtype)
            check_finite(f"what {source} returned", np.atleast_1d(value), self.dtype)
            value = value.copy()  # a user's initializer may keep what it returns
        variable = Variable(
            value,
            name,
            trainable,
            regularizers.get(regularizer),
            constraints.get(constraint),
            f"{self.name}/{name}",
        )
        self._variables.append(variable)
        invalidate()
        return variable

    def sublayers(self) -> Sequence[Layer]:
        """Return the inner layers."""
        return ()

    @per_structure
    def all_layers(self) -> list[Layer]:
        """Return this layer and all layers inside it."""
        return [self, *(inner for layer in self.sublayers() for inner in layer.all_layers())]

    def takes(self, input_shape: Shape) -> bool:
        """Return whether the layer is not built, or built for such an ``input_shape``."""
        return not self.built or fits(input_shape, self.input_shape)

    def ensure_built(self, input_shape: Shape) -> None:
        """Build the layer for ``input_shape`` unless it is built.

        A layer that does not define `build` is always built, and takes each shape that its
        `compute_output_shape` accepts.

        Raises:
            ValueError: If the shape does not fit, or the layer is built for another one.
        """
        if not self.takes(input_shape):
            raise ValueError(
                f"Layer {self.name!r} is built for an input of shape {self.input_shape}. "
                f"Received: {input_shape}"
            )
        if self.built:
            if (
                self.input_shape is None
                and type(self).compute_output_shape is not Layer.compute_output_shape
            ):
                self.compute_output_shape(input_shape)
        else:
            self._building = True
            try:
                self.build(input_shape)
            except BaseException:
                self.forget_weights()
                raise
            finally:
                del self._building
            self.input_shape = input_shape
            self.built = True
            if not self.is_model:
                self.name_variables(self.name)
            invalidate()

    def name_variables(self, place: str) -> None:
        """Begin the paths of the weights with ``place``; a model inside names its own."""
        for variable in self._variables:
            variable.path = f"{place}/{variable.name}"
        for layer in self.sublayers():
            if not layer.is_model:
                layer.name_variables(f"{place}/{layer.name}")

    def forget_caches(self) -> None:
        """Release what the last forward pass in training has kept."""
        for layer in self.all_layers():
            layer.__dict__.pop("cache", None)
            layer.__dict__.pop("_unsettled", None)

    def forget_weights(self) -> None:
        """Undo `build`."""
        if self.built and self.input_shape is None:  # there is nothing to undo
            return
        self._variables.clear()
        self.built = False
        self.input_shape = None
        invalidate()
        for layer in self.sublayers():
            layer.forget_weights()

    @property
    def trainable(self) -> bool:
        """Whether training changes the layer's weights; set it on a layer or on a whole model."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        invalidate()
        for layer in self.sublayers():
            layer.trainable = value

    @per_structure
    def all_variables(self) -> list[Variable]:
        """Return the weights made so far: its own first, then those of inner layers."""
        inner = [variable for layer in self.sublayers() for variable in layer.all_variables()]
        return [*self._variables, *inner]

    def own_variables(self) -> list[Variable]:
        """Return the layer's weights without those of inner layers, in the order of Keras.

        Trainable ones come first, frozen or not.
        """
        inner = {variable for part in self.sublayers() for variable in part.all_variables()}
        own = [variable for variable in self.all_variables() if variable not in inner]
        return sorted(own, key=lambda variable: not variable.trainable)

    @property
    def weights(self) -> list[Variable]:
        """All weights, trainable or not.

        Raises:
            ValueError: If the layer is not built.
        """
        if not self.built:
            raise ValueError(
                f"{self.name!r} has no weights before it is built. Give the input shape "
                "(Input((features,)) as the first layer), call build((None, features)), or fit."
            )
        return list(self.all_variables())

    @per_structure
    def learning_variables(self) -> list[Variable]:
        """Return the weights made so far that an optimizer changes."""
        if not self._trainable:  # nor do inner layers that joined a frozen model later
            return []
        own = [variable for variable in self._variables if variable.trainable]
        return own + [v for layer in self.sublayers() for v in layer.learning_variables()]

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that an optimizer changes; as for `weights`, an error before the build."""
        return list(self.learning_variables()) if self.weights else []

    @property
    def variables(self) -> list[Variable]:
        """Alias of `weights`."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Variable]:
        """Alias of `trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """Alias of `non_trainable_weights`."""
        return self.non_trainable_weights

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that training does not change, or changes without a gradient."""
        trainable = {id(variable) for variable in self.trainable_weights}
        return [variable for variable in self.weights if id(variable) not in trainable]

    def get_weights(self) -> list[Array]:
        """Return a copy of every weight, in the order of `weights`."""
        return [variable.numpy() for variable in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Copy arrays into the weights, in the order of `weights`; an error changes none.

        Raises:
            ValueError: If the number of arrays or a shape does not match.
            TypeError: If an array is not numeric.
        """
        own = self.weights
        if isinstance(weights, (str, bytes)) or not hasattr(weights, "__len__"):
            raise TypeError(
                f"set_weights takes a list of arrays, as get_weights returns. Received: {weights!r}"
            )
        if len(weights) != len(own):
            raise ValueError(
                f"{self.name!r} has {len(own)} weights "
                f"({', '.join(variable.name for variable in own)}). Received: {len(weights)} arrays"
            )
        arrays = [variable.check(new) for variable, new in zip(own, weights, strict=True)]
        for variable, array in zip(own, arrays, strict=True):
            variable.value[...] = array

    def count_params(self) -> int:
        """Return the number of entries of all weights."""
        return sum(variable.size for variable in self.weights)

    # ---- configuration and files ----------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name, as plain data in Keras's form."""
        return {**super().get_config(), "dtype": dtype_policy(self.dtype)}

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the argument of `build_from_config`, or None before the build."""
        return {"input_shape": self.input_shape} if self.built else None

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build the layer from the result of another one's `get_build_config`."""
        self.ensure_built(as_shapes("input_shape", config["input_shape"]))

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Put what a file keeps of this layer, without inner layers, into ``store``.

        Args:
            store: Takes arrays by name; by default the weights by number.
        """
        store.update({str(i): variable.value for i, variable in enumerate(self.own_variables())})

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Load what `save_own_variables` has put into a file's ``store``.

        Raises:
            ValueError: If the arrays do not fit the layer's weights.
        """
        own = self.own_variables()
        if {*store} != {str(i) for i in range(len(own))}:
            raise ValueError(
                f"Layer {self.name!r} has {len(own)} own weights. The file has "
                f"{', '.join(store) or 'none'} for it."
            )
        arrays = [variable.check(store[str(i)]) for i, variable in enumerate(own)]
        for variable, array in zip(own, arrays, strict=True):
            variable.value[...] = array

    def serialized(self) -> dict[str, Any]:
        """Return the layer as plain data: class, configuration, and the shape it is built for."""
        build_config = self.get_build_config() if type(self).build is not Layer.build else None
        return super().serialized() | ({"build_config": build_config} if build_config else {})

    # ---- calls ----------------------------------------------------------------------------

    def __call__(self, x: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return the output for ``x``: a new array, or a new tensor if ``x`` is one.

        The layer is built for ``x`` if it is not built.

        Args:
            x: A batch or a `KerasTensor`, or a list of them for several inputs.
            training: Whether to compute as in training. On tensors None lets the model decide.
            mask: The steps of the arrays ``x`` that count, as booleans of shape (batch, steps), for
                a layer that uses masks. Must be None on tensors: models pass masks by themselves.

        Raises:
            TypeError: If ``x`` is not numeric, or the layer does not use masks.
            ValueError: If its shape does not fit the layer.
        """
        if mask is not None and (
            any_symbolic(x) or not any(part.takes_mask for part in (self, *self.stages(False)))
        ):
            raise TypeError(
                f"Layer {self.name!r} does not take a mask here. Models pass masks by themselves."
            )
        if any_symbolic(x):
            return self.on_tensors((x,), training)
        return self.on_arrays(x, training, **({} if mask is None else {"mask": mask}))

    def on_arrays(self, x: Any, training: bool | None = None, **options: Any) -> Any:
        """Return the layer's output for arrays, as `__call__` does.

        Args:
            x: A batch, or a list of them.
            training: Whether to compute as in training.
            **options: The masks, and further options of `stages`.

        Raises:
            TypeError: If ``x`` is not numeric, or a subclass's own `forward` gets options.
            ValueError: If its shape, or that of a mask, does not fit the layer.
        """
        self._check_options(options)
        arrays = self._as_arrays(x)
        shapes = map_structure(lambda a: () if a is None else (None, *a.shape[1:]), arrays)
        if "mask" in options:
            options["mask"] = self._as_masks(options["mask"], arrays)
        if not self.takes(shapes):
            raise ValueError(
                f"Layer {self.name!r} expects an input of shape {self.input_shape}. "
                f"Received: x of shape {map_structure(np.shape, arrays)}"
            )
        self.ensure_built(shapes)
        with np.errstate(under="ignore"):
            if options:
                output = self._forward(arrays, bool(training), **options)
            else:
                output = self.run_forward(arrays, bool(training))
            output = map_structure(np.array, output)
        if training:
            self.settle()
        return output

    def _as_arrays(self, x: Any) -> Any:
        """Return ``x``, or each of a list or dict of inputs, as `forward` takes it."""
        if isinstance(x, dict):
            return {key: self._as_array(part) for key, part in x.items()}
        if isinstance(x, (list, tuple)) and (
            self.takes_several or (self.of_user and all(type(a) is np.ndarray for a in x))
        ):
            return [self._as_array(part) for part in x]
        return self._as_array(x)

    def _check_options(self, options: Mapping[str, Any]) -> None:
        if options and self.of_user:
            raise TypeError(
                f"{type(self).__name__} defines forward(self, x, training), which does not take "
                f"{', '.join(options)}."
            )

    def _as_masks(self, mask: Any, x: Any) -> Any:
        """Return ``mask`` as booleans, one array or None for each of the inputs ``x``."""
        given = mask if isinstance(x, list) and isinstance(mask, (list, tuple)) else [mask]
        inputs = flatten(x)
        masks = [None if one is None else np.asarray(one, bool) for one in given]
        if len(masks) != len(inputs) or any(
            one is not None and one.shape != array.shape[: max(one.ndim, 2)]
            for one, array in zip(masks, inputs, strict=True)
        ):
            shapes = [None if one is None else one.shape for one in masks]
            raise ValueError(
                f"mask must hold a truth value for each step of each input of layer {self.name!r}, "
                f"of shape (batch, steps). Received: shapes {shapes} for inputs of shapes "
                f"{[np.shape(array) for array in inputs]}"
            )
        return pack_as(x, masks)

    def _as_array(self, x: Any) -> Array:
        array = as_samples("x", x)
        if self.takes_integers and array.dtype.kind in "iub":
            return array
        return array.astype(self.dtype, copy=False)

    @property
    def input(self) -> Any:
        """The tensor, or list or dict of tensors, that the layer was first called on.

        Raises:
            AttributeError: If the layer has not been called on tensors.
        """
        return self._first_node().x

    @property
    def output(self) -> Any:
        """The tensor, or list or dict of tensors, that the layer returned for `input`.

        Raises:
            AttributeError: If the layer has not been called on tensors.
        """
        return self._first_node().output_structure

    def _first_node(self) -> Node:
        if not self.nodes:
            raise AttributeError(
                f"Layer {self.name!r} has not been called on a tensor, such as that of Input."
            )
        return self.nodes[0]

    def on_tensors(
        self, arguments: Sequence[Any], training: bool | None = None, **options: Any
    ) -> Any:
        """Return the output tensors for tensors, and record the call as a `Node`.

        Args:
            arguments: The arguments of the call: tensors and constants, also in lists.
            training: Whether the layer always computes as in training; None lets the model decide.
            **options: Further options of `stages`.

        Raises:
            TypeError: If a subclass's own `forward` gets options.
            ValueError: If the layer cannot take arrays of the tensors' shapes.
        """
        self._check_options(options)
        arguments = tuple(map_structure(lambda leaf: leaf, part) for part in arguments)
        x = arguments[0] if len(arguments) == 1 else list(arguments)
        tensors = [leaf for leaf in flatten(x) if isinstance(leaf, KerasTensor)]
        if not self.is_model:  # its layers check that
            refuse_text(self, (tensor.dtype for tensor in tensors))
        shapes = map_structure(lambda t: getattr(t, "shape", ()), x)
        self.ensure_built(shapes)
        told = self.told_shape(shapes, **options)
        dtype = self.compute_output_dtype(*(tensor.dtype for tensor in tensors))
        outputs = map_structure(lambda shape: KerasTensor(shape, dtype, self.name), told, SHAPES)
        if training is not None:
            options["training"] = training
        self.nodes.append(Node(self, arguments, outputs, options))
        return outputs

    def _shown(self) -> dict[str, Any]:
        shown = super()._shown()
        if re.fullmatch(rf"{self.default_name()}(_\d+)?", self.name):  # its model numbered it
            shown.pop("name", None)
        if self.dtype == floatx():
            shown.pop("dtype", None)
        return shown

    def __getstate__(self) -> dict[str, Any]:
        state = without_memo(self.__dict__)
        kept = {k: v for k, v in state.items() if k not in ("cache", "_unsettled")}
        return {**kept, "nodes": []}


def same_shape(self: Layer, input_shape: Shape) -> Shape:
    """Return ``input_shape``: the `compute_output_shape` of layers that keep the shape."""
    return input_shape


registry: Registry[Layer] = Registry("layer", Layer, "keras.layers", "nnlite.layers")


def empty_like(array: Any) -> Array:
    """Return a new array of the shape and type of ``array``, in C order."""
    return np.empty(np.shape(array), np.asarray(array).dtype)


def refuse_text(layer: Layer, dtypes: Iterable[str]) -> None:
    """Refuse text as input, unless the layer accepts it."""
    if not layer.takes_strings and not {"string", "object"}.isdisjoint(dtypes):
        raise TypeError(
            f"Layer {layer.name!r} computes with numbers. Received: text. Text must become numbers "
            "first, by StringLookup, Hashing or TextVectorization."
        )


def _names(function: Any) -> tuple[str, ...]:
    """Return a method's parameter names; `inspect` would take a tenth of the import time."""
    code = function.__code__
    return tuple(code.co_varnames[1 : code.co_argcount])


def _takes(function: Callable[..., Any], count: int) -> bool:
    """Return whether ``function`` can be called with ``count`` positional arguments."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    return True


def dtype_policy(dtype: str) -> dict[str, Any]:
    """Return a float type in the form of Keras's configurations."""
    return {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": dtype},
        "registered_name": None,
    }


@functools.lru_cache(maxsize=64)
def ones(size: int, dtype: Any) -> Array:
    """Return a read-only vector of ones: ``ones @ d`` sums columns six times as fast as sum."""
    vector = np.ones(size, dtype)
    vector.flags.writeable = False
    return vector


def as_shape(name: str, shape: Any, rank: int = 0) -> Shape:
    """Return ``shape``, an integer or at least ``rank`` integers and None, as a tuple."""
    sizes = (shape,) if isinstance(shape, (int, np.integer)) else shape
    sizes = check_axes_count(name, tuple(sizes) if is_listed(sizes) else (0,))
    if len(sizes) < rank or not all(
        size is None
        or (isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size > 0)
        for size in sizes
    ):
        raise ValueError(
            f"{name} must hold positive integers (or None where any size will do), such as (4,). "
            f"Received: {name}={shape!r}"
        )
    return tuple(None if size is None else int(size) for size in sizes)


def as_shapes(name: str, shapes: Any) -> Shapes:
    """Return ``shapes``, the shape of a batch, or a list or dict of those."""
    if isinstance(shapes, dict):
        return {key: as_shapes(f"{name}[{key!r}]", shape) for key, shape in shapes.items()}
    if isinstance(shapes, (list, tuple)) and any(
        isinstance(s, (list, tuple, dict)) for s in shapes
    ):
        return [as_shapes(f"{name}[{i}]", shape) for i, shape in enumerate(shapes)]
    return as_shape(name, shapes, 1)


def fits(shape: Shapes, expected: Shapes) -> bool:
    """Return whether ``shape`` matches ``expected``, where None stands for any size."""
    if isinstance(expected, SHAPES) or isinstance(shape, SHAPES):
        if expected is None:
            return True
        shapes, wanted = flatten(shape, SHAPES), flatten(expected, SHAPES)
        return len(shapes) == len(wanted) and all(map(fits, shapes, wanted))
    if expected is None or len(shape) != len(expected):
        return expected is None
    return shape[1:] == expected[1:] or all(
        size is None or want is None or size == want
        for size, want in zip(shape[1:], expected[1:], strict=True)
    )

"""Cloning and deserialization of models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from nnlite.backend.structure_cache import invalidate
from nnlite.layers.core import InputLayer
from nnlite.layers.layer import Layer
from nnlite.models.functional import Functional
from nnlite.models.model import Model
from nnlite.models.sequential import Sequential
from nnlite.serialization.objects import knowing_all
from nnlite.symbolic import KerasTensor
from nnlite.utils.structures import flatten, map_structure
from nnlite.utils.validation import ArgumentError


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
) -> Model:
    """Return a copy of a model with new weights, the same ``seed`` and the same compile settings.

    A layer that is called several times has one copy. A subclass of `Model` with a `call` is
    created from its configuration.

    Args:
        model: The model.
        input_tensors: Tensors in the structure of ``model.input``; None creates new tensors.
        clone_function: A function that returns the copy of a layer; None copies its
            configuration.
        call_function: For functional models, a function of a copied layer and its arguments that
            returns the output tensors; None calls the layer.
        recursive: Whether to call ``clone_function`` with the layers of nested models instead of
            the nested models.

    Raises:
        TypeError: If ``model`` is not a model, or its class cannot be copied.
        ValueError: If an argument does not apply to the model, or ``input_tensors`` are not tensors
            or differ in structure.

    >>> from nnlite.layers import Dense, Input
    >>> clone_model(Sequential([Input((2,)), Dense(1, name="last")]))
    Sequential([InputLayer(shape=(2,)), Dense(units=1, name='last')])
    """
    return _cloned(model, input_tensors, clone_function, call_function, recursive, {})


def _cloned(
    model: Model,
    input_tensors: Any,
    clone_function: Callable[[Layer], Layer] | None,
    call_function: Callable[..., Any] | None,
    recursive: bool,
    copies: dict[Layer, Layer],
) -> Model:
    if not isinstance(model, Model):
        raise TypeError(f"clone_model takes a model. Received: {model!r}")
    sequential = isinstance(model, Sequential)
    own = clone_function is not None or input_tensors is not None
    functional = model._connected and (own or type(model).get_config in _OF_LAYERS)
    if not sequential and not functional and own:
        raise ValueError(
            "clone_function and input_tensors are for Sequential and functional models. Received: "
            f"a model of class {type(model).__name__}"
        )
    if not functional and call_function is not None:
        raise ValueError(
            "call_function is for functional models, which record the calls of layers. "
            f"Received: a model of class {type(model).__name__}"
        )

    def copy(layer: Layer) -> Layer:
        if layer not in copies:
            if recursive and isinstance(layer, Model) and not layer.tracks_layers:
                below = None if isinstance(layer, Sequential) else call_function
                copies[layer] = _cloned(layer, None, clone_function, below, True, copies)
            elif clone_function is not None:
                copies[layer] = clone_function(layer)
            else:
                copies[layer] = type(layer).from_config(layer.get_config())
        return copies[layer]

    if isinstance(model, Sequential):
        clone: Model = _cloned_chain(model, input_tensors, copy)
    elif functional:
        clone = _cloned_graph(model, input_tensors, copy, call_function)
    else:
        from nnlite.saving.reading import model_from_data
        from nnlite.saving.writing import model_data

        with knowing_all():
            return cast(Model, model_from_data(model_data(model)))
    clone._trainable = model.trainable  # each layer has its own
    invalidate()
    if model.compiled:
        with knowing_all():
            clone.compile_from_config(model.get_compile_config())
    return clone


def _cloned_chain(
    model: Sequential, input_tensors: Any, copy: Callable[[Layer], Layer]
) -> Sequential:
    if isinstance(input_tensors, (list, tuple)) and len(input_tensors) == 1:
        (input_tensors,) = input_tensors
    if isinstance(input_tensors, InputLayer):
        input_tensors = input_tensors.tensor
    if input_tensors is not None and not isinstance(input_tensors, KerasTensor):
        raise ValueError(f"input_tensors must be an Input. Received: {input_tensors!r}")
    shape = model.declared_input_shape()
    if input_tensors is None and shape is not None:
        input_tensors = InputLayer(batch_shape=shape, dtype=model.input_dtypes[0]).tensor
    head = [] if input_tensors is None else [input_tensors]
    copies = [copy(layer) for layer in model.layers]
    try:
        return type(model)([*head, *copies], name=model.name, **model._given_seed())
    except TypeError as error:
        raise TypeError(
            f"clone_model calls {type(model).__name__}(layers, name), which its __init__ does not "
            f"accept: {error}"
        ) from error


def _cloned_graph(
    model: Model,
    input_tensors: Any,
    copy: Callable[[Layer], Layer],
    call_function: Callable[..., Any] | None,
) -> Model:
    if input_tensors is None:
        input_tensors = map_structure(
            lambda old: InputLayer(batch_shape=old.shape, dtype=old.dtype, name=old.name).tensor,
            model.input,
        )
    else:
        for tensor in flatten(input_tensors):
            if not isinstance(tensor, KerasTensor):
                raise ValueError(  # noqa: TRY004  as in Keras
                    f"All entries in input_tensors must be KerasTensors. Received: {tensor!r}"
                )
        same = map_structure(lambda _: None, input_tensors)
        if same != map_structure(lambda _: None, model.input):
            raise ValueError(
                "input_tensors must have the same structure as model.input, "
                f"{model.input!r}. Received: {input_tensors!r}"
            )
    made = {
        id(old): new for old, new in zip(flatten(model.input), flatten(input_tensors), strict=True)
    }
    for node in model.calls():
        layer = copy(node.layer)
        args = map_structure(lambda leaf: made.get(id(leaf), leaf), node.arguments)
        if call_function is None:
            outputs = layer(*args, **node.options)
        else:
            outputs = call_function(layer, *args, **node.options)
        made.update((id(old), new) for old, new in zip(node.outputs, flatten(outputs), strict=True))
    ends = input_tensors, map_structure(lambda old: made[id(old)], model.output)
    cls = type(model) if type(model)._is_made_of_tensors() else Functional
    return cls(*ends, name=model.name, **model._given_seed())


#: The `get_config` methods of functional models without their own.
_OF_LAYERS = (Model.get_config, Functional.get_config)


def model_from_config(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> Model:
    """Return a model with new weights from ``{"class_name": ..., "config": ...}``.

    Args:
        config: The model as plain data, from any version of Keras.
        custom_objects: Your own classes, by name.

    Raises:
        ValueError: If it does not describe a model, or a layer is unknown.

    >>> from nnlite.layers import Dense, Input
    >>> config = Sequential([Input((2,)), Dense(1)]).get_config()
    >>> model_from_config({"class_name": "Sequential", "config": config}).count_params()
    3
    """
    from nnlite.saving.reading import model_from_data

    return cast(Model, model_from_data(dict(config), custom_objects))


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Model:
    """Return a model with new weights from the JSON of nnlite or Keras.

    Args:
        json_string: The JSON.
        custom_objects: Your own classes, by name.

    Raises:
        TypeError: If it is not text.
        ValueError: If it does not describe a model, or a layer is unknown.

    >>> from nnlite.layers import Dense, Input
    >>> model_from_json(Sequential([Input((2,)), Dense(1)]).to_json()).count_params()
    3
    """
    from nnlite.saving.formats.json_text import parse_json
    from nnlite.saving.reading import model_from_data

    if not isinstance(json_string, (str, bytes)):
        raise ArgumentError(
            "json_string must be the text that to_json returns; for a configuration, call "
            f"model_from_config. Received: an object of type {type(json_string).__name__}"
        )
    return cast(Model, model_from_data(parse_json(json_string, "json_string"), custom_objects))

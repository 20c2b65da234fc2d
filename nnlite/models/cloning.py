"""Models copied, and made of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nnlite.backend.structure_cache import restructured
from nnlite.layers.core import InputLayer
from nnlite.layers.layer import Layer
from nnlite.models.sequential import Sequential
from nnlite.serialization.objects import knowing_all

__all__ = [
    "clone_model",
    "model_from_config",
    "model_from_json",
]


def clone_model(
    model: Sequential,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: None = None,
    recursive: bool = False,
) -> Sequential:
    """Return a model of the same layers with fresh weights, compiled as the model is.

    Args:
        model: The model.
        input_tensors: An `Input` for the copy; None takes the model's own.
        clone_function: Called with each layer for the one to take in the copy; None makes a new
            one from its configuration.
        call_function: As in Keras, where it is for functional models only.
        recursive: Whether ``clone_function`` is called with the layers in nested models too, in the
            place of with the nested models.

    Raises:
        TypeError: If ``model`` is not a `Sequential`, or its class cannot be made of a list of
            layers and a name.
        ValueError: If ``call_function`` is given, or ``input_tensors`` is not an `Input`.

    >>> from nnlite.layers import Dense, Input
    >>> clone_model(Sequential([Input((2,)), Dense(1, name="last")]))
    Sequential([InputLayer(shape=(2,)), Dense(units=1, name='last')])
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"clone_model takes a Sequential. Received: {model!r}")
    if call_function is not None:
        raise ValueError("call_function is for functional models, which nnlite does not have.")
    if isinstance(input_tensors, (list, tuple)) and len(input_tensors) == 1:
        (input_tensors,) = input_tensors
    if input_tensors is not None and not isinstance(input_tensors, InputLayer):
        raise ValueError(f"input_tensors must be an Input. Received: {input_tensors!r}")

    def copy(layer: Layer) -> Layer:
        if recursive and isinstance(layer, Sequential):
            return clone_model(layer, clone_function=clone_function, recursive=True)
        if clone_function is not None:
            return clone_function(layer)
        return type(layer).from_config(layer.get_config())

    shape = model.declared_input_shape()
    if input_tensors is None and shape is not None:
        input_tensors = InputLayer(batch_shape=shape, dtype=model.dtype)
    head = [] if input_tensors is None else [input_tensors]
    copies = [copy(layer) for layer in model.layers]
    try:
        clone = type(model)([*head, *copies], name=model.name)
    except TypeError as error:
        raise TypeError(
            f"clone_model makes a {type(model).__name__} of a list of layers and a name, which its "
            f"__init__ does not take: {error}"
        ) from error
    clone._trainable = model.trainable  # each layer has its own
    restructured()
    if model.compiled:
        with knowing_all():
            clone.compile_from_config(model.get_compile_config())
    return clone


def model_from_config(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> Sequential:
    """Return a model, with fresh weights, from ``{"class_name": ..., "config": ...}``.

    Args:
        config: The model as plain data, as any version of Keras writes it.
        custom_objects: Classes of yours that it names, by their names there.

    Raises:
        ValueError: If it is no model's, or needs layers that nnlite does not have.

    >>> from nnlite.layers import Dense, Input
    >>> config = Sequential([Input((2,)), Dense(1)]).get_config()
    >>> model_from_config({"class_name": "Sequential", "config": config}).count_params()
    3
    """
    from nnlite.saving.reading import model_from_data

    return model_from_data(dict(config), custom_objects)


def model_from_json(
    json_string: str, custom_objects: Mapping[str, Any] | None = None
) -> Sequential:
    """Return a model, with fresh weights, from what `Sequential.to_json` or Keras's gave.

    Args:
        json_string: The text.
        custom_objects: Classes of yours that it names, by their names there.

    Raises:
        ValueError: If it is no JSON of a model, or needs layers that nnlite does not have.

    >>> from nnlite.layers import Dense, Input
    >>> model_from_json(Sequential([Input((2,)), Dense(1)]).to_json()).count_params()
    3
    """
    from nnlite.saving.formats.json_text import parse_json
    from nnlite.saving.reading import model_from_data

    return model_from_data(parse_json(json_string, "json_string"), custom_objects)

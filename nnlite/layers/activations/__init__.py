"""Activations: a class for each, with the function and its derivative.

An activation is a layer. `Dense` holds one for its ``activation`` argument; as a layer of a
model it computes the same, to the last bit.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from nnlite.layers.activations.base import ActivationLayer, registry
from nnlite.layers.activations.gated import GELU, GLU, Mish, SiLU
from nnlite.layers.activations.hard import (
    HardShrink,
    HardSigmoid,
    HardSiLU,
    HardTanh,
    SoftShrink,
    SparsePlus,
    SparseSigmoid,
    Threshold,
)
from nnlite.layers.activations.rectified import CELU, ELU, SELU, LeakyReLU, ReLU
from nnlite.layers.activations.smooth import (
    Exponential,
    Identity,
    LogSigmoid,
    Sigmoid,
    Softplus,
    Softsign,
    Squareplus,
    Tanh,
    TanhShrink,
)
from nnlite.layers.activations.softmaxes import LogSoftmax, Softmax, Sparsemax
from nnlite.layers.layer import Layer
from nnlite.layers.layer import registry as layer_registry
from nnlite.serialization.objects import get_registered_object, serialize_keras_object
from nnlite.utils.validation import ArgumentError

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "ActivationLayer",
    "Exponential",
    "HardShrink",
    "HardSiLU",
    "HardSigmoid",
    "HardTanh",
    "Identity",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "SoftShrink",
    "Softmax",
    "Softplus",
    "Softsign",
    "SparsePlus",
    "SparseSigmoid",
    "Sparsemax",
    "Squareplus",
    "Tanh",
    "TanhShrink",
    "Threshold",
    "function_name",
    "functions",
    "get",
    "registry",
    "serialize",
]

_OF_YOUR_OWN = (
    " Your own function needs its derivative: subclass nnlite.layers.ActivationLayer, define "
    "apply(x, out), which writes f(x) into out and returns it, and chain(gradient, x, y, out), "
    "which writes gradient * f'(x) into out and returns it, and give the class."
)

#: The functions of ``nnlite.activations``, each with the name of its layer.
functions: dict[Callable[..., Any], str] = {}


def get(identifier: Any, dtype: str) -> Layer:
    """Return a new activation layer; None is the identity.

    Args:
        identifier: A name such as ``"relu"``, a function of ``nnlite.activations``, a layer class,
            a layer, which is copied, or a configuration.
        dtype: The float type that it computes in.

    Raises:
        ValueError: If the name is unknown, or the layer computes in another type.
        TypeError: If ``identifier`` is none of these.
    """
    if isinstance(identifier, Mapping) and identifier.get("class_name") == "function":
        identifier = identifier.get("config")
    if isinstance(identifier, str):
        identifier = get_registered_object(identifier) or identifier
    if isinstance(identifier, Layer):
        layer = copy.deepcopy(identifier)
    elif isinstance(identifier, Mapping):
        layer = layer_registry.deserialize(identifier)
    else:
        layer = _made(identifier, dtype)
    if layer.dtype != dtype:
        raise ValueError(
            f"activation {layer!r} computes in {layer.dtype}, but its layer in {dtype}. "
            "One model has one dtype."
        )
    return layer


def _made(identifier: Any, dtype: str) -> Layer:
    """Return a layer for a name, a function, a class or None."""
    make: Callable[..., Layer]
    if identifier is None:
        make = Identity
    elif isinstance(identifier, str):
        make = registry.lookup(identifier)
    elif inspect.isfunction(identifier) and identifier in functions:
        make = registry.lookup(functions[identifier])
    elif isinstance(identifier, type) and issubclass(identifier, Layer):
        make = identifier
    else:
        raise ArgumentError(
            "activation must be a name such as 'relu', a function of nnlite.activations, or a "
            f"layer such as ReLU(). Received: activation={identifier!r}."
            + (_OF_YOUR_OWN if callable(identifier) else "")
        )
    try:
        return make(dtype=dtype)
    except TypeError as error:
        raise ArgumentError(
            f"activation={identifier!r} cannot be made without arguments ({error}). "
            "Give a layer object."
        ) from None


def serialize(layer: Layer) -> Any:
    """Return an activation as Keras's configurations do: by its function's name if possible.

    Args:
        layer: The activation.

    Returns:
        The name, or the serialized layer if its arguments are not those of Keras's function, or if
        it was given a name.

    >>> serialize(ReLU()), serialize(ReLU(max_value=6)), serialize(LeakyReLU(0.2))
    ('relu', 'relu6', 'leaky_relu')
    >>> serialize(LeakyReLU(0.3))["config"]["negative_slope"]
    0.3
    """
    name = None if layer.name_settled else function_name(layer)
    return serialize_keras_object(layer) if name is None else name


def function_name(layer: Layer) -> str | None:
    """Return the name of the Keras function that an activation equals, or None.

    >>> function_name(GELU()), function_name(GELU(approximate=True))
    ('gelu', None)
    """
    for name in (getattr(layer, "function_name", None), "relu6"):
        if name is not None and type(layer) is not Threshold:
            twin = registry.lookup(name)(
                name=layer.name, trainable=layer.trainable, dtype=layer.dtype
            )
            if type(twin) is type(layer) and twin.get_config() == layer.get_config():
                return name
    return None

"""Activations as functions, under Keras's names and with Keras's arguments.

Each function computes the same as its layer, which has the formula, source and errors. An input is
an array of any shape (float32 and float64 keep their type) or can be converted to one; the output
is a new array of its shape, except that `glu` halves an axis. Layers accept the functions:

>>> from nnlite.layers import Dense
>>> Dense(8, activation=gelu)
Dense(units=8, activation=GELU())
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from nnlite import layers
from nnlite.config import floatx
from nnlite.layers import Layer
from nnlite.layers.activations import functions
from nnlite.serialization.objects import KINDS, get_registered_object, serialize_keras_object
from nnlite.serialization.registry import Registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import ArgumentError, as_numeric

__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]

F = TypeVar("F", bound=Callable[..., Any])


def _named(function: F) -> F:
    """Register the function as that of a layer, which has its derivative."""
    functions[function] = function.__name__
    return function


def _computed(layer: type[Layer], x: Any, **arguments: Any) -> Array:
    """Return the layer's output for ``x``."""
    array = as_numeric("x", x)
    kept = isinstance(x, (np.ndarray, np.generic)) and array.dtype in (np.float32, np.float64)
    dtype = array.dtype.name if kept else floatx()
    made = layer(dtype=dtype, **arguments)
    made.ensure_built(array.shape)
    with np.errstate(under="ignore"):
        y = made.forward(np.atleast_1d(array.astype(dtype)))
    return y if array.ndim else y[0]


@_named
def celu(x: Any, alpha: float = 1.0) -> Array:
    """Return x where x > 0, else alpha (exp(x / alpha) - 1): see `layers.CELU`.

    >>> celu([-100.0, 2.0])
    array([-1.,  2.], dtype=float32)
    """
    return _computed(layers.CELU, x, alpha=alpha)


@_named
def elu(x: Any, alpha: float = 1.0) -> Array:
    """Return x where x > 0, else alpha (exp(x) - 1): see `layers.ELU`.

    >>> elu([-100.0, 2.0], alpha=0.5)
    array([-0.5,  2. ], dtype=float32)
    """
    return _computed(layers.ELU, x, alpha=alpha)


@_named
def exponential(x: Any) -> Array:
    """Return exp(x), at most the largest finite number: see `layers.Exponential`.

    >>> exponential([0.0, -1000.0])
    array([1., 0.], dtype=float32)
    """
    return _computed(layers.Exponential, x)


@_named
def gelu(x: Any, approximate: bool = False) -> Array:
    """Return x times the standard normal distribution function: see `layers.GELU`.

    >>> gelu([-1.0, 1.0]).round(3)
    array([-0.159,  0.841], dtype=float32)
    """
    return _computed(layers.GELU, x, approximate=approximate)


@_named
def glu(x: Any, axis: int = -1) -> Array:
    """Return half of x times the sigmoid of the other half: see `layers.GLU`.

    >>> glu([1.0, 4.0, 0.0, 0.0])
    array([0.5, 2. ], dtype=float32)
    """
    return _computed(layers.GLU, x, axis=axis)


@_named
def hard_shrink(x: Any, threshold: float = 0.5) -> Array:
    """Return x where |x| > threshold, else 0: see `layers.HardShrink`.

    >>> hard_shrink([-1.0, 0.25])
    array([-1.,  0.], dtype=float32)
    """
    return _computed(layers.HardShrink, x, threshold=threshold)


@_named
def hard_sigmoid(x: Any) -> Array:
    """Return x / 6 + 1/2, clipped to [0, 1]: see `layers.HardSigmoid`.

    >>> hard_sigmoid([-4.0, 1.5])
    array([0.  , 0.75], dtype=float32)
    """
    return _computed(layers.HardSigmoid, x)


@_named
def hard_silu(x: Any) -> Array:
    """Return x times its hard sigmoid: see `layers.HardSiLU`.

    >>> hard_silu([-1.5, 4.0])
    array([-0.375,  4.   ], dtype=float32)
    """
    return _computed(layers.HardSiLU, x)


hard_swish = hard_silu


@_named
def hard_tanh(x: Any) -> Array:
    """Return x, clipped to [-1, 1]: see `layers.HardTanh`.

    >>> hard_tanh([-4.0, 0.5])
    array([-1. ,  0.5], dtype=float32)
    """
    return _computed(layers.HardTanh, x)


@_named
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Array:
    """Return x where x >= 0, else negative_slope x: see `layers.LeakyReLU`.

    >>> leaky_relu([-1.0, 2.0])
    array([-0.2,  2. ], dtype=float32)
    """
    return _computed(layers.LeakyReLU, x, negative_slope=negative_slope)


@_named
def linear(x: Any) -> Array:
    """Return x itself: see `layers.Identity`.

    >>> linear([-1.0, 2.0])
    array([-1.,  2.], dtype=float32)
    """
    return _computed(layers.Identity, x)


@_named
def log_sigmoid(x: Any) -> Array:
    """Return -log(1 + exp(-x)): see `layers.LogSigmoid`.

    >>> log_sigmoid([-100.0, 0.0]).round(3)
    array([-100.   ,   -0.693], dtype=float32)
    """
    return _computed(layers.LogSigmoid, x)


@_named
def log_softmax(x: Any, axis: int | Sequence[int] = -1) -> Array:
    """Return the logarithm of the softmax along ``axis``: see `layers.LogSoftmax`.

    >>> log_softmax([0.0, 100.0])
    array([-100.,    0.], dtype=float32)
    """
    return _computed(layers.LogSoftmax, x, axis=axis)


@_named
def mish(x: Any) -> Array:
    """Return x tanh(log(1 + exp(x))): see `layers.Mish`.

    >>> mish([-1.0, 1.0]).round(3)
    array([-0.303,  0.865], dtype=float32)
    """
    return _computed(layers.Mish, x)


@_named
def relu(
    x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Array:
    """Return max(x, 0); for the other arguments see `layers.ReLU`.

    >>> relu([-1.0, 2.0])
    array([0., 2.], dtype=float32)
    """
    return _computed(
        layers.ReLU, x, negative_slope=negative_slope, max_value=max_value, threshold=threshold
    )


@_named
def relu6(x: Any) -> Array:
    """Return x, clipped to [0, 6]: see `layers.ReLU`.

    >>> relu6([-1.0, 2.0, 8.0])
    array([0., 2., 6.], dtype=float32)
    """
    return _computed(layers.ReLU, x, max_value=6.0)


@_named
def selu(x: Any) -> Array:
    """Return 1.0507 x where x > 0, else 1.7581 (exp(x) - 1): see `layers.SELU`.

    >>> selu([-100.0, 2.0]).round(3)
    array([-1.758,  2.101], dtype=float32)
    """
    return _computed(layers.SELU, x)


@_named
def sigmoid(x: Any) -> Array:
    """Return 1 / (1 + exp(-x)): see `layers.Sigmoid`.

    >>> sigmoid([0.0, 1000.0])
    array([0.5, 1. ], dtype=float32)
    """
    return _computed(layers.Sigmoid, x)


@_named
def silu(x: Any) -> Array:
    """Return x times its sigmoid: see `layers.SiLU`.

    >>> silu([-1.0, 1.0]).round(3)
    array([-0.269,  0.731], dtype=float32)
    """
    return _computed(layers.SiLU, x)


swish = silu


@_named
def soft_shrink(x: Any, threshold: float = 0.5) -> Array:
    """Return x, moved towards 0 by ``threshold``: see `layers.SoftShrink`.

    >>> soft_shrink([-2.0, 0.25])
    array([-1.5,  0. ], dtype=float32)
    """
    return _computed(layers.SoftShrink, x, threshold=threshold)


@_named
def softmax(x: Any, axis: int | Sequence[int] = -1) -> Array:
    """Return exp(x) / sum(exp(x)) along ``axis``: see `layers.Softmax`.

    >>> softmax([0.0, 0.0, 1000.0]).round(3)
    array([0., 0., 1.], dtype=float32)
    """
    return _computed(layers.Softmax, x, axis=axis)


@_named
def softplus(x: Any) -> Array:
    """Return log(1 + exp(x)): see `layers.Softplus`.

    >>> softplus([0.0, 100.0]).round(3)
    array([  0.693, 100.   ], dtype=float32)
    """
    return _computed(layers.Softplus, x)


@_named
def softsign(x: Any) -> Array:
    """Return x / (1 + |x|): see `layers.Softsign`.

    >>> softsign([-1.0, 3.0])
    array([-0.5 ,  0.75], dtype=float32)
    """
    return _computed(layers.Softsign, x)


@_named
def sparse_plus(x: Any) -> Array:
    """Return 0 up to -1, (x + 1)^2 / 4 up to 1, then x: see `layers.SparsePlus`.

    >>> sparse_plus([-2.0, 0.0, 2.0])
    array([0.  , 0.25, 2.  ], dtype=float32)
    """
    return _computed(layers.SparsePlus, x)


@_named
def sparse_sigmoid(x: Any) -> Array:
    """Return (x + 1) / 2, clipped to [0, 1]: see `layers.SparseSigmoid`.

    >>> sparse_sigmoid([-2.0, 0.0, 2.0])
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return _computed(layers.SparseSigmoid, x)


@_named
def sparsemax(x: Any, axis: int = -1) -> Array:
    """Return the distribution along ``axis`` that is nearest to x: see `layers.Sparsemax`.

    >>> sparsemax([0.0, 0.5, 1.0])
    array([0.  , 0.25, 0.75], dtype=float32)
    """
    return _computed(layers.Sparsemax, x, axis=axis)


@_named
def squareplus(x: Any, b: float = 4) -> Array:
    """Return (x + sqrt(x^2 + b)) / 2: see `layers.Squareplus`.

    >>> squareplus([-1.5, 0.0, 1.5])
    array([0.5, 1. , 2. ], dtype=float32)
    """
    return _computed(layers.Squareplus, x, b=b)


@_named
def tanh(x: Any) -> Array:
    """Return the hyperbolic tangent of x: see `layers.Tanh`.

    >>> tanh([-1.0, 1000.0]).round(3)
    array([-0.762,  1.   ], dtype=float32)
    """
    return _computed(layers.Tanh, x)


@_named
def tanh_shrink(x: Any) -> Array:
    """Return x - tanh(x): see `layers.TanhShrink`.

    >>> tanh_shrink([-1.0, 1.0]).round(3)
    array([-0.238,  0.238], dtype=float32)
    """
    return _computed(layers.TanhShrink, x)


@_named
def threshold(x: Any, threshold: float, default_value: float) -> Array:
    """Return x where x > threshold, else default_value: see `layers.Threshold`.

    >>> threshold([-1.0, 2.0], 0.5, -3.0)
    array([-3.,  2.], dtype=float32)
    """
    return _computed(layers.Threshold, x, threshold=threshold, default_value=default_value)


# ---- names and configurations -------------------------------------------------------------------

_known: Registry[Any] = Registry("activation", object)
for _function, _name in functions.items():
    _known.add(_name, _function)
_known.add("hard_swish", hard_silu)
_known.add("swish", silu)


def serialize(activation: Any) -> Any:
    """Return an activation as plain data: the name of a function, or a layer's class and arguments.

    Args:
        activation: A function of this module, a layer, or a registered function.

    Raises:
        TypeError: If ``activation`` is none of these.

    >>> serialize(swish)
    'silu'
    """
    if callable(activation) and activation in functions:
        return functions[activation]
    if not callable(activation):
        raise ArgumentError(f"activation must be a function or a layer. Received: {activation!r}")
    return serialize_keras_object(activation)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the function or layer for a result of `serialize`.

    Args:
        config: The name or the configuration.
        custom_objects: The user's classes by name.

    Raises:
        TypeError: If ``config`` is neither.
        ValueError: If the name is unknown, or the configuration is invalid.

    >>> deserialize("relu")([-1.0, 2.0])
    array([0., 2.], dtype=float32)
    >>> deserialize({"class_name": "LeakyReLU", "config": {"negative_slope": 0.1}})
    LeakyReLU(negative_slope=0.1)
    """
    if isinstance(config, Mapping):
        if config.get("class_name") != "function":
            return layers.deserialize(config, custom_objects)
        config = config.get("config")
    if not isinstance(config, str):
        raise ArgumentError(
            f"config must be the name of an activation or a dict. Received: {config!r} "
            f"(of type {type(config).__name__})"
        )
    own = get_registered_object(config, custom_objects)
    return _known.lookup(config) if own is None else own


def get(identifier: Any) -> Any:
    """Return the activation function or layer for ``identifier``.

    Args:
        identifier: A name, a result of `serialize`, None for `linear`, or a callable, which is
            returned unchanged.

    Raises:
        TypeError: If ``identifier`` is none of these.
        ValueError: If the name is unknown, or the configuration is invalid.

    >>> get("swish") is silu, get(None) is linear
    (True, True)
    """
    if identifier is None:
        return linear
    return identifier if callable(identifier) else deserialize(identifier)


class _Functions:
    """The interface to `nnlite.serialization.objects`."""

    deserialize = staticmethod(deserialize)


KINDS["keras.activations"] = _Functions()

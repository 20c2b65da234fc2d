"""Layers: each one owns its forward pass, its way back, and its weights."""

from nnlite.layers.activations import Identity, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from nnlite.layers.core import Activation, Dense, Input, InputLayer
from nnlite.layers.layer import Layer, registry
from nnlite.layers.normalization import BatchNormalization
from nnlite.layers.regularization import Dropout
from nnlite.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from nnlite.serialization import serialize_keras_object as serialize

deserialize = registry.deserialize

__all__ = [
    "Activation",
    "BatchNormalization",
    "Dense",
    "Dropout",
    "Flatten",
    "Identity",
    "Input",
    "InputLayer",
    "Layer",
    "LeakyReLU",
    "Permute",
    "ReLU",
    "RepeatVector",
    "Reshape",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "deserialize",
    "serialize",
]

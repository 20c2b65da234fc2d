"""Layers: each one owns its forward pass, its way back, and its weights."""

from nnlite.layers.activations import Identity, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from nnlite.layers.core import Activation, Dense, Input, InputLayer
from nnlite.layers.layer import Layer, registry
from nnlite.layers.normalization import BatchNormalization
from nnlite.layers.regularization import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from nnlite.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from nnlite.serialization import serialize_keras_object as serialize

deserialize = registry.deserialize

__all__ = [
    "Activation",
    "ActivityRegularization",
    "AlphaDropout",
    "BatchNormalization",
    "Dense",
    "Dropout",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
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
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "Tanh",
    "deserialize",
    "serialize",
]

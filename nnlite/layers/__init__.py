"""Layers: each one owns its forward pass, its backward pass, and its weights."""

from typing import TYPE_CHECKING

from nnlite.layers.activations import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    ActivationLayer,
    Exponential,
    HardShrink,
    HardSigmoid,
    HardSiLU,
    HardTanh,
    Identity,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    SoftShrink,
    Softsign,
    Sparsemax,
    SparsePlus,
    SparseSigmoid,
    Squareplus,
    Tanh,
    TanhShrink,
    Threshold,
)
from nnlite.layers.core import Activation, Dense, Embedding, Input, InputLayer, Masking
from nnlite.layers.layer import Layer, registry
from nnlite.serialization.objects import serialize_keras_object as serialize
from nnlite.utils.lazy import on_first_use

deserialize = registry.deserialize

if TYPE_CHECKING:
    from nnlite.layers.activations.prelu import *
    from nnlite.layers.attention.attention import *
    from nnlite.layers.attention.multi_head_attention import *
    from nnlite.layers.convolution import *
    from nnlite.layers.core.einsum_dense import *
    from nnlite.layers.core.lambda_layer import *
    from nnlite.layers.merging import *
    from nnlite.layers.normalization.batch_normalization import *
    from nnlite.layers.normalization.group_normalization import *
    from nnlite.layers.normalization.layer_normalization import *
    from nnlite.layers.pooling import *
    from nnlite.layers.preprocessing.encoding import *
    from nnlite.layers.preprocessing.hashing import *
    from nnlite.layers.preprocessing.images import *
    from nnlite.layers.preprocessing.lookup import *
    from nnlite.layers.preprocessing.scaling import *
    from nnlite.layers.preprocessing.text_vectorization import *
    from nnlite.layers.recurrent import *
    from nnlite.layers.regularization.regularization import *
    from nnlite.layers.reshaping.margins import *
    from nnlite.layers.reshaping.reshaping import *
    from nnlite.layers.reshaping.up_sampling import *
else:
    __getattr__, __dir__ = on_first_use(
        __name__,
        {
            "nnlite.layers.activations.prelu": "PReLU",
            "nnlite.layers.attention.attention": "AdditiveAttention Attention",
            "nnlite.layers.attention.multi_head_attention": "MultiHeadAttention",
            "nnlite.layers.convolution": (
                "Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose "
                "Convolution1D Convolution1DTranspose Convolution2D Convolution2DTranspose "
                "Convolution3D Convolution3DTranspose DepthwiseConv1D DepthwiseConv2D "
                "SeparableConv1D SeparableConv2D SeparableConvolution1D SeparableConvolution2D"
            ),
            "nnlite.layers.core.einsum_dense": "EinsumDense",
            "nnlite.layers.core.lambda_layer": "Lambda",
            "nnlite.layers.merging": (
                "Add Average Concatenate Dot Maximum Minimum Multiply Subtract add average "
                "concatenate dot maximum minimum multiply subtract"
            ),
            "nnlite.layers.normalization.batch_normalization": "BatchNormalization",
            "nnlite.layers.normalization.group_normalization": "GroupNormalization",
            "nnlite.layers.normalization.layer_normalization": (
                "LayerNormalization RMSNormalization UnitNormalization"
            ),
            "nnlite.layers.pooling": (
                "AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D "
                "GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D "
                "GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D "
                "GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D "
                "MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D"
            ),
            "nnlite.layers.preprocessing.encoding": "CategoryEncoding Discretization",
            "nnlite.layers.preprocessing.hashing": "Hashing",
            "nnlite.layers.preprocessing.images": "CenterCrop Resizing",
            "nnlite.layers.preprocessing.lookup": "IntegerLookup StringLookup",
            "nnlite.layers.preprocessing.scaling": "Normalization Rescaling",
            "nnlite.layers.preprocessing.text_vectorization": "TextVectorization",
            "nnlite.layers.recurrent": (
                "GRU LSTM RNN Bidirectional GRUCell LSTMCell SimpleRNN SimpleRNNCell "
                "StackedRNNCells TimeDistributed"
            ),
            "nnlite.layers.regularization.regularization": (
                "ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise "
                "SpatialDropout1D SpatialDropout2D SpatialDropout3D"
            ),
            "nnlite.layers.reshaping.margins": (
                "Cropping1D Cropping2D Cropping3D ZeroPadding1D ZeroPadding2D ZeroPadding3D"
            ),
            "nnlite.layers.reshaping.reshaping": "Flatten Permute RepeatVector Reshape",
            "nnlite.layers.reshaping.up_sampling": "UpSampling1D UpSampling2D UpSampling3D",
        },
    )

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "GRU",
    "LSTM",
    "RNN",
    "SELU",
    "Activation",
    "ActivationLayer",
    "ActivityRegularization",
    "Add",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNormalization",
    "Bidirectional",
    "CategoryEncoding",
    "CenterCrop",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Convolution3D",
    "Convolution3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Discretization",
    "Dot",
    "Dropout",
    "EinsumDense",
    "Embedding",
    "Exponential",
    "Flatten",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "HardShrink",
    "HardSiLU",
    "HardSigmoid",
    "HardTanh",
    "Hashing",
    "Identity",
    "Input",
    "InputLayer",
    "IntegerLookup",
    "LSTMCell",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "Minimum",
    "Mish",
    "MultiHeadAttention",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Resizing",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "SiLU",
    "Sigmoid",
    "SimpleRNN",
    "SimpleRNNCell",
    "SoftShrink",
    "Softmax",
    "Softplus",
    "Softsign",
    "SparsePlus",
    "SparseSigmoid",
    "Sparsemax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "Squareplus",
    "StackedRNNCells",
    "StringLookup",
    "Subtract",
    "Tanh",
    "TanhShrink",
    "TextVectorization",
    "Threshold",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "serialize",
    "subtract",
]

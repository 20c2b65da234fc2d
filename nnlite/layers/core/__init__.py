"""The layers that most networks need."""

from nnlite.layers.core.activation import Activation
from nnlite.layers.core.dense import Dense
from nnlite.layers.core.embedding import Embedding
from nnlite.layers.core.input_layer import Input, InputLayer
from nnlite.layers.core.masking import Masking

__all__ = ["Activation", "Dense", "Embedding", "Input", "InputLayer", "Masking"]

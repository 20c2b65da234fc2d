"""Recurrent layers, and wrappers of layers for sequences."""

from nnlite.layers.recurrent.cells import GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells
from nnlite.layers.recurrent.rnn import GRU, LSTM, RNN, SimpleRNN
from nnlite.layers.recurrent.wrappers import Bidirectional, TimeDistributed

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Bidirectional",
    "GRUCell",
    "LSTMCell",
    "SimpleRNN",
    "SimpleRNNCell",
    "StackedRNNCells",
    "TimeDistributed",
]

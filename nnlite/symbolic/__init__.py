"""Symbolic tensors, and the calls of layers on them."""

from nnlite.symbolic.node import Node, in_order
from nnlite.symbolic.tensor import OPERATORS, KerasTensor, any_symbolic

__all__ = ["OPERATORS", "KerasTensor", "Node", "any_symbolic", "in_order"]

"""Runs a model's layers: their order, the forward pass and the backward pass."""

from nnlite.execution.graph import Call, Graph
from nnlite.execution.inference import infer
from nnlite.execution.plan import Memory, Plan
from nnlite.execution.reference_executor import ReferenceExecutor

__all__ = ["Call", "Graph", "Memory", "Plan", "ReferenceExecutor", "infer"]

"""How a model's layers are run: in which order, and the way back over them."""

from nnlite.execution.graph import Call, Graph
from nnlite.execution.inference import infer
from nnlite.execution.plan import Memory, Plan
from nnlite.execution.reference_executor import ReferenceExecutor

__all__ = ["Call", "Graph", "Memory", "Plan", "ReferenceExecutor", "infer"]

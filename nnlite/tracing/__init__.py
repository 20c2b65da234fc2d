"""Shows one training step: its arrays, their formulas, and the new weights."""

from nnlite.tracing.lines import Line, TraceNode
from nnlite.tracing.report import Trace
from nnlite.tracing.step import trace

__all__ = ["Line", "Trace", "TraceNode", "trace"]

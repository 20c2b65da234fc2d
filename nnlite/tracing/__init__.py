"""A training step opened: its arrays, where they come from, and what the step would change."""

from nnlite.tracing.lines import Line, TraceNode
from nnlite.tracing.report import Trace
from nnlite.tracing.step import trace

__all__ = ["Line", "Trace", "TraceNode", "trace"]

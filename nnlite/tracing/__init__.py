"""A training step opened: every array of it, where it comes from, and what the step would change."""

from nnlite.tracing.report import Line, Trace, TraceNode
from nnlite.tracing.step import trace

__all__ = ["Line", "Trace", "TraceNode", "trace"]

"""PyTorch with forward, loss and backward compiled, and the fused optimizer."""

from __future__ import annotations

from benchmarks.contenders import Operation, torch_eager
from benchmarks.workloads import Workload

__all__ = ["prepare"]


def prepare(workload: Workload, optimizer: str) -> dict[str, Operation]:
    """Return what `torch_eager` does, compiled."""
    return torch_eager.prepare(workload, optimizer, compiled=True)

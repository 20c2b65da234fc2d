"""PyTorch with channels last in memory, where a net has images."""

from __future__ import annotations

from benchmarks.contenders import Operation
from benchmarks.workloads import Workload

__all__ = ["prepare"]


def prepare(workload: Workload, optimizer: str) -> dict[str, Operation]:
    """Return the operations on images."""
    if not workload.layers:
        return {}
    from benchmarks.contenders import torch_layered

    return torch_layered.prepare(workload, optimizer, channels_last=True)

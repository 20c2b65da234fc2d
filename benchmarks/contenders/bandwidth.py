"""A floor: moving the bytes that an optimizer must move, at the speed of a copy by one thread."""

from __future__ import annotations

import numpy as np

from benchmarks.contenders import Operation
from benchmarks.workloads import Workload

__all__ = ["prepare"]

# Vectors that a step reads and writes: w and g, with momentum v, in Adam m and v; all but g again.
VECTORS = {"sgd": 3, "momentum": 5, "adam": 7}


def prepare(workload: Workload, optimizer: str) -> dict[str, Operation]:
    """Return copies that read and write as many bytes as the optimizer's steps."""
    if workload.layers:
        return {}
    if workload.by_row:
        return {}
    source = np.ones(workload.weights * VECTORS[optimizer] // 2, np.float32)
    target = np.ones_like(source)

    def run(epochs: int) -> None:
        for _ in range(epochs * workload.steps):
            np.copyto(target, source)

    return {"fit": run}

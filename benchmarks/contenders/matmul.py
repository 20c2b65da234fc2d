"""A floor: the matrix products of a step, bare, into arrays that are there already."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from benchmarks.contenders import Operation
from benchmarks.workloads import Workload

__all__ = ["prepare", "products"]


def prepare(workload: Workload, optimizer: str) -> dict[str, Operation]:
    """Return the products of a step, whatever the optimizer."""
    if workload.layers:
        return {}
    step = products(workload)

    def run(epochs: int) -> None:
        for _ in range(epochs * workload.steps):
            for a, b, out in step:
                np.dot(a, b, out)

    return {"train_on_batch" if workload.by_row else "fit": run}


def products(workload: Workload) -> list[tuple[Any, Any, Any]]:
    """Return the factors of a step's products with an array for each result.

    They are z = x W forward, then dW = x' d and dx = d W' backward, the last not for the first
    layer. For a net of other layers they are those of one large layer instead.
    """
    random, m = np.random.default_rng(0), workload.batch
    sizes = (512, 512) if workload.layers else workload.sizes

    def array(*shape: int) -> Any:
        return random.standard_normal(shape, np.float32)

    forward: list[tuple[Any, Any, Any]] = []
    backward: list[tuple[Any, Any, Any]] = []
    for inputs, units in itertools.pairwise(sizes):
        x, d, W, dW = array(m, inputs), array(m, units), array(inputs, units), array(inputs, units)
        forward.append((x, W, array(m, units)))
        if backward:
            backward.insert(0, (d, W.T, array(m, inputs)))
        backward.insert(0, (x.T, d, dW))
    return [*forward, *backward]

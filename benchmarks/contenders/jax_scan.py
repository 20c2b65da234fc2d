"""JAX by hand: a whole epoch compiled into one call, the limit of what fusion can give."""

# mypy: disable-error-code="import-not-found, no-untyped-call"
from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.contenders import Operation
from benchmarks.contenders.jax_net import Net
from benchmarks.workloads import Workload, data

__all__ = ["prepare"]


def prepare(workload: Workload, optimizer: str) -> dict[str, Operation]:
    """Return a training loop over epochs; single rows have none."""
    if workload.layers:
        return {}
    if workload.by_row:
        return {}
    net = Net(workload, optimizer)
    state = net.state()
    x, y = (jnp.asarray(array) for array in data(workload))
    random = np.random.default_rng(0)

    def epoch(state: Any, x: Any, y: Any, order: Any) -> Any:
        def step(state: Any, rows: Any) -> Any:
            return net.update(state, x[rows], y[rows])

        state["total"] = jnp.zeros(())
        if workload.steps == 1:
            return net.update(state, x, y)[0]
        return jax.lax.scan(step, state, order.reshape(workload.steps, workload.batch))[0]

    run = jax.jit(epoch, donate_argnums=0)

    def fit(epochs: int) -> float:
        nonlocal state
        for _ in range(epochs):
            state = run(state, x, y, random.permutation(len(x)).astype(np.int32))
        return float(jax.block_until_ready(state)["total"]) / workload.steps

    return {"fit": fit}

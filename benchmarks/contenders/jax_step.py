"""JAX by hand: one compiled step, called from a Python loop; the batch is taken within it."""

# mypy: disable-error-code="import-not-found, no-untyped-call"
from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.contenders import Operation
from benchmarks.contenders.calls import calls
from benchmarks.contenders.jax_net import Net
from benchmarks.workloads import Workload, data, many_rows

__all__ = ["prepare"]


def prepare(workload: Workload, optimizer: str) -> dict[str, Operation]:
    """Return a training loop, or for rows the four single calls."""
    if workload.layers:
        return {}
    net = Net(workload, optimizer)
    state = net.state()
    x, y = (jnp.asarray(array) for array in data(workload))
    random = np.random.default_rng(0)

    def take_and_update(state: Any, x: Any, y: Any, order: Any) -> Any:
        if workload.steps > 1:
            start = state["step"] % workload.steps * workload.batch
            rows = jax.lax.dynamic_slice(order, (start,), (workload.batch,))
            x, y = x[rows], y[rows]
        return net.update(state, x, y)[0]

    step = jax.jit(take_and_update, donate_argnums=0)
    row_step = jax.jit(net.update, donate_argnums=0)

    def fit(epochs: int) -> float:
        nonlocal state
        for _ in range(epochs):
            state["total"] = jnp.zeros(())
            order = jnp.asarray(random.permutation(len(x)).astype(np.int32))
            for _ in range(workload.steps):
                state = step(state, x, y, order)
        return float(jax.block_until_ready(state)["total"]) / workload.steps

    def train_on_batch(inputs: Any, targets: Any) -> float:
        nonlocal state
        state, loss = row_step(state, inputs, targets)
        return float(loss)

    if not workload.by_row:
        return {"fit": fit}
    forward = jax.jit(lambda weights, inputs: net.forward(weights, [], None, inputs)[0])
    rows = [(x[i : i + 1], y[i : i + 1]) for i in range(len(x))]

    def predict(inputs: Any) -> Any:
        return np.asarray(forward(state["weights"], inputs))

    single = calls(predict, [(row,) for row, _ in rows])
    return {
        "train_on_batch": calls(train_on_batch, rows),
        "predict": single,
        "predict_on_batch": single,
        "predict_many": calls(predict, [(jnp.asarray(many_rows(workload)),)]),
    }

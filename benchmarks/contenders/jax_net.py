"""A net, its loss and its optimizers in JAX, by hand: what `jax_step` and `jax_scan` compile."""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.workloads import DROPOUT, LEARNING_RATES, Workload, first_weights

__all__ = ["Net"]


class Net:
    """A workload's net with an optimizer; every method is pure, to be compiled.

    A state is a dict: ``weights``, the optimizer's ``slots``, the running ``moments`` of batch
    normalization, the ``key`` of dropout, the ``step`` and the ``total`` of losses of the epoch.
    """

    def __init__(self, workload: Workload, optimizer: str) -> None:
        self.workload = workload
        self.optimizer = optimizer

    def state(self) -> dict[str, Any]:
        """Return the first state."""
        weights: list[Any] = [
            [jnp.asarray(a) for a in pair] for pair in first_weights(self.workload)
        ]
        moments = []
        if self.workload.regular:
            for size, layer in zip(self.workload.sizes[1:-1], weights, strict=False):
                layer += [jnp.ones(size), jnp.zeros(size)]
                moments.append([jnp.zeros(size), jnp.ones(size)])
        slots = {"sgd": 0, "momentum": 1, "adam": 2}[self.optimizer]
        return {
            "weights": weights,
            "slots": [jax.tree.map(jnp.zeros_like, weights) for _ in range(slots)],
            "moments": moments,
            "key": jax.random.key(0),
            "step": jnp.zeros((), jnp.int32),
            "total": jnp.zeros(()),
        }

    def forward(self, weights: Any, moments: Any, key: Any, x: Any) -> Any:
        """Return logits and new moments, in training."""
        hidden = jnp.tanh if self.workload.hidden == "tanh" else jax.nn.relu
        new_moments = []
        for i, (kernel, bias, *normal) in enumerate(weights):
            x = x @ kernel + bias
            if i == len(weights) - 1:
                break
            if normal:
                mean, variance = x.mean(0), x.var(0)
                x = (x - mean) * (normal[0] / jnp.sqrt(variance + 1e-3)) + normal[1]
                fresh = zip(moments[i], (mean, variance), strict=True)
                new_moments.append([0.99 * old + 0.01 * new for old, new in fresh])
            x = hidden(x)
            if normal:
                keep = jax.random.bernoulli(jax.random.fold_in(key, i), 1 - DROPOUT, x.shape)
                x = jnp.where(keep, x / (1 - DROPOUT), 0)
        return x, new_moments

    def loss(self, weights: Any, moments: Any, key: Any, x: Any, y: Any) -> Any:
        """Return the mean loss of a batch and new moments."""
        z, moments = self.forward(weights, moments, key, x)
        if self.workload.loss == "mse":
            return jnp.mean((z - y) ** 2), moments
        if self.workload.loss == "bce":
            return jnp.mean(jax.nn.softplus(z) - y * z), moments
        chosen = jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1)
        return -jnp.mean(chosen), moments

    def update(self, state: dict[str, Any], x: Any, y: Any) -> tuple[dict[str, Any], Any]:
        """Return the state after a step on one batch, and the batch's loss before it."""
        step = state["step"] + 1
        key = jax.random.fold_in(state["key"], step) if self.workload.regular else state["key"]
        (loss, moments), gradients = jax.value_and_grad(self.loss, has_aux=True)(
            state["weights"], state["moments"], key, x, y
        )
        rate, slots = LEARNING_RATES[self.optimizer], state["slots"]
        if self.optimizer == "momentum":
            slots = [jax.tree.map(lambda v, g: 0.9 * v - rate * g, slots[0], gradients)]
            steps = slots[0]
        elif self.optimizer == "adam":
            m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, slots[0], gradients)
            v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, slots[1], gradients)
            scale = rate * jnp.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            steps = jax.tree.map(lambda m, v: -scale * m / (jnp.sqrt(v) + 1e-7), m, v)
            slots = [m, v]
        else:
            steps = jax.tree.map(lambda g: -rate * g, gradients)
        return {
            "weights": jax.tree.map(jnp.add, state["weights"], steps),
            "slots": slots,
            "moments": moments,
            "key": state["key"],
            "step": step,
            "total": state["total"] + loss,
        }, loss

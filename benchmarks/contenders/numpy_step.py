"""A training step in NumPy as one writes it by hand for speed: arrays made once, one BLAS thread.

It does what a step of `fit` must: it takes the batch from the shuffled rows, computes the loss,
checks that the gradient is finite and updates all weights, which are views of one vector.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.contenders import Operation
from benchmarks.contenders.calls import calls
from benchmarks.workloads import LEARNING_RATES, Workload, data, first_weights

__all__ = ["prepare"]

WORKLOADS = ("row", "tiny", "small")  # whose products are quicker on one core


def prepare(workload: Workload, optimizer: str) -> dict[str, Operation]:
    """Return ``fit``, or ``train_on_batch`` of single rows, on small nets."""
    if workload.name not in WORKLOADS:
        return {}
    x, y = data(workload)
    step = _step(workload, optimizer)
    if workload.by_row:
        rows = [(x[i : i + 1], y[i : i + 1]) for i in range(len(x))]
        return {"train_on_batch": calls(step, rows)}
    random, batch = np.random.default_rng(0), workload.batch
    x_batch, y_batch = np.empty_like(x[:batch]), np.empty_like(y[:batch])

    def fit(epochs: int) -> float:
        total = 0.0
        for _ in range(epochs):
            total = 0.0
            order = random.permutation(len(x))
            for start in range(0, len(x), batch):
                rows = order[start : start + batch]
                x.take(rows, 0, x_batch, "clip")
                y.take(rows, 0, y_batch, "clip")
                total += step(x_batch, y_batch)
        return total / workload.steps

    return {"fit": fit}


def _step(workload: Workload, optimizer: str) -> Callable[[Any, Any], float]:
    """Return a function that takes one step on a batch and returns its loss."""
    pairs = first_weights(workload)
    weights = np.concatenate([array.ravel() for pair in pairs for array in pair])
    gradient = np.zeros_like(weights)
    layers, start = [], 0
    for kernel, bias in pairs:
        shapes = (kernel.shape, bias.shape)
        views = []
        for shape in shapes:
            end = start + math.prod(shape)
            views += [weights[start:end].reshape(shape), gradient[start:end].reshape(shape)]
            start = end
        rows = (workload.batch, len(bias))
        layers.append((*views, np.empty(rows, np.float32), np.empty(rows, np.float32)))
    update = _update(weights, gradient, optimizer)
    delta_of = {"mse": _squared, "bce": _binary, "cce": _classes}[workload.loss]
    tanh = workload.hidden == "tanh"
    last = len(layers) - 1

    def step(x: Any, y: Any) -> float:
        a = x
        for number, (W, _, b, _, z, _) in enumerate(layers):
            np.dot(a, W, z)
            np.add(z, b, z)
            if number < last:
                np.tanh(z, z) if tanh else np.maximum(z, 0, out=z)
            a = z
        loss, delta = delta_of(a, y)
        for number in range(last, -1, -1):
            W, dW, _, db, _, _ = layers[number]
            before = layers[number - 1] if number else None
            a = x if before is None else before[4]
            np.dot(a.T, delta, dW)
            np.add.reduce(delta, 0, out=db)
            if before is not None:
                d = before[5]
                np.dot(delta, W.T, d)
                np.multiply(d, 1 - a * a if tanh else a > 0, d)
                delta = d
        if not math.isfinite(gradient.dot(gradient)):
            raise FloatingPointError("The gradient is not finite.")
        update()
        return loss

    return step


def _squared(z: Any, y: Any) -> tuple[float, Any]:
    error = (z - y).ravel()
    loss = float(error.dot(error)) / error.size
    error *= 2 / error.size
    return loss, error.reshape(z.shape)


def _binary(z: Any, y: Any) -> tuple[float, Any]:
    small = np.exp(-np.abs(z))
    losses = np.maximum(z, 0) - z * y + np.log1p(small)
    delta = np.where(z >= 0, 1, small)
    delta /= 1 + small
    delta -= y
    delta *= 1 / len(z)
    return float(np.add.reduce(losses, None)) / len(z), delta


def _classes(z: Any, y: Any) -> tuple[float, Any]:
    z -= np.maximum.reduce(z, 1, keepdims=True)
    p = np.exp(z)
    sums = np.add.reduce(p, 1, keepdims=True)
    places = np.arange(len(y)), y
    losses = np.log(sums[:, 0]) - z[places]
    p /= sums
    p[places] -= 1
    p *= 1 / len(y)
    return float(np.add.reduce(losses)) / len(y), p


def _update(weights: Any, gradient: Any, optimizer: str) -> Callable[[], None]:
    rate = LEARNING_RATES[optimizer]
    if optimizer == "sgd":

        def sgd() -> None:
            np.multiply(gradient, rate, gradient)
            np.subtract(weights, gradient, weights)

        return sgd
    m, work = np.zeros_like(weights), np.empty_like(weights)
    if optimizer == "momentum":

        def momentum() -> None:
            np.multiply(m, 0.9, m)
            np.multiply(gradient, rate, work)
            np.subtract(m, work, m)
            np.add(weights, m, weights)

        return momentum
    v, steps = np.zeros_like(weights), 0

    scale = 0.1 / math.sqrt(0.001)  # m is stored as m / 0.1, v as v / 0.001: two passes fewer

    def adam() -> None:
        nonlocal steps
        steps += 1
        np.multiply(m, 0.9, m)
        np.add(m, gradient, m)
        np.multiply(v, 0.999, v)
        np.multiply(gradient, gradient, gradient)
        np.add(v, gradient, v)
        np.sqrt(v, work)
        np.add(work, 1e-7 / math.sqrt(0.001), work)
        np.divide(m, work, work)
        np.multiply(work, rate * scale * math.sqrt(1 - 0.999**steps) / (1 - 0.9**steps), work)
        np.subtract(weights, work, weights)

    return adam

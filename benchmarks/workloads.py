"""What is timed: the nets, their data and their first weights, the same for every contender."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DROPOUT",
    "LEARNING_RATES",
    "OPTIMIZERS",
    "WORKLOADS",
    "Workload",
    "data",
    "first_weights",
    "many_rows",
]

Array = NDArray[np.generic]

OPTIMIZERS = {"sgd": "SGD", "momentum": "SGD, momentum 0.9", "adam": "Adam"}
LEARNING_RATES = {"sgd": 0.01, "momentum": 0.01, "adam": 0.001}
DROPOUT = 0.2
MANY = 100_000
_SEED = 20


@dataclass(frozen=True)
class Workload:
    """A net, how it is trained, and for how long.

    Args:
        name: What the command line calls it.
        sizes: The widths, from the input to the output.
        loss: ``"mse"`` on a linear output, ``"bce"`` on a sigmoid, ``"cce"`` on a softmax of class
            indices.
        batch: Samples a step.
        steps: Steps an epoch, or calls where single rows are passed.
        epochs: Epochs a round.
        stands_for: Who has such a net.
        hidden: The activation of the hidden layers.
        regular: Whether BatchNormalization comes before each hidden activation, and Dropout after.
    """

    name: str
    sizes: tuple[int, ...]
    loss: str
    batch: int
    steps: int
    epochs: int
    stands_for: str
    hidden: str = "relu"
    regular: bool = False

    @property
    def samples(self) -> int:
        """How many samples an epoch has: its batches are all full."""
        return self.batch * self.steps

    @property
    def by_row(self) -> bool:
        """Whether rows are passed one by one, in the place of a `fit`."""
        return self.batch == 1

    @property
    def output(self) -> str:
        """The activation of the output."""
        return {"mse": "linear", "bce": "sigmoid", "cce": "softmax"}[self.loss]

    @property
    def weights(self) -> int:
        """How many trainable weights the net has."""
        dense = sum((m + 1) * n for m, n in zip(self.sizes, self.sizes[1:], strict=False))
        return dense + (2 * sum(self.sizes[1:-1]) if self.regular else 0)

    def operations(self, optimizer: str) -> dict[str, tuple[int, int]]:
        """Return what is timed, with the steps of an epoch and the epochs of a round of each."""
        fit = (self.steps, self.epochs)
        if not self.by_row:
            bar = {"fit_with_bar": fit} if self.name == "tiny" and optimizer == "sgd" else {}
            return {"fit": fit, **bar}
        rows = {"train_on_batch": (self.steps, self.epochs)}
        if optimizer == "sgd":  # predicting has nothing to do with the optimizer: once is enough
            rows |= dict.fromkeys(("predict", "predict_on_batch"), (self.steps, self.epochs))
            rows["predict_many"] = (1, 5)
        return rows


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            "row", (4, 24, 24, 2), "mse", 1, 100, 10, "reinforcement learning, serving", "tanh"
        ),
        Workload("tiny", (30, 64, 32, 1), "bce", 32, 100, 10, "tabular data"),
        Workload("small", (784, 128, 10), "cce", 32, 100, 5, "a tutorial's MNIST"),
        Workload("medium", (784, 512, 512, 10), "cce", 128, 40, 2, "the classic MLP"),
        Workload("large", (1024, 2048, 2048, 10), "cce", 256, 10, 1, "bound by matrix products"),
        Workload("seed", (12288, 20, 7, 5, 1), "bce", 209, 1, 20, "the seed's cat network"),
        Workload(
            "regular",
            (784, 512, 512, 10),
            "cce",
            128,
            40,
            2,
            "what people really build",
            regular=True,
        ),
    )
}


@functools.cache
def data(workload: Workload) -> tuple[Array, Array]:
    """Return inputs, and the noisy answers of a random teacher: something that can be learned."""
    random = np.random.default_rng(_SEED)
    x = random.standard_normal((workload.samples, workload.sizes[0]), np.float32)
    first = random.standard_normal((workload.sizes[0], 16), np.float32)
    last = random.standard_normal((16, workload.sizes[-1]), np.float32)
    answer = np.tanh(x @ first / np.sqrt(np.float32(len(first)))) @ last
    if workload.loss == "mse":
        noise = random.standard_normal(answer.shape, np.float32)
        return x, answer + np.float32(0.1) * noise
    # The largest of logits plus Gumbel noise is a draw from their softmax.
    if workload.loss == "cce":
        return x, np.argmax(answer + random.gumbel(size=answer.shape), axis=1)
    return x, (answer + random.logistic(size=answer.shape) > 0).astype(np.float32)


def many_rows(workload: Workload) -> Array:
    """Return the inputs of `predict_many`."""
    shape = (MANY, workload.sizes[0])
    return np.random.default_rng(_SEED).standard_normal(shape, np.float32)


@functools.cache
def first_weights(workload: Workload) -> list[tuple[Array, Array]]:
    """Return each layer's kernel, of shape (inputs, units) and Glorot's distribution, and bias."""
    random = np.random.default_rng(_SEED + 1)
    weights: list[tuple[Array, Array]] = []
    for m, n in zip(workload.sizes, workload.sizes[1:], strict=False):
        limit = np.sqrt(6 / (m + n))
        kernel = random.uniform(-limit, limit, (m, n)).astype(np.float32)
        weights.append((kernel, np.zeros(n, np.float32)))
    return weights

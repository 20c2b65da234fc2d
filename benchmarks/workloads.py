"""What is timed: the nets, their data and their first weights, the same for every contender."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

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
        layers: For nets of other layers, Keras's name of each and its arguments, the activations
            of all but the last among them; ``sizes`` is then the shape of a sample and the outputs.
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
    layers: tuple[tuple[Any, ...], ...] = ()

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
        if self.layers:  # SGD's update is the least part of these: the others would say little more
            forward = {"predict_many": (self.steps, self.epochs)}
            return {} if optimizer != "sgd" else forward if self.by_row else {"fit": fit, **forward}
        if not self.by_row:
            bar = {"fit_with_bar": fit} if self.name == "tiny" and optimizer == "sgd" else {}
            return {"fit": fit, **bar}
        rows = {"train_on_batch": (self.steps, self.epochs)}
        if optimizer == "sgd":  # predicting has nothing to do with the optimizer: once is enough
            rows |= dict.fromkeys(("predict", "predict_on_batch"), (self.steps, self.epochs))
            rows["predict_many"] = (1, 5)
        return rows


_CONVNET = (
    ("Conv2D", 32, 3, "relu"),
    ("MaxPooling2D", 2),
    ("Conv2D", 64, 3, "relu"),
    ("MaxPooling2D", 2),
    ("Flatten",),
    ("Dense", 10),
)
_CIFAR = (
    *(("Conv2D", 32, 3, "relu"), ("Conv2D", 32, 3, "relu"), ("MaxPooling2D", 2)),
    *(("Conv2D", 64, 3, "relu"), ("Conv2D", 64, 3, "relu"), ("MaxPooling2D", 2)),
    *(("Flatten",), ("Dense", 256, "relu"), ("Dense", 10)),
)
_PICTURE = (
    ("Conv2D", 16, 3, "relu"),
    ("MaxPooling2D", 2),
    *(("DepthwiseConv2D", 3, "relu"), ("Conv2D", 32, 1, "relu"), ("MaxPooling2D", 2)),
    *(("DepthwiseConv2D", 3, "relu"), ("Conv2D", 64, 1, "relu")),
    *(("GlobalAveragePooling2D",), ("Dense", 10)),
)
_EMBEDDING = (("Embedding", 100_000, 32), ("Flatten",), ("Dense", 64, "relu"), ("Dense", 1))
_WIDE = (("Dense", 128, "relu"), ("Dense", 64, "relu"), ("Beside",), ("Dense", 1))


def _recurrent(name: str, layer: str, batch: int, *sizes: int) -> Workload:
    steps, features, units = sizes
    layers = ((layer, units), ("Dense", 1))
    return Workload(
        name, (steps, features, 1), "mse", batch, 10, 1, f"{layer} of {units} units", layers=layers
    )


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
        Workload("convnet", (28, 28, 1, 10), "cce", 32, 10, 1, "MNIST", layers=_CONVNET),
        Workload("convnet-128", (28, 28, 1, 10), "cce", 128, 4, 1, "MNIST", layers=_CONVNET),
        Workload("cifar", (32, 32, 3, 10), "cce", 32, 4, 1, "small pictures", layers=_CIFAR),
        Workload("picture", (224, 224, 3, 10), "cce", 1, 4, 1, "one picture", layers=_PICTURE),
        _recurrent("lstm", "LSTM", 32, 50, 8, 64),
        _recurrent("lstm-long", "LSTM", 32, 100, 1, 32),
        _recurrent("lstm-wide", "LSTM", 64, 50, 32, 128),
        _recurrent("gru", "GRU", 32, 50, 8, 64),
        _recurrent("gru-long", "GRU", 32, 100, 1, 32),
        _recurrent("gru-wide", "GRU", 64, 50, 32, 128),
        Workload("embedding", (4, 1), "bce", 256, 10, 1, "words", layers=_EMBEDDING),
        Workload("wide-and-deep", (64, 1), "bce", 128, 40, 1, "recommenders", layers=_WIDE),
    )
}


@functools.cache
def data(workload: Workload) -> tuple[Array, Array]:
    """Return inputs, and the noisy answers of a random teacher: something that can be learned."""
    random = np.random.default_rng(_SEED)
    if workload.layers:
        return _shaped(workload, random)
    x = random.standard_normal((workload.samples, workload.sizes[0]), np.float32)
    first = random.standard_normal((workload.sizes[0], 16), np.float32)
    last = random.standard_normal((16, workload.sizes[-1]), np.float32)
    hidden = np.einsum("ij,jk->ik", x, first)  # a product would leave BLAS with larger buffers
    answer = np.tanh(hidden / np.sqrt(np.float32(len(first)))) @ last
    if workload.loss == "mse":
        noise = random.standard_normal(answer.shape, np.float32)
        return x, answer + np.float32(0.1) * noise
    # The largest of logits plus Gumbel noise is a draw from their softmax.
    if workload.loss == "cce":
        return x, np.argmax(answer + random.gumbel(size=answer.shape), axis=1)
    return x, (answer + random.logistic(size=answer.shape) > 0).astype(np.float32)


def _shaped(workload: Workload, random: np.random.Generator) -> tuple[Array, Array]:
    """Return the data of a net of other layers; the answers follow from the mean of a sample."""
    shape = (workload.samples, *workload.sizes[:-1])
    if workload.layers[0][0] == "Embedding":
        x: Any = random.integers(0, workload.layers[0][1], shape, np.int32)
    else:
        x = random.standard_normal(shape, np.float32)
    mean = x.reshape(len(x), -1).mean(axis=1, dtype=np.float64)
    standing = np.argsort(np.argsort(mean)) / len(mean)  # in [0, 1), all as likely
    if workload.loss == "cce":
        return x, (standing * workload.sizes[-1]).astype(np.int64)
    y = standing[:, None].astype(np.float32)
    return x, y if workload.loss == "mse" else (y > 0.5).astype(np.float32)


def many_rows(workload: Workload) -> Array:
    """Return the inputs of `predict_many`."""
    shape = (MANY, workload.sizes[0])
    return np.random.default_rng(_SEED).standard_normal(shape, np.float32)


@functools.cache
def first_weights(workload: Workload) -> list[Any]:
    """Return each layer's kernel, of shape (inputs, units) and Glorot's distribution, and bias.

    For a net of other layers it is a list of all weights, as Keras orders and shapes them.
    """
    random = np.random.default_rng(_SEED + 1)
    if workload.layers:
        return [_glorot(random, shape) for shape in _shapes(workload)]
    pairs = zip(workload.sizes, workload.sizes[1:], strict=False)
    return [(_glorot(random, (m, n)), np.zeros(n, np.float32)) for m, n in pairs]


def _glorot(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return a kernel of Glorot's uniform distribution, or a bias of zeros."""
    if len(shape) == 1:
        return np.zeros(shape, np.float32)
    *window, inputs, units = shape
    limit = np.sqrt(6 / ((inputs + units) * math.prod(window)))
    return random.uniform(-limit, limit, shape).astype(np.float32)


def _shapes(workload: Workload) -> list[tuple[int, ...]]:
    """Return the shapes of all weights, in Keras's order."""
    import nnlite
    from benchmarks.contenders.layered import build

    return [weight.shape for weight in build(nnlite, workload).get_weights()]

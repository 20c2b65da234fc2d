"""What nnlite aims at, and whether a run reached it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks.runner import Result, ratio, spread
from benchmarks.workloads import WORKLOADS, data

__all__ = ["TEXTS", "Verdict", "import_seconds", "verdicts"]

KERAS = ("keras-jax", "keras-torch")
FIT = ("fit", "train_on_batch")
PREDICT = ("predict", "predict_on_batch")
ALL = ("fit", "predict_many")
LEAN = ("row", "tiny", "small")
SMALL = (*LEAN, "seed", "regular")
BIG = ("medium", "large")
IMAGES = ("convnet", "convnet-128")
LSTM = ("lstm", "lstm-long", "lstm-wide")
GRU = ("gru", "gru-long", "gru-wide")
STATE = {"sgd": 0, "momentum": 1, "adam": 2}  # vectors that the optimizer keeps
PEERS = {
    "PyTorch eager": "torch",
    "`torch.compile`": "torch-compile",
    "Keras on JAX": "keras-jax",
    "Keras on PyTorch": "keras-torch",
    "scikit-learn": "sklearn",
}


@dataclass(frozen=True)
class Target:
    """A limit of the ratio of medians, nnlite / other, in all cases that it names.

    Without a limit the ratio is only told.
    """

    text: str
    limit: float | None
    others: tuple[str, ...]
    operations: tuple[str, ...]
    workloads: tuple[str, ...]
    optimizers: tuple[str, ...] = tuple(STATE)


def _dense(title: str, name: str) -> tuple[Target, ...]:
    """Return the targets against one peer on nets of dense layers."""
    small = f"{title}: row, tiny, small, seed, regular"
    return (
        Target(small, 1, (name,), FIT + PREDICT, SMALL),
        Target(f"{title}: medium, large, SGD", 1, (name,), FIT, BIG, ("sgd",)),
        Target(f"{title}: medium, large, Adam", 1.15, (name,), FIT, BIG, ("adam",)),
    )


def _lean(name: str) -> tuple[Target, ...]:
    """Return the targets against lean steps on one small net."""
    return (
        Target(f"lean step in NumPy by hand: {name}", 1.25, ("numpy-step",), FIT, (name,)),
        Target(f"JAX's compiled step: {name}", None, ("jax-step",), FIT, (name,)),
        Target(f"JAX's compiled epoch: {name}", None, ("jax-scan",), FIT, (name,)),
    )


RATIOS = (
    *(target for name in LEAN for target in _lean(name)),
    *(target for title, name in PEERS.items() for target in _dense(title, name)),
    Target("bare matrix products: medium, SGD", 1.2, ("matmul",), FIT, ("medium",), ("sgd",)),
    Target("bare matrix products: large, SGD", 1.1, ("matmul",), FIT, ("large",), ("sgd",)),
    Target("NumPy by hand: `predict` of one row", 1.6, ("numpy",), PREDICT, ("row",)),
    Target("PyTorch eager: 100,000 rows", 1, ("torch",), ("predict_many",), ("row",)),
    Target("PyTorch, default format: MNIST convnet", 1, ("torch",), ALL, IMAGES),
    Target("Keras: MNIST convnet", 1, KERAS, ALL, IMAGES),
    Target("PyTorch, channels last: MNIST convnet", 1.25, ("torch-channels-last",), ALL, IMAGES),
    Target("PyTorch: CIFAR net", 1.3, ("torch",), ALL, ("cifar",)),
    Target("PyTorch: one 224x224 picture", 2, ("torch",), ("predict_many",), ("picture",)),
    Target("PyTorch: LSTM", 1.4, ("torch",), ALL, LSTM),
    Target("Keras: LSTM", 1, KERAS, ("fit",), LSTM),
    Target("PyTorch: GRU", 1.4, ("torch",), ALL, GRU),
    Target("Keras: GRU", 1, KERAS, ("fit",), GRU),
    Target("PyTorch: embedding", 1, ("torch",), ("fit",), ("embedding",)),
    Target("Keras: embedding", 1, KERAS, ("fit",), ("embedding",)),
    Target("PyTorch: wide and deep", 1, ("torch",), ALL, ("wide-and-deep",)),
    Target("Keras: wide and deep", 1, KERAS, ALL, ("wide-and-deep",)),
)


@dataclass(frozen=True)
class Case:
    """A value that a target is about: where it was found, and its spread over rounds."""

    value: float
    where: str
    spread: tuple[float, float] | None = None


@dataclass(frozen=True)
class Verdict:
    """One target and what a run says of it: the worst case, and how many cases miss it."""

    text: str
    limit: float | None
    worst: Case
    missed: int
    cases: int


def verdicts(results: list[Result]) -> list[Verdict]:
    """Return a verdict on every target that the results speak to."""
    cases = [(target.text, target.limit, list(_ratios(target, results))) for target in RATIOS]
    cases += [(text, limit, list(find(results))) for text, (limit, find) in OTHERS.items()]
    return [
        Verdict(
            text,
            limit,
            max(values, key=lambda case: case.value),
            sum(limit is not None and case.value > limit for case in values),
            len(values),
        )
        for text, limit, values in cases
        if values
    ]


def import_seconds(results: list[Result], contenders: tuple[str, ...]) -> float | None:
    """Return the median import time of contenders over all their processes."""
    times = [r.import_seconds for r in results if r.contender in contenders and not r.error]
    return median(times) if times else None


def _ratios(target: Target, results: list[Result]) -> Iterator[Case]:
    ours = {(r.workload, r.optimizer): r for r in results if r.contender == "nnlite"}
    for other in results:
        mine = ours.get((other.workload, other.optimizer))
        if mine is None or other.error or other.contender not in target.others:
            continue
        if other.workload in target.workloads and other.optimizer in target.optimizers:
            for name in target.operations:
                if name in mine.seconds and name in other.seconds:
                    pair = mine.seconds[name], other.seconds[name]
                    where = f"{other.contender}, {other.workload}, {other.optimizer}, {name}"
                    yield Case(ratio(*pair), where, spread(*pair))


def _imports(results: list[Result]) -> Iterator[Case]:
    ours = import_seconds(results, ("nnlite",))
    numpy = import_seconds(results, ("numpy", "matmul", "bandwidth"))
    if ours and numpy:
        yield Case(ours / numpy, f"{ours * 1e3:.0f} ms, NumPy {numpy * 1e3:.0f} ms")


def _bars(results: list[Result]) -> Iterator[Case]:
    for result in results:
        if "fit_with_bar" in result.seconds and not result.error:
            pair = result.seconds["fit_with_bar"], result.seconds["fit"]
            yield Case(ratio(*pair), result.optimizer, spread(*pair))


def _memory(results: list[Result]) -> Iterator[Case]:
    """On the nets that are large beside what an interpreter and its libraries hold anyway."""
    for result in results:
        if result.contender == "nnlite" and result.workload in BIG and result.peaks:
            workload = WORKLOADS[result.workload]
            vectors = 2 + STATE[result.optimizer]
            entries = vectors * workload.weights + workload.batch * sum(workload.sizes)
            needed = 4 * entries + sum(array.nbytes for array in data(workload))
            used = (result.peaks[-1] - result.before) / needed
            yield Case(used, f"{result.workload}, {result.optimizer}")


def _growth(results: list[Result]) -> Iterator[Case]:
    for result in results:
        if result.contender == "nnlite" and result.peaks:
            where = f"{result.workload}, {result.optimizer}"
            yield Case(result.peaks[-1] / result.peaks[0], where)


OTHERS: dict[str, tuple[float, Callable[[list[Result]], Iterator[Case]]]] = {
    "NumPy's import time": (1.5, _imports),
    "progress bar on tiny: `fit` with / without": (1.03, _bars),
    "memory of training / weights, gradients, state, activations and data": (1.3, _memory),
    "memory after the last round / after the first": (1.01, _growth),
}
TEXTS = (*(target.text for target in RATIOS), *OTHERS)

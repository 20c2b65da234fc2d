"""What nnlite aims at, and whether a run reached it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks.runner import Result, ratio
from benchmarks.workloads import WORKLOADS

__all__ = ["Verdict", "import_seconds", "verdicts"]

KERAS = ("keras-jax", "keras-torch")
FIT = ("fit", "train_on_batch")
PREDICT = ("predict", "predict_on_batch")
ALL = ("fit", "predict_many")
IMAGES = ("convnet", "convnet-128")
RECURRENT = ("lstm", "lstm-long", "lstm-wide", "gru")
COMPILED = ("torch-compile", "jax-step")
STATE = {"sgd": 0, "momentum": 1, "adam": 2}  # vectors that the optimizer keeps


@dataclass(frozen=True)
class Target:
    """A limit of the ratio of medians, nnlite / other, in all cases that it names."""

    text: str
    limit: float
    others: tuple[str, ...]
    operations: tuple[str, ...]
    workloads: tuple[str, ...] = tuple(n for n, one in WORKLOADS.items() if not one.layers)
    optimizers: tuple[str, ...] = tuple(STATE)


RATIOS = (
    Target("Keras, PyTorch eager, scikit-learn", 1, (*KERAS, "torch", "sklearn"), FIT + PREDICT),
    Target("Keras and PyTorch eager on tiny", 0.25, (*KERAS, "torch"), FIT, ("tiny",)),
    Target("Keras on row", 0.05, KERAS, FIT + PREDICT, ("row",)),
    Target("PyTorch eager on row, predicting", 0.5, ("torch",), PREDICT, ("row",)),
    Target("PyTorch eager on row, training", 0.25, ("torch",), FIT, ("row",)),
    Target("`torch.compile` and a compiled JAX step", 1, COMPILED, FIT + PREDICT),
    Target("JAX's compiled epoch, medium and large", 1, ("jax-scan",), FIT, ("medium", "large")),
    Target("JAX's compiled epoch, tiny", 2.5, ("jax-scan",), FIT, ("tiny",)),
    Target("bare matrix products, large, SGD", 1.15, ("matmul",), FIT, ("large",), ("sgd",)),
    Target("bare matrix products, medium, SGD", 1.25, ("matmul",), FIT, ("medium",), ("sgd",)),
    Target("NumPy by hand, one row", 3, ("numpy",), PREDICT),
    Target("NumPy by hand, 100,000 rows", 1.1, ("numpy",), ("predict_many",)),
    Target("PyTorch and Keras, convolutions", 1, (*KERAS, "torch"), ALL, IMAGES),
    Target("PyTorch, channels last", 1.25, ("torch-channels-last",), ALL, IMAGES),
    Target("PyTorch, CIFAR-sized", 1.3, ("torch",), ALL, ("cifar",)),
    Target("PyTorch, one picture", 2, ("torch",), ("predict_many",), ("picture",)),
    Target("PyTorch, recurrent", 1.4, ("torch",), ALL, RECURRENT),
    Target("Keras, recurrent", 1, KERAS, ALL, RECURRENT),
    Target("PyTorch and Keras, embedding", 1, (*KERAS, "torch"), ("fit",), ("embedding",)),
    Target("PyTorch and Keras, wide and deep", 1, (*KERAS, "torch"), ALL, ("wide-and-deep",)),
)


@dataclass(frozen=True)
class Verdict:
    """One target, and what the run says: the worst value, where, and how many cases miss it."""

    text: str
    limit: float
    worst: float
    where: str
    missed: int
    cases: int


def verdicts(results: list[Result]) -> list[Verdict]:
    """Return a verdict on every target that the results speak to."""
    cases = [(target.text, target.limit, list(_ratios(target, results))) for target in RATIOS]
    cases += [
        ("NumPy's import time", 1.5, list(_imports(results))),
        ("progress bar on tiny: `fit` with / without", 1.03, list(_bars(results))),
        (
            "memory of training / weights, gradients, state and activations",
            1.3,
            list(_memory(results)),
        ),
        ("memory after the last round / after the first", 1.01, list(_growth(results))),
    ]
    return [
        Verdict(text, limit, *max(values), sum(v > limit for v, _ in values), len(values))
        for text, limit, values in cases
        if values
    ]


def import_seconds(results: list[Result], contenders: tuple[str, ...]) -> float | None:
    """Return the median import time of contenders over all their processes."""
    times = [r.import_seconds for r in results if r.contender in contenders and not r.error]
    return median(times) if times else None


def _ratios(target: Target, results: list[Result]) -> Iterator[tuple[float, str]]:
    ours = {(r.workload, r.optimizer): r for r in results if r.contender == "nnlite"}
    for other in results:
        mine = ours.get((other.workload, other.optimizer))
        if mine is None or other.error or other.contender not in target.others:
            continue
        if other.workload in target.workloads and other.optimizer in target.optimizers:
            for name in set(target.operations) & set(mine.seconds) & set(other.seconds):
                where = f"{other.contender}, {other.workload}, {other.optimizer}, {name}"
                yield ratio(mine.seconds[name], other.seconds[name]), where


def _imports(results: list[Result]) -> Iterator[tuple[float, str]]:
    ours = import_seconds(results, ("nnlite",))
    numpy = import_seconds(results, ("numpy", "matmul", "bandwidth"))
    if ours and numpy:
        yield ours / numpy, f"{ours * 1e3:.0f} ms, NumPy {numpy * 1e3:.0f} ms"


def _bars(results: list[Result]) -> Iterator[tuple[float, str]]:
    for result in results:
        if "fit_with_bar" in result.seconds and not result.error:
            seconds = result.seconds
            yield ratio(seconds["fit_with_bar"], seconds["fit"]), result.optimizer


def _memory(results: list[Result]) -> Iterator[tuple[float, str]]:
    """On the nets that are large beside what an interpreter and its libraries hold anyway."""
    for result in results:
        if result.contender == "nnlite" and result.workload in ("medium", "large") and result.peaks:
            workload = WORKLOADS[result.workload]
            vectors = 2 + STATE[result.optimizer]
            entries = vectors * workload.weights + workload.batch * sum(workload.sizes)
            used = (result.peaks[-1] - result.before) / (4 * entries)
            yield used, f"{result.workload}, {result.optimizer}"


def _growth(results: list[Result]) -> Iterator[tuple[float, str]]:
    for result in results:
        if result.contender == "nnlite" and result.peaks:
            where = f"{result.workload}, {result.optimizer}"
            yield result.peaks[-1] / result.peaks[0], where

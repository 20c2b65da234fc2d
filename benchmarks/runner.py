"""The full benchmark: every contender in its own process, timed in turns."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.contenders import CONTENDERS

__all__ = [
    "NEGLIGIBLE",
    "ROOT",
    "TOLERANCE",
    "Result",
    "compare",
    "ratio",
    "run_case",
    "spread",
    "told",
]

ROOT = Path(__file__).parents[1]  # where python -m benchmarks.worker finds this package
# A contender's loss may differ by a fraction and a little more: its batches are other ones.
TOLERANCE, NEGLIGIBLE = 0.05, 0.01


@dataclass
class Result:
    """What one contender did on one workload with one optimizer.

    Args:
        contender: Its name.
        workload: The workload's name.
        optimizer: The optimizer's name.
        import_seconds: How long the import of its libraries took.
        start_seconds: From the start of the process to the end of the first epoch, compiling and
            all, less the making of the data.
        before: The bytes held by the interpreter, libraries and BLAS, and of the first weights.
        seconds: For each operation the seconds a step, one for each round.
        loss: The mean loss of an epoch before the warm-up, when all have made as many steps.
        peaks: The most bytes held after each round.
        threads: How many threads its libraries use, where they tell.
        error: Why there is nothing of this.
    """

    contender: str
    workload: str
    optimizer: str
    import_seconds: float = 0.0
    start_seconds: float | None = None
    before: int = 0
    seconds: dict[str, list[float]] = field(default_factory=dict)
    loss: float | None = None
    peaks: list[int] = field(default_factory=list)
    threads: dict[str, int] = field(default_factory=dict)
    error: str = ""


def environment(contender: str) -> dict[str, str]:
    """Return the environment of a contender: compiled modules are kept, as users' are."""
    kept = {key: os.environ[key] for key in os.environ if key != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **CONTENDERS[contender].environment}


class Worker:
    """A process that runs `benchmarks.worker` for one result."""

    def __init__(self, contender: str, workload: str, optimizer: str) -> None:
        self.result = Result(contender, workload, optimizer)
        request = {"contender": contender, "workload": workload, "optimizer": optimizer}
        request["path"] = CONTENDERS[contender].path
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115  close() closes it
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "benchmarks.worker",
                json.dumps({**request, "started": time.time()}),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            bufsize=1,
            cwd=ROOT,
            env=environment(contender),
        )
        ready = self._answer()
        self.result.import_seconds = ready.get("import", 0.0)
        self.result.start_seconds = ready.get("start")
        self.result.before = ready.get("before", 0)
        self.result.loss = ready.get("loss")
        self.result.threads = ready.get("threads", {})
        self.result.seconds = {name: [] for name in ready.get("operations", [])}

    @property
    def runs(self) -> bool:
        """Whether there is something to time."""
        return bool(self.result.seconds) and not self.result.error

    def round(self) -> None:
        """Time one round."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # if it has died, the missing answer says so
            self._process.stdin.write("\n")
        answer = self._answer()
        for name, value in answer.get("seconds", {}).items():
            self.result.seconds[name].append(value)
        if answer:
            self.result.peaks.append(answer["peak"])

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
        self._complaints.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self._process.wait()
        self._complaints.seek(0)
        lines = self._complaints.read().strip().splitlines() or ["no message"]
        self.result.error = lines[-1]
        return {}


def run_case(workload: str, optimizer: str, contenders: Iterable[str], rounds: int) -> list[Result]:
    """Time one workload with one optimizer: all contenders in a random order, ``rounds`` times.

    Those that cannot express the workload are left out of the results.
    """
    workers: list[Worker] = []
    try:
        for contender in contenders:
            workers.append(Worker(contender, workload, optimizer))  # noqa: PERF401  see finally
        for _ in range(rounds):
            for worker in random.sample(workers, len(workers)):
                if worker.runs:
                    worker.round()
    finally:
        for worker in workers:
            worker.close()
    return [worker.result for worker in workers if worker.result.seconds or worker.result.error]


def ratio(ours: list[float], others: list[float]) -> float:
    """Return the ratio of medians, nnlite / other: below 1, nnlite is quicker.

    >>> ratio([1.0, 2.0, 9.0], [4.0, 4.0, 5.0])
    0.5
    """
    return median(ours) / median(others)


def spread(ours: list[float], others: list[float]) -> tuple[float, float]:
    """Return the least and the largest ratio of one round.

    >>> spread([1.0, 2.0, 9.0], [4.0, 4.0, 5.0])
    (0.25, 1.8)
    """
    ratios = [our / other for our, other in zip(ours, others, strict=True)]
    return min(ratios), max(ratios)


def told(value: float, limits: tuple[float, float] | None) -> str:
    """Return a ratio in words, with its spread where it has one.

    >>> told(0.5, (0.4, 0.75)), told(1.2, None)
    ('0.50 (0.40 to 0.75)', '1.20')
    """
    if limits is None or limits[0] == limits[1]:
        return f"{value:.2f}"
    return f"{value:.2f} ({limits[0]:.2f} to {limits[1]:.2f})"


def compare(loss: float | None, reference: float | None) -> bool:
    """Whether a contender's loss is nnlite's, but for the order of its batches.

    >>> compare(0.51, 0.5), compare(0.6, 0.5), compare(None, 0.5)
    (True, False, True)
    """
    if loss is None or reference is None:  # a floor learns nothing
        return True
    return abs(loss - reference) <= TOLERANCE * abs(reference) + NEGLIGIBLE

"""The guard: nnlite beside the bare matrix products, and its counts, against recorded ones.

A time says little from one machine to the next, so it fails only on a ratio that is far above the
recorded one in each of the rounds. The counts are exact: one more fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.contenders import CONTENDERS
from benchmarks.runner import ROOT, ratio, spread, told
from benchmarks.worker import timed
from benchmarks.workloads import WORKLOADS, Workload

__all__ = ["GUARDED", "against_recorded", "headline", "quick"]

RECORDED = Path(__file__).with_name("recorded.json")
MARGIN = 1.5  # how many times the recorded ratio every round must exceed to fail
ROUNDS = 7

# One workload of each kind of net: convolutions, recurrent layers, an embedding, a functional one.
LAYERED = ("convnet", "lstm", "gru", "embedding", "wide-and-deep")
GUARDED = [name for name, one in WORKLOADS.items() if not one.layers or name in LAYERED]

Numbers = dict[str, Any]


def headline(workload: str, ours: list[float], floor: list[float]) -> str:
    """Return what a step costs beside its bare matrix products, given the rounds of both.

    >>> headline("tiny", [6e-5, 7e-5, 9e-5], [1e-5, 1e-5, 1e-5])
    'tiny, SGD: nnlite 70 us a step, its matrix products alone 10 us: ratio 7.00 (6.00 to 9.00)'
    """
    return (
        f"{workload}, SGD: nnlite {median(ours) * 1e6:.0f} us a step, its matrix products alone "
        f"{median(floor) * 1e6:.0f} us: ratio {told(ratio(ours, floor), spread(ours, floor))}"
    )


def quick(workloads: Sequence[str], record: str | None, rounds: int = ROUNDS) -> int:
    """Print ratios and counts; return 1 where one of them is worse than recorded, else 0.

    With ``record`` they are recorded instead: ``"all"`` of them, or the ``"counts"`` only.
    """
    measured: Numbers = {"ratios": {}, "counts": {}}
    for name in workloads:
        if WORKLOADS[name].layers:  # no floor: its counts alone are held
            continue
        ours, floor = _times(WORKLOADS[name], rounds)
        print(headline(name, ours, floor), flush=True)
        measured["ratios"][name] = [round(a / b, 3) for a, b in zip(ours, floor, strict=True)]
    measured["counts"] = _counts(workloads)
    for key, counts in measured["counts"].items():
        print(
            f"{key}: a step makes {counts['calls']:g} NumPy calls and allocates "
            f"{counts['arrays']:g} arrays of {counts['bytes']:g} bytes"
        )
    recorded: Numbers = {"ratios": {}, "counts": {}}
    if RECORDED.exists():
        recorded = json.loads(RECORDED.read_text())
    if record:
        recorded["counts"] |= measured["counts"]
        for name, ratios in measured["ratios"].items() if record == "all" else ():
            recorded["ratios"][name] = median(ratios)
        RECORDED.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")
        return 0
    worse, better = against_recorded(measured, recorded)
    for line in (*better, *worse):
        print(line)
    if better:
        print("Run with --record to hold these: python -m benchmarks --quick --record")
    return 1 if worse else 0


def against_recorded(measured: Numbers, recorded: Numbers) -> tuple[list[str], list[str]]:
    """Return what is worse than recorded, and what is better or new."""
    worse, better = [], []
    for name, ratios in measured["ratios"].items():
        before = recorded["ratios"].get(name)
        if before is None:
            better.append(f"NEW: {name} has no recorded ratio.")
        elif min(ratios) > MARGIN * before:
            worse.append(
                f"REGRESSION: {name}: {min(ratios):.2f} times the bare matrix products or more "
                f"in each of {len(ratios)} rounds; recorded: {before:.2f}."
            )
    for key, counts in measured["counts"].items():
        before = recorded["counts"].get(key)
        if before is None:
            better.append(f"NEW: {key} has no recorded counts.")
            continue
        for what, value in counts.items():
            change = f"{key}: {what} a step {value:g}, recorded: {before[what]:g}."
            if value > before[what]:
                worse.append(f"REGRESSION: {change}")
            elif value < before[what]:
                better.append(f"BETTER: {change}")
    return worse, better


def _times(workload: Workload, rounds: int) -> tuple[list[float], list[float]]:
    """Return seconds a step of nnlite and of the floor, in turns, in this process."""
    name, (steps, epochs) = next(iter(workload.operations("sgd").items()))
    pair = [CONTENDERS[who].prepare(workload, "sgd")[name] for who in ("nnlite", "matmul")]
    for operation in pair:
        operation(1)
    times = [[timed(operation, steps, epochs) for operation in pair] for _ in range(rounds)]
    return [ours for ours, _ in times], [floor for _, floor in times]


def _counts(workloads: Sequence[str]) -> Numbers:
    """Return the counts of `benchmarks.counts`, from a process with one thread."""
    command = [sys.executable, "-m", "benchmarks.counts", *workloads]
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # two threads allocate at the same time
    done = subprocess.run(command, cwd=ROOT, env=alone, check=True, stdout=subprocess.PIPE)
    counts: Numbers = json.loads(done.stdout)
    return counts

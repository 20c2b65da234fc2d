"""Training on several processes: ``python -m benchmarks --mpi``.

Each number of processes is started by ``mpiexec`` with this module, whose process 0 prints what a
step took and how much of that was the call that adds up the gradients. What that means on more
machines is computed, not measured: see `TABLE`.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import sysconfig
import time

import numpy as np

import nnlite
from benchmarks.machine import machine
from nnlite import Sequential
from nnlite.distribution.processes import current
from nnlite.layers import Dense, Input

__all__ = ["report"]

COUNTS = (1, 2, 4)
SIZES = {"784-128-10": (784, 128, 10), "784-1024-1024-10": (784, 1024, 1024, 10)}
BATCH, STEPS = 256, 30

#: Latency in seconds and bytes a second of one message between two machines.
NETWORKS = {"10 Gbit Ethernet": (30e-6, 1.1e9), "100 Gbit InfiniBand": (2e-6, 11e9)}
NODES = (8, 64)

TABLE = """
For more machines, computed: each takes its share of the batch, the step of one process divided by
their number, and all add up the gradients in a ring, 2 log2(n) latencies and 2 (n - 1) / n times
the bytes of the weights.
"""


def measure(sizes: tuple[int, ...]) -> tuple[float, float, int]:
    """Return the seconds of a step, those of them in calls, and the number of weights."""
    nnlite.set_random_seed(1)
    layers = [Dense(units, "relu") for units in sizes[1:-1]]
    model = Sequential([Input(sizes[:1]), *layers, Dense(sizes[-1], "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    rng = np.random.default_rng(1)
    x = rng.standard_normal((BATCH, sizes[0])).astype("float32")
    y = rng.integers(0, sizes[-1], BATCH)
    times, waits = [], []
    for _ in range(STEPS):
        waited, began = current().waited, time.perf_counter()
        model.train_on_batch(x, y)
        times.append(time.perf_counter() - began)
        waits.append(current().waited - waited)
    return float(np.median(times)), float(np.median(waits)), model.count_params()


def work() -> None:
    """Measure in each process; process 0 prints."""
    nnlite.distribution.set_distribution(nnlite.distribution.DataParallel())
    found = {name: measure(sizes) for name, sizes in SIZES.items()}
    if current().rank == 0:
        print(f"RESULT {json.dumps(found)}")


def report() -> str:
    """Measure on 1, 2 and 4 processes, and return both tables."""
    mpiexec = shutil.which("mpiexec", path=sysconfig.get_path("scripts")) or "mpiexec"
    lines = [
        f"{machine()}; batch of {BATCH} rows in all, median of {STEPS} steps.",
        "",
        "| network | processes | step | of it in Allreduce |",
        "|---|---|---|---|",
    ]
    alone: dict[str, tuple[float, float, int]] = {}
    for count in COUNTS:
        command = [mpiexec, "-n", str(count), sys.executable, "-m", "benchmarks.mpi"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        found = json.loads(done.stdout.partition("RESULT ")[2].splitlines()[0])
        alone = alone or found
        for name, (step, wait, _) in found.items():
            lines.append(f"| {name} | {count} | {step * 1e3:.2f} ms | {wait / step:.0%} |")
    lines += [TABLE, "| network | machines | by | step | in Allreduce |", "|---|---|---|---|---|"]
    for name, (step, _, weights) in alone.items():
        for nodes in NODES:
            for network, (latency, bandwidth) in NETWORKS.items():
                bytes_sent = 2 * (nodes - 1) / nodes * 4 * weights
                call = 2 * math.log2(nodes) * latency + bytes_sent / bandwidth
                whole = step / nodes + call
                lines.append(
                    f"| {name} | {nodes} | {network}, {latency * 1e6:.0f} us and "
                    f"{bandwidth / 1e9:g} GB/s | {whole * 1e3:.2f} ms | {call / whole:.0%} |"
                )
    return "\n".join(lines)


if __name__ == "__main__":
    work()

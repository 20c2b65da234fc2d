"""One contender in a process of its own: it gets ready, then times a round whenever it is told to.

    python -m benchmarks.worker '{"contender": "nnlite", "workload": "tiny", ...}'

The request is `runner.Worker`'s. One line of JSON says how it started; each line on standard input
asks for a round, which another line of JSON answers; the end of input ends it.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS, Operation

SETTLE = 0.2  # seconds for which the threads of the contender before may still spin
SHORTEST = 0.1  # seconds that a timing of what learns nothing lasts at least
STEADY = 0.1  # the warm-up ends when an epoch's time differs by less than this fraction
WARM_UP = (10, 2.0)  # or after so many epochs, or so many seconds

__all__ = ["timed"]


def main() -> None:
    """Answer one request."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    request = json.loads(sys.argv[1])
    contender = CONTENDERS[request["contender"]]
    if request["path"]:
        sys.path.insert(0, request["path"])
    begun = time.perf_counter()
    for library in contender.libraries:
        importlib.import_module(library)
    imported = time.perf_counter() - begun

    from benchmarks.workloads import WORKLOADS, data, first_weights

    workload, optimizer = WORKLOADS[request["workload"]], request["optimizer"]
    begun = time.perf_counter()
    before = bytes_of(first_weights(workload))
    data(workload)
    if "nnlite" in contender.libraries:
        before += _bytes_elsewhere(workload.name, request["path"])
    making = time.perf_counter() - begun
    peak_memory(forget=True)
    prepared = contender.prepare(workload, optimizer)
    operations = workload.operations(optimizer)
    plan = {name: shape for name, shape in operations.items() if name in prepared}
    start, loss = None, None
    for count, (name, (_, epochs)) in enumerate(plan.items()):
        prepared[name](1)
        if count == 0:
            start = time.time() - request["started"] - making
            loss = prepared[name](epochs)  # all have made as many steps
        warm_up(prepared[name])
    ready = {"operations": list(plan), "import": imported, "before": before, "loss": loss}
    print(json.dumps({**ready, "start": start, "threads": threads()}), file=answers)
    for _ in sys.stdin:
        time.sleep(SETTLE)
        seconds = {
            name: timed(prepared[name], steps, epochs) for name, (steps, epochs) in plan.items()
        }
        result = {"seconds": seconds, "peak": peak_memory()}
        print(json.dumps(result), file=answers)


def warm_up(operation: Operation) -> None:
    """Run epochs until one takes as long as the one before it."""
    most, longest = WARM_UP
    begun, before = time.perf_counter(), math.inf
    for _ in range(most):
        started = time.perf_counter()
        operation(1)
        ended = time.perf_counter()
        if abs(ended - started - before) < STEADY * before or ended - begun > longest:
            return
        before = ended - started


def timed(operation: Operation, steps: int, epochs: int) -> float:
    """Return seconds per step over so many epochs.

    What learns nothing is repeated until it has lasted long enough to be timed well.
    """
    runs, begun = 0, time.perf_counter()
    while True:
        loss = operation(epochs)
        runs += 1
        lasted = time.perf_counter() - begun
        if loss is not None or lasted >= SHORTEST:
            return lasted / (runs * epochs * steps)


def bytes_of(arrays: Any) -> int:
    """Return the bytes of arrays in lists and tuples."""
    if isinstance(arrays, (list, tuple)):
        return sum(map(bytes_of, arrays))
    return int(arrays.nbytes)


def _bytes_elsewhere(workload: str, path: str) -> int:
    """Return `bytes_of_blas` of another process, so that its arrays leave no gaps in this one."""
    code = (
        f"import sys; sys.path[:0] = {[path] if path else []}; import nnlite\n"
        f"from benchmarks import worker; print(worker.bytes_of_blas({workload!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    return int(done.stdout)


def bytes_of_blas(workload: str) -> int:
    """Return the bytes held by the interpreter, the libraries, and BLAS with its own buffers.

    They are the peak of memory in a step's matrix products, less the arrays of these.
    """
    import numpy as np

    from benchmarks.contenders import matmul
    from benchmarks.workloads import WORKLOADS

    products = matmul.products(WORKLOADS[workload])
    for a, b, out in products:
        np.dot(a, b, out)
    views = [array if array.base is None else array.base for item in products for array in item]
    return peak_memory() - bytes_of(list({id(array): array for array in views}.values()))


def threads() -> dict[str, int]:
    """Return how many threads the libraries that are imported use, by name."""
    found = {}
    if "torch" in sys.modules:
        found["PyTorch"] = sys.modules["torch"].get_num_threads()
    return found


def peak_memory(forget: bool = False) -> int:
    """Return the most memory, in bytes, that the process has held so far.

    Linux's own peak is asked first: its getrusage starts from what the parent held. There, what was
    held for a while before can be forgotten first.
    """
    peak = Path("/proc/self/clear_refs")
    if forget and peak.exists():
        peak.write_text("5")
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        if "VmHWM" in fields:
            return int(fields["VmHWM"].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main()

"""One contender in a process of its own: it gets ready, then times a round whenever it is told to.

    python -m benchmarks.worker '{"contender": "nnlite", "workload": "tiny", ...}'

The request is `runner.Worker`'s. One line of JSON says how it started; each line on standard input
asks for a round, which another line of JSON answers; the end of input ends it.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path

from benchmarks.contenders import CONTENDERS, Operation

SETTLE = 0.2  # seconds for which the threads of the contender before may still spin
SHORTEST = 0.1  # seconds that a timing of what learns nothing lasts at least

__all__ = ["timed"]


def main() -> None:
    """Answer one request."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    request = json.loads(sys.argv[1])
    contender = CONTENDERS[request["contender"]]
    begun = time.perf_counter()
    for library in contender.libraries:
        importlib.import_module(library)
    imported = time.perf_counter() - begun

    from benchmarks.workloads import WORKLOADS, data, first_weights

    workload, optimizer = WORKLOADS[request["workload"]], request["optimizer"]
    begun = time.perf_counter()
    data(workload), first_weights(workload)  # made once, and kept: they are nobody's own
    making = time.perf_counter() - begun
    before = peak_memory(forget=True)
    prepared = contender.prepare(workload, optimizer)
    operations = workload.operations(optimizer)
    plan = {name: shape for name, shape in operations.items() if name in prepared}
    start = None
    for count, name in enumerate(plan):
        prepared[name](1)
        if count == 0:
            start = time.time() - request["started"] - making
    for name in plan:
        prepared[name](1)
    ready = {"operations": list(plan), "import": imported, "before": before}
    print(json.dumps({**ready, "start": start}), file=answers)
    for _ in sys.stdin:
        time.sleep(SETTLE)
        seconds, losses = {}, {}
        for name, (steps, epochs) in plan.items():
            seconds[name], losses[name] = timed(prepared[name], steps, epochs)
        result = {"seconds": seconds, "losses": losses, "peak": peak_memory()}
        print(json.dumps(result), file=answers)


def timed(operation: Operation, steps: int, epochs: int) -> tuple[float, float | None]:
    """Return seconds a step over so many epochs, and the last epoch's loss.

    What learns nothing is repeated until it has lasted long enough to be timed well.
    """
    runs, begun = 0, time.perf_counter()
    while True:
        loss = operation(epochs)
        runs += 1
        lasted = time.perf_counter() - begun
        if loss is not None or lasted >= SHORTEST:
            return lasted / (runs * epochs * steps), loss


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

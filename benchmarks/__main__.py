"""The command line: ``python -m benchmarks``, and with ``--quick`` the guard."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contenders import CONTENDERS, missing
from benchmarks.plot import draw
from benchmarks.quick import quick
from benchmarks.report import first_line, render
from benchmarks.runner import Result, run_case
from benchmarks.workloads import OPTIMIZERS, WORKLOADS

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for and return the exit status."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    for name, known in (
        ("workloads", WORKLOADS),
        ("optimizers", OPTIMIZERS),
        ("contenders", CONTENDERS),
    ):
        parser.add_argument(f"--{name}", nargs="+", choices=list(known), default=list(known))
    parser.add_argument("--rounds", type=int, help="how many times all are timed in turn")
    parser.add_argument("--output", type=Path, default=Path("docs/benchmarks.md"))
    parser.add_argument("--quick", action="store_true", help="only nnlite against what is recorded")
    parser.add_argument("--mpi", action="store_true", help="only training on several processes")
    parser.add_argument("--record", action="store_true", help="with --quick: record anew")
    options = parser.parse_args(arguments)
    if options.record and not options.quick:
        parser.error("--record goes with --quick")
    if options.mpi:
        from benchmarks.mpi import report

        print(report())
        return 0
    workloads = options.workloads
    if options.quick:
        return quick(workloads, options.record, *([options.rounds] if options.rounds else []))
    absent = {name: missing(CONTENDERS[name]) for name in options.contenders}
    contenders = [name for name, libraries in absent.items() if not libraries]
    notes = [
        f"Left out: {CONTENDERS[name].title}: no {', '.join(libraries)} installed."
        for name, libraries in absent.items()
        if libraries
    ]
    if "nnlite" not in contenders:
        contenders.insert(0, "nnlite")
    print("".join(f"{note}\n" for note in notes), end="", flush=True)
    rounds = options.rounds or 5
    command = _command(sys.argv[1:] if arguments is None else arguments)
    results: list[Result] = []
    for workload in workloads:
        for optimizer in options.optimizers:
            print(f"{workload}, {OPTIMIZERS[optimizer]} ...", file=sys.stderr, flush=True)
            results += run_case(workload, optimizer, contenders, rounds)
            options.output.write_text(render(results, command, notes))
    figure = options.output.with_suffix(".svg")
    if draw(results, figure):
        note = f"![Ratios by workload]({figure.name})"
    else:
        note = "No plot: matplotlib is not installed."
    options.output.write_text(render(results, command, [*notes, note]))
    for result in results:
        if result.error:
            case = f"{result.contender}, {result.workload}, {result.optimizer}"
            print(f"{case} failed: {result.error}", file=sys.stderr)
    print(first_line(results))
    return 0


def _command(arguments: Sequence[str]) -> str:
    """Return the command of a run, without where its output went."""
    kept = list(arguments)
    if "--output" in kept:
        place = kept.index("--output")
        del kept[place : place + 2]
    return shlex.join(["python", "-m", "benchmarks", *kept])


if __name__ == "__main__":
    sys.exit(main())

"""The command line: ``python -m benchmarks``, and with ``--quick`` the guard."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from benchmarks.contenders import CONTENDERS, missing
from benchmarks.older import add_older
from benchmarks.quick import GUARDED, quick
from benchmarks.record import RECORDS, Run, load
from benchmarks.report import first_line, tables, write
from benchmarks.runner import ROOT, Result, run_case
from benchmarks.workloads import OPTIMIZERS, WORKLOADS

__all__ = ["main"]

PAGE = ROOT / "docs" / "benchmarks.md"
DEFAULT = [name for name in CONTENDERS if name != "older"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for and return the exit status."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", type=_workloads, metavar="WORKLOAD[,WORKLOAD]", help=", ".join(WORKLOADS)
    )
    parser.add_argument("--optimizers", nargs="+", choices=list(OPTIMIZERS))
    parser.add_argument("--contenders", nargs="+", choices=DEFAULT)
    parser.add_argument(
        "--vs",
        metavar="VERSION",
        help="another nnlite beside this one: a folder, a wheel, or a tag or commit",
    )
    parser.add_argument("--rounds", type=int, help="how many times all are timed in turn")
    parser.add_argument(
        "--output", type=Path, help="only write the tables there; a run of a part prints them"
    )
    parser.add_argument("--quick", action="store_true", help="only nnlite against what is recorded")
    parser.add_argument(
        "--record",
        nargs="?",
        const="all",
        choices=["all", "counts"],
        help="with --quick: record again, all or only the counts",
    )
    parser.add_argument("--mpi", action="store_true", help="only training on several processes")
    parser.add_argument(
        "--render", action="store_true", help="only write the page of what is recorded"
    )
    options = parser.parse_args(arguments)
    if options.record and not options.quick:
        parser.error("--record goes with --quick")
    if options.mpi:
        from benchmarks.mpi import report

        print(report())
        return 0
    if options.render:
        here = RECORDS / f"{Run.here('', [], []).name}.json"
        write(PAGE, load(here) if here.exists() else None)
        return 0
    if options.quick:
        rounds = [options.rounds] if options.rounds else []
        return quick(options.only or GUARDED, options.record, *rounds)
    command = _command(sys.argv[1:] if arguments is None else arguments)
    parts = (options.only, options.optimizers, options.contenders, options.vs, options.output)
    whole = not any(parts)
    try:
        with add_older(options.vs) if options.vs else nullcontext():
            run = _run(options, command, whole)
            if whole:
                write(PAGE, run)
            elif options.output:
                options.output.write_text(tables(run))
            else:
                print(tables(run))
    except ValueError as error:
        parser.error(str(error))
    for result in run.results:
        if result.error:
            case = f"{result.contender}, {result.workload}, {result.optimizer}"
            print(f"{case} failed: {result.error}", file=sys.stderr)
    print(first_line(run.results))
    return 0


def _run(options: argparse.Namespace, command: str, whole: bool) -> Run:
    """Time all that is asked for; a whole run is recorded after each case."""
    wanted = options.contenders or DEFAULT
    absent = {name: missing(CONTENDERS[name]) for name in wanted}
    contenders = [name for name, libraries in absent.items() if not libraries]
    notes = [
        f"Left out: {CONTENDERS[name].title}: no {', '.join(libraries)} installed."
        for name, libraries in absent.items()
        if libraries
    ]
    if "nnlite" not in contenders:
        contenders.insert(0, "nnlite")
    if options.vs:
        contenders.insert(1, "older")
    print("".join(f"{note}\n" for note in notes), end="", flush=True)
    results: list[Result] = []
    begun = time.monotonic()
    for workload in options.only or WORKLOADS:
        for optimizer in options.optimizers or OPTIMIZERS:
            if WORKLOADS[workload].operations(optimizer):
                case = f"{workload}, {OPTIMIZERS[optimizer]}"
                print(f"{time.monotonic() - begun:4.0f} s: {case}", file=sys.stderr, flush=True)
                results += run_case(workload, optimizer, contenders, options.rounds or 5)
                if whole:
                    Run.here(command, notes, results).save()
    return Run.here(command, notes, results)


def _workloads(text: str) -> list[str]:
    """Return the names of workloads in a list with commas."""
    names = text.split(",")
    for name in names:
        if name not in WORKLOADS:
            known = ", ".join(WORKLOADS)
            raise argparse.ArgumentTypeError(f"must be among {known}. Received: {name!r}")
    return names


def _command(arguments: Sequence[str]) -> str:
    """Return the command of a run, without the paths of this machine."""
    kept = list(arguments)
    if "--output" in kept:
        place = kept.index("--output")
        del kept[place : place + 2]
    if "--vs" in kept:
        place = kept.index("--vs") + 1
        kept[place] = Path(kept[place]).name
    return shlex.join(["python", "-m", "benchmarks", *kept])


if __name__ == "__main__":
    sys.exit(main())

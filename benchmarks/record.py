"""What a run measured, kept in a file for each processor: a run on one leaves those of others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.machine import blas_kernel, machine, processor, slug, thread_settings, versions
from benchmarks.runner import Result

__all__ = ["RECORDS", "Run", "load", "runs"]

RECORDS = Path(__file__).with_name("results")


@dataclass
class Run:
    """The results of one command, with what they depend on.

    Args:
        title: The processor and the kernel of its BLAS.
        head: Pairs of a name and a text: the machine, the versions, the settings of threads.
        command: How it was started.
        notes: What else must be told.
        results: What was measured.
    """

    title: str
    head: dict[str, str]
    command: str
    notes: list[str] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)

    @classmethod
    def here(cls, command: str, notes: Sequence[str], results: list[Result]) -> Run:
        """Return a run on this machine."""
        kernel = blas_kernel()
        threads = {name: count for r in results for name, count in r.threads.items()}
        settings = [thread_settings(), *(f"{name} {count}" for name, count in threads.items())]
        head = {
            "Machine": machine(),
            "BLAS kernel": kernel or "unknown",
            "Threads": ", ".join(settings),
            "Versions": versions(),
        }
        title = f"{processor()}, {kernel}" if kernel else processor()
        return cls(title, head, command, list(notes), results)

    @property
    def name(self) -> str:
        """The name of its files, without a suffix."""
        return slug(self.title)

    def save(self) -> None:
        """Write the run, in the place of an older one on the same processor."""
        RECORDS.mkdir(exist_ok=True)
        values = asdict(self)
        for result in values["results"]:
            for name, times in result["seconds"].items():
                result["seconds"][name] = [float(f"{seconds:.4g}") for seconds in times]
        lines = ",\n".join(json.dumps(result) for result in values.pop("results"))
        head = json.dumps(values)[:-1]
        (RECORDS / f"{self.name}.json").write_text(f'{head}, "results": [\n{lines}\n]}}\n')


def load(path: Path) -> Run:
    """Return a run from its file."""
    values = json.loads(path.read_text())
    return Run(**{**values, "results": [Result(**result) for result in values["results"]]})


def runs() -> list[Run]:
    """Return all runs that are recorded, by name."""
    return [load(path) for path in sorted(RECORDS.glob("*.json"))]

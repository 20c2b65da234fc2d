"""An epoch of calls with single rows, for the workloads that have one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.contenders import Operation

__all__ = ["calls"]


def calls(function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> Operation:
    """Return an operation that calls ``function`` with each of ``arguments``, once an epoch.

    Its loss is the mean of what ``function`` returns, where these are numbers.
    """

    def run(epochs: int) -> float | None:
        results: list[Any] = []
        for _ in range(epochs):
            results = [function(*values) for values in arguments]
        single = all(getattr(result, "ndim", 0) == 0 for result in results)
        return float(sum(results) / len(results)) if single else None

    return run

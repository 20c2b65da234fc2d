"""A floor: the net of a workload by rows as the NumPy expression that one would write by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.contenders import Operation
from benchmarks.contenders.calls import calls
from benchmarks.workloads import Workload, data, first_weights, many_rows

__all__ = ["prepare"]


def prepare(workload: Workload, optimizer: str) -> dict[str, Operation]:
    """Return the predictions of a workload by rows."""
    if workload.layers:
        return {}
    if not workload.by_row:
        return {}
    (W1, b1), (W2, b2), (W3, b3) = first_weights(workload)
    x, _ = data(workload)

    def predict(x: Any) -> Any:
        return np.tanh(np.tanh(x @ W1 + b1) @ W2 + b2) @ W3 + b3

    single = calls(predict, [(x[i : i + 1],) for i in range(len(x))])
    return {
        "predict": single,
        "predict_on_batch": single,
        "predict_many": calls(predict, [(many_rows(workload),)]),
    }

"""Who is timed. Each has a module with ``prepare(workload, optimizer)``, which returns operations.

An operation is called with a number of epochs and returns the mean loss of the last one, or None
where nothing is learned. Its names are those of `Workload.operations`; a contender that cannot
express a workload returns none. This module imports nothing heavy: what is timed in a worker begins
with the import of the contender's libraries.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CONTENDERS", "Contender", "Operation", "missing"]

Operation = Callable[[int], "float | None"]


@dataclass(frozen=True)
class Contender:
    """Somebody who trains a net.

    Args:
        title: What the report calls it.
        module: The module of this package that has its ``prepare``.
        libraries: What it imports.
        environment: Environment variables that it needs.
        floor: Whether it only does a part of the work, and so cannot be beaten, only approached.
        path: A folder that is looked through first when its libraries are imported.
    """

    title: str
    module: str
    libraries: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    floor: bool = False
    path: str = ""

    def prepare(self, workload: Any, optimizer: str) -> dict[str, Operation]:
        """Return the operations of the contender's module, on fresh weights."""
        module = importlib.import_module(f"{__name__}.{self.module}")
        operations: dict[str, Operation] = module.prepare(workload, optimizer)
        return operations


CONTENDERS = {
    "nnlite": Contender("nnlite", "nnlite_fit", ("nnlite",)),
    "older": Contender("older nnlite", "nnlite_fit", ("nnlite",)),  # --vs says which
    "torch": Contender("PyTorch eager", "torch_eager", ("torch",)),
    "torch-channels-last": Contender("PyTorch, channels last", "torch_channels_last", ("torch",)),
    "torch-compile": Contender(
        "PyTorch `torch.compile`",
        "torch_compile",
        ("torch",),
        {"TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"},  # each process compiles what it runs
    ),
    "keras-jax": Contender("Keras on JAX", "keras_fit", ("keras", "jax"), {"KERAS_BACKEND": "jax"}),
    "keras-torch": Contender(
        "Keras on PyTorch", "keras_fit", ("keras", "torch"), {"KERAS_BACKEND": "torch"}
    ),
    "jax-step": Contender("JAX by hand, compiled step", "jax_step", ("jax",)),
    "jax-scan": Contender("JAX by hand, compiled epoch", "jax_scan", ("jax",)),
    "sklearn": Contender("scikit-learn", "sklearn_mlp", ("sklearn.neural_network",)),
    "numpy-step": Contender(
        "NumPy by hand, lean step", "numpy_step", ("numpy",), {"OPENBLAS_NUM_THREADS": "1"}
    ),
    "numpy": Contender("floor: NumPy expression", "numpy_predict", ("numpy",), floor=True),
    "matmul": Contender("floor: bare matrix products", "matmul", ("numpy",), floor=True),
    "bandwidth": Contender("floor: optimizer's memory", "bandwidth", ("numpy",), floor=True),
}


def missing(contender: Contender) -> list[str]:
    """Return the libraries of ``contender`` that are not installed."""
    packages = (library.partition(".")[0] for library in contender.libraries)
    return [package for package in packages if importlib.util.find_spec(package) is None]

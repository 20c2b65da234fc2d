"""The norms of gradients, by layer and step."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite.backend.variables import Variable
from nnlite.callbacks.callback import Callback, Logs
from nnlite.utils.atomic_write import atomic_write
from nnlite.utils.markup import check_path, curves, sheet
from nnlite.utils.validation import check_count


class gradient_flow(Callback):  # noqa: N801  named like a function
    """Records the norms of gradients and weights of each layer, and draws them as SVG.

    The norms are ``sqrt(sum g^2)`` over the trainable weights of a layer, for the gradients that
    the optimizer's rule takes: clipped, and averaged if gradients are accumulated. The curve of a
    vanishing gradient is decades below those of later layers; that of an exploding gradient rises.
    Recording does not change training. Each `fit` begins a new record.

    Args:
        path: The file, ending in ``.svg``; None writes none. Its folder must exist.
        frequency: The number of the optimizer's steps between records.

    Attributes:
        layers: The names of the layers; in a nested model, after its name and a slash.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If ``frequency`` is below 1, or ``path`` does not end in ``.svg``.
        FileNotFoundError: If the folder does not exist.

    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense
    >>> model = Sequential([Dense(4, activation="tanh"), Dense(1)])
    >>> flow = gradient_flow()
    >>> history = model.fit(np.ones((64, 2)), np.zeros(64), 16, 2, verbose=0, callbacks=[flow])
    >>> flow.steps, flow.norms.shape
    (array([1, 2, 3, 4, 5, 6, 7, 8]), (8, 2))
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, frequency: int = 1) -> None:
        self.path = check_path("path", path, ".svg")
        self.frequency = check_count("frequency", frequency, 1)
        self._begin()

    def _begin(self) -> None:
        self.layers: list[str] = []
        self._taken = 0
        self._rows: list[tuple[int, list[list[float]]]] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Register with the optimizer to receive the gradients of its steps."""
        self._begin()
        learning = self.model.learning_variables()
        groups = _by_layer(self.model, {id(variable) for variable in learning}, "")
        known = {id(variable) for _, variables in groups for variable in variables}
        own = [variable for variable in learning if id(variable) not in known]  # a subclass's
        groups = [(self.model.name, own), *groups] if own else groups
        self.layers = [name for name, _ in groups]
        self._variables = [variables for _, variables in groups]
        self._run, self._optimizer = self.model.fit_loop, self.model.optimizer
        self._optimizer.watchers = (*self._optimizer.watchers, self._note)

    def _note(self) -> None:
        """Record the norms of the current step."""
        if self.model.fit_loop is not self._run:  # an error has ended the training
            self._let_go()
            return
        self._taken += 1
        if self._taken % self.frequency and self._taken > 1:
            return
        norms = [
            [_norm([getattr(v, what) for v in group]) for group in self._variables]
            for what in ("gradient", "value")
        ]
        self._rows.append((self._taken, norms))

    def _let_go(self) -> None:
        self._optimizer.watchers = tuple(
            watch for watch in self._optimizer.watchers if watch != self._note
        )
        self._run = None

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Write the file."""
        self._let_go()
        if self.path is not None and self._rows:
            with atomic_write(self.path) as file:
                file.write(self.svg().encode())

    @property
    def steps(self) -> NDArray[Any]:
        """The numbers of the recorded steps, from 1."""
        return np.array([step for step, _ in self._rows], int)

    @property
    def norms(self) -> NDArray[Any]:
        """The norms of the gradients, shape (records, layers)."""
        return self._norms(0)

    @property
    def weight_norms(self) -> NDArray[Any]:
        """The norms of the weights before the steps, shape (records, layers)."""
        return self._norms(1)

    def _norms(self, which: int) -> NDArray[Any]:
        norms = [row[which] for _, row in self._rows]
        return np.array(norms, float).reshape(len(norms), len(self.layers))

    def svg(self) -> str:
        """Return the drawing: gradients above weights, on logarithmic axes.

        Raises:
            ValueError: If no step was recorded yet.
        """
        if not self._rows:
            raise ValueError("There is no step to draw yet. Give the callback to fit first.")
        steps, most = self.steps, max(1, len(self.layers) - 1)
        drawings = []
        for title, norms in (("gradient", self.norms), ("weight", self.weight_norms)):
            lines = [
                (name, steps, norms[:, at], f"hsl({215 - 190 * at / most:.0f} 62% 52%)", False)
                for at, name in enumerate(self.layers)
            ]
            drawings.append(curves(f"Norm of each layer's {title}s", lines, "step", log=True))
        return str(sheet("How gradients flow", drawings))

    def _repr_html_(self) -> str:
        return self.svg() if self._rows else "No step yet"


def _by_layer(within: Any, learning: set[int], prefix: str) -> list[tuple[str, list[Variable]]]:
    """Return each layer's name with its trainable weights."""
    found = []
    for layer in within.sublayers():
        name = f"{prefix}{layer.name}"
        own = [variable for variable in layer.own_variables() if id(variable) in learning]
        found += [(name, own)] if own else []
        found += _by_layer(layer, learning, f"{name}/")
    return found


def _norm(arrays: list[NDArray[Any]]) -> float:
    return math.hypot(*(float(np.sqrt(np.square(a, dtype=float).sum())) for a in arrays))

"""The parts of a `Trace`: the arrays of a training step with their names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnlite.utils.typing import Array


@dataclass(eq=False)
class Line:
    """One array of a step.

    Attributes:
        name: The name in nnlite, such as ``"kernel"``.
        formula: The formula in nnlite's names.
        symbol: The name in the article, such as ``"W1"``.
        article: The formula in the article's names.
        array: A copy of the array.
        beside: For a gradient, finite differences, NaN for entries that are not sampled; for a
            new weight, its last step.
    """

    name: str
    formula: str
    symbol: str
    article: str
    array: Array
    beside: Array | None = None

    @property
    def differs(self) -> bool:
        """Whether a gradient differs from its finite differences."""
        if self.beside is None:
            return False
        taken = ~np.isnan(self.beside)
        error = np.abs(self.beside - self.array)[taken]
        scale = np.abs(self.array[taken]) + 0.01 * np.abs(self.array).max(initial=0)
        rounding = 1e-7 + 100 * np.finfo(self.array.dtype).eps
        return bool((error > 1e-3 * scale + rounding).any())

    @property
    def left(self) -> str:
        """The name and the formula in nnlite."""
        return f"{self.name} = {self.formula}" if self.formula else self.name

    @property
    def right(self) -> str:
        """The symbol and the formula in the article."""
        return f"{self.symbol} = {self.article}" if self.article else self.symbol

    @property
    def article_shape(self) -> Any:
        """The shape in the article, where samples are columns; "" for other arrays."""
        shape = self.array.shape if self.symbol else ()
        return (*shape, 1) if len(shape) == 1 else shape[::-1] if len(shape) == 2 else ""


@dataclass(eq=False)
class TraceNode:
    """One call of a layer in a `Trace`.

    Attributes:
        name: The name of the layer.
        kind: The names of its class and of its activation.
        number: The article's l.
        inputs: The arrays that the layer reads.
        sources: The source of each input: a node's place, from 1; 0, -1, -2 ... are the inputs.
        outputs: The number of outputs, the last of ``values``.
        parameters: The lines of the weights before the step.
        values: The lines of Z, if the layer has an activation, and of A.
        backward: The lines of the backward pass: dA, dZ and the weights' gradients.
        notes: Further remarks.
    """

    name: str
    kind: str
    number: int
    inputs: list[Array]
    sources: list[int]
    outputs: int = 1
    parameters: list[Line] = field(default_factory=list)
    values: list[Line] = field(default_factory=list)
    backward: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def weights(self) -> dict[str, Array]:
        """The weights by name, before the step."""
        return {line.name: line.array for line in self.parameters}

    @property
    def preactivation(self) -> Array | None:
        """Z, the input of the layer's activation; None for a layer without one."""
        return self.values[0].array if self.values[: -self.outputs] else None

    @property
    def preactivation_gradient(self) -> Array | None:
        """dJ/dZ."""
        return self._derivatives()[0] if self.values[: -self.outputs] else None

    @property
    def output(self) -> Any:
        """A, or a list for several outputs."""
        arrays = [line.array for line in self.values[-self.outputs :]]
        return arrays if self.outputs > 1 else arrays[0]

    @property
    def output_gradient(self) -> Any:
        """dJ/dA; None if the step does not compute it."""
        arrays = self._derivatives()[-self.outputs :]
        return arrays if self.outputs > 1 else arrays[0]

    @property
    def gradients(self) -> dict[str, Array]:
        """dJ/dw of each trainable weight w by name; for a shared layer, the sum over its calls."""
        return {name: line.array for name, line in self._weight_lines()}

    @property
    def finite_differences(self) -> dict[str, Array | None]:
        """The gradients by finite differences, NaN for entries that are not sampled."""
        return {name: line.beside for name, line in self._weight_lines()}

    def _derivatives(self) -> list[Array | None]:
        known = {line.name: line.array for line in self.backward}
        return [known.get(f"d{line.name}") for line in self.values]

    def _weight_lines(self) -> list[tuple[str, Line]]:
        known = {line.name: line for line in self.backward}
        names = [(name, f"{name}.gradient") for name in self.weights]
        return [(name, known[label]) for name, label in names if label in known]


def shown(size: int, most: int) -> list[int]:
    """Return which of ``size`` rows are shown if ``most`` fit: the first ones and the last.

    >>> shown(3, 3), shown(9, 3)
    ([0, 1, 2], [0, 1, 8])
    """
    return [*range(size)] if size <= most else [*range(most - 1), size - 1]


def flat(array: Array) -> Array:
    """Return an array as a table with its last axis across; a single column becomes a row.

    >>> flat(np.zeros((2, 3, 4))).shape, flat(np.zeros((2, 8, 1))).shape, flat(np.zeros(3)).shape
    ((6, 4), (2, 8), (1, 3))
    """
    while array.ndim > 2 and array.shape[-1] == 1:
        array = array[..., 0]
    return array.reshape(-1, array.shape[-1]) if array.ndim else array.reshape(1, 1)

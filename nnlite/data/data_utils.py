"""Utilities: labels, sequences, splits, seeds, progress bars and serialization."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from nnlite.data.pydataset import PyDataset
from nnlite.data.sources import pack_x_y_sample_weight, unpack_x_y_sample_weight
from nnlite.random import new_generator, set_random_seed
from nnlite.serialization.objects import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from nnlite.utils.progress import number, pace
from nnlite.utils.typing import Array
from nnlite.utils.validation import as_number, as_numeric, check_count, check_finite, check_fraction

__all__ = [
    "CustomObjectScope",
    "Progbar",
    "PyDataset",
    "Sequence",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "to_categorical",
    "unpack_x_y_sample_weight",
]


#: Keras's older name of `PyDataset`.
Sequence = PyDataset


def clear_session(free_memory: bool = True) -> None:
    """Free the memory of unused models, which share no state with new ones.

    Args:
        free_memory: Whether to run the garbage collector.

    >>> clear_session()
    """
    if free_memory:
        gc.collect()


def to_categorical(x: Any, num_classes: int | None = None) -> Array:
    """Return one-hot vectors of class indices, for categorical cross-entropy.

    Args:
        x: Class indices, of any shape; a last axis of size 1 is dropped.
        num_classes: The number of classes; None means the largest index plus one.

    Returns:
        An array of the shape of ``x`` with a further axis of ``num_classes`` entries.

    Raises:
        TypeError: If ``x`` is not numeric.
        ValueError: If an entry is not a class index, or ``x`` is empty without ``num_classes``.

    >>> to_categorical([0, 2, 1])
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]])
    """
    labels = as_numeric("x", x)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if num_classes is not None:
        num_classes = check_count("num_classes", num_classes, 1)
    elif labels.size == 0:
        raise ValueError("x is empty. Pass num_classes, the number of classes.")
    whole = labels.dtype.kind != "f" or bool((np.isfinite(labels) & (labels % 1 == 0)).all())
    if not whole or (labels.size and labels.min() < 0):
        raise ValueError("x must hold class indices: 0, 1, 2, ... Received others.")
    labels = labels.astype(np.intp)
    classes = num_classes or int(labels.max()) + 1
    if labels.size and labels.max() >= classes:
        raise ValueError(
            f"x must hold class indices less than num_classes={classes}. Received: {labels.max()}"
        )
    one_hot = np.zeros((*labels.shape, classes))
    np.put_along_axis(one_hot, labels[..., None], 1.0, axis=-1)
    return one_hot


def normalize(x: Any, axis: int = -1, order: float = 2) -> Array:
    """Return ``x`` with every row scaled to norm 1.

    Args:
        x: An array of numbers.
        axis: The axis of the rows.
        order: p of the norm (sum |x|^p)^(1/p), at least 1; ``numpy.inf`` for the largest |x|.

    Returns:
        A new array of the shape of ``x``; rows of zeros are unchanged.

    Raises:
        TypeError: If ``x`` is not numeric, or ``axis`` is not an integer.
        ValueError: If an entry of ``x`` is not finite, ``axis`` does not exist, or ``order`` < 1.

    >>> normalize([[3.0, 4.0], [0.0, 0.0]])
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    x = as_numeric("x", x)
    if x.dtype.kind != "f":
        x = x.astype(float)
    check_finite("x", x, x.dtype)
    axis = check_count("axis", axis, -x.ndim)
    if not as_number("order", order) >= 1:
        raise ValueError(f"order must be at least 1. Received: order={order}")
    # Dividing by the largest entry of the row first avoids overflow.
    largest = np.abs(x).max(axis=axis, keepdims=True, initial=0)
    with np.errstate(under="ignore"):
        scaled = x / np.where(largest == 0, 1, largest)
        norm = np.linalg.norm(scaled, order, axis=axis, keepdims=True)
        return scaled / np.where(norm == 0, 1, norm)


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
) -> tuple[Any, Any]:
    """Split arrays into a left and a right part, for instance for training and testing.

    Args:
        dataset: An array, or a tuple or list of arrays with equally many samples.
        left_size: The number of samples of the left part, or a fraction as a float; None means the
            rest.
        right_size: The same for the right part, the last samples.
        shuffle: Whether to shuffle the samples first.
        seed: The seed of the shuffle, or None.

    Returns:
        Two copies in the structure of ``dataset``.

    Raises:
        TypeError: If ``dataset`` or a size has the wrong type.
        ValueError: If the arrays differ in their numbers of samples, no size is given, or a part
            would be empty or too large.

    >>> split_dataset(np.arange(5), left_size=0.6)
    (array([0, 1, 2]), array([3, 4]))
    """
    many = isinstance(dataset, (tuple, list))
    given = dataset if many else [dataset]
    arrays = [as_numeric(f"dataset[{i}]" if many else "dataset", a) for i, a in enumerate(given)]
    lengths = {array.shape[:1] for array in arrays}
    if len(lengths) != 1 or lengths == {()}:
        raise ValueError(
            "dataset must be arrays with equally many samples. Received shapes: "
            f"{', '.join(str(array.shape) for array in arrays)}"
        )
    total = len(arrays[0])
    if left_size is None and right_size is None:
        raise ValueError("Pass left_size or right_size: a number of samples, or a fraction.")
    left, right = (
        None if size is None else _part(name, size, total)
        for name, size in [("left_size", left_size), ("right_size", right_size)]
    )
    left = total - (right or 0) if left is None else left
    right = total - left if right is None else right
    if min(left, right) < 1 or left + right > total:
        raise ValueError(
            f"The {total} samples cannot be split into {left} and {right}. Received: "
            f"left_size={left_size}, right_size={right_size}"
        )
    order = new_generator(seed).permutation(total) if shuffle else np.arange(total)
    parts = [[a[chosen] for a in arrays] for chosen in (order[:left], order[total - right :])]
    first, second = (type(dataset)(part) if many else part[0] for part in parts)
    return first, second


def _part(name: str, size: Any, total: int) -> int:
    """Return a size as a number of samples."""
    if isinstance(size, (float, np.floating)):
        return round(check_fraction(name, size) * total)
    return check_count(name, size, 1)


def pad_sequences(
    sequences: Iterable[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> Array:
    """Return sequences of different lengths as one array, padded or truncated.

    Args:
        sequences: Sequences of numbers, strings or arrays of one shape.
        maxlen: The length; None means that of the longest sequence.
        dtype: The type of the array; ``object`` or ``str`` for strings.
        padding: Whether to pad at the beginning, ``"pre"``, or at the end, ``"post"``.
        truncating: Whether to cut at the beginning, ``"pre"``, or at the end, ``"post"``.
        value: The padding value.

    Returns:
        An array of shape (sequences, maxlen, ...).

    Raises:
        TypeError: If an entry is not numeric, though ``dtype`` is.
        ValueError: If ``padding`` or ``truncating`` is unknown, ``value`` is a string and ``dtype``
            is numeric, or entries differ in shape.

    >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2)
    array([[0, 1],
           [2, 3],
           [5, 6]], dtype=int32)
    """
    for name, side in [("padding", padding), ("truncating", truncating)]:
        if side not in ("pre", "post"):
            raise ValueError(f"{name} must be 'pre' or 'post'. Received: {name}={side!r}")
    of_text = np.dtype(dtype).kind in "OU"
    if isinstance(value, str) and not of_text:
        raise ValueError(
            f"A value of text needs dtype=object or str. Received: dtype={dtype!r}, value={value!r}"
        )
    rows = [
        np.asarray(row, dtype) if of_text else as_numeric(f"sequences[{i}]", row)
        for i, row in enumerate(sequences)
    ]
    if np.dtype(dtype) == np.dtype(str):  # as wide as the longest string
        dtype = np.result_type(np.asarray(value, str), *rows)
    shapes = {row.shape[1:] for row in rows if row.size} or {()}
    if len(shapes) > 1 or any(row.ndim == 0 for row in rows):
        raise ValueError(
            "sequences must hold sequences whose entries have one shape. Received shapes: "
            f"{', '.join(str(row.shape) for row in rows)}"
        )
    length = max((len(row) for row in rows), default=0)
    if maxlen is not None:
        length = check_count("maxlen", maxlen, 1)
    padded = np.full((len(rows), length, *shapes.pop()), value, dtype=dtype)
    for target, row in zip(padded, rows, strict=True):
        kept = row[-length:] if truncating == "pre" else row[:length]
        if kept.size:
            target[length - len(kept) if padding == "pre" else 0 :][: len(kept)] = kept
    return padded


class Progbar:
    """Progress bar for custom loops: call `update` or `add` in each step.

    Args:
        target: The number of steps; None if unknown.
        width: The width of the bar in characters.
        verbose: 0 for nothing, 1 for a bar, 2 for a line at the end.
        interval: Seconds between updates of the bar.
        stateful_metrics: The names of values to show unchanged; others are averaged.
        stateless_metrics: Alternatively, the names of the values to average.
        unit_name: The name of a step.

    Raises:
        ValueError: If both ``stateful_metrics`` and ``stateless_metrics`` are given.

    >>> bar = Progbar(2, verbose=2)
    >>> for loss in [0.75, 0.5]:
    ...     bar.add(1, values=[("loss", loss)])
    2/2 0s ...s/step - loss: 0.5000
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Pass stateful_metrics or stateless_metrics, not both.")
        self.target, self.width, self.verbose, self.interval = target, width, verbose, interval
        self.unit_name = unit_name
        self.stateful_metrics = {*(stateful_metrics or ())}
        self.stateless_metrics = None if stateless_metrics is None else {*stateless_metrics}
        self._values: dict[str, tuple[float, int]] = {}  # sums and numbers of steps
        self._seen = self._length = 0
        self._began = time.perf_counter()
        self._due = 0.0

    def update(
        self,
        current: int,
        values: Iterable[tuple[str, Any]] | None = None,
        finalize: bool | None = None,
    ) -> None:
        """Show the progress.

        Args:
            current: The number of finished steps.
            values: Pairs of a name and the value of the last step; arrays are averaged.
            finalize: Whether this is the last call; None means when ``current`` reaches the target.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values or ():
            if self.stateless_metrics is None:
                averaged = name not in self.stateful_metrics
            else:
                averaged = name in self.stateless_metrics
            steps = max(current - self._seen, 1)
            total, count = self._values.get(name, (0.0, 0))
            now = float(np.mean(value))
            going_on = averaged and not finalize
            self._values[name] = (total + now * steps, count + steps) if going_on else (now, 1)
        self._seen = current
        at = time.perf_counter()
        if self.verbose == 1 and (finalize or at >= self._due):
            self._due = at + self.interval
            line = self._line(current, at - self._began)
            self._show(f"\r{line.ljust(self._length)}", end="\n" if finalize else "")
            self._length = len(line)
        elif self.verbose == 2 and finalize:
            self._show(self._line(current, at - self._began))

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Advance by ``n`` steps; see `update`."""
        self.update(self._seen + n, values)

    def _line(self, current: int, seconds: float) -> str:
        parts = [f"{current}/{self.target or 'Unknown'}"]
        if self.target and self.verbose == 1:
            done = int(self.width * min(current / self.target, 1))
            parts.append(f"[{'#' * done}{'.' * (self.width - done)}]")
        parts += [f"{seconds:.0f}s", pace(seconds / max(current, 1), self.unit_name)]
        means = (f" - {name}: {number(a / count)}" for name, (a, count) in self._values.items())
        return " ".join(parts) + "".join(means)

    @staticmethod
    def _show(text: str, end: str = "\n") -> None:
        if sys.stdout is not None:
            print(text, end=end, flush=hasattr(sys.stdout, "flush"))

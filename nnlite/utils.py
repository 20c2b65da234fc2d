"""Helpers around training: labels, shapes and halves of data, seeds, and objects as data."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite.checks import as_numeric, check_count, check_finite, check_fraction
from nnlite.data.pydataset import PyDataset
from nnlite.data.sources import pack_x_y_sample_weight, unpack_x_y_sample_weight
from nnlite.random import new_generator, set_random_seed
from nnlite.serialization import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)

__all__ = [
    "CustomObjectScope",
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

Array = NDArray[Any]

#: Keras's older name of `PyDataset`.
Sequence = PyDataset


def clear_session(free_memory: bool = True) -> None:
    """Free the memory of models that are no longer used.

    No more is needed between two models: they share no state, and layers are named within
    their own model.

    Args:
        free_memory: False to leave it to Python's own time.

    >>> clear_session()
    """
    if free_memory:
        gc.collect()


def to_categorical(x: Any, num_classes: int | None = None) -> Array:
    """Return class indices as rows of zeros with a one: what categorical cross-entropy takes.

    Args:
        x: Class indices, of any shape; a last axis of size 1 is dropped.
        num_classes: How many classes there are; None takes the largest index and one.

    Returns:
        An array of the shape of ``x`` with an axis of ``num_classes`` entries added.

    Raises:
        TypeError: If ``x`` is not numeric.
        ValueError: If an entry is no index of a class, or there are none to count classes by.

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
        raise ValueError("x is empty: give num_classes, the number of classes.")
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
    """Return ``x`` divided by its norms, so that every row has norm 1.

    Args:
        x: An array of numbers.
        axis: The axis along which the entries of one row stand.
        order: p of the norm (sum |x|^p)^(1/p), at least 1; ``numpy.inf`` for the largest |x|.

    Returns:
        A new array of the shape of ``x``; rows of zeros stay.

    Raises:
        TypeError: If ``x`` is not numeric, or ``axis`` no integer.
        ValueError: If an entry of ``x`` is not finite, it has no such axis, or ``order`` is less
            than 1.

    >>> normalize([[3.0, 4.0], [0.0, 0.0]])
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    x = as_numeric("x", x)
    if x.dtype.kind != "f":
        x = x.astype(float)
    check_finite("x", x, x.dtype)
    axis = check_count("axis", axis, -x.ndim)
    if not order >= 1:
        raise ValueError(f"order must be at least 1. Received: order={order}")
    # Divided by the row's largest entry first, no power overflows.
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
    """Split arrays into a left and a right part, such as for training and testing.

    Args:
        dataset: An array, or a tuple or list of arrays with equally many samples.
        left_size: How many samples the left part has, or as a float which fraction of them;
            None takes what the right part leaves.
        right_size: The same of the right part, the last samples.
        shuffle: Whether to take the samples in a random order.
        seed: The seed of that order; None draws one.

    Returns:
        Two of what ``dataset`` is: arrays, or tuples or lists of arrays; all of them copies.

    Raises:
        TypeError: If ``dataset`` is of another kind, or a size no number.
        ValueError: If the arrays differ in their numbers of samples, no size is given, a part
            would be empty, or there are not enough samples for both.

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
        raise ValueError("Give left_size or right_size: a number of samples, or a fraction.")
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
    """Return the number of samples that a size stands for."""
    if isinstance(size, (float, np.floating)):
        return round(check_fraction(name, size) * total)
    return check_count(name, size, 1)


def pad_sequences(
    sequences: Iterable[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: float = 0.0,
) -> Array:
    """Return sequences of different lengths as one array, filled up or cut to one length.

    Args:
        sequences: The sequences, of numbers or of equally shaped arrays.
        maxlen: The length; None takes the longest one's.
        dtype: The type of the array.
        padding: Where short ones are filled up: ``"pre"``, before them, or ``"post"``.
        truncating: Where long ones are cut: ``"pre"``, at their beginning, or ``"post"``.
        value: What they are filled up with.

    Returns:
        An array of shape (sequences, maxlen), or (sequences, maxlen, ...) of arrays.

    Raises:
        TypeError: If an entry is not numeric.
        ValueError: If ``padding`` or ``truncating`` is another one, or entries differ in shape.

    >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2)
    array([[0, 1],
           [2, 3],
           [5, 6]], dtype=int32)
    """
    for name, side in [("padding", padding), ("truncating", truncating)]:
        if side not in ("pre", "post"):
            raise ValueError(f"{name} must be 'pre' or 'post'. Received: {name}={side!r}")
    rows = [as_numeric(f"sequences[{i}]", row) for i, row in enumerate(sequences)]
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

"""Checks of class indices, and the kind of classification that shapes imply."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlite.utils.typing import Array

Shape = tuple[int, ...]


def follows_from_data(identifier: Any) -> bool:
    """Return whether ``identifier`` names a cross-entropy whose class depends on the data.

    >>> follows_from_data("ce"), follows_from_data("bce")
    (True, False)
    """
    return isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce")


def form(y_true: Shape, y_pred: Shape) -> int:
    """Return 0 for one output, 1 for class indices and 2 for distributions over the classes.

    Args:
        y_true: The shape of the targets, or of one target.
        y_pred: The shape of the predictions, or of one prediction.

    >>> form((8,), (8, 1)), form((8,), (8, 3)), form((8, 3), (8, 3))
    (0, 1, 2)
    """
    if y_pred[-1] == 1:
        return 0
    return 1 if len(y_true) < len(y_pred) or y_true[-1] == 1 else 2


def check_indices(
    owner: str, name: str, array: Array, shape: tuple[int, ...], output_shape: tuple[int, ...]
) -> Array:
    """Return ``array`` as integers of ``shape``; a last axis of size 1 may be extra or missing.

    >>> check_indices("Loss", "y", np.array([[0], [2]]), (2,), (2, 3))
    array([0, 2])
    """
    if array.shape == (*shape, 1):
        array = array[..., 0]
    if array.shape != shape:
        hint = ""
        if array.shape == output_shape:
            hint = (
                " For one-hot targets, use CategoricalCrossEntropy ('categorical_crossentropy'), "
                "or make them indices by .argmax(axis=-1)."
            )
        raise ValueError(
            f"{owner} expects {name} of shape {shape}, one class index per sample. "
            f"Received: {name} of shape {array.shape}.{hint}"
        )
    if array.dtype.kind == "f":
        raise TypeError(
            f"{owner} expects {name} to hold class indices, as integers. Received: {name} of type "
            f"{array.dtype}. Whole numbers become integers by .astype('int64')."
        )
    return array


def check_classes(
    owner: str, name: str, array: Array, classes: int, ignored: int | None = None
) -> None:
    """Raise a ValueError if an index is neither below ``classes`` nor ``ignored``."""
    wrong = (array < 0) | (array >= classes)
    if ignored is not None:
        wrong &= array != ignored
    if np.any(wrong):
        raise ValueError(
            f"{owner} expects {name} from 0 to {classes - 1}, for an output of {classes} classes. "
            f"Received: a label {array[wrong].flat[0]}"
        )

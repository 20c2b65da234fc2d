"""Breast Cancer Wisconsin (Diagnostic): classify masses by their cell nuclei."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnlite.datasets._files import read_split

__all__ = ["CLASS_NAMES", "FEATURE_NAMES", "load_data"]

_MEASUREMENTS = (
    *("radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity"),
    *("concave points", "symmetry", "fractal dimension"),
)

CLASS_NAMES: tuple[str, ...] = ("malignant", "benign")
"""The meaning of labels 0 and 1."""

FEATURE_NAMES: tuple[str, ...] = (
    *(f"mean {measurement}" for measurement in _MEASUREMENTS),
    *(f"{measurement} error" for measurement in _MEASUREMENTS),
    *(f"worst {measurement}" for measurement in _MEASUREMENTS),
)
"""The 30 columns, in order, with scikit-learn's names."""


def load_data() -> tuple[
    tuple[NDArray[np.float32], NDArray[np.int64]], tuple[NDArray[np.float32], NDArray[np.int64]]
]:
    """Load 569 masses with 30 measurements each, shuffled, with a fixed split.

    The columns, ``FEATURE_NAMES``, are ten properties of the cell nuclei in one picture: the mean
    over the nuclei, its standard error, and the mean of the three largest. Their standard
    deviations differ by a factor of more than 100,000, so standardize before training.

    Labels are scikit-learn's: 0 is malignant (212 rows), 1 is benign (357 rows). A model with one
    sigmoid output therefore predicts the probability that a mass is *benign*.

    Source: W. Wolberg, O. Mangasarian, N. Street and W. Street (1993), Breast Cancer Wisconsin
    (Diagnostic), UCI Machine Learning Repository, https://doi.org/10.24432/C5DW2B.
    Licence: CC BY 4.0, https://creativecommons.org/licenses/by/4.0/.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``, new arrays in every call: ``x`` float32 of shape
        (455, 30) and (114, 30), ``y`` int64 of shape (455,) and (114,).

    >>> from nnlite.datasets import breast_cancer
    >>> (x_train, y_train), (x_test, y_test) = breast_cancer.load_data()
    >>> x_train.shape, x_test.shape
    ((455, 30), (114, 30))
    >>> breast_cancer.FEATURE_NAMES[0], breast_cancer.CLASS_NAMES[y_train[0]]
    ('mean radius', 'malignant')
    """
    return read_split("breast_cancer")

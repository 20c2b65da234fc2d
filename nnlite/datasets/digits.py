"""Optical Recognition of Handwritten Digits: classify pictures of 8 x 8 pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnlite.datasets._files import read_split

__all__ = ["load_data"]


def load_data() -> tuple[
    tuple[NDArray[np.uint8], NDArray[np.int64]], tuple[NDArray[np.uint8], NDArray[np.int64]]
]:
    """Load 1,797 handwritten digits, shuffled, with a fixed split.

    A pixel counts the inked dots in a 4 x 4 block of a 32 x 32 scan, so divide by 16 for values in
    [0, 1]. The 64 pixels of a picture are in row order from the top left corner. There are about
    180 pictures of each digit.

    Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository, https://doi.org/10.24432/C50P49 (of its two parts, the test part).
    Licence: CC BY 4.0, https://creativecommons.org/licenses/by/4.0/.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``, new arrays in every call: ``x`` uint8 of shape
        (1437, 64) and (360, 64), ``y`` int64 of shape (1437,) and (360,) with values 0..9.

    >>> from nnlite.datasets import digits
    >>> (x_train, y_train), (x_test, y_test) = digits.load_data()
    >>> x_train.shape, x_test.shape
    ((1437, 64), (360, 64))
    >>> int(y_train[0])
    3
    >>> for row in x_train[0].reshape(8, 8):
    ...     print("".join(" .+#"[pixel // 5] for pixel in row).rstrip())
      .##+
      ++++
        ++
       .#.
       .#.
        .+
      #.+#
      .##.
    """
    return read_split("digits")

"""What the tests of chains of layers share: data, a small chain, and comparisons of arrays."""

import numpy as np

from nnlite import Input, Sequential, set_random_seed
from nnlite.layers import Dense

rng = np.random.default_rng(11)
X = rng.standard_normal((12, 4)).astype("float32")
Y = rng.standard_normal((12, 2)).astype("float32")


def small(seed=1):
    set_random_seed(seed)
    return Sequential([Input((4,)), Dense(3, "tanh"), Dense(2)])


def assert_same(these, those):
    for one, other in zip(these, those, strict=True):
        np.testing.assert_array_equal(one, other)


def differ(these, those):
    """Return of each pair of arrays whether they differ."""
    return [bool((one != other).any()) for one, other in zip(these, those, strict=True)]

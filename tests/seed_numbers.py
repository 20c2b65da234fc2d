"""The article's numbers: what it prints, and the layers that hold its weights.

The article is feature-major, X is (n_x, m), W is (units, inputs), b is (units, 1), and divides by m
in each layer, where nnlite's loss owns the mean.
"""

import numpy as np

from nnlite.layers import Dense, ReLU, Sigmoid

M = 2  # samples in each of the seed's examples of backward propagation


FORWARD = [[0.17007265, 0.2524272]]
COST = 0.41493159961539694
LINEAR_DA = [[0.51822968, -0.19517421], [-0.40506361, 0.15255393], [2.37496825, -0.89445391]]
LINEAR_DW = [[-0.10076895, 1.40685096, 1.64992505]]
LINEAR_DB = [0.50629448]
ACTIVATION_BACKWARD = [
    (
        Sigmoid,
        [[0.11017994, 0.01105339], [0.09466817, 0.00949723], [-0.05743092, -0.00576154]],
        [[0.10266786, 0.09778551, -0.01968084]],
        [-0.05729622],
    ),
    (
        ReLU,
        [[0.44090989, 0], [0.37883606, 0], [-0.2298228, 0]],
        [[0.44513824, 0.37371418, -0.10478989]],
        [-0.20837892],
    ),
]
MODEL_DW1 = [
    [0.41010002, 0.07807203, 0.13798444, 0.10502167],
    [0, 0, 0, 0],
    [0.05283652, 0.01005865, 0.01777766, 0.0135308],
]
MODEL_DB1 = [-0.22007063, 0, -0.02835349]
MODEL_DA0 = [[0, 0.52257901], [0, -0.3269206], [0, -0.32070404], [0, -0.74079187]]
UPDATED_W1 = [
    [-0.59562069, -0.09991781, -2.14584584, 1.82662008],
    [-1.76569676, -0.80627147, 0.51115557, -1.18258802],
    [-1.0535704, -0.86128581, 0.68284052, 2.20374577],
]
UPDATED_B1 = [-0.04659241, -1.28888275, 0.53405496]
UPDATED_W2 = [[-0.55569196, 0.0354055, 1.32964895]]
UPDATED_B2 = [-0.84610769]


def R(seed):
    """Return the old generator, which the seed's numbers come from."""
    return np.random.RandomState(seed)


def assert_prints(actual, expected):
    """All eight decimals agree, shape and float64 too; -0. is 0."""
    np.testing.assert_array_equal(np.round(actual, 8), np.array(expected, float), strict=True)


def dense(W, b, activation=None):
    """Return a layer that holds the seed's W and b."""
    layer = Dense(len(W), activation, dtype="float64")
    layer.ensure_built((None, W.shape[1]))
    layer.set_weights([W.T, b.ravel()])
    return layer

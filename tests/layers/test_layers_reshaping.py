"""Flatten, Reshape, Permute and RepeatVector: known arrangements, and what they refuse."""

import sys

import numpy as np
import pytest

from nnlite import Input, Sequential
from nnlite.execution import Memory, Plan, ReferenceExecutor
from nnlite.layers import Activation, Dense, Flatten, Permute, RepeatVector, Reshape

X = np.arange(24.0, dtype="float32").reshape(2, 3, 4)


def there_and_back(layer, x):
    """Return the output, and what the way back makes of numbers 0, 1, 2, ... of its shape."""
    y = layer(x, training=True)
    return y, layer.backward(np.arange(y.size, dtype="float32").reshape(y.shape))


@pytest.mark.parametrize("target", [(2, 6), (-1, 6), (2, None), (12,)])
def test_reshape_keeps_the_order(target):
    y, gradient = there_and_back(Reshape(target), X)
    np.testing.assert_array_equal(y.ravel(), X.ravel())
    assert y.shape[0] == 2
    assert y.shape[1:] == ((12,) if target == (12,) else (2, 6))
    np.testing.assert_array_equal(gradient, X)


@pytest.mark.parametrize(
    ("target", "given", "wanted"),
    [
        ((3, -1), (None, 12), (None, 3, 4)),
        ((3, None), (7, 12), (7, 3, 4)),
        ((3, -1), (None, None, 4), (None, 3, None)),
        ((3, 4), (None, None, 4), (None, 3, 4)),
        ((-1,), (None, 3, 4), (None, 12)),
    ],
)
def test_reshape_tells_what_size_is_left(target, given, wanted):
    assert Reshape(target).compute_output_shape(given) == wanted


def test_permute_turns_axes_and_turns_them_back():
    y, gradient = there_and_back(Permute((2, 3, 1)), X.reshape(1, 2, 3, 4))
    np.testing.assert_array_equal(y, X.transpose(1, 2, 0)[None])
    np.testing.assert_array_equal(gradient, np.arange(24).reshape(1, 3, 4, 2).transpose(0, 3, 1, 2))
    assert Permute((2, 1)).compute_output_shape((None, 3, None)) == (None, None, 3)


def test_a_repeated_vector_gathers_the_gradients_of_its_copies():
    y, gradient = there_and_back(RepeatVector(3), np.array([[1.0, 2.0], [3.0, 4.0]]))
    np.testing.assert_array_equal(y, [[[1, 2]] * 3, [[3, 4]] * 3])
    np.testing.assert_array_equal(gradient, [[0 + 2 + 4, 1 + 3 + 5], [6 + 8 + 10, 7 + 9 + 11]])


def test_they_take_their_places_in_a_model():
    model = Sequential(
        [Input((6,)), Reshape((2, -1)), Permute((2, 1)), Flatten(), RepeatVector(2), Dense(1)]
    )
    assert model.output_shape == (None, 2, 1)
    x = np.random.default_rng(1).standard_normal((20, 6))
    losses = model.fit(x, x[:, :2, None], epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Reshape((2, -1, -1)), ValueError, r"at most one -1.*target_shape=\(2, -1, -1\)"),
        (lambda: Reshape((None, -1)), ValueError, r"at most one -1.*target_shape=\(None, -1\)"),
        (lambda: Reshape((0,)), ValueError, r"target_shape must hold positive.*\(0,\)"),
        (lambda: Reshape((-2, 3)), ValueError, r"target_shape must hold positive.*\(-2, 3\)"),
        (lambda: Reshape(4), TypeError, "target_shape must be a sequence.*target_shape=4"),
        (lambda: Reshape((2.0,)), TypeError, r"target_shape must be a sequence.*\(2.0,\)"),
        (lambda: Reshape("12"), TypeError, "target_shape must be a sequence.*'12'"),
        (lambda: Permute((1, 1)), ValueError, r"dims must be the numbers.*dims=\(1, 1\)"),
        (lambda: Permute((0, 1)), ValueError, r"dims must be the numbers.*dims=\(0, 1\)"),
        (lambda: Permute(1), TypeError, "dims must be a sequence.*dims=1"),
        (lambda: Permute((1, None)), TypeError, r"dims must be a sequence.*\(1, None\)"),
        (lambda: RepeatVector(0), ValueError, "n must be at least 1. Received: n=0"),
        (lambda: RepeatVector(2.0), TypeError, "n must be an integer. Received: n=2.0"),
        (lambda: Reshape((5,))(X), ValueError, r"sample of shape \(3, 4\) the target_shape \(5,\)"),
        (lambda: Reshape((5, -1))(X), ValueError, r"\(3, 4\) the target_shape \(5, -1\)"),
        (lambda: Permute((1,))(X), ValueError, r"permutes 1 axes .*input_shape=\(None, 3, 4\)"),
        (lambda: RepeatVector(2)(X), ValueError, r"\(batch, features\).*\(None, 3, 4\)"),
    ],
)
def test_wrong_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_model_that_cannot_be_reshaped_is_not_built():
    model = Sequential([Dense(4), Reshape((3, 2))])
    with pytest.raises(ValueError, match="'reshape' cannot give"):
        model.build((None, 5))
    assert not model.built
    assert not model.layers[0].built


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_plan_with_views_computes_what_the_reference_executor_does(dtype):
    generator = np.random.default_rng(2)
    model = Sequential(
        [
            Input((3, 4), dtype=dtype),
            Permute((2, 1), dtype=dtype),  # a view of the input, another at each step
            Reshape((2, 6), dtype=dtype),  # of which this is none: its numbers are out of order
            Dense(6, activation="tanh", dtype=dtype),
            Reshape((3, 4), dtype=dtype),  # a view of an array of the plan
            Activation(
                "sigmoid", dtype=dtype
            ),  # which may not take the place of what tanh puts out
            Permute((2, 1), dtype=dtype),
            Flatten(dtype=dtype),
            Dense(2, activation="tanh", dtype=dtype),
        ]
    )
    graph, learning = model.graph(training=True), model.learning_variables()
    batches = generator.standard_normal((3, 5, 3, 4)).astype(dtype)
    plan = Plan(graph, learning, [batches[0]], Memory())
    reference = ReferenceExecutor(graph, learning)
    for x in batches:
        results = []
        for executor in (reference, plan):
            (y,) = executor.forward([x])
            executor.backward([np.cos(y)])
            results.append([y, *(weight.gradient.copy() for weight in learning)])
        plan.forget_inputs()
        for one, other in zip(*results, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_view_of_a_batch_is_let_go_with_it():
    model = Sequential([Input((3, 4)), Flatten(), Reshape((12,)), Dense(1)])
    x = np.ones((5, 3, 4), "float32")
    held = sys.getrefcount(x)
    learning = model.learning_variables()
    plan = Plan(model.graph(training=True), learning, [np.zeros_like(x)], Memory())
    plan.forward([x])
    assert sys.getrefcount(x) > held
    plan.forget_inputs()
    assert sys.getrefcount(x) == held

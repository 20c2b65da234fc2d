"""BatchNormalization against a plain transcription of its paper."""

import numpy as np
import pytest

from nnlite import Sequential
from nnlite.execution import Graph, ReferenceExecutor
from nnlite.layers import BatchNormalization, Dense

X = np.random.default_rng(3).normal(2.0, 3.0, (6, 4))


def test_training_normalizes_with_the_batch_and_remembers_it():
    layer = BatchNormalization(momentum=0.9, epsilon=1e-3, dtype="float64")
    mean, variance = X.mean(axis=0), X.var(axis=0)
    y = layer(X, training=True)
    np.testing.assert_allclose(y, (X - mean) / np.sqrt(variance + 1e-3), rtol=1e-12)
    gamma, beta, moving_mean, moving_variance = layer.get_weights()
    np.testing.assert_array_equal([gamma, beta], [np.ones(4), np.zeros(4)])
    np.testing.assert_allclose(moving_mean, 0.1 * mean, rtol=1e-12)
    np.testing.assert_allclose(moving_variance, 0.9 + 0.1 * variance, rtol=1e-12)


def test_inference_normalizes_with_what_is_remembered_and_changes_nothing():
    layer = BatchNormalization(dtype="float64")
    layer.ensure_built((None, 4))
    weights = [np.arange(1.0, 5), np.arange(4.0), np.full(4, 2.0), np.full(4, 9.0)]
    layer.set_weights(weights)
    wanted = weights[0] * (X - 2) / np.sqrt(9 + 1e-3) + weights[1]
    np.testing.assert_allclose(layer(X), wanted, rtol=1e-12)
    layer.trainable = False
    np.testing.assert_allclose(layer(X, training=True), wanted, rtol=1e-12)
    np.testing.assert_array_equal(layer.get_weights(), weights)


def test_another_axis_is_the_last_axis_of_the_array_turned_round():
    x = np.random.default_rng(4).standard_normal((5, 3, 2))
    turned = BatchNormalization(dtype="float64")(x.swapaxes(1, 2), training=True).swapaxes(1, 2)
    np.testing.assert_allclose(BatchNormalization(1, dtype="float64")(x, training=True), turned)


@pytest.mark.parametrize(("axis", "options"), [(-1, {}), (1, {}), (-1, {"scale": False})])
def test_where_training_is_false_within_training_the_averages_count_as_constants(axis, options):
    # As in transfer learning: y = gamma (x - mean) / s + beta, with gamma and beta that learn.
    generator = np.random.default_rng(4)
    x, dy = generator.standard_normal((2, 5, 3, 3))
    layer = BatchNormalization(axis, dtype="float64", **options)
    layer.ensure_built((None, 3, 3))
    layer.set_weights([generator.uniform(0.5, 1, 3) for _ in layer.weights])
    *_, mean, variance = layer.get_weights()
    sizes = (3, 1) if axis == 1 else (3,)
    s = np.sqrt(variance + layer.epsilon).reshape(sizes)
    gamma = layer.gamma.value.reshape(sizes) if layer.scale else 1
    graph = Graph(training=True)
    graph.finish([graph.add(layer, graph.add_input("float64"), training=False)])
    executor = ReferenceExecutor(graph, layer.learning_variables())
    (y,) = executor.forward([x])
    np.testing.assert_array_equal(y, layer(x))
    others = (0, 2) if axis == 1 else (0, 1)
    for inputs in (True, False):
        for weight in layer.trainable_weights:
            weight.gradient.fill(np.nan)
        (dx,) = executor.backward([dy], inputs)
        np.testing.assert_allclose(layer.beta.gradient, dy.sum(others), rtol=1e-12)
        if layer.scale:
            n = (x - mean.reshape(sizes)) / s
            np.testing.assert_allclose(layer.gamma.gradient, (dy * n).sum(others), rtol=1e-12)
        if inputs:
            np.testing.assert_allclose(dx, dy * gamma / s, rtol=1e-12)
    executor.settle()
    np.testing.assert_array_equal(layer.get_weights()[-2:], [mean, variance])


def test_a_step_moves_the_averages_once_for_each_call_of_the_layer():
    layer = BatchNormalization(momentum=0.5, dtype="float64")
    layer.ensure_built((None, 4))
    graph = Graph(training=True)
    graph.finish([graph.add(layer, graph.add_input("float64")) for _ in range(2)])
    executor = ReferenceExecutor(graph)
    executor.forward([X, 2 * X])
    mean = X.mean(axis=0)
    for _ in range(2):  # the second one finds nothing new
        executor.settle()
        np.testing.assert_allclose(layer.moving_mean.value, 0.25 * mean + 0.5 * 2 * mean)


def test_only_gamma_and_beta_learn():
    model = Sequential([Dense(3), BatchNormalization(), Dense(1)])
    model.fit(X, X[:, 0], verbose=0)
    learning = [weight.name for weight in model.trainable_weights]
    assert learning == ["kernel", "bias", "gamma", "beta", "kernel", "bias"]
    assert [weight.name for weight in model.non_trainable_weights] == [
        "moving_mean",
        "moving_variance",
    ]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"axis": 2}, ValueError, "axis=2, which is not an axis of features"),
        ({"axis": 0}, ValueError, "axis=0, which is not an axis of features"),
        ({"axis": 1.5}, TypeError, "axis must be an integer. Received: axis=1.5"),
        ({"momentum": 2}, ValueError, r"momentum must lie in \[0, 1\]. Received: momentum=2"),
        ({"epsilon": -1}, ValueError, "epsilon must be a finite number >= 0"),
        ({"epsilon": 0}, ValueError, "epsilon must be positive.*Received: epsilon=0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        BatchNormalization(**arguments)(X)

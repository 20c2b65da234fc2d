"""Poolings before rectifiers: equal bits, and only where nothing else sees the rectifier."""

import numpy as np
import pytest

from nnlite import Input, Model, Sequential, layers
from nnlite.execution import Memory, Plan, ReferenceExecutor, infer
from nnlite.execution.reordering import poolings_first

generator = np.random.default_rng(2)


def order(model):
    return [call.layer.name for call in poolings_first(model.graph(training=True)).calls]


@pytest.mark.parametrize(
    "pool",
    [
        layers.MaxPooling2D(2, name="p"),
        layers.MaxPooling2D(3, strides=2, padding="same", name="p"),
        layers.MaxPooling2D((1, 3), strides=1, name="p"),
    ],
)
def test_both_orders_have_equal_bits(pool):
    model = Sequential([Input((7, 7, 2)), layers.Conv2D(3, 2), layers.ReLU(name="r"), pool])
    assert order(model)[1:] == ["p", "r"]
    x = generator.integers(-2, 3, (6, 7, 7, 2)).astype("float32")  # many entries are equal
    model.set_weights([np.sign(w) for w in model.get_weights()])
    variables, found = model.learning_variables(), []
    dy = generator.normal(size=(6, *model.output_shape[1:])).astype("float32")
    graph = model.graph(training=True)
    for executor in (Plan(graph, variables, [x], Memory()), ReferenceExecutor(graph, variables)):
        (y,) = executor.forward([x])
        found.append([y.copy()])
        executor.backward([dy])
        found[-1] += [variable.gradient.copy() for variable in variables]
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(infer(model.graph(training=False), [x])[0], found[0][0])


class Own(layers.ReLU):
    def shown(self):
        """Do nothing more than `ReLU`."""


@pytest.mark.parametrize(
    "first",
    [
        layers.ReLU(max_value=1, name="r"),
        layers.LeakyReLU(name="r"),
        layers.Activation("tanh", name="r"),
        layers.ReLU(activity_regularizer="l2", name="r"),
        Own(name="r"),
    ],
)
def test_other_activations_keep_their_place(first):
    model = Sequential([Input((4, 4, 1)), first, layers.MaxPooling2D(name="p")])
    assert [name for name in order(model) if name != "tanh"][-1] == "p"


def test_averages_and_rectifiers_with_other_readers_keep_their_place():
    model = Sequential([Input((4, 4, 1)), layers.ReLU(name="r"), layers.AveragePooling2D(name="p")])
    assert order(model) == ["r", "p"]
    x = Input((4, 4, 1))
    y = layers.ReLU(name="r")(x)
    both = Model(x, [layers.MaxPooling2D(name="p")(y), layers.Flatten(name="f")(y)])
    assert order(both).index("r") == 0
    seen = Model(x, [layers.MaxPooling2D(name="q")(y), y])
    assert order(seen) == ["r", "q"]


def test_a_pooling_of_another_array_keeps_its_place():
    a, b = Input((2, 2, 1)), Input((4, 4, 1))
    y = layers.Add(name="add")([layers.ReLU(name="r")(a), layers.MaxPooling2D(name="p")(b)])
    model = Model([a, b], y)
    assert order(model) == ["r", "p", "add"]
    x = [generator.normal(size=(2, n, n, 1)).astype("float32") for n in (2, 4)]
    (expected,) = ReferenceExecutor(model.graph(training=False)).forward(x)
    np.testing.assert_array_equal(infer(model.graph(training=False), x)[0], expected)

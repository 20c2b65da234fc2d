"""The way back over random graphs: by finite differences, and by plan as by reference executor."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings

import nnlite
from nnlite.execution import Memory, Plan, ReferenceExecutor
from nnlite.utils.structures import flatten

from .graph_strategies import graphs


@pytest.fixture(autouse=True)
def float64():
    nnlite.config.set_floatx("float64")
    yield
    nnlite.config.set_floatx("float32")


def restart(model):
    """Let every generator draw what it drew first."""
    for layer in model.all_layers():
        if hasattr(layer, "generator"):
            layer.generator = np.random.default_rng(1)


def gradients_of(outputs, seed=5):
    generator = np.random.default_rng(seed)
    return [generator.normal(size=y.shape) for y in outputs]


def by_reference(model, x):
    """Return the outputs, J and all gradients of J = sum(R y) plus the penalties on outputs."""
    restart(model)
    executor = ReferenceExecutor(model.graph(training=True), model.learning_variables())
    outputs = [y.copy() for y in executor.forward(x)]
    penalty = executor.penalty()
    R = gradients_of(outputs)
    dx = [None if g is None else g.copy() for g in executor.backward(R)]
    J = sum(float((r * y).sum()) for r, y in zip(R, outputs, strict=True)) + penalty
    return outputs, J, dx, [v.gradient.copy() for v in model.learning_variables()]


@given(graphs())
@settings(max_examples=settings.default.max_examples // 4 or 1)
def test_plan_and_reference_executor_agree_to_the_bit(drawn):
    model, x = drawn
    outputs, _, _, gradients = by_reference(model, x)
    variables = model.learning_variables()
    for variable in variables:
        variable.gradient.fill(np.nan)
    restart(model)
    plan = Plan(model.graph(training=True), variables, x, Memory())
    for given_x in (x, [2 * one for one in x], x):  # arrays are used again, inputs are not kept
        restart(model)
        made = plan.forward(given_x)
        if given_x is x:
            for y, expected in zip(made, outputs, strict=True):
                np.testing.assert_array_equal(y, expected)
        plan.backward(gradients_of(made))
    for variable, expected in zip(variables, gradients, strict=True):
        np.testing.assert_array_equal(variable.gradient, expected, err_msg=variable.path)


@given(graphs())
@settings(max_examples=settings.default.max_examples // 4 or 1)
def test_gradients_are_the_slopes(drawn):
    model, x = drawn
    _, _, dx, gradients = by_reference(model, x)
    variables = model.learning_variables()
    arrays = [*x, *(variable.value for variable in variables)]
    slopes = [*dx, *gradients]
    generator = np.random.default_rng(3)
    for array, slope in zip(arrays, slopes, strict=True):
        direction = generator.choice([-1.0, 1.0], array.shape)
        before, h = array.copy(), 1e-5
        values = []
        for sign in (1, -1):
            array[...] = before + sign * h * direction
            values.append(by_reference(model, x)[1])
        array[...] = before
        expected = (values[0] - values[1]) / (2 * h)
        found = 0.0 if slope is None else float((slope * direction).sum())
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)


@given(graphs())
@settings(max_examples=settings.default.max_examples // 10 or 1)
def test_a_copy_computes_the_same(drawn):
    model, x = drawn
    twin = copy.deepcopy(model)
    for one, other in zip(flatten(model(x)), flatten(twin(x)), strict=True):
        np.testing.assert_array_equal(one, other)

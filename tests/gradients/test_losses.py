import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import examples

from nnlite import losses
from nnlite.gradcheck import check_loss
from nnlite.losses import Loss

from .loss_strategies import LOSSES
from .strategies import generators

EVERY_LOSS = pytest.mark.parametrize("cls", LOSSES, ids=lambda cls: cls.__name__)


def test_every_public_loss_has_a_strategy():
    classes = {thing for name in losses.__all__ if inspect.isclass(thing := vars(losses)[name])}
    assert [cls.__name__ for cls in classes - {Loss} - set(LOSSES)] == []


def weights(loss, y_pred, generator, kind):
    """Return sample weights of one of the shapes that a loss takes, some of them 0."""
    if kind == "none":
        return None
    shape = loss.samples_shape(y_pred.shape)
    weight = generator.choice([0.0, 0.5, 1.0, 3.0], shape)
    return weight[tuple([slice(None)] + [0] * (len(shape) - 1))] if kind == "samples" else weight


@EVERY_LOSS
@given(st.data(), generators, st.sampled_from(["none", "samples", "all"]))
@settings(max_examples=examples(150))
def test_the_gradient_is_the_slope_of_the_value(cls, data, generator, kind):
    loss, y_true, y_pred = data.draw(LOSSES[cls])
    check_loss(loss, y_true, y_pred, weights(loss, y_pred, generator, kind))


@EVERY_LOSS
@given(st.data(), generators)
@settings(max_examples=examples(40))
def test_a_training_step_and_a_call_by_hand_agree(cls, data, generator):
    loss, y_true, y_pred = data.draw(LOSSES[cls])
    weight = weights(loss, y_pred, generator, "samples")
    with np.errstate(all="raise", under="ignore"):
        value, gradient = loss.value_and_gradient(y_true, y_pred, weight)
        by_hand = loss(y_true, y_pred, weight)
    np.testing.assert_allclose(value, np.sum(by_hand), rtol=1e-12, atol=1e-300)
    np.testing.assert_array_equal(gradient, loss.gradient(y_true, y_pred, weight))


@EVERY_LOSS
@given(st.data(), generators)
@settings(max_examples=examples(40))
def test_float32_gives_the_gradients_of_float64(cls, data, generator):
    loss, y_true, y_pred = data.draw(LOSSES[cls])
    if y_true.dtype.kind == "f":
        y_true = y_true.astype("float32")
    y_pred = y_pred.astype("float32")
    weight = weights(loss, y_pred, generator, "samples")
    with np.errstate(all="raise", under="ignore"):
        single = loss.gradient(y_true, y_pred, weight)
        double = loss.gradient(y_true, y_pred.astype(float), weight)
    assert single.dtype == np.float32
    # A probability within a float32 step of 1e-7 or 1 - 1e-7 may be cut off in one of the two.
    edge = (np.abs(y_pred - 1e-7) < 1e-8) | (np.abs(y_pred - 1) < 1e-6)
    near = getattr(loss, "from_logits", True) | ~edge
    scale = 1e-4 * max(1, np.abs(double).max())
    np.testing.assert_allclose(single[near], double[near], rtol=1e-4, atol=scale)

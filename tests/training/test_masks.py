"""Masks: steps that do not count have no part in losses, gradients and metrics."""

import numpy as np
import pytest

from nnlite import Input, Model, Sequential, layers, losses

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(4, 5, 3)).astype("float32")
LENGTHS = [5, 3, 1, 4]
for row, length in zip(X, LENGTHS, strict=True):
    row[length:] = 0
COUNT = np.arange(5) < np.array(LENGTHS)[:, None]
Y = GENERATOR.normal(size=(4, 5, 1)).astype("float32")


def masked_model(loss="mse", **options):
    model = Sequential([Input((5, 3)), layers.Masking(), layers.Dense(1)])
    model.compile("sgd", loss, **options)
    return model


def squares(model):
    dense = model.layers[-1]
    return ((dense(X) - Y) ** 2)[:, :, 0]


def test_the_loss_is_the_mean_over_the_steps_that_count():
    model = masked_model(metrics=["mae"], weighted_metrics=["mse"])
    errors = squares(model)
    found = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(errors[COUNT].mean(), rel=1e-5)
    assert found["mae"] == pytest.approx(np.sqrt(errors[COUNT]).mean(), rel=1e-5)
    assert found["mse"] == pytest.approx(errors[COUNT].mean(), rel=1e-5)
    assert model.train_on_batch(X, Y, return_dict=True)["loss"] == pytest.approx(found["loss"])


def test_sums_and_weights_are_masked_too():
    weights = GENERATOR.uniform(size=(4, 5)).astype("float32")
    model = masked_model(losses.MeanSquaredError(reduction="sum"))
    errors = squares(model)
    found = model.evaluate(X, Y, sample_weight=weights, verbose=0)
    assert found == pytest.approx((errors * weights)[COUNT].sum(), rel=1e-5)


@pytest.mark.parametrize("steps", [4, 5])  # as many as samples, and others
def test_weights_of_samples_count_for_all_steps_of_a_metric(steps):
    weights = np.array([1.0, 2.0, 3.0, 4.0])
    model = Sequential([Input((None, 3)), layers.Masking(), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mse"])
    x, y, count = X[:, :steps], Y[:, :steps], COUNT[:, :steps]
    errors = ((model.layers[-1](x) - y) ** 2)[:, :, 0]
    found = model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)
    total = count * weights[:, None]
    assert found["mse"] == pytest.approx((errors * total).sum() / total.sum(), rel=1e-5)
    assert found["mae"] == pytest.approx(np.sqrt(errors[count]).mean(), rel=1e-5)


def test_the_gradient_is_that_of_the_steps_that_count():
    model, other = masked_model(), Sequential([Input((3,)), layers.Dense(1)])
    other.set_weights(model.get_weights())
    other.compile("sgd", "mse")
    model.train_on_batch(X, Y)
    other.train_on_batch(X[COUNT], Y[COUNT])
    for one, expected in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(one, expected, rtol=1e-5, atol=1e-7)


def test_a_step_of_ones_own_is_masked():
    class Own(Sequential):
        def train_step(self, data):
            x, y = data
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred)
            self.backward(self.compute_loss_gradient(x, y, y_pred))
            self.update_weights()
            return {"loss": loss}

    usual, own = masked_model(), Own([Input((5, 3)), layers.Masking(), layers.Dense(1)])
    own.set_weights(usual.get_weights())
    own.compile("sgd", "mse")
    assert own.train_on_batch(X, Y) == pytest.approx(usual.train_on_batch(X, Y), rel=1e-6)
    for one, other in zip(own.get_weights(), usual.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_each_output_has_its_mask():
    x, words = Input((5, 3), name="x"), Input((5,), dtype="int32", name="words")
    a = layers.Dense(1, name="a")(layers.Masking()(x))
    b = layers.Dense(1, name="b")(layers.Embedding(7, 2, mask_zero=True)(words))
    model = Model([x, words], [a, b])
    model.compile("sgd", "mse")
    numbers = np.where(COUNT, 3, 0)
    ya, yb = model.predict([X, numbers])
    found = model.evaluate([X, numbers], [Y, Y], verbose=0, return_dict=True)
    assert found["a_loss"] == pytest.approx(((ya - Y) ** 2)[COUNT].mean(), rel=1e-5)
    assert found["b_loss"] == pytest.approx(((yb - Y) ** 2)[COUNT].mean(), rel=1e-5)


def test_a_mask_that_does_not_fit_the_loss_is_refused():
    model = Sequential([Input((5, 3)), layers.Masking(), layers.Dense(1)])
    model.compile("sgd", losses.Dice())
    with pytest.raises(ValueError, match=r"Received: a mask of shape \(4, 5\)"):
        model.fit(X, Y, verbose=0)

"""Noise in training: what it is made of, when there is none, and whose draws repeat."""

import numpy as np
import pytest

from nnlite import Input, Sequential, set_random_seed
from nnlite.layers import (
    ActivityRegularization,
    AlphaDropout,
    Dense,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)

ONES = np.ones((20_000, 5))
LIMIT = -1.7580993408473766  # SELU's, as x goes to minus infinity

NOISY = {
    "alpha dropout": (lambda **more: AlphaDropout(0.3, **more), ()),
    "dropout": (lambda **more: Dropout(0.3, **more), ()),
    "gaussian dropout": (lambda **more: GaussianDropout(0.3, **more), ()),
    "gaussian noise": (lambda **more: GaussianNoise(0.3, **more), ()),
    "spatial dropout 1d": (lambda **more: SpatialDropout1D(0.3, **more), (2,)),
    "spatial dropout 2d": (lambda **more: SpatialDropout2D(0.3, **more), (2, 3)),
    "spatial dropout 3d": (lambda **more: SpatialDropout3D(0.3, **more), (2, 3, 2)),
}
EVERY = pytest.mark.parametrize("name", NOISY)


def data(name):
    return np.random.default_rng(2).standard_normal((6, *NOISY[name][1], 8)).astype("float32")


@EVERY
def test_outside_of_training_nothing_changes(name):
    x, make = data(name), NOISY[name][0]
    np.testing.assert_array_equal(make()(x), x)


@EVERY
def test_a_seed_makes_the_draws_repeat(name):
    x, make = data(name), NOISY[name][0]
    one, other = make(seed=4), make(seed=4)
    for _ in range(3):
        y = one(x, training=True)
        np.testing.assert_array_equal(y, other(x, training=True))
    assert (one(x, training=True) != y).any()
    assert (make(seed=5)(x, training=True) != make(seed=4)(x, training=True)).any()


@EVERY
def test_without_a_seed_the_root_decides(name):
    x, make = data(name), NOISY[name][0]
    runs = []
    for seed in (1, 1, 2):
        set_random_seed(seed)
        runs.append(make()(x, training=True))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


def test_gaussian_noise_has_its_standard_deviation():
    noise = GaussianNoise(2.0, seed=1, dtype="float64")(ONES, training=True) - ONES
    assert abs(noise.mean()) < 0.03
    assert abs(noise.std() - 2.0) < 0.03
    assert abs(np.mean(np.abs(noise) < 2.0) - 0.6827) < 0.01


def test_gaussian_dropout_multiplies_by_numbers_around_one():
    layer = GaussianDropout(0.2, seed=1, dtype="float64")
    factors = layer(3 * ONES, training=True) / 3
    assert abs(factors.mean() - 1) < 0.01
    assert abs(factors.std() - 0.5) < 0.01  # sqrt(0.2 / 0.8)
    np.testing.assert_allclose(layer.backward(2 * ONES), 2 * factors)


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.random.default_rng(1).standard_normal(ONES.shape)
    layer = AlphaDropout(0.25, seed=1, dtype="float64")
    y = layer(x, training=True)
    assert abs(y.mean()) < 0.015
    assert abs(y.std() - 1) < 0.015
    a = (0.75 * (1 + 0.25 * LIMIT**2)) ** -0.5
    b = -a * LIMIT * 0.25
    dropped = np.isclose(y, a * LIMIT + b)
    assert abs(dropped.mean() - 0.25) < 0.01
    np.testing.assert_allclose(y[~dropped], (a * x + b)[~dropped])
    np.testing.assert_allclose(layer.backward(ONES), np.where(dropped, 0, a))


@pytest.mark.parametrize("order", ["channels_first", "channels_last"])
def test_spatial_dropout_drops_whole_features(order):
    for cls, shape in [(SpatialDropout2D, (40, 30, 5, 30)), (SpatialDropout3D, (40, 30, 2, 3, 30))]:
        y = cls(0.5, order, seed=1)(np.ones(shape), training=True)
        others = (
            tuple(range(2, y.ndim)) if order == "channels_first" else tuple(range(1, y.ndim - 1))
        )
        assert (np.ptp(y, axis=others) == 0).all()
        kept = y.max(axis=others) > 0
        assert kept.shape == (40, 30)
        assert abs(kept.mean() - 0.5) < 0.05
        assert (y[y > 0] == 2).all()


def test_a_dropout_that_rounds_to_all_drops_all():
    np.testing.assert_array_equal(Dropout(0.999999)(ONES[:3], training=True), 0 * ONES[:3])


def test_activity_is_penalized_as_a_mean_over_the_batch():
    x, y = np.array([[1.0, -2.0], [3.0, 0.0]]), np.zeros((2, 2))
    model = Sequential([ActivityRegularization(l1=0.5, l2=0.25)])
    model.compile("sgd", "mse")
    penalty = (0.5 * (1 + 2 + 3) + 0.25 * (1 + 4 + 9)) / 2
    assert model.evaluate(x, y, verbose=0) == pytest.approx((1 + 4 + 9) / 4 + penalty)
    np.testing.assert_array_equal(model.predict(x), x)
    assert repr(model.layers[0]) == "ActivityRegularization(l1=0.5, l2=0.25)"


def test_a_penalty_on_activity_moves_the_weights_before_it():
    # J = l1 (|x w1| + |x w2|) with x = 2: dJ/dw = 2 l1 sign(w).
    model = Sequential([Dense(2, use_bias=False), ActivityRegularization(l1=0.5)])
    model.build((None, 1))
    model.set_weights([np.array([[1.0, -1.0]])])
    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 0.1
    model.fit([[2.0]], [[2.0, -2.0]], verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], [[0.9, -0.9]], rtol=1e-6)


@pytest.mark.parametrize("noise_shape", [(4, 1, 3), (1, 3), [None, 1, None]])
def test_a_mask_is_spread_over_the_input(noise_shape):
    layer = Dropout(0.5, noise_shape, seed=1)
    y = layer(np.ones((4, 6, 3)), training=True)
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))
    assert set(np.unique(y)) == {0, 2}
    assert Dropout.from_config(layer.get_config()).noise_shape == tuple(noise_shape)


def test_a_mask_of_the_batch_s_size_fits_no_other_batch():
    model = Sequential([Input((3,)), Dropout(0.5, (4, 1))])
    assert model(np.ones((2, 3))).shape == (2, 3)
    with pytest.raises(ValueError, match=r"shape \(2, 3\).*noise_shape=\(4, 1\)"):
        model(np.ones((2, 3)), training=True)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: GaussianNoise(-0.1), ValueError, "stddev must be a finite number >= 0"),
        (lambda: GaussianNoise("1"), TypeError, "stddev must be a number. Received: stddev='1'"),
        (lambda: GaussianNoise(0.1, seed=-1), ValueError, "seed must be None or .*seed=-1"),
        (lambda: GaussianDropout(1), ValueError, r"rate must lie in \[0, 1\). Received: rate=1"),
        (lambda: GaussianDropout(None), TypeError, "rate must be a number. Received: rate=None"),
        (lambda: AlphaDropout(1.5), ValueError, r"rate must lie in \[0, 1\]. Received: rate=1.5"),
        (lambda: AlphaDropout(1), ValueError, r"rate must lie in \[0, 1\), .*Received: rate=1"),
        (lambda: AlphaDropout(0.999999), ValueError, "as inputs that are all dropped"),
        (lambda: AlphaDropout(0.5, (2, 3))(ONES), ValueError, r"noise_shape.*\(2, 3\)"),
        (lambda: SpatialDropout1D(-1), ValueError, r"rate must lie in \[0, 1\]"),
        (lambda: SpatialDropout2D(0.1, "last"), ValueError, "data_format must be .*'last'"),
        (lambda: SpatialDropout1D(0.5)(ONES), ValueError, "expects an input of 3 axes.*None, 5"),
        (lambda: Dropout(0.5, "abc"), ValueError, "noise_shape must be a sequence.*'abc'"),
        (lambda: Dropout(0.5, 5), TypeError, "noise_shape must be a sequence.*noise_shape=5"),
        (lambda: Dropout(0.5, (None, 1.5)), TypeError, r"noise_shape must be .*\(None, 1.5\)"),
        (lambda: Dropout(0.5, (None, 0)), ValueError, r"positive integers.*\(None, 0\)"),
        (lambda: AlphaDropout(0.5, [-1, 1]), ValueError, r"positive integers.*\[-1, 1\]"),
        (lambda: Dropout(0.5, (None, 4))(ONES), ValueError, r"noise_shape.*\(None, 4\)"),
        (lambda: Dropout(0.5, (1, 1, 1))(ONES), ValueError, r"noise_shape.*\(1, 1, 1\)"),
        (lambda: SpatialDropout1D(0.5, trainable=True), TypeError, "trainable"),
        (lambda: ActivityRegularization(-1), ValueError, "-1"),
        (lambda: ActivityRegularization(0, "a"), (TypeError, ValueError), "'a'"),
    ],
)
def test_wrong_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_another_rate_holds_from_the_next_call_on():
    drop = Dropout(0.5, seed=1)
    model = Sequential([Input((1000,)), drop])
    x = np.ones((4, 1000), "float32")
    for rate in (0.5, 0.0, 0.9):
        drop.rate = rate
        y = model(x, training=True)
        assert (y == 0).mean() == pytest.approx(rate, abs=0.05)
        np.testing.assert_allclose(y[y != 0], 1 / (1 - rate), rtol=1e-3)
    with pytest.raises(ValueError, match="rate"):
        drop.rate = 2.0
    assert drop.rate == 0.9

"""Rescaling and Normalization: known numbers, what adapt measures, and what it refuses."""

import copy
import math
import pickle

import numpy as np
import pytest

from nnlite import Input, Sequential
from nnlite.layers import Dense, Normalization, Rescaling

DATA = np.array([[0.0, 7.0, 4.0], [2.0, 9.0, 6.0], [0.0, 7.0, 4.0], [2.0, 9.0, 6.0]])


# ---- Rescaling ----------------------------------------------------------------------------------


def test_rescaling_scales_and_shifts_there_and_back():
    layer = Rescaling(np.array([1.0, 2.0, -4.0]), offset=0.5, dtype="float64")
    for training in (False, True):
        np.testing.assert_array_equal(layer(DATA, training)[1], [2.5, 18.5, -23.5])
    np.testing.assert_array_equal(layer.backward(np.ones((4, 3))), [[1, 2, -4]] * 4)


def test_an_array_given_as_scale_is_copied():
    scale = np.array([1.0, 2.0, 4.0])
    layer = Rescaling(scale)
    scale[:] = 0
    np.testing.assert_array_equal(layer(DATA)[1], [2, 18, 24])
    np.testing.assert_array_equal(layer.get_config()["scale"]["config"]["value"], [1, 2, 4])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "bool"])
def test_integers_come_in_as_the_model_s_floats(dtype):
    x = np.random.default_rng(1).integers(0, 256, (50, 4)).astype(dtype)
    model = Sequential([Input((4,), dtype=dtype), Rescaling(1 / 255), Dense(2)])
    wanted = model.predict(x.astype("float32"))
    output = model.predict(x)
    assert output.dtype == np.float32
    np.testing.assert_array_equal(output, wanted)
    assert model.fit(x, wanted, epochs=1, verbose=0).history["loss"][0] == pytest.approx(
        0, abs=1e-9
    )
    assert x.dtype == dtype


# ---- Normalization ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axis", "mean", "variance"),
    [
        (-1, [1, 8, 5], [1, 1, 1]),
        (1, [1, 8, 5], [1, 1, 1]),
        (None, 14 / 3, (DATA**2).mean() - (14 / 3) ** 2),
    ],
)
def test_adapt_measures_mean_and_variance(axis, mean, variance):
    layer = Normalization(axis, dtype="float64")
    layer.adapt(DATA)
    np.testing.assert_allclose(layer.get_weights()[0], mean)
    np.testing.assert_allclose(layer.get_weights()[1], variance)
    assert layer.get_weights()[2] == (12 if axis is None else 4)
    assert [weight.name for weight in layer.weights] == ["mean", "variance", "count"]
    assert layer.trainable_weights == []
    assert layer.mean.shape == layer.variance.shape == ((1, 1) if axis is None else (1, 3))
    back = Normalization(axis, invert=True, dtype="float64")
    back.adapt(DATA)
    for training in (False, True):
        np.testing.assert_allclose(layer(DATA, training), (DATA - mean) / np.sqrt(variance))
        np.testing.assert_allclose(back(layer(DATA), training), DATA)
    deviation = np.broadcast_to(np.sqrt(variance), DATA.shape)
    np.testing.assert_allclose(layer.backward(np.ones((4, 3))), 1 / deviation)
    np.testing.assert_allclose(back.backward(np.ones((4, 3))), deviation)


@pytest.mark.parametrize("options", [{}, {"batch_size": 1}, {"batch_size": 7}, {"batch_size": 99}])
def test_however_the_data_come_the_moments_are_the_same(options):
    data = np.random.default_rng(1).normal(1000, 0.1, (60, 2, 3))
    parts = np.split(data, [1, 20, 21, 50])
    sources = [data, parts, iter(parts), [(part, 0) for part in parts]]
    for axis, axes in [(-1, (0, 1)), ([1, 2], 0), ((), None)]:
        for source in sources if axis == -1 else sources[:2]:
            layer = Normalization(axis, dtype="float64")
            layer.adapt(source, **options)
            np.testing.assert_allclose(layer.get_weights()[0], data.mean(axes), rtol=1e-13)
            np.testing.assert_allclose(layer.get_weights()[1], data.var(axes), rtol=1e-8)


def test_a_large_array_is_measured_in_float64_part_by_part():
    data = (10_000 + np.random.default_rng(1).standard_normal((300_000, 2))).astype("float32")
    layer = Normalization()
    layer.adapt(data)
    np.testing.assert_allclose(layer.get_weights()[0], data.mean(0, dtype=float), rtol=1e-7)
    np.testing.assert_allclose(layer.get_weights()[1], data.var(0, dtype=float), rtol=1e-5)


def test_adapt_begins_anew_and_update_state_goes_on():
    layer = Normalization(dtype="float64")
    layer.adapt(1e3 * DATA)
    layer.adapt(DATA[:1])
    np.testing.assert_array_equal(layer.get_weights()[1], 0)
    layer.update_state(DATA[1:])
    layer.finalize_state()
    np.testing.assert_allclose(layer.get_weights()[0], [1, 8, 5])
    np.testing.assert_allclose(layer.get_weights()[1], 1)
    layer.reset_state()
    np.testing.assert_array_equal(layer(DATA), DATA)
    assert layer.get_weights()[2] == 0
    layer.update_state(DATA.astype("int8"))
    np.testing.assert_allclose(layer(DATA)[0], [-1, -1, -1])


def test_steps_are_the_batches_that_are_taken():
    layer = Normalization(dtype="float64")
    layer.adapt(DATA, batch_size=1, steps=2)
    np.testing.assert_allclose(layer.get_weights()[0], [1, 8, 5])
    assert layer.get_weights()[2] == 2
    layer.adapt((DATA[i : i + 1] for i in range(10**9)), steps=3)
    assert layer.get_weights()[2] == 3
    layer.adapt(np.zeros((50, 3)), steps=1)
    assert layer.get_weights()[2] == 32


def test_one_feature_may_be_a_vector():
    layer = Normalization(axis=None, input_shape=(1,))
    layer.adapt(np.arange(5.0))
    assert layer.input_shape == (None, 1)
    np.testing.assert_allclose(layer(np.array([[4.0]])), 2 / np.sqrt(2), rtol=1e-6)


def test_what_adapt_measures_counts_in_a_built_model_at_once():
    layer = Normalization()
    model = Sequential([Input((3,)), layer, Dense(1)])
    model.compile("sgd", "mse")
    model.fit(DATA, DATA[:, 0], verbose=0)
    before = model.predict(DATA)
    layer.adapt(DATA)
    kernel, bias = model.get_weights()[3:]
    assert (model.predict(DATA) != before).any()
    np.testing.assert_allclose(model.predict(DATA), (DATA - [1, 8, 5]) @ kernel + bias, rtol=1e-5)
    weights = layer.get_weights()
    model.fit(DATA, DATA[:, 0], verbose=0)
    for one, other in zip(layer.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [weight.name for weight in model.weights[:3]] == ["mean", "variance", "count"]
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin.predict(DATA), model.predict(DATA))


def test_given_mean_and_variance_need_no_weights():
    layer = Normalization(mean=[1.0, 8.0, 5.0], variance=[1, 4, 0])
    y = layer(DATA[:1])
    np.testing.assert_allclose(y, [[-1, -0.5, -1e7]], rtol=1e-5)
    assert layer.weights == []
    assert layer.get_config()["mean"] == [1, 8, 5]
    assert Normalization.from_config(layer.get_config()).get_config() == layer.get_config()
    np.testing.assert_array_equal(layer.variance, [[1, 4, 0]])
    np.testing.assert_array_equal(Normalization(mean=1.0, variance=4.0)(DATA), (DATA - 1) / 2)
    x = np.arange(12.0).reshape(1, 2, 2, 3)
    layer = Normalization(axis=[1, 3], mean=[0.0, 1, 2], variance=[1.0, 1, 1])
    np.testing.assert_array_equal(layer(x), x - [0, 1, 2])


HOUR = 1_700_000_000 + np.arange(0, 3600, 60)  # timestamps in seconds, one a minute


@pytest.mark.parametrize("data", [HOUR, HOUR.astype(float), [HOUR[:9], HOUR[9:]]])
def test_timestamps_keep_their_digits_in_float64(data):
    # The mean of 0, 60, ..., 3540 is 1770, the variance 60^2 (60^2 - 1) / 12.
    layer = Normalization(axis=None, dtype="float64")
    layer.adapt(data)
    mean, variance, _ = layer.get_weights()
    assert mean == 1_700_001_770
    assert variance == pytest.approx(1_079_700, rel=1e-12)
    assert layer(HOUR)[0] == pytest.approx(-1770 / math.sqrt(1_079_700), rel=1e-9)


def test_what_float32_cannot_tell_apart_is_told():
    # Near 1.7e9 the numbers of float32 are 128 apart; subtracting first loses nothing.
    layer = Normalization(axis=None)
    with pytest.warns(UserWarning, match="mean of 1700001770 and .* 1.04e.03, .* steps of 128: "):
        layer.adapt(HOUR)
    assert layer.get_weights()[1] == np.float32(1_079_700)
    layer.adapt(HOUR - 1_700_000_000)
    assert layer.get_weights()[0] == 1770
    assert layer(HOUR - 1_700_000_000)[0] == pytest.approx(-1770 / math.sqrt(1_079_700))


def test_one_mean_of_all_numbers_serves_inputs_of_any_shape():
    layer = Normalization(axis=None)
    layer.adapt(np.array([1.0, 3.0]))
    for x in (np.array([5.0]), np.full((1, 1), 5), np.full((1, 2, 3), 5)):
        np.testing.assert_array_equal(layer(x), np.full(x.shape, 3))
    assert layer.mean.shape == (1, 1)
    layer.adapt(np.zeros((2, 3)))
    model = Sequential([Normalization(axis=None, input_shape=[1]), Dense(1)])
    model.layers[0].adapt(np.array([1.0, 3.0]))
    assert model.predict(np.array([[1.0], [3.0]])).shape == (2, 1)


def test_a_constant_feature_becomes_0():
    layer = Normalization()
    layer.adapt(np.full((4, 2), 0.1))
    np.testing.assert_array_equal(layer(np.full((4, 2), np.float32(0.1))), 0)


def test_the_mean_handed_out_is_the_users_own():
    layer = Normalization()
    layer.adapt(DATA)
    layer.mean[...] = 7
    layer.variance[...] = 7
    np.testing.assert_allclose(layer(DATA)[0], -1)
    assert Normalization().mean is None
    assert Normalization().variance is None


def test_built_from_the_shape_of_the_data_that_keras_writes():
    layer = Normalization()
    layer.build_from_config({"input_shape": [100, 3]})
    assert layer.input_shape == (None, 3)
    assert layer.get_build_config() == {"input_shape": (None, 3)}


BAD_DATA = [
    (lambda: DATA[:, :2], ValueError, r"shape \(None, 3\). Received: data of shape \(4, 2\)"),
    (lambda: np.full((2, 3), np.nan), ValueError, "data must be finite"),
    (lambda: [DATA, np.full((2, 3), np.inf)], ValueError, "data must be finite"),
    (lambda: [DATA, DATA[:, :1]], ValueError, r"data of shape \(4, 1\)"),
    (lambda: np.full((2, 3), 1e300), ValueError, "data must be finite as float32"),
    (lambda: np.array([[3e38] * 3, [-3e38] * 3]), ValueError, "'variance' is float32"),
    (lambda: np.empty((0, 3)), ValueError, "data must hold samples"),
    (lambda: [], ValueError, "data must hold samples"),
    (lambda: np.array(1.0), ValueError, "data must hold samples"),
    (lambda: DATA.astype(str), TypeError, "data must hold real numbers"),
    (lambda: DATA.tolist(), TypeError, "list counts as a list of batches.*type list"),
    (lambda: None, TypeError, "data must be an array, or an iterable.*NoneType"),
    (lambda: "abc", TypeError, "data must be an array, or an iterable.*str"),
    (lambda: {"x": DATA}, TypeError, "data must be an array, or an iterable.*dict"),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD_DATA)
def test_a_refused_adapt_changes_nothing(make, error, message):
    layer = Normalization()
    layer.adapt(DATA)
    weights = layer.get_weights()
    with pytest.raises(error, match=message):
        layer.adapt(make())
    for one, other in zip(layer.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_refused_first_adapt_leaves_the_layer_unbuilt():
    layer = Normalization()
    with pytest.raises(ValueError, match=r"data of shape \(4, 1\)"):
        layer.adapt([DATA, DATA[:, :1]])
    assert not layer.built
    layer.adapt(DATA[:, :1])
    assert layer.mean.item() == 1


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Rescaling("a"), TypeError, "scale must hold real numbers"),
        (lambda: Rescaling(None), TypeError, "scale is missing"),
        (lambda: Rescaling(np.inf), ValueError, "scale must be finite"),
        (lambda: Rescaling(1e300), ValueError, "scale must be finite as float32"),
        (lambda: Rescaling(1, offset=[np.nan, 1]), ValueError, "offset must be finite"),
        (
            lambda: Rescaling([1, 2])(DATA),
            ValueError,
            r"shape \(3,\). Received: scale of shape \(2,",
        ),
        (lambda: Rescaling(1, np.ones((4, 3)))(DATA), ValueError, r"offset of shape \(4, 3\)"),
        (lambda: Rescaling(np.ones((1, 1, 3)))(DATA), ValueError, r"scale of shape \(1, 1, 3\)"),
        (lambda: Normalization(1.5), TypeError, "axis must be an integer.*1.5"),
        (lambda: Normalization(0)(DATA), ValueError, r"axis=\(0,\), which are not all different"),
        (lambda: Normalization(2)(DATA), ValueError, r"axis=\(2,\)"),
        (lambda: Normalization((1, -1))(DATA), ValueError, r"axis=\(1, -1\)"),
        (lambda: Normalization().ensure_built((None, None)), ValueError, "axes of known size"),
        (lambda: Normalization(mean=1.0), ValueError, "both mean and variance.*mean=1.0"),
        (lambda: Normalization(mean=1.0, variance=[1.0]), ValueError, "the same shape"),
        (lambda: Normalization(None, [1.0], [1.0]), ValueError, "no more axes than axis="),
        (lambda: Normalization(mean=1.0, variance=-1.0), ValueError, "variance must not be negat"),
        (lambda: Normalization(mean=np.nan, variance=1.0), ValueError, "mean must be finite"),
        (lambda: Normalization(mean="a", variance=1.0), TypeError, "mean must hold real numbers"),
        (lambda: Normalization(-1, [1, 2], [1, 2])(DATA), ValueError, r"mean must be a number, or"),
        (lambda: Normalization(mean=1, variance=1).adapt(DATA), ValueError, "nothing to adapt"),
        (lambda: Normalization().adapt(DATA, batch_size=0), ValueError, "batch_size must be at "),
        (lambda: Normalization().adapt(DATA, steps=1.5), TypeError, "steps must be an integer"),
    ],
)
def test_wrong_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()

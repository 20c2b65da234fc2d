import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnlite.initializers as module
from nnlite.config import set_floatx
from nnlite.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    Initializer,
    LecunNormal,
    LecunUniform,
    Ones,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
    get,
    registry,
)
from nnlite.layers import Dense
from nnlite.random import set_random_seed

SHAPE = (400, 100)
PUBLIC = [
    cls
    for cls in map(vars(module).get, module.__all__)
    if isinstance(cls, type) and cls is not Initializer
]
AXES = {"input_axes": None, "output_axes": None}
RANDOM = [cls for cls in PUBLIC if "seed" in cls().get_config()]

# Of a standard normal cut off at 2: its standard deviation and its fourth moment over its variance
# squared, from the recurrence m4 = 3 m2 - 2 * 8 phi(2) / (2 Phi(2) - 1).
TAIL = math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))
TRUNCATED_STDDEV = math.sqrt(1 - 4 * TAIL)
TRUNCATED_KURTOSIS = (3 * (1 - 4 * TAIL) - 16 * TAIL) / (1 - 4 * TAIL) ** 2

# Each distribution over SHAPE: mean, standard deviation, greatest distance from the mean, kurtosis.
fan_in, fan_avg = 400, 250
uniform = (math.sqrt(3), 1.8)
truncated = (2 / TRUNCATED_STDDEV, TRUNCATED_KURTOSIS)
MOMENTS = {
    RandomNormal(1.5, 0.2, seed=0): (1.5, 0.2, math.inf, 3),
    TruncatedNormal(1.5, 0.2, seed=0): (1.5, 0.2 * TRUNCATED_STDDEV, *truncated),
    RandomUniform(1.0, 3.0, seed=0): (2, 1 / math.sqrt(3), *uniform),
    VarianceScaling(0.3, seed=0): (0, math.sqrt(0.3 / fan_in), *truncated),
    VarianceScaling(0.3, distribution="untruncated_normal", seed=0): (
        *(0, math.sqrt(0.3 / fan_in)),
        *(math.inf, 3),
    ),
    GlorotUniform(seed=0): (0, math.sqrt(1 / fan_avg), *uniform),
    GlorotNormal(seed=0): (0, math.sqrt(1 / fan_avg), *truncated),
    HeUniform(seed=0): (0, math.sqrt(2 / fan_in), *uniform),
    HeNormal(seed=0): (0, math.sqrt(2 / fan_in), *truncated),
    LecunUniform(seed=0): (0, math.sqrt(1 / fan_in), *uniform),
    LecunNormal(seed=0): (0, math.sqrt(1 / fan_in), *truncated),
}


def test_the_correction_is_the_truncated_standard_deviation():
    assert pytest.approx(TRUNCATED_STDDEV, rel=1e-14) == module._TRUNCATED_STDDEV


def test_every_random_initializer_has_its_moments_checked():
    assert {type(initializer) for initializer in MOMENTS} | {Orthogonal} == set(RANDOM)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("initializer", MOMENTS, ids=repr)
def test_moments_and_bounds_are_those_of_the_distribution(initializer, dtype):
    mean, stddev, bound, kurtosis = MOMENTS[initializer]
    values = initializer(SHAPE, dtype)
    assert values.dtype == dtype
    z = (values.astype(np.float64) - mean) / stddev
    n = z.size
    assert abs(z.mean()) < 5 / math.sqrt(n)
    assert (z**2).mean() == pytest.approx(1, abs=5 * math.sqrt((kurtosis - 1) / n))
    assert (z**4).mean() == pytest.approx(kurtosis, rel=0.1)
    assert np.abs(z).max() <= bound * (1 + 1e-6)
    if bound < math.inf:
        assert np.abs(z).max() > 0.999 * bound


@pytest.mark.parametrize(
    ("shape", "fans"),
    [
        ((), (1, 1)),
        ((7,), (7, 7)),
        ((4, 7), (4, 7)),
        ((5, 4, 6), (20, 30)),
        ([2, 3, 4, 6], (24, 36)),
        ((0, 6), (0, 6)),
    ],
)
def test_fans_follow_the_shape(shape, fans):
    for mode, fan in zip(("fan_in", "fan_out", "fan_avg"), (*fans, sum(fans) / 2), strict=True):
        limit = math.sqrt(3) * math.sqrt(2 / max(1, fan))
        np.testing.assert_array_equal(
            VarianceScaling(2.0, mode, "uniform", seed=1)(shape),
            RandomUniform(-limit, limit, seed=1)(shape),
        )


@pytest.mark.parametrize("cls", RANDOM)
def test_one_object_repeats_itself_and_two_unseeded_ones_differ(cls):
    first, second = cls(), cls()
    values = first((6, 5))
    np.testing.assert_array_equal(first((6, 5)), values)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(first))((6, 5)), values)
    assert not np.array_equal(second((6, 5)), values)
    np.testing.assert_array_equal(cls(seed=4)((6, 5)), cls(seed=4)((6, 5)))
    assert not np.array_equal(cls(seed=4)((6, 5)), cls(seed=5)((6, 5)))


@pytest.mark.parametrize("cls", RANDOM)
def test_the_root_seed_decides_what_unseeded_objects_draw(cls):
    set_random_seed(11)
    values = cls()((3, 3))
    set_random_seed(11)
    np.testing.assert_array_equal(cls()((3, 3)), values)


@pytest.mark.parametrize("cls", PUBLIC)
def test_the_configuration_makes_the_same_object_and_shows_only_what_the_user_set(cls):
    assert repr(cls()) == f"{cls.__name__}()"
    assert cls.from_config(cls().get_config()).get_config() == cls().get_config()
    assert cls().get_config().get("seed") is None


def test_a_seed_is_kept_in_the_configuration():
    assert repr(HeNormal(seed=3)) == "HeNormal(seed=3)"
    assert HeNormal(seed=3).get_config() == {"seed": 3, **AXES}
    assert HeNormal(seed=np.int64(3))((2, 2)).tolist() == HeNormal(seed=3)((2, 2)).tolist()
    assert RandomNormal(seed=3).get_config() == {"mean": 0.0, "stddev": 0.05, "seed": 3}
    assert VarianceScaling(distribution="normal").get_config() == {
        "scale": 1.0,
        "mode": "fan_in",
        "distribution": "truncated_normal",
        "seed": None,
        **AXES,
    }


@pytest.mark.parametrize("cls", PUBLIC)
def test_the_type_is_floatx_or_as_asked(cls):
    assert cls()((2, 2)).dtype == np.float32
    assert cls()((2, 2), "float64").dtype == np.float64
    set_floatx("float64")
    try:
        assert cls()((2, 2)).dtype == np.float64
    finally:
        set_floatx("float32")
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64'"):
        cls()((2, 2), "int32")


@pytest.mark.parametrize("cls", PUBLIC)
def test_each_call_returns_a_contiguous_array_of_its_own(cls):
    initializer = cls()
    kept = initializer((3, 5))
    expected = kept.copy()
    assert kept.flags.c_contiguous
    initializer((3, 5))[...] = 9
    np.testing.assert_array_equal(kept, expected)


@pytest.mark.parametrize("cls", [cls for cls in PUBLIC if cls not in (Identity, Orthogonal)])
@pytest.mark.parametrize("shape", [(), (3,), (0, 2), [2, 3], (2, 1, 3)])
def test_any_shape_can_be_filled(cls, shape):
    values = cls()(shape)
    assert isinstance(values, np.ndarray)
    assert values.shape == tuple(shape)


def test_constants_are_what_they_say():
    np.testing.assert_array_equal(Zeros()((2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(Ones()((2, 3)), np.ones((2, 3)))
    np.testing.assert_array_equal(Constant()((2,)), [0, 0])
    np.testing.assert_array_equal(Constant(-2.5)((2,)), [-2.5, -2.5])
    np.testing.assert_array_equal(Identity(gain=3)((3, 2)), [[3, 0], [0, 3], [0, 0]])
    assert Identity(gain=np.float64(3))((2, 2), "float32").dtype == np.float32


def test_zero_width_draws_are_exact():
    np.testing.assert_array_equal(RandomNormal(2, 0)((3,)), [2, 2, 2])
    np.testing.assert_array_equal(TruncatedNormal(2, 0)((3,)), [2, 2, 2])
    np.testing.assert_array_equal(RandomUniform(2, 2)((3,)), [2, 2, 2])


@given(st.floats(-10, 10), st.floats(1e-3, 10), st.integers(0, 2**32))
@settings(deadline=None)
def test_bounded_draws_stay_in_their_bounds(start, width, seed):
    values = RandomUniform(start, start + width, seed)((200,), "float64")
    assert values.min() >= start
    assert values.max() <= start + width
    values = TruncatedNormal(0.0, width, seed)((200,))
    assert np.abs(values).max() <= np.float32(2 * width)


@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6), (2, 3, 4), (2, 2, 5)])
def test_orthogonal_columns_or_rows_have_the_length_of_gain(shape):
    values = Orthogonal(gain=2.0, seed=0)(shape, "float64")
    assert values.shape == shape
    matrix = values.reshape(-1, shape[-1])
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    np.testing.assert_allclose(matrix.T @ matrix, 4 * np.eye(matrix.shape[1]), atol=1e-12)


def test_orthogonal_matrices_are_uniformly_distributed():
    matrices = np.array([Orthogonal(seed=seed)((2, 2), "float64") for seed in range(2000)])
    # Unless R's diagonal is made positive, Householder's Q has a first entry of one sign only.
    assert abs(matrices.mean(axis=0)).max() < 5 * math.sqrt(0.5 / 2000)
    assert abs(np.linalg.det(matrices).mean()) < 5 / math.sqrt(2000)
    angles = np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])
    counts, _ = np.histogram(angles, bins=8, range=(-math.pi, math.pi))
    assert abs(counts - 250).max() < 5 * math.sqrt(250)


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        *[(cls.__name__, cls) for cls in PUBLIC],
        ("zero", Zeros),
        ("zeros", Zeros),
        ("one", Ones),
        ("ones", Ones),
        ("constant", Constant),
        ("identity", Identity),
        ("IdentityInitializer", Identity),
        ("normal", RandomNormal),
        ("random_normal", RandomNormal),
        ("uniform", RandomUniform),
        ("random_uniform", RandomUniform),
        ("truncated_normal", TruncatedNormal),
        ("variance_scaling", VarianceScaling),
        ("glorot_uniform", GlorotUniform),
        ("glorot_normal", GlorotNormal),
        ("he_uniform", HeUniform),
        ("he_normal", HeNormal),
        ("lecun_uniform", LecunUniform),
        ("lecun_normal", LecunNormal),
        ("orthogonal", Orthogonal),
        ("OrthogonalInitializer", Orthogonal),
    ],
)
def test_names_find_their_class(name, cls):
    assert type(get(name)) is cls
    assert getattr(module, name, cls) is cls


def test_get_takes_classes_objects_and_functions():
    assert isinstance(get(Ones), Ones)
    ones = Ones()
    assert get(ones) is ones

    def twos(shape, dtype=None):
        return np.full(shape, 2, dtype)

    assert get(twos) is twos


@pytest.mark.parametrize(
    ("identifier", "error", "message"),
    [
        ("glorot_unifrom", ValueError, "Unknown initializer: .* mean 'glorot_uniform'"),
        (3, ValueError, "initializer must be a name .*Received: 3"),
        (3, TypeError, "Received: 3"),
        (int, TypeError, "Received: <class 'int'>"),
    ],
)
def test_get_refuses_what_is_no_initializer(identifier, error, message):
    with pytest.raises(error, match=message):
        get(identifier)


def test_none_is_the_default_of_weights():
    assert get(None) is None
    set_random_seed(2)
    layer = Dense(2, kernel_initializer=None)
    layer.ensure_built((None, 3))
    set_random_seed(2)
    np.testing.assert_array_equal(layer.kernel.value, GlorotUniform()((3, 2)))
    assert Dense.from_config(layer.get_config()).kernel_initializer is None


def test_an_array_is_an_initializer_of_its_shape():
    array = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    layer = Dense(2, kernel_initializer=array)
    same = Dense.from_config(layer.get_config())
    array[...] = 7
    for made in (layer, same):
        made.ensure_built((None, 3))
        np.testing.assert_array_equal(made.kernel.value, [[1, 2], [3, 4], [5, 6]])
        assert made.kernel.dtype == "float32"
    for wrong in (array, array[0], np.float32(7)):
        with pytest.raises(ValueError, match=r"the weight's shape \(2, 2\). Received: an array"):
            Dense(2, kernel_initializer=wrong).ensure_built((None, 2))


def test_a_constant_may_be_an_array():
    np.testing.assert_array_equal(Constant([1.0, 2.0])((2, 2)), [[1, 2], [1, 2]])
    with pytest.raises(ValueError, match=r"value has shape \(3,\), .*Received: shape=\(2, 2\)"):
        Constant(np.ones(3))((2, 2))
    with pytest.raises(TypeError, match="value must hold real numbers"):
        Constant("1")


def test_a_kernel_of_another_form_says_which_axes_are_its_inputs():
    # fan_in is 50, fan_out 4 x 25: variances 2 / 50 and 2 / 75
    axes = {"input_axes": [1], "output_axes": (0, 2)}
    values = VarianceScaling(2.0, seed=1, **axes)((4, 50, 25), "float64")
    assert abs(values.std() - math.sqrt(2 / 50)) < 0.005
    values = GlorotNormal(seed=1, **axes)((4, 50, 25), "float64")
    assert abs(values.std() - math.sqrt(1 / 75)) < 0.005
    with pytest.raises(ValueError, match=r"both input_axes and output_axes.*output_axes=None"):
        HeNormal(input_axes=[0])
    with pytest.raises(ValueError, match="axis must be an integer"):
        HeNormal(None, ["a"], [1])


@pytest.mark.parametrize("values", [np.float64([1, 2]), [1, 2], np.int8([1, 2])])
def test_what_a_function_returns_is_cast(values):
    layer = Dense(2, bias_initializer=lambda shape, dtype=None: values)
    layer.ensure_built((None, 1))
    np.testing.assert_array_equal(layer.bias.value, [1, 2])
    assert layer.bias.dtype == "float32"


def test_what_a_function_returns_stays_its_own():
    kept = np.ones(2, "float32")
    layer = Dense(2, bias_initializer=lambda shape, dtype=None: kept)
    layer.ensure_built((None, 1))
    layer.bias.assign([5, 6])
    np.testing.assert_array_equal(kept, 1)


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (None, TypeError, "what initializer .*mine.* returned is missing"),
        (np.ones(2, complex), TypeError, "mine.* must hold real numbers.*complex128"),
        (["a", "b"], TypeError, "mine.* must hold real numbers"),
        (np.ones(3), ValueError, r"mine.* must return .* shape \(2,\). Received: shape \(3,\)"),
        (1.0, ValueError, r"weight 'bias' of layer 'it' must return .*Received: shape \(\)"),
        ([1, np.nan], ValueError, r"mine.* must be finite as float32. Received: .*\[1\] = nan"),
        ([1, 1e300], ValueError, r"mine.* must be finite as float32. Received: .*\[1\] = "),
    ],
)
def test_what_a_function_returns_is_refused_by_its_name(returned, error, message):
    def mine(shape, dtype=None):
        return returned

    layer = Dense(2, bias_initializer=mine, name="it")
    with pytest.raises(error, match=message):
        layer(np.ones((1, 3)))
    assert not layer.built


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomNormal(stddev=-1), "stddev must be at least 0. Received: stddev=-1"),
        (lambda: TruncatedNormal(stddev=-0.5), "stddev must be at least 0. .*stddev=-0.5"),
        (lambda: RandomNormal(stddev=math.nan), "stddev must be at least 0. .*stddev=nan"),
        (lambda: RandomUniform(1, 0), "minval must be at most maxval. .*minval=1, maxval=0"),
        (lambda: VarianceScaling(scale=-1), "scale must be greater than 0. Received: scale=-1"),
        (lambda: VarianceScaling(scale=0), "scale must be greater than 0. Received: scale=0"),
        (lambda: VarianceScaling(mode="fan"), "mode must be one of .*'fan_avg'.*mode='fan'"),
        (
            lambda: VarianceScaling(distribution="cauchy"),
            "distribution must be one of .*'uniform'.*distribution='cauchy'",
        ),
        (lambda: HeNormal(seed=-1), "seed must be None or an integer .*Received: seed=-1"),
        (lambda: Orthogonal(seed=0.5), "seed must be None or an integer .*Received: seed=0.5"),
        (lambda: Identity()((2, 2, 2)), r"shape must be 2-D .*Received: shape=\(2, 2, 2\)"),
        (lambda: Orthogonal()((2,)), r"shape must be at least 2-D .*Received: shape=\(2,\)"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_base_class_says_what_to_define():
    with pytest.raises(NotImplementedError, match="Initializer must define __call__"):
        Initializer()((2,))


def test_every_public_class_is_registered():
    assert {registry.lookup(cls.__name__) for cls in PUBLIC} == {
        registry.lookup(name) for name in registry
    }

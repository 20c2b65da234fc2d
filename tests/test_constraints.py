import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import nnlite.constraints as module
from nnlite import Sequential
from nnlite.constraints import Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm, get
from nnlite.layers import Dense
from nnlite.optimizers import SGD

CASES = {
    MaxNorm: [{}, {"max_value": 0.5, "axis": 1}, {"axis": [0, 1]}],
    MinMaxNorm: [{}, {"min_value": 0.5, "max_value": 1.5, "axis": -1}],
    NonNeg: [{}],
    UnitNorm: [{}, {"axis": (0, 1)}],
}
OBJECTS = [cls(**arguments) for cls, cases in CASES.items() for arguments in cases]

W = np.array([[3.0, 0.3, 0.0], [-4.0, 0.4, 0.0]])  # columns of length 5, 0.5 and 0


def test_every_public_constraint_has_a_case():
    public = {vars(module)[name] for name in module.__all__}
    assert public - {Constraint, get} == set(CASES)


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        (NonNeg(), [[3, 0.3, 0], [0, 0.4, 0]]),
        (MaxNorm(), [[1.2, 0.3, 0], [-1.6, 0.4, 0]]),
        (MaxNorm(max_value=0.25), [[0.15, 0.15, 0], [-0.2, 0.2, 0]]),
        (MaxNorm(max_value=0), np.zeros((2, 3))),
        (UnitNorm(), [[0.6, 0.6, 0], [-0.8, 0.8, 0]]),
        (MinMaxNorm(), [[0.6, 0.3, 0], [-0.8, 0.4, 0]]),
        (MinMaxNorm(min_value=1, max_value=2), [[1.2, 0.6, 0], [-1.6, 0.8, 0]]),
        # a fifth of the way: from 5 towards 2 to 4.4, from 0.5 towards 1 to 0.6
        (MinMaxNorm(1, 2, rate=0.2), [[2.64, 0.36, 0], [-3.52, 0.48, 0]]),
        (MinMaxNorm(1, 2, rate=0), W),
    ],
    ids=repr,
)
def test_columns_are_projected(constraint, expected):
    np.testing.assert_allclose(constraint(W), expected, rtol=1e-6)


@pytest.mark.parametrize("cls", [MaxNorm, MinMaxNorm, UnitNorm])
def test_axis_says_what_one_vector_is(cls):
    np.testing.assert_array_equal(cls(axis=1)(W), cls(axis=0)(W.T).T)
    np.testing.assert_array_equal(cls(axis=-1)(W), cls(axis=1)(W))
    cube = np.arange(1.0, 25).reshape(2, 3, 4)
    flat = cls(axis=0)(cube.reshape(6, 4))
    np.testing.assert_allclose(cls(axis=[0, 1])(cube), flat.reshape(2, 3, 4), rtol=1e-14)
    with pytest.raises(ValueError, match="axis 2 is out of bounds"):
        cls(axis=2)(W)


def test_epsilon_is_added_to_the_length():
    np.testing.assert_allclose(UnitNorm()(np.array([1e-7, 0.0])), [0.5, 0.0])
    assert UnitNorm()(np.array([3.0]))[0] == pytest.approx(1 - 1e-7 / 3, abs=1e-14)


@pytest.mark.parametrize("constraint", OBJECTS, ids=repr)
@given(
    w=npst.arrays(np.float32, (3, 2), elements=st.floats(0.0625, 1024, width=32)),
    signs=npst.arrays(np.int8, (3, 2), elements=st.sampled_from([-1, 1])),
)
@settings(deadline=None)
def test_projecting_twice_is_projecting_once(constraint, w, signs):
    once = constraint(w * signs)
    np.testing.assert_allclose(constraint(once), once, rtol=1e-4)


@pytest.mark.parametrize("constraint", OBJECTS, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_result_is_a_new_array_like_w(constraint, dtype):
    w = W.astype(dtype)
    kept = w.copy()
    result = constraint(w)
    assert result.dtype == dtype
    assert result.shape == w.shape
    assert not np.shares_memory(result, w)
    np.testing.assert_array_equal(w, kept)


def test_lengths_whose_square_no_float32_holds_are_right():
    w = np.array([3.0, 4.0], np.float32)
    np.testing.assert_allclose(MaxNorm(1)(w * np.float32(1e25)), [0.6, 0.8], rtol=1e-6)
    tiny = w * np.float32(1e-22)
    np.testing.assert_allclose(MaxNorm(1)(tiny) / tiny, [5e-15, 5e-15], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        *[(cls.__name__, cls) for cls in CASES],
        ("max_norm", MaxNorm),
        ("min_max_norm", MinMaxNorm),
        ("non_neg", NonNeg),
        ("unit_norm", UnitNorm),
    ],
)
def test_names_find_their_class(name, cls):
    assert type(get(name)) is cls
    assert getattr(module, name) is cls


def test_get_takes_none_classes_objects_and_functions():
    assert get(None) is None
    assert get(np.abs) is np.abs
    assert isinstance(get(NonNeg), NonNeg)
    constraint = MaxNorm(3)
    assert get(constraint) is constraint


@pytest.mark.parametrize(
    ("identifier", "error", "message"),
    [
        ("nonneg", ValueError, "Unknown constraint: 'nonneg'. Did you mean 'non_neg'"),
        (2, TypeError, "constraint must be a name or an object of Constraint"),
    ],
)
def test_get_refuses_what_is_no_constraint(identifier, error, message):
    with pytest.raises(error, match=message):
        get(identifier)


def train(constraint):
    layer = Dense(1, use_bias=False, kernel_initializer="ones", kernel_constraint=constraint)
    model = Sequential([layer])
    model.compile(SGD(0.25), "mse")
    model.fit([[1.0]], [[0.0]], verbose=0)  # w = 1 - 0.25 dJ/dw = 1 - 0.25 (2)
    return layer.kernel.value.item()


def test_what_a_function_returns_is_the_weight_in_its_type():
    assert train(lambda w: w) == 0.5
    assert train(lambda w: np.float64([[0.1]])) == np.float32(0.1)
    assert train(lambda w: [[3]]) == 3


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (None, TypeError, "what constraint .*mine.* of weight 'kernel' returned is missing"),
        (1j, TypeError, "mine.*must hold real numbers"),
        (np.float32(0), ValueError, r"mine.*must return .*shape \(1, 1\). Received: shape \(\)"),
        (np.zeros((2, 1)), ValueError, r"mine.*must return .*Received: shape \(2, 1\)"),
    ],
)
def test_what_a_function_returns_is_refused_by_its_name(returned, error, message):
    def mine(w):
        return returned

    with pytest.raises(error, match=message):
        train(mine)


@pytest.mark.parametrize("constraint", OBJECTS, ids=repr)
def test_the_configuration_makes_the_same_object(constraint):
    config = constraint.get_config()
    assert type(constraint).from_config(config).get_config() == config


def test_the_configuration_holds_the_arguments():
    assert MaxNorm().get_config() == {"max_value": 2, "axis": 0}
    assert UnitNorm(1).get_config() == {"axis": 1}
    assert NonNeg().get_config() == {}
    assert MinMaxNorm().get_config() == {
        "min_value": 0.0,
        "max_value": 1.0,
        "rate": 1.0,
        "axis": 0,
    }
    assert repr(MinMaxNorm(rate=0.5)) == "MinMaxNorm(rate=0.5)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxNorm(-1), "max_value must be at least min_value.*max_value=-1"),
        (lambda: MinMaxNorm(2, 1), "Received: min_value=2, max_value=1"),
        (lambda: MinMaxNorm(-1), "min_value at least 0. Received: min_value=-1"),
        (lambda: MaxNorm(math.nan), "max_value=nan"),
        (lambda: MinMaxNorm(rate=1.5), r"rate must lie in \[0, 1\]. Received: rate=1.5"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_base_class_says_what_to_define():
    with pytest.raises(NotImplementedError, match="Constraint must define __call__"):
        Constraint()(W)


@pytest.mark.parametrize("axis", [np.int64(0), [0], (0,)])
def test_an_axis_is_any_integer_or_a_list(axis):
    w = np.array([[3.0, 0.3], [4.0, 0.4]])
    np.testing.assert_array_equal(UnitNorm(axis=axis)(w), UnitNorm()(w))


def test_axis_none_is_the_norm_of_the_whole_weight():
    np.testing.assert_allclose(UnitNorm(axis=None)(np.array([[3.0], [4.0]])), [[0.6], [0.8]])

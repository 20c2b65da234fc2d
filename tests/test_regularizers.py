import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import nnlite.regularizers as module
from nnlite.regularizers import L1, L1L2, L2, OrthogonalRegularizer, Regularizer, get

CASES = {
    L1: [{"l1": 0.3}],
    L2: [{"l2": 0.3}],
    L1L2: [{"l1": 0.2, "l2": 0.3}, {"l1": 0.2}, {"l2": 0.3}, {}],
    OrthogonalRegularizer: [{"factor": 0.7}, {"factor": 0.7, "mode": "columns"}],
}
OBJECTS = [cls(**arguments) for cls, cases in CASES.items() for arguments in cases]

matrices = npst.arrays(
    np.float64,
    npst.array_shapes(min_dims=2, max_dims=2, max_side=5),
    elements=st.floats(0.25, 2) | st.floats(-2, -0.25),
)


def test_every_public_regularizer_has_a_case():
    public = {vars(module)[name] for name in module.__all__}
    assert public - {Regularizer, get} == set(CASES)


@pytest.mark.parametrize("regularizer", OBJECTS, ids=repr)
@given(x=matrices, seed=st.integers(0, 2**32))
@settings(deadline=None)
def test_the_gradient_is_the_slope_of_the_penalty(regularizer, x, seed):
    direction = np.random.default_rng(seed).standard_normal(x.shape)
    step = 1e-5
    before, here, after = (regularizer(x + t * direction) for t in (-step, 0, step))
    # At a kink, such as that of |cos| at 0, the slopes on the two sides differ.
    assume(abs(after - 2 * here + before) / step < 1e-3)
    slope = (after - before) / (2 * step)
    gradient = regularizer.gradient(x)
    assert np.vdot(gradient, direction) == pytest.approx(slope, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("regularizer", OBJECTS, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gradient_is_a_new_array_like_x_and_x_is_left_alone(regularizer, dtype):
    x = np.array([[1, -2, 0.5], [3, 0, -1]], dtype)
    kept = x.copy()
    penalty = regularizer(x)
    gradient = regularizer.gradient(x)
    assert type(penalty) is float
    assert gradient.dtype == dtype
    assert gradient.shape == x.shape
    assert not np.shares_memory(gradient, x)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("regularizer", OBJECTS, ids=repr)
def test_a_view_that_is_not_contiguous_is_penalized_like_its_copy(regularizer):
    x = np.arange(1.0, 13).reshape(3, 4)[:, ::2].T
    assert regularizer(x) == pytest.approx(regularizer(x.copy()), rel=1e-14)
    np.testing.assert_allclose(regularizer.gradient(x), regularizer.gradient(x.copy()), rtol=1e-14)


@pytest.mark.parametrize("regularizer", OBJECTS, ids=repr)
def test_zeros_cost_nothing_and_have_no_slope(regularizer):
    x = np.zeros((3, 2), np.float32)
    assert regularizer(x) == 0
    np.testing.assert_array_equal(regularizer.gradient(x), x)


def test_the_values_of_l1_and_l2():
    x = np.array([[1.0, -2.0], [0.0, 3.0]])
    assert L1()(x) == pytest.approx(0.06)
    assert L2()(x) == pytest.approx(0.14)
    assert L1L2(l1=0.1, l2=1.0)(x) == pytest.approx(14.6)
    assert L1L2()(x) == 0
    np.testing.assert_allclose(L1().gradient(x), [[0.01, -0.01], [0, 0.01]])
    np.testing.assert_allclose(L2().gradient(x), [[0.02, -0.04], [0, 0.06]])
    np.testing.assert_allclose(L1L2(0.1, 1.0).gradient(x), [[2.1, -4.1], [0, 6.1]])


def test_the_values_of_the_orthogonal_penalty():
    x = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 5.0]])
    # Of the three pairs of rows one is at 45 degrees; the same for the pairs of columns.
    assert OrthogonalRegularizer()(x) == pytest.approx(0.01 * math.sqrt(0.5) / 3)
    assert OrthogonalRegularizer(1.0, "columns")(x) == pytest.approx(math.sqrt(0.5) / 3)
    assert OrthogonalRegularizer()(np.eye(4)) == 0
    wide = np.array([[3.0, 0.0, 0.0], [3.0, 4.0, 0.0]])
    assert OrthogonalRegularizer(1.0)(wide) == pytest.approx(0.6)
    assert OrthogonalRegularizer(1.0, "columns")(wide) == pytest.approx(math.sqrt(0.5) / 3)


def test_a_single_vector_is_orthogonal():
    x = np.array([[3.0, 4.0]])
    assert OrthogonalRegularizer()(x) == 0
    np.testing.assert_array_equal(OrthogonalRegularizer().gradient(x), [[0, 0]])


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        *[(cls.__name__, cls) for cls in CASES],
        ("l1", L1),
        ("l2", L2),
        ("l1_l2", L1L2),
        ("l1l2", L1L2),
        ("orthogonal_regularizer", OrthogonalRegularizer),
    ],
)
def test_names_find_their_class(name, cls):
    assert type(get(name)) is cls
    assert getattr(module, name, cls) is cls


def test_get_takes_none_classes_and_objects():
    assert get(None) is None
    assert isinstance(get(L2), L2)
    penalty = L2(0.1)
    assert get(penalty) is penalty


@pytest.mark.parametrize(
    ("identifier", "error", "message"),
    [
        ("l3", ValueError, "Unknown regularizer: 'l3'"),
        (abs, TypeError, "regularizer must be a name or an object of Regularizer"),
    ],
)
def test_get_refuses_what_is_no_regularizer(identifier, error, message):
    with pytest.raises(error, match=message):
        get(identifier)


@pytest.mark.parametrize("regularizer", OBJECTS, ids=repr)
def test_the_configuration_makes_the_same_object(regularizer):
    config = regularizer.get_config()
    assert type(regularizer).from_config(config).get_config() == config


def test_the_configuration_holds_the_arguments():
    assert L1(1).get_config() == {"l1": 1.0}
    assert L1L2(l2=0.5).get_config() == {"l1": 0.0, "l2": 0.5}
    assert OrthogonalRegularizer().get_config() == {"factor": 0.01, "mode": "rows"}
    assert repr(L1L2(l2=0.5)) == "L1L2(l2=0.5)"


@pytest.mark.parametrize("bad", [-1, math.nan, math.inf, "0.1", None])
@pytest.mark.parametrize(
    ("cls", "name"), [(L1, "l1"), (L2, "l2"), (L1L2, "l2"), (OrthogonalRegularizer, "factor")]
)
def test_a_factor_must_be_finite_and_not_negative(cls, name, bad):
    message = f"{name} must be a finite number of at least 0. Received: {name}={bad!r}"
    with pytest.raises(ValueError, match=message):
        cls(**{name: bad})


def test_bad_modes_and_shapes_are_refused():
    with pytest.raises(ValueError, match=r"mode must be 'rows' or 'columns'. .*mode='row'"):
        OrthogonalRegularizer(mode="row")
    with pytest.raises(ValueError, match=r"x must be 2-D .*Received: an x of shape \(3,\)"):
        OrthogonalRegularizer()(np.ones(3))


def test_the_base_class_says_what_to_define():
    with pytest.raises(NotImplementedError, match="Regularizer must define __call__"):
        Regularizer()(np.ones(2))
    with pytest.raises(NotImplementedError, match="Regularizer must define gradient"):
        Regularizer().gradient(np.ones(2))

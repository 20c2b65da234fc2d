"""Merging layers: their values, gradients, shapes, masks, configurations and refusals."""

import numpy as np
import pytest

from nnlite import layers
from nnlite.gradcheck import GradientError, check_layer
from nnlite.layers.layer import registry
from nnlite.layers.merging import merge
from nnlite.symbolic import KerasTensor

A = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])
B = np.array([[2.0, -2.0, 1.0], [0.5, 7.0, -8.0]])
C = np.array([[10.0], [-10.0]])

# Name: arguments, the result for A and B.
CASES = {
    "Add": ({}, A + B),
    "Subtract": ({}, A - B),
    "Multiply": ({}, A * B),
    "Average": ({}, (A + B) / 2),
    "Maximum": ({}, [[2, -2, 3], [4, 7, -6]]),
    "Minimum": ({}, [[1, -2, 1], [0.5, 5, -8]]),
    "Concatenate": ({}, np.hstack([A, B])),
    "Dot": ({"axes": -1}, [[2 + 4 + 3], [2 + 35 + 48]]),
}
ELEMENTWISE = [name for name in CASES if name not in ("Concatenate", "Dot")]
MANY = [name for name in ELEMENTWISE if name != "Subtract"]
EVERY = pytest.mark.parametrize("name", CASES)


def made(name, /, **kwargs):
    return getattr(layers, name)(**{**CASES[name][0], **kwargs}, dtype="float64")


def drawn(*shapes):
    generator = np.random.default_rng(4)
    return [generator.standard_normal(shape) for shape in shapes]


# ---- values -------------------------------------------------------------------------------------


@EVERY
def test_the_layer_and_its_function_give_the_value_of_the_formula(name):
    arguments, expected = CASES[name]
    function = getattr(layers, name.lower())
    for y in (made(name)([A, B]), made(name)((A, B)), function([A, B], **arguments)):
        np.testing.assert_allclose(y, expected, rtol=1e-6)


@EVERY
def test_in_float32_the_output_is_float32(name):
    y = getattr(layers, name)(**CASES[name][0])([A, B])
    assert y.dtype == np.float32


@pytest.mark.parametrize("name", MANY)
def test_three_inputs_and_one(name):
    operation = {"Add": sum, "Multiply": np.prod, "Average": np.mean}.get(name)
    operation = operation or {"Maximum": np.max, "Minimum": np.min}[name]
    expected = operation(np.array([A, B, A + C]), **({} if operation is sum else {"axis": 0}))
    np.testing.assert_allclose(made(name)([A, B, A + C]), expected)
    y = made(name)([A])
    np.testing.assert_array_equal(y, A)
    assert not np.shares_memory(y, A)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_sizes_of_1_and_missing_axes_are_broadcast(name):
    x, y = drawn((5, 2, 3), (5, 3))
    np.testing.assert_array_equal(made(name)([x, y]), made(name)([x, y[:, None, :]]))
    x, y = drawn((5, 1, 3), (5, 4, 1))
    whole = [np.broadcast_to(part, (5, 4, 3)) for part in (x, y)]
    np.testing.assert_array_equal(made(name)([x, y]), made(name)(whole))


def test_concatenate_joins_along_any_axis_but_the_first():
    x, y = drawn((2, 3, 4), (2, 5, 4))
    np.testing.assert_array_equal(made("Concatenate", axis=1)([x, y]), np.hstack([x, y]))
    np.testing.assert_array_equal(made("Concatenate", axis=-2)([x, y]), np.hstack([x, y]))


@pytest.mark.parametrize(
    ("axes", "shapes", "formula"),
    [
        (1, [(2, 3), (2, 3)], "bi,bi->b"),
        ((1, 2), [(2, 3), (2, 4, 3)], "bi,bji->bj"),
        ((2, 1), [(2, 4, 3), (2, 3)], "bji,bi->bj"),
        ((1, 2), [(2, 3, 5), (2, 4, 3)], "bij,bki->bjk"),
        ([-2, -1], [(2, 3, 5), (2, 4, 3)], "bij,bki->bjk"),
        (2, [(2, 5, 3, 2), (2, 4, 3, 6)], "bjil,bkim->bjlkm"),
        ((1, 3), [(2, 3, 5, 2), (2, 4, 6, 3)], "bijl,bkmi->bjlkm"),
    ],
)
@pytest.mark.parametrize("normalize", [False, True])
def test_dot_sums_over_an_axis_of_each(axes, shapes, formula, normalize):
    x, y = drawn(*shapes)
    layer = made("Dot", axes=axes, normalize=normalize)
    result = layer([x, y])
    if normalize:
        one, two = axes if isinstance(axes, (list, tuple)) else (axes, axes)
        x = x / np.linalg.norm(x, axis=one, keepdims=True)
        y = y / np.linalg.norm(y, axis=two, keepdims=True)
    expected = np.einsum(formula, x, y)
    np.testing.assert_allclose(result, expected.reshape(result.shape), rtol=1e-12)
    assert layer.compute_output_shape(shapes) == result.shape
    check_layer(layer, drawn(*shapes))


def test_the_cosine_of_a_vector_of_zeros_is_0_and_has_a_finite_gradient():
    layer = made("Dot", normalize=True)
    assert layer.forward([np.zeros((1, 2)), np.array([[3.0, 4.0]])], training=True) == [[0]]
    dx, dy = layer.backward(np.ones((1, 1)))
    np.testing.assert_allclose(dx, [[0.6e7, 0.8e7]])  # below 1e-7 a length counts as 1e-7
    np.testing.assert_array_equal(dy, [[0, 0]])


def test_a_vector_shorter_than_epsilon_is_divided_by_epsilon():
    layer = made("Dot", normalize=True)
    y = layer.forward([np.array([[6e-8, 0.0]]), np.array([[3.0, 4.0]])], training=True)
    np.testing.assert_allclose(y, [[0.36]])
    np.testing.assert_allclose(layer.backward(np.ones((1, 1)))[0], [[0.6e7, 0.8e7]])


# ---- gradients ----------------------------------------------------------------------------------


@EVERY
def test_gradients_are_slopes(name):
    check_layer(made(name), drawn((3, 2, 4), (3, 2, 4)))


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("shapes", [[(3, 2, 4), (3, 4)], [(3, 1, 4), (3, 2, 1)], [(3,), (3, 2)]])
def test_gradients_of_what_is_broadcast_are_summed(name, shapes):
    check_layer(made(name), drawn(*shapes))


@pytest.mark.parametrize("name", [*MANY, "Concatenate"])
def test_gradients_of_three_inputs_and_of_one(name):
    check_layer(made(name), drawn((3, 4), (3, 4), (3, 4)))
    check_layer(made(name), drawn((3, 4)))


def test_concatenate_cuts_the_gradient():
    check_layer(made("Concatenate", axis=1), drawn((2, 3, 4), (2, 1, 4)))


def test_a_product_with_0_has_the_other_inputs_as_its_gradient():
    layer = made("Multiply")
    layer.forward([np.zeros((1, 1)), np.full((1, 1), 3.0), np.full((1, 1), 5.0)], training=True)
    assert [float(dx.item()) for dx in layer.backward(np.ones((1, 1)))] == [15, 0, 0]


@pytest.mark.parametrize("name", ["Maximum", "Minimum"])
def test_of_equal_inputs_the_first_gets_the_gradient(name):
    layer = made(name)
    layer.forward([A, A, A], training=True)
    first, *rest = layer.backward(B)
    np.testing.assert_array_equal(first, B)
    np.testing.assert_array_equal(rest, np.zeros((2, *B.shape)))


@EVERY
def test_one_array_may_be_given_twice(name):
    layer, given = made(name), A.copy()
    y = layer.forward([given, given], training=True)
    np.testing.assert_allclose(y, made(name)([A, A.copy()]))
    one, two = layer.backward(np.ones_like(y))
    assert not np.shares_memory(one, two)
    np.testing.assert_array_equal(given, A)


@EVERY
def test_an_input_whose_gradient_is_not_asked_for_is_left_out(name):
    layer = made(name)
    y = layer.forward([A, B], training=True)
    expected = layer.backward(np.ones_like(y))
    for asked in (0, 1):
        arrays = layer.arrays_for([A, B]) | {"mask": [None, None]}
        layer.forward_into(*[arrays[key] for key in layer.forward_names])
        arrays["dy"] = np.ones_like(y)
        arrays["dx"] = [None, None]
        arrays["dx"][asked] = np.full_like(A, np.nan)
        layer.backward_into(*[arrays[key] for key in layer.backward_names])
        np.testing.assert_array_equal(arrays["dx"][asked], expected[asked])


def test_the_check_of_several_inputs_names_the_one_that_is_wrong():
    class Wrong(layers.Layer):
        takes_several = True

        def forward(self, x, training=False):
            return x[0] + 2 * x[1]

        def backward(self, gradient):
            return [gradient, gradient]

    with pytest.raises(GradientError, match="input 1 of layer 'wrong', entry"):
        check_layer(Wrong(), [A, B])


# ---- shapes -------------------------------------------------------------------------------------


def test_shapes_that_are_told():
    add, dot, join = layers.Add(), layers.Dot(axes=(1, 2)), layers.Concatenate(axis=1)
    assert add.compute_output_shape([(None, 3), (None, 1)]) == (None, 3)
    assert add.compute_output_shape([(None, 4, 3), (7, 3)]) == (7, 4, 3)
    assert add.compute_output_shape([(None, None, 3), (None, 4, 1)]) == (None, None, 3)
    assert add.compute_output_shape([(None,), (None, 3)]) == (None, 3)
    assert add.compute_output_shape([(None, 3), (1, 1)]) == (1, 3)
    assert dot.compute_output_shape([(None, 20), (None, 30, 20)]) == (None, 30)
    assert dot.compute_output_shape([(None, 3), (None, 1, 3)]) == (None, 1)
    assert join.compute_output_shape([(None, 2, 3), (None, 5, 3)]) == (None, 7, 3)
    assert join.compute_output_shape([(None, None, 3), (None, 5, 3)]) == (None, None, 3)


@EVERY
def test_a_call_on_tensors_gives_a_tensor_and_keeps_the_call(name):
    layer = made(name)
    inputs = [KerasTensor((None, 3)), KerasTensor((None, 3))]
    y = layer(inputs)
    assert y.shape == layer.compute_output_shape([(None, 3), (None, 3)])
    assert y.node.inputs == inputs
    assert getattr(layers, name.lower())(inputs, **CASES[name][0]).shape == y.shape


@EVERY
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (A, "must be called on a list of (2 )?inputs"),
        ([], "must be called on a list of (2 )?inputs"),
        ([A, B[:1]], "must have the same number of samples"),
        ([A, np.ones((2, 2, 2))], "must have equal sizes|, and equal sizes"),
        ([A, np.ones((2, 3, 4, 5))], "must have equal sizes|, and equal sizes"),
    ],
)
def test_wrong_inputs_are_refused(name, x, message):
    with pytest.raises(ValueError, match=message):
        made(name)(x)


@pytest.mark.parametrize("name", ["Subtract", "Dot"])
@pytest.mark.parametrize("count", [1, 3])
def test_layers_of_two_inputs_refuse_another_number(name, count):
    with pytest.raises(ValueError, match=f"list of 2 inputs. Received: {count} inputs"):
        made(name)([A] * count)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: layers.Concatenate(axis=0), ValueError, "axis must not be 0"),
        (lambda: layers.Concatenate(axis=1.0), TypeError, "axis must be an integer"),
        (lambda: layers.Concatenate(axis=2)([A, B]), ValueError, "must have axis 2 beside"),
        (lambda: layers.Concatenate(axis=-2)([A, B]), ValueError, "must have axis -2 beside"),
        (lambda: layers.Dot(axes=0), ValueError, "axes must not be 0"),
        (lambda: layers.Dot(axes=(1, 2, 3)), ValueError, "an integer or a pair"),
        (lambda: layers.Dot(axes="x"), TypeError, "an integer or a pair"),
        (lambda: layers.Dot(axes=(1, 1.0)), ValueError, "an integer or a pair"),
        (lambda: layers.Dot(axes=1, normalize="yes"), TypeError, "normalize must be True"),
        (lambda: layers.Dot(axes=2)([A, B]), ValueError, "must have the axes 2 beside"),
        (lambda: layers.Add(axis=1), TypeError, "unexpected argument 'axis'"),
    ],
)
def test_wrong_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


@EVERY
def test_configurations_are_complete(name):
    layer = made(name, name="merged", **({"normalize": True} if name == "Dot" else {}))
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert registry.deserialize(layer.serialized()).get_config() == layer.get_config()
    np.testing.assert_array_equal(again([A, B]), layer([A, B]))


def test_a_pair_of_axes_stays_what_it_was():
    for axes in [(1, 2), [1, 2], -1]:
        layer = layers.Dot(axes=axes)
        assert type(layer).from_config(layer.get_config()).axes == axes


# ---- masks --------------------------------------------------------------------------------------

FIRST, SECOND = np.array([[True, False, False]]), np.array([[True, True, False]])
STEPS = np.ones((1, 3, 2))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_step_counts_that_does_in_any_input(name):
    layer = made(name)
    mask = layer.compute_mask([STEPS, STEPS], [FIRST, SECOND])
    np.testing.assert_array_equal(mask, SECOND)
    assert layer.compute_mask([STEPS, STEPS], [FIRST, None]) is None
    assert layer.compute_mask([STEPS, STEPS]) is None


@pytest.mark.parametrize(
    ("name", "second", "values", "slopes"),
    [
        ("Multiply", SECOND, [14, 11, 0], ([7, 0, 0], [2, 1, 0])),
        ("Multiply", None, [14, 11, 13], ([7, 0, 0], [2, 1, 1])),
        ("Maximum", SECOND, [7, 11, 5], ([0, 0, 1], [1, 1, 0])),
        ("Maximum", None, [7, 11, 13], ([0, 0, 0], [1, 1, 1])),
        ("Minimum", SECOND, [2, 11, 5], ([1, 0, 1], [0, 1, 0])),
        ("Add", SECOND, [9, 14, 18], ([1, 1, 1], [1, 1, 1])),
    ],
)
def test_products_and_extremes_are_of_the_steps_that_count(name, second, values, slopes):
    """By hand, as in Keras: a step that no input counts is 0, or that of the first."""
    x = [np.array([2.0, 3.0, 5.0]).reshape(1, 3, 1), np.array([7.0, 11.0, 13.0]).reshape(1, 3, 1)]
    layer = made(name)
    y = layer._forward(x, training=True, mask=[FIRST, second])
    np.testing.assert_array_equal(y.ravel(), values)
    for got, wanted in zip(layer.backward(np.ones_like(y)), slopes, strict=True):
        np.testing.assert_array_equal(got.ravel(), wanted)


def test_masks_are_joined_along_steps():
    join = layers.Concatenate(axis=1).compute_mask
    both = join([STEPS, STEPS], [FIRST, None])
    np.testing.assert_array_equal(both, [[True, False, False, True, True, True]])
    assert join([STEPS, STEPS], [None, None]) is None
    side = layers.Concatenate().compute_mask([STEPS, STEPS], [FIRST, SECOND])
    np.testing.assert_array_equal(side, SECOND)


def test_dot_has_no_mask():
    assert layers.Dot(axes=-1).compute_mask([STEPS, STEPS], [FIRST, SECOND]) is None


@pytest.mark.parametrize("name", [*ELEMENTWISE, "Concatenate"])
@pytest.mark.parametrize("masks", [FIRST, [FIRST], [FIRST, FIRST, None]])
def test_there_is_a_mask_for_each_input(name, masks):
    with pytest.raises(ValueError, match="takes a list of masks, one"):
        made(name).compute_mask([STEPS, STEPS], masks)


def test_every_merging_layer_has_a_case():
    public = {name: getattr(layers, name) for name in layers.__all__}
    found = {name: cls for name, cls in public.items() if isinstance(cls, type)}
    assert {name for name, cls in found.items() if issubclass(cls, merge.Merge)} == {*CASES}

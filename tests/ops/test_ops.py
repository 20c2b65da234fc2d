"""nnlite.ops: gradients, constants, integers, models, refusals, TensorFlow's functions."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes
from samples import examples

import nnlite
from nnlite import Input, Model, ops
from nnlite.execution import Memory, Plan, ReferenceExecutor, infer
from nnlite.layers import Dense
from nnlite.ops import arranging, elementwise, neural, operation, reductions
from nnlite.ops.tensorflow import from_tf_function
from nnlite.utils.structures import flatten, map_structure

few = settings(max_examples=examples(20))


def proven(layer, x):
    """Compare the layer's backward with central differences of forward, along a direction."""
    rng = np.random.default_rng(0)
    y = layer.forward(x, training=True)
    dy = map_structure(lambda a: rng.normal(size=a.shape), y)
    before = map_structure(np.array, [x, dy])
    dx = layer.backward(dy)
    for kept, now in zip(flatten(before), flatten([x, dy]), strict=True):
        np.testing.assert_array_equal(kept, now)

    def value(step):
        moved = iter(directions)
        shifted = map_structure(
            lambda a: a + step * next(moved) if isinstance(a, np.ndarray) else a, x
        )
        out = layer.forward(shifted)
        return sum(np.sum(c * o) for c, o in zip(flatten(dy), flatten(out), strict=True))

    arrays = [i for i, a in enumerate(flatten(x)) if isinstance(a, np.ndarray)]
    directions = [rng.normal(size=flatten(x)[i].shape) for i in arrays]
    told = sum(np.sum(flatten(dx)[i] * d) for i, d in zip(arrays, directions, strict=True))
    h = 1e-5
    assert told == pytest.approx((value(h) - value(-h)) / (2 * h), rel=1e-6, abs=1e-7)


def spread(rng, shape):
    """Return numbers of both signs, no two of them nearer than 1/20, and none near 0 or 1."""
    size = int(np.prod(shape))
    numbers = (rng.permutation(size) + 0.3) / 20 + 0.2
    return (numbers * rng.choice([-1, 1], size)).reshape(shape)


BINARY = [
    elementwise.Add,
    elementwise.Subtract,
    elementwise.Multiply,
    elementwise.Divide,
    elementwise.TrueDivide,
    elementwise.Maximum,
    elementwise.Minimum,
    elementwise.Power,
]
UNARY = [
    elementwise.Negative,
    elementwise.Absolute,
    elementwise.Square,
    elementwise.Sqrt,
    elementwise.Exp,
    elementwise.Log,
    lambda: elementwise.Clip(-0.51, 0.61),
    neural.Relu,
    neural.Sigmoid,
    neural.Tanh,
    lambda: neural.Cast("float64"),
]
shapes_of_one = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


@pytest.mark.parametrize("make", BINARY)
@given(shapes=mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3))
@few
def test_gradients_of_two_arrays_are_summed_over_the_axes_of_broadcasting(make, shapes):
    a, b = (spread(np.random.default_rng(i), s) for i, s in enumerate(shapes.input_shapes))
    layer = make()
    if make is elementwise.Power:
        a = abs(a)
    proven(layer, [a, b + 0.011])
    assert layer.forward([a, b]).shape == shapes.result_shape
    assert layer.compute_output_shape([a.shape, b.shape]) == shapes.result_shape


@pytest.mark.parametrize("make", UNARY)
@given(shape=shapes_of_one)
@few
def test_gradients_of_functions_of_each_entry(make, shape):
    layer, x = make(), spread(np.random.default_rng(1), shape)
    proven(layer, abs(x) if isinstance(layer, (elementwise.Sqrt, elementwise.Log)) else x)


@pytest.mark.parametrize("make", [reductions.Sum, reductions.Mean, reductions.Max, reductions.Min])
@given(shape=shapes_of_one, data=st.data(), keepdims=st.booleans())
@few
def test_gradients_of_reductions(make, shape, data, keepdims):
    axes = [None, (), *itertools.combinations(range(-len(shape), 0), 2), *range(-1, len(shape))]
    layer = make(data.draw(st.sampled_from(axes)), keepdims)
    proven(layer, spread(np.random.default_rng(1), shape))


@pytest.mark.parametrize(
    "shapes",
    [
        [(2, 3), (3, 4)],
        [(3,), (3,)],
        [(3,), (3, 4)],
        [(2, 3), (3,)],
        [(3,), (5, 3, 2)],
        [(5, 2, 3), (3,)],
        [(5, 2, 3), (3, 4)],
        [(5, 1, 2, 3), (4, 3, 2)],
    ],
)
def test_gradients_of_products(shapes):
    rng = np.random.default_rng(2)
    arrays = [rng.normal(size=shape) for shape in shapes]
    layer = reductions.Matmul()
    proven(layer, arrays)
    assert layer.compute_output_shape(shapes) == np.matmul(*arrays).shape


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (arranging.Concatenate(), [(2, 3), (1, 3), (4, 3)]),
        (arranging.Concatenate(-1), [(2, 3), (2, 1)]),
        (arranging.Stack(), [(2, 3), (2, 3)]),
        (arranging.Stack(-1), [(2, 3), (2, 3), (2, 3)]),
        (arranging.Split(3, 1), (2, 6)),
        (arranging.Split([1, 1, 4], -1), (2, 6)),
        (arranging.Reshape((3, -1)), (2, 6)),
        (arranging.Reshape(12), (2, 6)),
        (arranging.Transpose(), (2, 3, 4)),
        (arranging.Transpose((2, 0, -2)), (2, 3, 4)),
        (arranging.ExpandDims((0, -1)), (2, 3)),
        (arranging.Squeeze(), (2, 1, 3, 1)),
        (arranging.Squeeze(-1), (2, 1, 3, 1)),
        (neural.Softmax(), (2, 3)),
        (neural.Softmax((0, 2)), (2, 3, 2)),
    ],
)
def test_gradients_of_arrangements(layer, shapes):
    rng = np.random.default_rng(2)
    several = isinstance(shapes, list)
    proven(layer, [rng.normal(size=s) for s in shapes] if several else rng.normal(size=shapes))


@pytest.mark.parametrize(
    "key", [[0], [-1, ...], [slice(1, None), None, 2], [..., slice(None, None, -2)], [None]]
)
def test_gradients_of_parts(key):
    x = np.random.default_rng(2).normal(size=(3, 4, 5))
    layer = arranging.GetItem()
    proven(layer, [x, key])
    np.testing.assert_array_equal(layer.forward([x, key]), x[tuple(key)])


def test_equal_entries_share_the_gradient_of_the_largest():
    layer = reductions.Max(1)
    layer.forward(np.array([[1.0, 3, 3], [2, 2, 2]]), training=True)
    thirds = [[0, 0.5, 0.5], [1 / 3] * 3]
    np.testing.assert_allclose(layer.backward(np.array([1.0, 1])), thirds)
    layer = reductions.Max(initial=9)  # none of them is the largest
    layer.forward(np.array([1.0, 3]), training=True)
    assert layer.backward(np.array(1.0)).tolist() == [0, 0]


def test_power_at_zero_has_a_finite_gradient():
    layer = elementwise.Power()
    layer.forward([np.array([0.0, 0.0, -2.0]), np.array([0.0, 2.0, 2.0])], training=True)
    by_base, by_exponent = layer.backward(np.ones(3))
    assert by_base.tolist() == [0, 0, -4]
    assert by_exponent[:2].tolist() == [0, 0]


# ---- types --------------------------------------------------------------------------------


def test_integers_stay_integers_and_numbers_take_the_type_of_arrays():
    ids, x = np.arange(6, dtype="int32"), np.ones(6, "float32")
    assert [ops.add(ids, 1).dtype, ops.add(ids, 1.5).dtype] == ["int32", "float32"]
    assert [ops.multiply(2.0, x).dtype, ops.multiply(x, ids).dtype] == ["float32", "float32"]
    assert ops.multiply(x.astype("float64"), x).dtype == "float64"
    assert [ids[1:].dtype, ops.reshape(ids, (2, 3)).dtype] == ["int32", "int32"]
    assert ops.one_hot(ids, 3, dtype="int64").dtype == "int64"
    assert ops.add(np.array([True]), 1).dtype == "int32"
    assert ops.clip(ids, 0.5, 2).dtype == "float32"


def test_class_numbers_and_casts_to_integers_have_no_gradient():
    layer, ids = neural.OneHot(3, axis=0), np.array([[0.0, 2.0], [5.0, -1.0]])
    y = layer.forward(ids, training=True)
    assert y.tolist() == [[[1, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 1], [0, 0]]]
    assert layer.backward(np.ones_like(y)).tolist() == [[0, 0], [0, 0]]
    layer = neural.Cast("int32")
    assert layer.forward(ids, training=True).dtype == "int32"
    assert layer.backward(np.ones((2, 2))).tolist() == [[0, 0], [0, 0]]


def test_a_result_shares_no_memory_with_what_was_given():
    x = np.ones((2, 3), "float32")
    for y in (ops.reshape(x, (3, 2)), ops.transpose(x), ops.relu(x), *ops.split(x, 2)):
        assert not np.shares_memory(x, y)


# ---- in models ----------------------------------------------------------------------------


def test_operators_of_tensors_compute_what_they_say():
    a, b = Input((3,)), Input((3,))
    outputs = [
        *(a + b, 1 + a, a - b, 1 - a, a * b, 2 * a, a / b, 1 / b, b**2, 2**a),
        *(-a, abs(a), a[:, 1:], a[..., 0], np.ones(3) * a, a @ np.ones((3, 2))),
    ]
    x, z = np.array([[1.0, -2, 3]], "float32"), np.array([[2.0, 4, 0.5]], "float32")
    expected = [
        *(x + z, 1 + x, x - z, 1 - x, x * z, 2 * x, x / z, 1 / z, z**2, 2**x),
        *(-x, abs(x), x[:, 1:], x[..., 0], x, x @ np.ones((3, 2))),
    ]
    for mine, right in zip(
        infer(Model([a, b], outputs).graph(training=False), [x, z]), expected, strict=True
    ):
        assert mine.dtype == "float32"
        np.testing.assert_allclose(mine, right, rtol=1e-6)


def residual_model():
    """A model with shared tensors, constants, integers, a part used twice, and several outputs."""
    x, ids = Input((6,), name="x"), Input((2,), dtype="int32", name="ids")
    h = Dense(4, activation="tanh")(x)
    first, second = ops.split(h, 2, axis=-1)
    gate = ops.sigmoid(first) * second + ops.mean(h, axis=-1, keepdims=True) ** 2
    picked = ops.one_hot(ids[:, :1] * 1, 2)
    joined = ops.concatenate([gate, picked[:, 0], h[:, ::2] / 3.0, 1.5 * (ids + 0.5)], axis=1)
    stacked = ops.stack([joined, -joined], axis=1)
    y = ops.softmax(Dense(3)(ops.max(stacked, axis=1) + ops.reshape(stacked, (-1, 2, 8))[:, 1]))
    return Model([x, ids], [y, ops.matmul(y, ops.transpose(h)[:3, :1])])


def test_a_model_of_operations_learns_by_each_executor_what_differences_say():
    nnlite.set_random_seed(0)
    model = residual_model()
    x = np.random.default_rng(1).normal(size=(5, 6)).astype("float32")
    ids = np.arange(10, dtype="int32").reshape(5, 2) % 3
    graph, weights = model.graph(training=True), model.learning_variables()
    executor, plan = ReferenceExecutor(graph, weights), Plan(graph, weights, [x, ids], Memory())
    outputs = executor.forward([x, ids])
    loss = [np.ones_like(y) * np.arange(y.shape[-1], dtype=y.dtype) for y in outputs]
    executor.backward(loss, inputs=False)
    gradients = [variable.gradient.copy() for variable in weights]
    inferred = infer(model.graph(training=False), [x, ids])
    for mine, *others in zip(outputs, plan.forward([x, ids]), inferred, strict=True):
        for other in others:
            np.testing.assert_array_equal(mine, other)
    plan.backward(loss)
    for variable, gradient in zip(weights, gradients, strict=True):
        np.testing.assert_array_equal(variable.gradient, gradient)

    def value():
        made = executor.forward([x, ids])
        return sum((y * c).sum(dtype="float64") for y, c in zip(made, loss, strict=True))

    for variable, gradient in zip(weights, gradients, strict=True):
        at = np.unravel_index(abs(gradient).argmax(), gradient.shape)
        before, h = variable.value[at], 1e-2
        variable.value[at] = before + h
        up = value()
        variable.value[at] = before - h
        assert gradient[at] == pytest.approx((up - value()) / (2 * h), rel=2e-2, abs=1e-3)
        variable.value[at] = before


def test_an_operation_is_named_and_read_from_its_data():
    tensor = ops.sum(Input((3, 2)), axis=(1, 2), keepdims=True)
    layer = tensor.node.layer
    assert layer.serialized() == {
        "module": "keras.src.ops.numpy",
        "class_name": "Sum",
        "config": {"name": "sum", "axis": [1, 2], "keepdims": True},
        "registered_name": "Sum",
    }
    again = nnlite.saving.deserialize_keras_object(layer.serialized())
    assert repr(again) == "Sum(axis=[1, 2], keepdims=True)"
    assert again(x=np.ones((4, 3, 2))).tolist() == [[[6.0]]] * 4
    assert nnlite.layers.deserialize({"class_name": "Reshape", "config": {"target_shape": [2]}})


def test_every_operation_has_a_gradient_of_its_own():
    for registry in (operation.numpy, operation.nn, operation.core):
        for cls in {registry.lookup(name) for name in registry}:
            assert cls.primitive or issubclass(cls, neural._Activation), cls


# ---- refusals -----------------------------------------------------------------------------

t = Input((6,))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: t + Input((4,)), r"add takes arrays whose sizes are equal, or 1.*\(None, 4\)"),
        (lambda: ops.add(np.ones(3), np.ones(2)), "shapes"),
        (lambda: ops.add("a", 1), "x1 must hold real numbers"),
        (lambda: ops.sum(t, axis=2), r"sum needs axes between -2 and 1.*axis=2"),
        (lambda: ops.sum(t, axis=(1, -1)), "each once"),
        (lambda: ops.mean(t, axis="a"), "axis"),
        (lambda: ops.matmul(t, np.ones((5, 2))), r"\(None, 6\) and \(5, 2\)"),
        (lambda: ops.matmul(t, 2.0), "matmul takes arrays of shapes"),
        (lambda: ops.concatenate([t, Input((6, 1))], axis=0), "one shape"),
        (lambda: ops.concatenate([t, Input((5,))], axis=0), "apart from axis 0"),
        (lambda: ops.concatenate(t), "takes a list"),
        (lambda: ops.concatenate([]), "takes a list"),
        (lambda: ops.stack([t, Input((5,))]), "one shape"),
        (lambda: ops.stack([t, t], axis=3), "axes between -3 and 2"),
        (lambda: ops.split(t, 4, axis=1), "cannot split 6 entries along axis 1"),
        (lambda: ops.split(t, [2, 9], axis=1), "cannot split 6"),
        (lambda: ops.split(t, 0), "indices_or_sections"),
        (lambda: ops.reshape(np.ones(6), (4, -1)), "cannot give 6 entries"),
        (lambda: ops.reshape(np.ones(6), (4,)), "cannot give 6 entries"),
        (lambda: ops.reshape(t, (-1, -1)), "one -1 at most"),
        (lambda: ops.reshape(t, (None, 6)), "each size of newshape"),
        (lambda: ops.transpose(t, (0,)), "each of the 2 axes once"),
        (lambda: ops.transpose(t, (0, 0)), "each once"),
        (lambda: ops.expand_dims(t, 3), "axes between -3 and 2"),
        (lambda: ops.squeeze(t, 1), "only axes of size 1"),
        (lambda: t[:, 6], r"has no part"),
        (lambda: t[:, 0, 0], r"has no part"),
        (lambda: t[..., ...], r"has no part"),
        (lambda: t[:, np.array([1, 2])], "sliced by integers, slices"),
        (lambda: t["a"], "sliced by integers, slices"),
        (lambda: ops.clip(t, np.zeros(6), 1), "x_min must be a number"),
        (lambda: ops.softmax(t, axis=2), "axes between -2 and 1"),
        (lambda: ops.relu(1.0), "at least one axis"),
        (lambda: ops.one_hot(t, 0), "num_classes"),
        (lambda: ops.one_hot(t, 3, axis=2), "axis must be -1"),
        (lambda: ops.one_hot(t, 3, sparse=True), "sparse"),
        (lambda: ops.cast(t, "text"), "dtype"),
        (lambda: elementwise.Add()(t), "Add takes x1, x2"),
        (lambda: elementwise.Add()(t, x2=t, y=t), "Add takes x1, x2"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises((TypeError, ValueError), match=f"(?s){message}"):
        call()


def test_an_operation_keeps_to_the_types_of_its_constants():
    layer, ids = elementwise.Multiply(), Input((2,), dtype="int32")
    assert layer(ids, 2).dtype == "int32"
    with pytest.raises(ValueError, match="create another Multiply"):
        layer(ids, 2.5)


def test_squeeze_of_a_tensor_keeps_a_batch_of_one():
    tensor = Input((1, 3))
    model = Model(tensor, ops.squeeze(tensor))
    assert model.predict(np.ones((1, 1, 3), "float32")).shape == (1, 3)


# ---- TensorFlow's functions ---------------------------------------------------------------

X = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]], "float32")


@pytest.mark.parametrize(
    ("function", "first", "named", "expected"),
    [
        ("math.add", X, {"y": 2.0, "name": None}, X + 2),
        ("__operators__.add", X, {"y": X}, X + X),
        ("math.subtract", 1.0, {"y": X}, 1 - X),
        ("math.multiply", X, {"y": X}, X * X),
        ("math.truediv", X, {"y": 2}, X / 2),
        ("math.pow", X, {"y": 2}, X**2),
        ("math.abs", X, {}, abs(X)),
        ("math.reduce_mean", X, {"axis": 1, "keepdims": None}, X.mean(1)),
        ("math.reduce_max", X, {"axis": [0], "keepdims": True}, X.max(0, keepdims=True)),
        ("linalg.matmul", X, {"b": X.T.tolist(), "transpose_a": False}, X @ X.T),
        ("concat", [X, X], {"axis": -1}, np.concatenate([X, X], -1)),
        ("stack", [X, X], {"axis": 1}, np.stack([X, X], 1)),
        ("reshape", X, {"shape": [-1, 2]}, X.reshape(-1, 2)),
        ("compat.v1.transpose", X, {"perm": [1, 0]}, X.T),
        ("expand_dims", X, {"axis": -1}, X[..., None]),
        ("clip_by_value", X, {"clip_value_min": -1, "clip_value_max": 2}, X.clip(-1, 2)),
        ("nn.relu", X, {"name": "r"}, np.maximum(X, 0)),
        ("one_hot", [0, 1], {"depth": 2}, np.eye(2)),
        ("cast", X, {"dtype": "int32"}, X.astype("int32")),
        (
            "__operators__.getitem",
            X,
            {"slice_spec": [{"start": None, "stop": None, "step": None}, {"start": 1}]},
            X[:, 1:],
        ),
        (
            "__operators__.getitem",
            X,
            {"slice_spec": [{"class_name": "__ellipsis__"}, None]},
            X[..., None],
        ),
    ],
)
def test_functions_of_tensorflow_are_operations(function, first, named, expected):
    layer, arguments = from_tf_function(function, first, named)
    np.testing.assert_allclose(layer(*arguments), expected, rtol=1e-6)


def test_sizes_of_tensorflow_become_ends():
    layer, arguments = from_tf_function(
        "split", X, {"num_or_size_splits": [1, 1, 1], "axis": 1, "num": None}
    )
    assert [part.shape for part in layer(*arguments)] == [(2, 1)] * 3


@pytest.mark.parametrize(
    ("function", "named", "message"),
    [
        ("math.cumsum", {"axis": 0}, "'math.cumsum' is not read. Those that are: .*math.add"),
        ("linalg.matmul", {"b": X, "transpose_b": True}, "transpose_b"),
        ("math.add", {}, "is read with x, y"),
        ("split", {"num_or_size_splits": [1, -1]}, "all sizes"),
    ],
)
def test_other_functions_and_arguments_of_tensorflow_are_refused(function, named, message):
    with pytest.raises(ValueError, match=message):
        from_tf_function(function, X, named)


@pytest.mark.parametrize("axis", [-1, (0, 1)])
def test_the_softmax_of_integers_is_that_of_floats(axis):
    found = ops.softmax([[1, 2], [0, 3]], axis)
    np.testing.assert_array_equal(found, ops.softmax(np.array([[1, 2], [0, 3]], "float32"), axis))
    assert found.dtype == "float32"


def test_the_number_of_parts_is_any_integer():
    np.testing.assert_array_equal(ops.split(np.arange(4.0), np.int64(2)), [[0, 1], [2, 3]])

"""nnlite.ops beside keras.ops: values, shapes, types, gradients at ties, and what files hold."""

import inspect
import json

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import nnlite
from nnlite import ops
from nnlite.execution import ReferenceExecutor
from nnlite.ops import operation

F = np.random.default_rng(3).normal(size=(4, 3, 6)).astype("float32")
G = np.random.default_rng(4).uniform(0.5, 2, size=(3, 6)).astype("float32")
I = np.random.default_rng(5).integers(0, 5, size=(4, 3)).astype("int32")  # noqa: E741

#: A name for each case, the arrays, and the function of them and of the module of operations.
CASES = [
    ("add", (F, G), lambda o, a, b: o.add(a, b)),
    ("add_integers", (I, I), lambda o, a, b: o.add(a, b)),
    ("add_number_to_integers", (I,), lambda o, a: o.add(a, 1)),
    ("add_float_to_integers", (I,), lambda o, a: o.add(1.5, a)),
    ("add_integers_to_floats", (I, F[:, :, 0]), lambda o, a, b: o.add(a, b)),
    ("subtract", (G, F), lambda o, a, b: o.subtract(a, b)),
    ("multiply", (F,), lambda o, a: o.multiply(2, a)),
    ("divide", (F, G), lambda o, a, b: o.divide(a, b)),
    ("divide_integers", (I,), lambda o, a: o.true_divide(a, 2)),
    ("power", (G,), lambda o, a: o.power(a, 3)),
    ("power_of_number", (F,), lambda o, a: o.power(2.0, a)),
    ("maximum", (F, G), lambda o, a, b: o.maximum(a, b)),
    ("minimum", (F,), lambda o, a: o.minimum(a, 0)),
    ("negative", (I,), lambda o, a: o.negative(a)),
    ("abs", (F,), lambda o, a: o.abs(a)),
    ("absolute", (I,), lambda o, a: o.absolute(a)),
    ("square", (I,), lambda o, a: o.square(a)),
    ("sqrt", (G,), lambda o, a: o.sqrt(a)),
    ("sqrt_integers", (I,), lambda o, a: o.sqrt(a)),
    ("exp", (F,), lambda o, a: o.exp(a)),
    ("log", (G,), lambda o, a: o.log(a)),
    ("clip", (F,), lambda o, a: o.clip(a, -1, 0.5)),
    ("sum", (F,), lambda o, a: o.sum(a)),
    ("sum_axes", (F,), lambda o, a: o.sum(a, axis=(1, -1))),
    ("sum_kept", (F,), lambda o, a: o.sum(a, axis=1, keepdims=True)),
    ("sum_integers", (I.astype("int8"),), lambda o, a: o.sum(a, axis=1)),
    ("mean", (F,), lambda o, a: o.mean(a, axis=[0, 1])),
    ("mean_integers", (I,), lambda o, a: o.mean(a, axis=1)),
    ("max", (F,), lambda o, a: o.max(a, axis=-1)),
    ("max_initial", (F,), lambda o, a: o.max(a, axis=-1, initial=1.0)),
    ("min", (I,), lambda o, a: o.min(a, axis=1, keepdims=True)),
    ("matmul", (F, G.T.copy()), lambda o, a, b: o.matmul(a, b)),
    ("matmul_vector", (F, G[0]), lambda o, a, b: o.matmul(a, b)),
    ("matmul_vector_left", (G[:, 0].copy(), F), lambda o, a, b: o.matmul(a, b)),
    ("concatenate", (F, F), lambda o, a, b: o.concatenate([a, b], axis=1)),
    ("concatenate_types", (I, F[:, :, 0]), lambda o, a, b: o.concatenate([a, b], axis=-1)),
    ("stack", (I, I), lambda o, a, b: o.stack([a, b], axis=-1)),
    ("split", (F,), lambda o, a: o.split(a, 2, axis=-1)),
    ("split_at", (F,), lambda o, a: o.split(a, [1, 4], axis=2)),
    ("reshape", (F,), lambda o, a: o.reshape(a, (-1, 9, 2))),
    ("transpose", (F,), lambda o, a: o.transpose(a)),
    ("transpose_axes", (I,), lambda o, a: o.transpose(a, (1, 0))),
    ("expand_dims", (F,), lambda o, a: o.expand_dims(a, 1)),
    ("expand_dims_axes", (I,), lambda o, a: o.expand_dims(a, (0, -1))),
    ("squeeze", (F[:, :1],), lambda o, a: o.squeeze(a, 1)),
    ("squeeze_all", (F[:, :1, :1],), lambda o, a: o.squeeze(a)),
    ("getitem", (F,), lambda o, a: a[:, 1:, ::-2]),
    ("getitem_rest", (I,), lambda o, a: a[..., None, -1]),
    ("getitem_number", (F,), lambda o, a: a[2]),
    ("relu", (F,), lambda o, a: o.relu(a)),
    ("sigmoid", (F,), lambda o, a: o.sigmoid(a)),
    ("tanh", (F,), lambda o, a: o.tanh(a)),
    ("softmax", (F,), lambda o, a: o.softmax(a, axis=1)),
    ("softmax_axes", (F,), lambda o, a: o.softmax(a, axis=(1, 2))),
    ("one_hot", (I,), lambda o, a: o.one_hot(a, 4)),
    ("one_hot_axis", (I,), lambda o, a: o.one_hot(a, 5, axis=1, dtype="int32")),
    ("cast", (F,), lambda o, a: o.cast(a, "int32")),
    ("cast_to_float", (I,), lambda o, a: o.cast(a, "float32")),
]
each_case = pytest.mark.parametrize(
    ("arrays", "of"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)


@each_case
def test_values_shapes_and_types_are_those_of_keras(arrays, of):
    ours = of(ops, *arrays)
    theirs = of(keras.ops, *map(jnp.asarray, arrays))
    for mine, one in zip(_listed(ours), _listed(theirs), strict=True):
        assert mine.shape == one.shape
        np.testing.assert_allclose(mine, np.asarray(one), rtol=2e-6, atol=1e-6)


@each_case
def test_tensors_have_the_shapes_and_types_of_keras(arrays, of):
    def tensors(module):
        return [
            module.Input(batch_shape=(None, *a.shape[1:]), dtype=a.dtype.name)
            if i == 0 or a.ndim == arrays[0].ndim
            else a
            for i, a in enumerate(arrays)
        ]

    told = [(t.shape, t.dtype) for t in _listed(of(ops, *tensors(nnlite)))]
    assert told == [(t.shape, t.dtype) for t in _listed(of(keras.ops, *tensors(keras)))]
    assert [y.dtype.name for y in _listed(of(ops, *arrays))] == [dtype for _, dtype in told]


@pytest.mark.parametrize(
    "of",
    [
        lambda o, x: o.max(x),
        lambda o, x: o.min(x),
        lambda o, x: o.max(o.reshape(x, (2, 3)), axis=0),
        lambda o, x: o.maximum(x, 1.0),
        lambda o, x: o.minimum(x, o.abs(x - 2)),
        lambda o, x: o.clip(x, -1, 1),
        lambda o, x: o.abs(x + 2),
        lambda o, x: o.relu(x),
        lambda o, x: x**2,
        lambda o, x: 1 / (x + 3),
        lambda o, x: 2.0**x,
    ],
)
def test_gradients_where_there_is_a_choice_are_those_of_jax(of):
    x = np.array([0.0, 1.0, 1.0, -1.0, -1.0, 0.5], "float32")
    tensor = nnlite.Input(batch_shape=(6,))
    output = of(ops, tensor)
    executor = ReferenceExecutor(nnlite.Model(tensor, output).graph(training=True))
    (y,) = executor.forward([x])
    (gradient,) = executor.backward([np.ones_like(y)])
    expected = jax.grad(lambda z: of(keras.ops, z).sum())(jnp.asarray(x))
    np.testing.assert_allclose(gradient, np.asarray(expected), rtol=1e-6)


def test_names_arguments_and_defaults_are_those_of_keras():
    for name in ops.__all__:
        ours, theirs = (inspect.signature(getattr(o, name)).parameters for o in (ops, keras.ops))
        assert [(p.name, p.default) for p in ours.values()] == [
            (p.name, p.default) for p in theirs.values()
        ], name


def test_every_operation_is_a_class_of_the_same_name_and_module_in_keras():
    for registry in (operation.numpy, operation.nn, operation.core):
        module = __import__(registry.module, fromlist=["*"])
        for cls in {registry.lookup(name) for name in registry}:
            assert cls.__name__ in vars(module)


@each_case
def test_nodes_are_written_as_keras_writes_them_and_read_again(arrays, of):
    if not all(a.ndim == arrays[0].ndim for a in arrays):
        pytest.skip("Keras writes tensors only")
    inputs = [keras.Input(a.shape[1:], dtype=a.dtype.name) for a in arrays]
    output = of(keras.ops, *inputs)
    model = keras.Model(inputs, output)
    nodes = json.loads(model.to_json())["config"]["layers"]
    theirs = next(node for node in nodes if node["class_name"] != "InputLayer")
    tensors = [nnlite.Input(a.shape[1:], dtype=a.dtype.name) for a in arrays]
    layer = _listed(of(ops, *tensors))[0].node.layer
    ours = json.loads(json.dumps(layer.serialized()))
    assert ours["config"].pop("name") in theirs["config"].pop("name")
    assert ours == {
        key: theirs[key] for key in ("module", "class_name", "config", "registered_name")
    }
    again = nnlite.saving.deserialize_keras_object(layer.serialized())
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()


def _listed(tensors):
    return tensors if isinstance(tensors, list) else [tensors]

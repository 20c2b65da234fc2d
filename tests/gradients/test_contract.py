"""What every public layer keeps to beside its gradients: shapes, memory, and whose it is."""

import pickle
import tracemalloc

import numpy as np
import pytest

from nnlite import Sequential, layers

from .strategies import LAYERS, build
from .test_layers import FIXED

EVERY_LAYER = pytest.mark.parametrize("cls", LAYERS, ids=lambda cls: cls.__name__)

MORE = {
    layers.AlphaDropout: ({"rate": 0.5}, (6,)),
    layers.Dense: ({"units": 4}, (48,)),
    layers.Dropout: ({"rate": 0.5}, (6,)),
    layers.Flatten: ({}, (3, 2)),
    layers.GaussianDropout: ({"rate": 0.5}, (6,)),
    layers.GaussianNoise: ({"stddev": 0.5}, (6,)),
    layers.LayerNormalization: ({}, (48,)),
    layers.Masking: ({}, (3, 2)),
    layers.SpatialDropout1D: ({"rate": 0.5}, (3, 2)),
    layers.SpatialDropout2D: ({"rate": 0.5}, (3, 1, 2)),
    layers.SpatialDropout3D: ({"rate": 0.5}, (3, 1, 1, 2)),
}


def a_layer(cls, samples=8):
    arguments, shape = {**FIXED, **MORE}.get(cls, ({}, (48,)))
    generator = np.random.default_rng(5)
    layer = build(cls(**arguments), shape, generator)
    return layer, generator.standard_normal((samples, *shape)).astype("float32")


@EVERY_LAYER
def test_inference_writes_nothing_on_the_layer(cls):
    layer, x = a_layer(cls)
    layer.forward(x, training=True)
    cache, before = layer.cache, pickle.dumps(layer)
    with np.errstate(all="raise", under="ignore"):
        layer.forward(x)
    assert layer.cache is cache
    assert pickle.dumps(layer) == before
    layer._scratch = {}
    layer.forward(x)
    assert layer._scratch == {}


@EVERY_LAYER
@pytest.mark.parametrize("training", [False, True])
def test_an_output_is_the_users_own(cls, training):
    layer, x = a_layer(cls)
    given, outputs = x.copy(), []
    for _ in range(2):
        outputs.append(layer(x, training=training))
        assert not np.shares_memory(outputs[-1], x)
    kept = outputs[0].copy()
    outputs[1][...] = 7
    layer(x + 1, training=training)
    np.testing.assert_array_equal(outputs[0], kept)
    np.testing.assert_array_equal(x, given)
    assert outputs[0].dtype == np.float32
    if cls is not layers.InputLayer:
        prediction = Sequential([layer]).predict(x)
        assert not np.shares_memory(prediction, x)


@EVERY_LAYER
def test_the_output_has_the_shape_that_is_told(cls):
    layer, x = a_layer(cls)
    assert layer.compute_output_shape((None, *x.shape[1:])) == (None, *layer(x).shape[1:])
    assert layer.compute_output_shape(x.shape) == layer(x).shape


@pytest.mark.parametrize(
    "cls",
    [
        cls
        for cls in LAYERS
        if not issubclass(cls, (layers.ActivationLayer, layers.Activation, layers.GLU))
    ],
    ids=lambda cls: cls.__name__,
)
def test_a_training_step_in_reused_arrays_takes_no_more_memory(cls):
    layer, x = a_layer(cls, 16384)
    for part in layer.all_layers():
        part._scratch = {}
    for _ in range(2):
        gradient = layer.forward(x, training=True).copy()
        layer.backward(gradient)
    tracemalloc.start()
    try:
        layer.forward(x, training=True)
        layer.backward(gradient)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.6 * x.nbytes  # random bits take a half, in passing

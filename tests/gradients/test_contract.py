"""What every public layer keeps to beside its gradients: shapes, memory, and whose it is."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest

from nnlite import Sequential, layers

from .image_strategies import tried
from .strategies import LAYERS, build
from .test_layers import FIXED

EVERY_LAYER = pytest.mark.parametrize("cls", tried(LAYERS), ids=lambda cls: cls.__name__)

MORE = {
    layers.AlphaDropout: ({"rate": 0.5}, (6,)),
    layers.Dense: ({"units": 4}, (48,)),
    layers.Dropout: ({"rate": 0.5}, (6,)),
    layers.CenterCrop: ({"height": 2, "width": 2}, (3, 4, 2)),
    layers.EinsumDense: ({"equation": "ab,bc->ac", "output_shape": 4}, (48,)),
    layers.Flatten: ({}, (3, 2)),
    layers.GaussianDropout: ({"rate": 0.5}, (6,)),
    layers.GaussianNoise: ({"stddev": 0.5}, (6,)),
    layers.GroupNormalization: ({"groups": 4}, (48,)),
    layers.LayerNormalization: ({}, (48,)),
    layers.Masking: ({}, (3, 2)),
    layers.Resizing: ({"height": 2, "width": 5}, (3, 4, 2)),
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


def runs(layer, x, training=True):
    """Return each stage of a layer, with its arrays after a pass."""
    made = []
    for stage in layer.stages(training):
        arrays = stage.run_into(x)
        made.append((stage, arrays))
        x = arrays["y"]
    gradient = x.copy()
    for stage, arrays in reversed(made):
        arrays["dy"], arrays["dx"] = gradient, stage.run_back(gradient, arrays)
        gradient = arrays["dx"]
    return made


def go_forward(stage, arrays):
    stage.forward_into(*[arrays[name] for name in stage.forward_names])


def go_back(stage, arrays):
    stage.backward_into(*[arrays[name] for name in stage.backward_names])


@pytest.mark.parametrize(
    "cls",
    [
        cls
        for cls in tried(LAYERS)
        if not issubclass(cls, (layers.ActivationLayer, layers.Activation, layers.GLU))
    ],
    ids=lambda cls: cls.__name__,
)
def test_a_pass_in_arrays_that_are_there_takes_no_more_memory(cls):
    layer, x = a_layer(cls, 16384)
    for stage, arrays in runs(layer, x):
        tracemalloc.start()
        try:
            go_forward(stage, arrays)
            go_back(stage, arrays)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 0.6 * x.nbytes  # random bits take a half, in passing


def spoil(*arrays):
    """Fill arrays with what nobody may read."""
    for array in arrays:
        array.fill(True if array.dtype == bool else np.nan)


def again(layer, stage, arrays, over=False, lost=(), dx=True):
    """Run a stage in copies of its arrays; return the output and all gradients.

    Args:
        layer: The layer.
        stage: The stage.
        arrays: Its arrays.
        over: Whether the output is written over x.
        lost: The names of arrays that are overwritten before the way back.
        dx: Whether the gradient of x is asked for.
    """
    if hasattr(layer, "generator"):
        layer.generator = np.random.default_rng(3)
    arrays = {name: copy.copy(array) for name, array in arrays.items()}
    spoil(arrays["y"], *(arrays[name] for name in stage.arrays(arrays["x"].shape)))
    arrays["y"] = arrays["x"] if over else arrays["y"]
    go_forward(stage, arrays)
    output = arrays["y"].copy()
    spoil(*(arrays[name] for name in lost))
    own = [weight for weight in layer.trainable_weights if weight in stage._variables]
    for weight in own:
        weight.gradient.fill(np.nan)
    arrays["dx"] = np.full_like(arrays["x"], np.nan) if dx else None
    go_back(stage, arrays)
    return [output, *(weight.gradient.copy() for weight in own), arrays["dx"]]


@EVERY_LAYER
@pytest.mark.parametrize("training", [False, True])
def test_a_stage_reads_no_more_than_it_says(cls, training):
    # Its own arrays hold anything at first; x may be gone under y, and y on the way back.
    layer, x = a_layer(cls)
    for stage, arrays in runs(layer, x, training):
        expected = again(layer, stage, arrays)
        assert all(np.isfinite(array).all() for array in expected)
        lost = [name for name in "xy" if not stage.reads(name)]
        results = [again(layer, stage, arrays, lost=lost)]
        if stage.elementwise and not stage.reads("x"):
            results.append(again(layer, stage, arrays, over=True, lost={"y"}.intersection(lost)))
        if stage.dx_optional:
            results.append([*again(layer, stage, arrays, dx=False)[:-1], expected[-1]])
        for result in results:
            for one, other in zip(result, expected, strict=True):
                np.testing.assert_array_equal(one, other)

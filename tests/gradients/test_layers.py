import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import examples

from nnlite import layers
from nnlite.gradcheck import check_layer
from nnlite.layers import ActivationLayer, Dense, Dropout, Layer

from .image_strategies import FIXED_IMAGES, tried
from .strategies import LAYERS, NOISE, build, generators, inputs, kinds, sizes

EVERY_LAYER = pytest.mark.parametrize("cls", tried(LAYERS), ids=lambda cls: cls.__name__)


def test_every_public_layer_has_a_strategy():
    public = {getattr(layers, name) for name in layers.__all__}
    classes = {thing for thing in public if inspect.isclass(thing)} - {Layer, ActivationLayer}
    # What takes words or several inputs is checked in test_layers_embedding and _merging, what
    # runs over steps in test_layers_recurrent.
    classes = {cls for cls in classes if cls.__module__.split(".")[2] != "recurrent"}
    classes = {cls for cls in classes if not (cls.takes_several or cls.takes_integers)}
    assert [cls.__name__ for cls in classes - set(LAYERS)] == []


@EVERY_LAYER
@given(st.data(), sizes, generators, kinds)
@settings(max_examples=examples(60))
def test_backward_is_the_slope_of_forward(cls, data, samples, generator, kind):
    arguments, shape = data.draw(LAYERS[cls])
    if cls is Dense and not arguments["use_bias"]:
        kind = "ordinary"  # without a bias, an x of zeros puts all units at their kinks at once
    if cls is layers.UnitNormalization:
        kind = "ordinary"  # within 1e-12 of 0 it turns too sharply for any step
    if "MaxPool" in cls.__name__:
        kind = "ordinary"  # the largest of several within a step is no slope
    layer = build(cls(**arguments), shape, generator)
    check_layer(layer, inputs(layer, generator, (samples, *shape), kind))


@EVERY_LAYER
@given(st.data(), sizes, generators, kinds)
@settings(max_examples=examples(40))
def test_finite_input_raises_no_warning_in_either_type(cls, data, samples, generator, kind):
    arguments, shape = data.draw(LAYERS[cls])
    for dtype in ("float32", "float64"):
        layer = build(cls(**arguments, dtype=dtype), shape, generator)
        x = inputs(layer, generator, (samples, *shape), kind).astype(dtype)
        with np.errstate(all="raise", under="ignore"):
            y = layer.forward(x, training=True)
            gradient = layer.backward(np.ones_like(y))
        assert y.dtype == gradient.dtype == dtype
        assert np.isfinite(y).all()
        assert np.isfinite(gradient).all()
        for weight in layer.trainable_weights:
            assert weight.gradient.dtype == dtype


@EVERY_LAYER
@given(st.data(), sizes, generators, st.sampled_from(["ordinary", "saturated", "tiny"]))
@settings(max_examples=examples(40))
def test_float32_gives_the_gradients_of_float64(cls, data, samples, generator, kind):
    arguments, shape = data.draw(LAYERS[cls])
    if cls in NOISE:
        amount = arguments[NOISE[cls]]
        arguments = {**arguments, NOISE[cls]: float(cls is Dropout and amount == 1)}
    single = build(cls(**arguments, dtype="float32"), shape, generator)
    double = cls(**arguments, dtype="float64")
    double.ensure_built((None, *shape))
    double.set_weights(single.get_weights())
    if "kernel_size" in arguments or cls is Dense:
        kind = "ordinary"  # a rounded sum may come to lie on the other side of a kink
    x = inputs(single, generator, (samples, *shape), kind).astype("float32")
    R = generator.standard_normal(single.forward(x, training=True).shape).astype("float32")
    double.forward(x.astype(float), training=True)
    pairs = [(single.backward(R), double.backward(R.astype(float)))]
    for one, other in zip(single.trainable_weights, double.trainable_weights, strict=True):
        pairs.append((one.gradient, other.gradient))
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5 * max(1, np.abs(other).max()))


FIXED = {
    **FIXED_IMAGES,
    layers.Activation: ({"activation": "tanh"}, (3, 2)),
    layers.Dense: ({"units": 4, "activation": "softmax"}, (3, 2)),
    layers.Flatten: ({"data_format": "channels_first"}, (3, 2)),
    layers.InputLayer: ({"shape": (3, 2)}, (3, 2)),
    layers.Threshold: ({"threshold": 0.5, "default_value": -1.0}, (3, 2)),
    layers.Masking: ({"mask_value": 0.5}, (3, 2)),
    layers.Permute: ({"dims": (2, 1)}, (3, 2)),
    layers.LayerNormalization: ({"axis": 1}, (3, 2)),
    layers.PReLU: ({"shared_axes": 1}, (3, 2)),
    layers.Rescaling: ({"scale": [2.0, 3.0]}, (3, 2)),
    layers.RepeatVector: ({"n": 3}, (4,)),
    layers.Reshape: ({"target_shape": (2, -1)}, (3, 2)),
    layers.ReLU: ({"max_value": 1.0, "negative_slope": 0.1}, (3, 2)),
}


@given(
    generators, st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]), st.sampled_from(["float32", "float64"])
)
def test_dropout_keeps_or_drops_each_input_and_its_gradient_alike(generator, rate, dtype):
    layer = Dropout(rate, seed=int(generator.integers(99)), dtype=dtype)
    x = generator.uniform(1, 2, (50, 20)).astype(dtype)
    factor = layer.forward(x, training=True) / x
    np.testing.assert_array_equal(layer.backward(np.ones_like(x)) > 0, factor > 0)
    if rate < 1:
        np.testing.assert_allclose(factor[factor > 0], 1 / (1 - rate), rtol=1e-4)
    assert abs(np.mean(factor == 0) - rate) < 0.08
    np.testing.assert_array_equal(layer.forward(x), x)

"""Layers over images and sequences against Keras's: output, gradients, shapes, configurations."""

import inspect

import jax
import keras
import numpy as np
import pytest
from keras.src.backend.common import dtypes
from samples import part

import nnlite
from nnlite import layers
from nnlite.layers.spatial import Spatial

FIRST = {"data_format": "channels_first"}
SAME = {"padding": "same"}
MARGINS = ((1, 2), (0, 3))

# A layer, the shape of a sample, and arguments: each option that matters, in each kind of layer.
CASES = [
    ("Conv1D", (9, 4), {"filters": 6, "kernel_size": 3, "activation": "softmax"}),
    ("Conv1D", (4, 9), {"filters": 6, "kernel_size": 3, "strides": 2, **SAME, **FIRST}),
    ("Conv1D", (9, 3), {"filters": 2, "kernel_size": 3, "padding": "causal", "strides": 2}),
    ("Conv1D", (9, 9), {"filters": 2, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}),
    ("Conv2D", (7, 8, 4), {"filters": 6, "kernel_size": (3, 2), "activation": "tanh"}),
    ("Conv2D", (7, 8, 9), {"filters": 6, "kernel_size": (2, 4), **SAME, "use_bias": False}),
    ("Conv2D", (4, 7, 8), {"filters": 6, "kernel_size": 3, "strides": (3, 2), **SAME, **FIRST}),
    ("Conv2D", (7, 8, 4), {"filters": 6, "kernel_size": 2, "dilation_rate": (2, 3), **SAME}),
    ("Conv2D", (7, 8, 4), {"filters": 6, "kernel_size": 3, "groups": 2, "strides": 2}),
    ("Conv2D", (4, 7, 8), {"filters": 8, "kernel_size": 2, "groups": 4, **FIRST}),
    ("Conv2D", (7, 8, 9), {"filters": 2, "kernel_size": 1, "kernel_regularizer": "l2"}),
    ("Conv3D", (4, 5, 6, 2), {"filters": 3, "kernel_size": 2, "strides": 2, **SAME}),
    ("Conv1DTranspose", (4, 3), {"filters": 5, "kernel_size": 3}),
    ("Conv1DTranspose", (4, 3), {"filters": 5, "kernel_size": 2, "strides": 3}),
    ("Conv1DTranspose", (4, 3), {"filters": 5, "kernel_size": 3, "strides": 2, **SAME}),
    *[
        ("Conv1DTranspose", (4, 3), {"filters": 2, "kernel_size": k, **more})
        for k in (2, 3)
        for more in [
            {"strides": 3, "output_padding": 1},
            {"strides": 3, "output_padding": 2, **SAME},
            {"strides": 3, "output_padding": 0, **SAME},
            {"dilation_rate": 2, **SAME},
        ]
    ],
    ("Conv2DTranspose", (4, 3, 3), {"filters": 5, "kernel_size": (2, 3), "strides": (2, 3)}),
    ("Conv2DTranspose", (3, 4, 3), {"filters": 5, "kernel_size": 4, "strides": 2, **SAME, **FIRST}),
    ("Conv3DTranspose", (3, 2, 3, 2), {"filters": 2, "kernel_size": 2, "activation": "tanh"}),
    ("DepthwiseConv1D", (7, 3), {"kernel_size": 3, "depth_multiplier": 2, "strides": 2}),
    ("DepthwiseConv2D", (7, 6, 3), {"kernel_size": (3, 2), "dilation_rate": 2, **SAME}),
    ("DepthwiseConv2D", (3, 7, 6), {"kernel_size": 3, "depth_multiplier": 2, **SAME, **FIRST}),
    ("SeparableConv1D", (7, 3), {"filters": 4, "kernel_size": 3, "depth_multiplier": 2, **SAME}),
    ("SeparableConv2D", (7, 6, 3), {"filters": 4, "kernel_size": 3, "strides": 2}),
    ("SeparableConv2D", (3, 7, 6), {"filters": 4, "kernel_size": 2, "use_bias": False, **FIRST}),
    *[
        (f"{kind}Pooling{len(shape) - 1}D", shape, arguments)
        for kind in ("Average", "Max")
        for shape, arguments in [
            ((7, 3), {"pool_size": 2}),
            ((7, 8, 3), {"pool_size": 2}),
            ((7, 8, 3), {"pool_size": (3, 2), "strides": (2, 1), **SAME}),
            ((3, 7, 8), {"pool_size": 2, "strides": 3, **SAME, **FIRST}),
            ((4, 5, 3, 2), {"pool_size": 2, **SAME}),
        ]
    ],
    *[
        (f"Global{kind}Pooling{len(shape) - 1}D", shape, arguments)
        for kind in ("Average", "Max")
        for shape, arguments in [
            ((5, 3), {}),
            ((3, 4, 3), {"keepdims": True}),
            ((3, 4, 3), FIRST),
            ((3, 2, 3, 4), {"keepdims": True, **FIRST}),
        ]
    ],
    ("CenterCrop", (5, 6, 2), {"height": 2, "width": 3}),
    ("Resizing", (2, 3, 4), {"height": 5, "width": 3, "antialias": True, **FIRST}),
    ("UpSampling1D", (3, 2), {"size": 3}),
    ("UpSampling2D", (3, 2, 2), {"size": (2, 3)}),
    ("UpSampling2D", (3, 4, 2), {"size": (2, 3), "interpolation": "bilinear"}),
    ("UpSampling2D", (2, 3, 1), {"interpolation": "bilinear", **FIRST}),
    ("UpSampling3D", (2, 2, 3, 1), {"size": (1, 2, 3), **FIRST}),
    ("ZeroPadding1D", (3, 2), {"padding": (1, 2)}),
    ("ZeroPadding2D", (3, 2, 2), {"padding": (1, 2), **FIRST}),
    ("ZeroPadding2D", (3, 2, 2), {"padding": MARGINS}),
    ("ZeroPadding3D", (3, 2, 2, 1), {}),
    ("Cropping1D", (5, 2), {"cropping": (2, 0)}),
    ("Cropping2D", (2, 5, 6), {"cropping": MARGINS, **FIRST}),
    ("Cropping3D", (5, 3, 6, 1), {"cropping": (1, 0, (0, 2))}),
]

EVERY_CASE = pytest.mark.parametrize(("name", "shape", "arguments"), CASES)
CLASSES = list(
    dict.fromkeys(cls for n in layers.__all__ if hasattr(cls := getattr(layers, n), "rank"))
)


def made(module, name, arguments):
    return getattr(module.layers, name)(**arguments, name="it", dtype="float64")


def test_every_layer_over_images_has_a_case():
    assert all(issubclass(cls, Spatial) for cls in CLASSES)
    assert {cls.__name__ for cls in CLASSES} == {name for name, *_ in CASES}


@pytest.mark.parametrize("case", part([*range(len(CASES))]))  # JAX compiles each for seconds
def test_output_and_gradients(case, monkeypatch):
    monkeypatch.setitem(dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")
    name, shape, arguments = CASES[case]
    generator = np.random.default_rng(case)
    ours, theirs = (made(module, name, arguments) for module in (nnlite, keras))
    ours.ensure_built((None, *shape))
    if not theirs.built:
        theirs.build((None, *shape))
    for weights in zip(ours.weights, theirs.weights, strict=True):
        assert len({(weight.name, tuple(weight.shape)) for weight in weights}) == 1
    ours.set_weights([generator.standard_normal(weight.shape) for weight in ours.weights])
    theirs.set_weights(ours.get_weights())
    x = generator.standard_normal((3, *shape))
    if "Max" in name:
        x = np.round(x)  # the gradient of equal entries
    weights = [variable.value for variable in theirs.trainable_variables]
    y, pullback = jax.vjp(lambda w, x: theirs.stateless_call(w, [], x)[0], weights, x)
    R = generator.standard_normal(y.shape)
    found = [ours.forward(x, training=True), ours.backward(R)]
    found += [weight.gradient for weight in ours.trainable_weights]
    of_weights, of_x = pullback(R)
    for one, other in zip(found, [y, of_x, *of_weights], strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-10 * max(1, abs(other).max()))


@EVERY_CASE
def test_shapes_and_configurations(name, shape, arguments):
    ours, theirs = (made(module, name, arguments) for module in (nnlite, keras))
    for unknown in range(len(shape) + 1):
        open_shape = (None, *(None if i + 1 == unknown else n for i, n in enumerate(shape)))
        if open_shape[1 if "data_format" in arguments else -1] is None and "Depth" in name:
            continue  # Keras cannot tell its number of channels
        expected = tuple(theirs.compute_output_shape(open_shape))
        assert ours.compute_output_shape(open_shape) == expected
    config = ours.get_config()
    assert plain(config) == plain(theirs.get_config())
    assert plain(type(ours).from_config(theirs.get_config()).get_config()) == plain(config)
    assert plain(type(theirs).from_config(config).get_config()) == plain(config)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_arguments_are_kerass_in_their_order(cls):
    theirs = inspect.signature(getattr(keras.layers, cls.__name__)).parameters
    ours = [name for name in cls._parameters() if name not in ("trainable", "dtype", "name")]
    wanted = [name for name in theirs if name not in ("kwargs", "name")]
    if cls is layers.Conv3DTranspose:  # Keras has these two the other way round in this one
        wanted[4:6] = wanted[5:3:-1]
    assert ours[: len(wanted)] == wanted
    assert set(ours) - set(wanted) <= {"activity_regularizer"}
    for name in wanted:
        default, own = theirs[name].default, cls._parameters()[name]
        if default is not inspect.Parameter.empty:
            flat = {n for pair in np.atleast_1d(default).tolist() for n in np.atleast_1d(pair)}
            assert flat == {own}  # (1, 1) is 1


def plain(config):
    """Return data as a file has it: lists for tuples."""
    if isinstance(config, dict):
        return {key: plain(value) for key, value in config.items()}
    return [plain(value) for value in config] if isinstance(config, (list, tuple)) else config


def over_images(k):
    """Return a model with each kind of layer that has weights or sizes in files."""
    same = {"padding": "same"}
    return k.Sequential(
        [
            k.layers.Input((8, 8, 2)),
            k.layers.Conv2D(4, 3, groups=2, activation="relu", **same),
            k.layers.MaxPooling2D(),
            k.layers.SeparableConv2D(3, 2, depth_multiplier=2, **same),
            k.layers.DepthwiseConv2D(2, activation="tanh"),
            k.layers.Conv2DTranspose(2, 3, strides=2, output_padding=1),
            k.layers.UpSampling2D(interpolation="bilinear"),
            k.layers.Cropping2D(((1, 2), (0, 1))),
            k.layers.ZeroPadding2D(1),
            k.layers.AveragePooling2D((2, 3)),
            k.layers.GlobalMaxPooling2D(keepdims=True),
            k.layers.Reshape((2, 1)),
            k.layers.ZeroPadding1D((2, 1)),
            k.layers.Conv1D(3, 2, padding="causal"),
            k.layers.Conv1DTranspose(2, 2, strides=2),
            k.layers.SeparableConv1D(2, 2, use_bias=False),
            k.layers.DepthwiseConv1D(2, bias_initializer="ones"),
            k.layers.GlobalAveragePooling1D(),
        ]
    )


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("kind", part(["keras", "h5", "weights.h5"]))
def test_files_both_ways(kind, tmp_path):
    x = np.random.default_rng(1).standard_normal((3, 8, 8, 2)).astype("float32")
    theirs = over_images(keras)
    expected = theirs.predict(x, verbose=0)
    if kind == "weights.h5":
        theirs.save_weights(tmp_path / f"theirs.{kind}")
        ours, again = over_images(nnlite), over_images(keras)
        ours.load_weights(tmp_path / f"theirs.{kind}")
        ours.save_weights(tmp_path / f"ours.{kind}")
        again.load_weights(tmp_path / f"ours.{kind}")
    else:
        theirs.save(tmp_path / f"theirs.{kind}")
        ours = nnlite.saving.load_model(tmp_path / f"theirs.{kind}")
        ours.save(tmp_path / f"ours.{kind}")
        again = keras.saving.load_model(tmp_path / f"ours.{kind}")
    np.testing.assert_allclose(ours.predict(x, verbose=0), expected, atol=1e-5)
    np.testing.assert_allclose(again.predict(x, verbose=0), expected, atol=1e-5)

"""Every layer against Keras's: output, gradients, state, shapes and configuration."""

import itertools
from inspect import signature

import jax
import keras
import numpy as np
import pytest
from keras.src.backend.common import dtypes

from nnlite import Sequential, layers
from nnlite.layers import activations, merging, recurrent
from nnlite.layers.preprocessing.encoding import Encoder


@pytest.fixture(autouse=True)
def _double_is_double(monkeypatch):
    """Keras on JAX computes means, roots and more of float64 in float32, unless told not to."""
    monkeypatch.setitem(dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")


pytestmark = pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`")

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE)

AXES = [-1, 1, 2, 3, [2], [1, 2], [-2, -1], [3, 1], (1, 2, 3)]
SHAPE = (3, 2, 4)


def pick(generator, values):
    return values[generator.integers(len(values))]


def some(generator, **choices):
    """Return a value for each name, at times leaving one out."""
    return {
        name: pick(generator, values)
        for name, values in choices.items()
        if generator.random() < 0.7
    }


def dims(generator):
    return tuple(int(size) for size in generator.integers(1, 5, generator.integers(1, 4)))


def batch_normalization(generator):
    arguments = some(
        generator,
        axis=[-1, 1, 2],
        momentum=[0.0, 0.5, 0.9],
        epsilon=[1e-5, 0.1],
        center=[True, False],
        scale=[True, False],
        beta_initializer=["ones"],
        gamma_initializer=["zeros"],
        beta_regularizer=["l2"],
        gamma_regularizer=["l1"],
        gamma_constraint=["non_neg"],
        trainable=[True, False],
    )
    return arguments, SHAPE


def layer_normalization(generator):
    arguments = some(
        generator,
        axis=AXES,
        epsilon=[1e-5, 0.1],
        center=[True, False],
        scale=[True, False],
        beta_initializer=["ones"],
        gamma_regularizer=["l1"],
        beta_constraint=["unit_norm"],
        rms_scaling=[True, False],
    )
    return arguments, SHAPE


def normalization(generator):
    arguments = {"axis": pick(generator, [None, *AXES]), "invert": bool(generator.integers(2))}
    if generator.random() < 0.5:
        arguments |= {"mean": 0.5, "variance": 2.0}
    elif generator.random() < 0.5:
        arguments |= {"axis": [1, 3], "mean": [1.0, 2, 3, 4], "variance": [1, 2.0, 3, 0]}
    return arguments, SHAPE


def dense(generator):
    arguments = some(
        generator,
        activation=["relu", "tanh", "sigmoid", "softmax", None],
        use_bias=[True, False],
        kernel_initializer=["zeros", "he_normal"],
        kernel_regularizer=["l2"],
        activity_regularizer=["l1"],
        bias_constraint=["non_neg"],
    )
    return {"units": int(generator.integers(1, 5)), **arguments}, dims(generator)


def noise(**arguments):
    return lambda generator: (
        some(generator, seed=[3], name=["noisy"]) | arguments,
        dims(generator),
    )


EINSUMS = [
    {"equation": "abc,cd->abd", "output_shape": (None, 2), "bias_axes": "d"},
    {"equation": "abc,cde->abde", "output_shape": (3, 2, 3), "bias_axes": "e"},
    {"equation": "abc,bcd->ad", "output_shape": 3},
    {"equation": "...x,xy->...y", "output_shape": 2, "bias_axes": "y"},
    {"equation": "ab...,bc->ac...", "output_shape": 2, "bias_axes": "c"},
]
RATIOS = [
    {},
    {"crop_to_aspect_ratio": True},
    {"pad_to_aspect_ratio": True, "fill_value": 2.0},
]

# For each layer, arguments and the shape of a sample, drawn at random.
CASES = {
    "Activation": lambda g: ({"activation": pick(g, ["relu", "tanh", "softmax", "elu"])}, dims(g)),
    "ActivityRegularization": lambda g: (some(g, l1=[0.1], l2=[0.2, 0.0]), dims(g)),
    "AlphaDropout": noise(rate=0.3),
    "BatchNormalization": batch_normalization,
    "Dense": dense,
    "Dropout": noise(rate=0.3, noise_shape=None),
    "ELU": lambda g: (some(g, alpha=[0.3, 1.5]), dims(g)),
    "Flatten": lambda g: (some(g, data_format=["channels_first", "channels_last"]), dims(g)),
    "CenterCrop": lambda g: (
        {"height": pick(g, [1, 2, 4]), "width": pick(g, [1, 2, 5])}
        | some(g, data_format=["channels_first"]),
        (4, 5, 4),
    ),
    "EinsumDense": lambda g: (
        pick(g, EINSUMS) | some(g, activation=["tanh"], kernel_regularizer=["l2"]),
        (3, 4),
    ),
    "GaussianDropout": noise(rate=0.3),
    "GaussianNoise": noise(stddev=0.3),
    "GroupNormalization": lambda g: (
        some(
            g,
            axis=[-1, 3, 1, -3],
            epsilon=[1e-5, 0.1],
            center=[True, False],
            scale=[True, False],
            gamma_regularizer=["l1"],
        )
        | {"groups": pick(g, [1, 2])},
        (4, 3, 4),
    ),
    "Identity": lambda g: ({}, dims(g)),
    "LayerNormalization": layer_normalization,
    "LeakyReLU": lambda g: (some(g, negative_slope=[0.0, 0.1, 1.5]), dims(g)),
    "Normalization": normalization,
    "PReLU": lambda g: (
        some(
            g,
            shared_axes=[None, 1, [2], [1, 3]],
            alpha_initializer=["ones"],
            alpha_regularizer=["l2"],
            alpha_constraint=["non_neg"],
        ),
        SHAPE,
    ),
    "Permute": lambda g: ({"dims": pick(g, [*itertools.permutations((1, 2, 3))])}, SHAPE),
    "RMSNormalization": lambda g: (
        some(g, axis=[-1, 3, [-1], [-2, -1], [2, 3]], epsilon=[1e-5, 0.1]),
        SHAPE,
    ),
    "ReLU": lambda g: (
        some(g, max_value=[1.0, None], negative_slope=[0.0, 0.2], threshold=[0.0, 0.3]),
        dims(g),
    ),
    "RepeatVector": lambda g: ({"n": int(g.integers(1, 5))}, (int(g.integers(1, 5)),)),
    "Rescaling": lambda g: (
        {"scale": pick(g, [0.5, 3, np.arange(4.0)]), **some(g, offset=[-1, np.ones((2, 1))])},
        SHAPE,
    ),
    "Reshape": lambda g: (
        {"target_shape": pick(g, [(24,), (-1,), (4, 6), (2, -1, 3)])},
        SHAPE,
    ),
    "Resizing": lambda g: (
        {"height": pick(g, [1, 3, 9]), "width": pick(g, [2, 7])}
        | pick(g, RATIOS)
        | some(g, interpolation=["nearest"], antialias=[True], data_format=["channels_first"]),
        (4, 5, 4),
    ),
    "Softmax": lambda g: (some(g, axis=[-1, 1, 2, (1, 3)]), SHAPE),
    "SpatialDropout1D": lambda g: ({"rate": 0.3}, (3, 4)),
    "SpatialDropout2D": lambda g: ({"rate": 0.3, "data_format": "channels_first"}, (3, 4, 2)),
    "SpatialDropout3D": lambda g: ({"rate": 0.3}, (3, 4, 2, 2)),
    "UnitNormalization": lambda g: (some(g, axis=AXES), SHAPE),
}

NOISY = {
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
}

# Keras's layers that are not here, and why.
CONVOLUTIONAL = """
    AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
    AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D
"""
RECURRENT_AND_ATTENDING = """
    ConvLSTM1D ConvLSTM2D ConvLSTM3D GroupQueryAttention
"""
OF_IMAGES_SOUND_AND_TEXT = """
    AugMix AutoContrast ContrastLimitedAdaptiveHistogramEqualization CutMix Equalization
    MaxNumBoundingBoxes MelSpectrogram MixUp RandAugment RandomBrightness RandomColorDegeneration
    RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip
    RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization
    RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom
    STFTSpectrogram Solarization
"""
OF_CATEGORIES = """
    HashedCrossing ReversibleEmbedding
"""  # they take words or numbers of classes, not dense tensors
WRAPPING_OTHER_CODE = """
    FlaxLayer JaxLayer Pipeline SpectralNormalization TFSMLayer TorchModuleWrapper Wrapper
"""  # a file that names such code is refused
BEYOND_A_CHAIN = "InputSpec"  # no layer
MISSING = " ".join(
    [
        CONVOLUTIONAL,
        RECURRENT_AND_ATTENDING,
        OF_IMAGES_SOUND_AND_TEXT,
        OF_CATEGORIES,
        WRAPPING_OTHER_CODE,
        BEYOND_A_CHAIN,
    ]
).split()

EVERY_LAYER = pytest.mark.parametrize("name", CASES)
SEEDS = pytest.mark.parametrize("seed", range(4))


def test_every_layer_of_keras_is_here_or_told_why_not():
    theirs = {name for name in dir(keras.layers) if name[0].isupper()}
    assert sorted(theirs - set(layers.__all__)) == sorted(MISSING)


def test_every_layer_here_has_a_case():
    elsewhere = {"Embedding", "Masking", *merging.__all__}  # test_keras_merging
    elsewhere |= {*recurrent.__all__}  # test_keras_recurrent
    elsewhere |= {"AdditiveAttention", "Attention", "MultiHeadAttention"}  # test_keras_attention
    elsewhere |= {"Lambda"}  # it has the derivative that it is given
    elsewhere |= {n for n in layers.__all__ if hasattr(getattr(layers, n), "rank")}  # _images
    tables = [one for one in layers.__all__ if isinstance(getattr(layers, one), type)]
    elsewhere |= {one for one in tables if issubclass(getattr(layers, one), Encoder)}
    untested = set(layers.__all__) - set(CASES) - {"Input", "InputLayer", "Layer"} - elsewhere
    own = {name for name in untested if name[0].isupper() and not hasattr(keras.layers, name)}
    assert untested - own == {"deserialize", "serialize"}
    assert own <= set(activations.__all__)  # Keras has them as functions only


# ---- helpers ------------------------------------------------------------------------------------


def pair(name, seed, dtype, built=True):
    """Return a layer of ours and Keras's of the same arguments and weights, and a batch."""
    generator = np.random.default_rng([seed, len(name)])
    arguments, shape = CASES[name](generator)
    ours = getattr(layers, name)(**{"name": "it", **arguments}, dtype=dtype)
    theirs = getattr(keras.layers, name)(**{"name": "it", **arguments}, dtype=dtype)
    if built:
        ours.ensure_built((None, *shape))
        if not theirs.built:
            theirs.build((None, *shape))
        weights = []
        for weight in ours.weights:
            value = generator.standard_normal(weight.shape)
            weights.append(np.abs(value) if weight.name.endswith("variance") else value)
        ours.set_weights(weights)
        theirs.set_weights(ours.get_weights())
        if name == "Normalization":
            theirs.finalize_state()
    return ours, theirs, generator.standard_normal((5, *shape)).astype(dtype), generator


def close(ours, theirs, dtype):
    theirs = np.asarray(theirs)
    assert ours.dtype == theirs.dtype
    scale = max(1, np.abs(theirs).max(initial=0))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE[dtype] * scale)


def in_keras(layer, x, training):
    """Return the output of Keras's layer as a function of its trainable weights and x."""
    fixed = [variable.value for variable in layer.non_trainable_variables]

    options = {"training": training} if "training" in signature(layer.call).parameters else {}

    def run(trainable, x):
        return layer.stateless_call(trainable, fixed, x, **options)

    return run, [variable.value for variable in layer.trainable_variables]


# ---- numbers ------------------------------------------------------------------------------------


@DTYPES
@SEEDS
@EVERY_LAYER
def test_outputs_gradients_and_state(name, seed, dtype):
    ours, theirs, x, generator = pair(name, seed, dtype)
    assert [weight.name for weight in ours.weights] == [weight.name for weight in theirs.weights]
    assert [weight.shape for weight in ours.weights] == [weight.shape for weight in theirs.weights]
    learning = [weight.name for weight in theirs.trainable_weights]
    assert [weight.name for weight in ours.trainable_weights] == learning
    run, weights = in_keras(theirs, x, training=False)
    close(ours(x), run(weights, x)[0], dtype)
    if name in NOISY:
        return
    run, weights = in_keras(theirs, x, training=True)
    y, pullback, state = jax.vjp(run, weights, x, has_aux=True)
    close(ours.forward(x, training=True), y, dtype)
    ours.settle()
    R = generator.standard_normal(y.shape).astype(dtype)
    of_weights, of_x = pullback(R)
    close(ours.backward(R), of_x, dtype)
    for weight, wanted in zip(ours.trainable_weights, of_weights, strict=True):
        close(weight.gradient, wanted, dtype)
    for weight, wanted in zip(ours.non_trainable_weights, state, strict=True):
        if weight.name != "count":
            close(weight.value, wanted, dtype)


@pytest.mark.parametrize("name", sorted(NOISY))
def test_noise_is_of_the_same_kind(name):
    _, shape = CASES[name](np.random.default_rng(0))
    for amount in (0.1, 0.4):
        arguments = {"stddev" if name == "GaussianNoise" else "rate": amount}
        x = np.full((4000, *shape), 1.5, "float32")
        ours = getattr(layers, name)(**arguments, seed=5)(x, training=True)
        theirs = np.asarray(getattr(keras.layers, name)(**arguments, seed=5)(x, training=True))
        count = 4000 * (2 if "Spatial" in name else 1)  # independent draws, at least
        spread = theirs.std()
        assert abs(ours.mean() - theirs.mean()) < 6 * spread / np.sqrt(count)
        assert abs(ours.std() - spread) < 6 * spread / np.sqrt(count)
        if "Gaussian" in name:
            for q in (0.01, 0.1, 0.5, 0.9, 0.99):
                apart = np.quantile(ours, q) - np.quantile(theirs, q)
                assert abs(apart) < 8 * spread / np.sqrt(count)
        else:
            np.testing.assert_allclose(np.unique(ours), np.unique(theirs), rtol=1e-4, atol=1e-5)
        if "Spatial" in name:
            others = tuple(range(1, x.ndim - 1))
            assert (np.ptp(ours, axis=others) == 0).all()
            assert (np.ptp(theirs, axis=others) == 0).all()


@DTYPES
@pytest.mark.parametrize(
    "make",
    [lambda m: m.Dense(3, activity_regularizer="l2"), lambda m: m.ActivityRegularization(0.1, 0.2)],
)
def test_penalties_on_activity_are_averaged_over_the_batch(make, dtype):
    x = np.random.default_rng(1).standard_normal((5, 4)).astype(dtype)
    ours, theirs = make(layers), make(keras.layers)
    ours, theirs = (
        type(one).from_config({**one.get_config(), "dtype": dtype}) for one in (ours, theirs)
    )
    theirs.build((None, 4))
    model = Sequential([ours])
    model.build((None, 4))
    ours.set_weights([np.asarray(weight.value) for weight in theirs.weights])
    theirs(x)
    close(np.array(model.activity_penalty(x), dtype), theirs.losses[0], dtype)


@DTYPES
@pytest.mark.parametrize("axis", [None, *AXES])
def test_adapt_measures_what_keras_measures(axis, dtype):
    generator = np.random.default_rng(2)
    data = 3 + 2 * generator.standard_normal((40, *SHAPE)).astype(dtype)
    ours, theirs = (m.Normalization(axis, dtype=dtype) for m in (layers, keras.layers))
    theirs.adapt(data)
    for given in (data, [data[:7], data[7:9], data[9:]], ((part, 0) for part in np.split(data, 4))):
        ours.adapt(given)
        for one, other in zip(ours.weights[:2], theirs.weights[:2], strict=True):
            close(one.value, other.value, dtype)
        close(ours(data), theirs(data), dtype)
        close(ours.mean, theirs.mean, dtype)
        close(ours.variance, theirs.variance, dtype)


# ---- shapes and configurations ------------------------------------------------------------------


@SEEDS
@EVERY_LAYER
def test_output_shapes(name, seed):
    ours, theirs, x, _ = pair(name, seed, "float32")
    full = (None, *x.shape[1:])
    if name == "EinsumDense":  # Keras leaves open what the input alone tells
        told = zip(ours.compute_output_shape(full), theirs.compute_output_shape(full), strict=True)
        assert all(other in (None, one) for one, other in told)
        return
    assert ours.compute_output_shape(full) == tuple(theirs.compute_output_shape(full))
    ours, theirs, x, _ = pair(name, seed, "float32", built=False)
    for unknown in range(1, x.ndim):
        shape = (None, *(None if axis == unknown else x.shape[axis] for axis in range(1, x.ndim)))
        assert ours.compute_output_shape(shape) == tuple(theirs.compute_output_shape(shape))


@SEEDS
@EVERY_LAYER
def test_configurations_are_the_same_data(name, seed):
    ours, theirs, _, _ = pair(name, seed, "float64", built=False)
    config = ours.get_config()
    assert plain(config) == plain(theirs.get_config())
    assert type(ours).from_config(config).get_config() == config
    assert plain(type(ours).from_config(theirs.get_config()).get_config()) == plain(config)
    assert plain(type(theirs).from_config(config).get_config()) == plain(config)


@pytest.mark.parametrize(
    "arguments",
    [
        {"shape": (3,)},
        {"shape": (3, None), "batch_size": 2, "name": "x"},
        {"batch_shape": (None, 4), "dtype": "float64"},
        {"shape": (3,), "dtype": "uint8"},
        {"shape": (3,), "sparse": False, "ragged": False, "optional": False},
    ],
)
def test_inputs_are_the_same_data(arguments):
    arguments = {"name": "it", **arguments}
    ours, theirs = layers.InputLayer(**arguments), keras.layers.InputLayer(**arguments)
    assert ours.get_config() == theirs.get_config()
    assert layers.InputLayer.from_config(theirs.get_config()).get_config() == ours.get_config()
    assert keras.layers.InputLayer.from_config(ours.get_config()).get_config() == ours.get_config()


def plain(config):
    """Return data as a file has it: lists for tuples."""
    if isinstance(config, dict):
        return {key: plain(value) for key, value in config.items()}
    return [plain(value) for value in config] if isinstance(config, (list, tuple)) else config

"""What the gradient tests draw from: arrays, and for each public layer its arguments."""

import numpy as np
from hypothesis import strategies as st

from nnlite.layers import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    Activation,
    ActivityRegularization,
    AlphaDropout,
    BatchNormalization,
    CenterCrop,
    Dense,
    Dropout,
    EinsumDense,
    Exponential,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    GroupNormalization,
    HardShrink,
    HardSigmoid,
    HardSiLU,
    HardTanh,
    Identity,
    InputLayer,
    LayerNormalization,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Masking,
    Mish,
    Normalization,
    Permute,
    PReLU,
    ReLU,
    RepeatVector,
    Rescaling,
    Reshape,
    Resizing,
    RMSNormalization,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    SoftShrink,
    Softsign,
    Sparsemax,
    SparsePlus,
    SparseSigmoid,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
    Squareplus,
    Tanh,
    TanhShrink,
    Threshold,
    UnitNormalization,
    activations,
)

from .image_strategies import IMAGES

# One name for each activation that can be made by name, and takes an axis of any size.
_MAKERS = {name: activations.registry.lookup(name) for name in sorted(activations.registry)}
NAMES = sorted(
    {
        (getattr(make, "func", make), *getattr(make, "keywords", {}).items()): name
        for name, make in _MAKERS.items()
        if getattr(make, "func", make) not in (GLU, Threshold)
    }.values()
)

sizes = st.integers(1, 4)
sample_shapes = st.lists(sizes, min_size=1, max_size=3).map(tuple)
generators = st.integers(0, 2**32 - 1).map(np.random.default_rng)
sample_axes = st.sampled_from([-1, 1, 2, [1], [2, -1], [3, 1], [-3, -2, -1]])
DTYPES = st.sampled_from(["float32", "float64"])

KINDS = {
    "ordinary": lambda g, shape: g.standard_normal(shape),
    "saturated": lambda g, shape: g.uniform(-1, 1, shape) * 10 ** g.uniform(0, 3, shape),
    "tiny": lambda g, shape: 1e-30 * g.standard_normal(shape),
    "at kinks": lambda g, shape: g.choice([-1.0, -0.5, 0.0, 0.5, 1.0], shape),
}
kinds = st.sampled_from(list(KINDS))


def values(generator, shape, kind="ordinary"):
    return KINDS[kind](generator, shape)


def inputs(layer, generator, shape, kind="ordinary"):
    """Return values for a layer; the exponential of many would be beyond the largest number."""
    x = values(generator, shape, kind)
    last = getattr(layer, "activation", layer)
    return np.clip(x, -10, 10) if isinstance(last, Exponential) else x


activation_names = st.none() | st.sampled_from([name for name in NAMES if name != "exponential"])

_one_axis = st.one_of(
    st.tuples(st.just({}), sample_shapes),
    st.tuples(st.sampled_from([1, 2, -2]).map(lambda axis: {"axis": axis}), st.just((3, 2))),
)
_thresholds = st.tuples(
    st.sampled_from([0.25, 0.5, 1.0]).map(lambda threshold: {"threshold": threshold}), sample_shapes
)

EINSUMS = [
    {"equation": equation, "output_shape": shape, "bias_axes": bias, "activation": activation}
    for equation, shape, bias, activation in (
        ("abc,cd->abd", (None, 2), "d", "tanh"),
        ("abc,cde->abde", (2, 2, 3), "de", None),
        ("abc,bcd->abd", (None, 2), "bd", None),
        ("abc,bcd->ad", 3, None, None),
        ("abc,bd->ad", 2, "d", None),
        ("...a,ab->...b", 2, "b", None),
        ("ab...,bc->ac...", 3, "c", None),
        ("abc,cd->abd", (2, 1), "b", None),
    )
]

# The arguments of each public layer, and the shape of a sample of its input.
LAYERS = {
    **IMAGES,
    **dict.fromkeys(
        [
            Exponential,
            HardSiLU,
            HardSigmoid,
            HardTanh,
            LogSigmoid,
            Mish,
            SELU,
            SiLU,
            Softplus,
            Softsign,
            SparsePlus,
            SparseSigmoid,
            TanhShrink,
        ],
        st.tuples(st.just({}), sample_shapes),
    ),
    CELU: st.tuples(
        st.sampled_from([0.25, 1.0, 2.0]).map(lambda alpha: {"alpha": alpha}), sample_shapes
    ),
    ELU: st.tuples(
        st.sampled_from([0.0, 0.5, 2.0]).map(lambda alpha: {"alpha": alpha}), sample_shapes
    ),
    GELU: st.tuples(
        st.booleans().map(lambda approximate: {"approximate": approximate}), sample_shapes
    ),
    GLU: st.sampled_from(
        [({}, (4,)), ({}, (3, 2)), ({"axis": 1}, (2, 3)), ({"axis": -2}, (6, 1)), ({}, (1, 2, 2))]
    ),
    HardShrink: _thresholds,
    LogSoftmax: _one_axis,
    SoftShrink: _thresholds,
    Sparsemax: _one_axis,
    Squareplus: st.tuples(st.sampled_from([0, 0.5, 4]).map(lambda b: {"b": b}), sample_shapes),
    Threshold: st.tuples(
        st.fixed_dictionaries(
            {
                "threshold": st.sampled_from([-0.5, 0.0, 0.5]),
                "default_value": st.sampled_from([-2.0, 0.0, 3.0]),
            }
        ),
        sample_shapes,
    ),
    Activation: st.tuples(st.fixed_dictionaries({"activation": activation_names}), sample_shapes),
    ActivityRegularization: st.tuples(st.just({"l1": 0.1, "l2": 0.2}), sample_shapes),
    AlphaDropout: st.one_of(
        st.tuples(st.fixed_dictionaries({"rate": st.sampled_from([0, 0.3, 0.9])}), sample_shapes),
        st.just(({"rate": 0.5, "noise_shape": (None, 1, 2)}, (3, 2))),
    ),
    BatchNormalization: st.one_of(
        st.tuples(
            st.fixed_dictionaries(
                {"center": st.booleans(), "scale": st.booleans()},
                optional={"epsilon": st.sampled_from([1e-5, 0.5]), "trainable": st.just(False)},
            ),
            sample_shapes,
        ),
        st.tuples(st.sampled_from([1, 2, -2]).map(lambda axis: {"axis": axis}), st.just((3, 2))),
    ),
    Dense: st.tuples(
        st.fixed_dictionaries(
            {"units": sizes, "activation": activation_names, "use_bias": st.booleans()}
        )
        | st.just({"units": 4, "activation": "glu", "use_bias": True}),
        sample_shapes,
    ),
    # Axes that are kept, shared with the kernel, summed away, and made.
    EinsumDense: st.tuples(
        st.sampled_from(EINSUMS),
        st.just((2, 3)),
    ),
    GroupNormalization: st.tuples(
        st.fixed_dictionaries(
            {
                "groups": st.sampled_from([-1, 1, 2]),
                "axis": st.sampled_from([-1, 1, 2, -2]),
                "center": st.booleans(),
                "scale": st.booleans(),
            },
            optional={"epsilon": st.sampled_from([1e-5, 0.5]), "trainable": st.just(False)},
        ),
        st.just((2, 4, 2)),
    ),
    **dict.fromkeys(
        [Resizing, CenterCrop],
        st.tuples(st.fixed_dictionaries({"height": sizes, "width": sizes}), st.just((2, 3, 2))),
    ),
    Dropout: st.one_of(
        st.tuples(
            st.fixed_dictionaries({"rate": st.sampled_from([0, 0.3, 0.9, 1])}), sample_shapes
        ),
        st.tuples(
            st.sampled_from([(None, 1, None), (1, None, 1), (None, 3, 2), (3, 1), (2,)]).map(
                lambda shape: {"rate": 0.5, "noise_shape": shape}
            ),
            st.just((3, 2)),
        ),
    ),
    Flatten: st.tuples(
        st.sampled_from([None, "channels_last", "channels_first"]).map(
            lambda order: {"data_format": order}
        ),
        sample_shapes,
    ),
    GaussianDropout: st.tuples(
        st.fixed_dictionaries({"rate": st.sampled_from([0, 0.3, 0.9])}), sample_shapes
    ),
    GaussianNoise: st.tuples(
        st.fixed_dictionaries({"stddev": st.sampled_from([0, 0.3, 2.0])}), sample_shapes
    ),
    Identity: st.tuples(st.just({}), sample_shapes),
    InputLayer: sample_shapes.map(lambda shape: ({"shape": shape}, shape)),
    LeakyReLU: st.tuples(
        st.sampled_from([0.0, 0.3, 1.5]).map(lambda slope: {"negative_slope": slope}), sample_shapes
    ),
    ReLU: st.tuples(
        st.fixed_dictionaries(
            {},
            optional={
                "max_value": st.sampled_from([None, 0.5, 6.0]),
                "negative_slope": st.sampled_from([0.0, 0.2, 1.5]),
                "threshold": st.sampled_from([0.0, 0.5, 1.0]),
            },
        ),
        sample_shapes,
    ),
    LayerNormalization: st.tuples(
        st.fixed_dictionaries(
            {"center": st.booleans(), "scale": st.booleans(), "axis": sample_axes},
            optional={
                "epsilon": st.sampled_from([1e-5, 0.5]),
                "trainable": st.just(False),
                "rms_scaling": st.just(True),
            },
        ),
        st.just((3, 2, 2)),
    ),
    # By 0 a step has the slope 1 as it leaves the value, and the gradient 0 there: as in Keras.
    Masking: st.just(({"mask_value": 0.5}, (3, 2))),
    Normalization: st.tuples(
        st.fixed_dictionaries(
            {"axis": st.none() | sample_axes, "invert": st.booleans()},
            optional={"mean": st.just(2.0), "variance": st.just(3.0)},
        ).filter(lambda arguments: len(arguments) != 3),
        st.just((3, 2, 2)),
    ),
    PReLU: st.tuples(
        st.fixed_dictionaries({"shared_axes": st.sampled_from([None, 1, [2], [1, 3]])}),
        st.just((3, 2, 2)),
    ),
    Permute: st.permutations([1, 2, 3]).map(lambda dims: ({"dims": dims}, (2, 3, 4))),
    RMSNormalization: st.tuples(
        st.fixed_dictionaries({"axis": sample_axes, "epsilon": st.sampled_from([1e-6, 0.5])}),
        st.just((3, 2, 2)),
    ),
    RepeatVector: st.tuples(sizes.map(lambda n: {"n": n}), sizes.map(lambda size: (size,))),
    Rescaling: st.tuples(
        st.fixed_dictionaries(
            {"scale": st.sampled_from([0.5, -2, [1.0, 3.0], np.full((3, 1), 7)])},
            optional={"offset": st.sampled_from([0.5, -2, [1.0, 3.0], np.ones((3, 2))])},
        ),
        st.just((3, 2)),
    ),
    Reshape: st.sampled_from([(12,), (3, 4), (-1,), (2, None, 2), (3, -1, 4)]).map(
        lambda shape: ({"target_shape": shape}, (2, 6))
    ),
    Sigmoid: st.tuples(st.just({}), sample_shapes),
    Softmax: st.one_of(
        st.tuples(st.just({}), sample_shapes),
        st.tuples(
            st.sampled_from([1, 2, -2, (1, 2)]).map(lambda axis: {"axis": axis}), st.just((3, 2))
        ),
    ),
    SpatialDropout1D: st.just(({"rate": 0.5}, (3, 2))),
    SpatialDropout2D: st.sampled_from(["channels_first", "channels_last"]).map(
        lambda order: ({"rate": 0.5, "data_format": order}, (2, 3, 2))
    ),
    SpatialDropout3D: st.sampled_from(["channels_first", "channels_last"]).map(
        lambda order: ({"rate": 0.5, "data_format": order}, (2, 3, 1, 2))
    ),
    Tanh: st.tuples(st.just({}), sample_shapes),
    UnitNormalization: st.tuples(st.fixed_dictionaries({"axis": sample_axes}), st.just((3, 2, 2))),
}

# Those that draw at random in training, with the argument that says how much.
NOISE = {
    AlphaDropout: "rate",
    Dropout: "rate",
    GaussianDropout: "rate",
    GaussianNoise: "stddev",
    SpatialDropout1D: "rate",
    SpatialDropout2D: "rate",
    SpatialDropout3D: "rate",
}


def build(layer, shape, generator):
    """Build ``layer`` and give it weights at random, the bias too; no variance is negative."""
    layer.ensure_built((None, *shape))
    for weight in layer.weights:
        value = generator.standard_normal(weight.shape)
        weight.assign(np.abs(value) if weight.name.endswith("variance") else value)
    return layer

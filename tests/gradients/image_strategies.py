"""What the gradient tests draw from for layers over images and sequences."""

from hypothesis import strategies as st
from samples import part

from nnlite import layers

ORDERS = st.sampled_from(["channels_last", "channels_first"])
PADDINGS = ("valid", "same")


def in_order(order, sizes, channels):
    """Return the shape of a sample."""
    return (channels, *sizes) if order == "channels_first" else (*sizes, channels)


@st.composite
def convolutions(draw, cls):
    """Return arguments and the shape of a sample, no smaller than a window."""
    rank = cls.rank
    each = lambda most: draw(st.tuples(*[st.integers(1, most)] * rank))  # noqa: E731
    kernel, order = each(3), draw(ORDERS)
    ones = (1,) * rank
    choices = [(each(3), ones), (ones, each(2))]
    choices += [(each(2), each(2))] if cls in BY_CHANNEL else []
    strides, dilation = draw(st.sampled_from(choices))
    more = draw(st.tuples(*[st.integers(0, 3)] * rank))
    sizes = [d * (k - 1) + 1 + n for k, d, n in zip(kernel, dilation, more, strict=True)]
    arguments = {
        "kernel_size": kernel,
        "strides": strides,
        "dilation_rate": dilation,
        "data_format": order,
        "padding": draw(st.sampled_from(cls.paddings)),
        "use_bias": draw(st.booleans()),
        "activation": draw(st.sampled_from([None, "tanh"])),
    }
    channels = draw(st.sampled_from([1, 2, 8]))
    if cls in FILTERING:
        arguments["filters"] = draw(st.sampled_from([2, 4]))
    if cls in CONVOLUTIONS:
        arguments["groups"] = draw(st.sampled_from([1, min(channels, 2)]))
    if cls in TRANSPOSED:
        longer = st.tuples(*[st.integers(0, stride - 1) for stride in strides])
        arguments["output_padding"] = draw(st.none() | longer)
    if cls in BY_CHANNEL:
        arguments["depth_multiplier"] = draw(st.integers(1, 2))
    return arguments, in_order(order, sizes, channels)


@st.composite
def poolings(draw, cls):
    pool = draw(st.tuples(*[st.integers(1, 3)] * cls.rank))
    order = draw(ORDERS)
    arguments = {
        "pool_size": pool,
        "strides": draw(st.none() | st.tuples(*[st.integers(1, 4)] * cls.rank)),
        "padding": draw(st.sampled_from(PADDINGS)),
        "data_format": order,
    }
    sizes = [size + draw(st.integers(0, 3)) for size in pool]
    return arguments, in_order(order, sizes, draw(st.integers(1, 2)))


@st.composite
def global_poolings(draw, cls):
    order = draw(ORDERS)
    sizes = draw(st.tuples(*[st.integers(1, 3)] * cls.rank))
    return {"data_format": order, "keepdims": draw(st.booleans())}, in_order(order, sizes, 2)


@st.composite
def resizings(draw, cls, name):
    """Return arguments of a layer that changes sizes by margins or factors."""
    arguments, order = {}, "channels_last"
    if cls not in (layers.Cropping1D, layers.UpSampling1D):
        arguments["data_format"] = order = draw(ORDERS)
    if name == "size":
        arguments[name] = draw(st.tuples(*[st.integers(1, 3)] * cls.rank))
        if cls.rank == 1:
            (arguments[name],) = arguments[name]
        if cls.rank == 2:
            arguments["interpolation"] = draw(st.sampled_from(["nearest", "bilinear"]))
    else:
        pairs = draw(st.tuples(*[st.tuples(*[st.integers(0, 2)] * 2)] * cls.rank))
        arguments[name] = pairs[0] if cls.rank == 1 else pairs
    least = 5 if name == "cropping" else 1
    sizes = draw(st.tuples(*[st.integers(least, least + 1)] * cls.rank))
    return arguments, in_order(order, sizes, 2)


def named(*names):
    return [getattr(layers, f"{name}{n}D") for name in names for n in (1, 2, 3)]


CONVOLUTIONS = named("Conv")
TRANSPOSED = [getattr(layers, f"Conv{n}DTranspose") for n in (1, 2, 3)]
SEPARABLE = [layers.SeparableConv1D, layers.SeparableConv2D]
BY_CHANNEL = [layers.DepthwiseConv1D, layers.DepthwiseConv2D, *SEPARABLE]
FILTERING = CONVOLUTIONS + TRANSPOSED + SEPARABLE
POOLINGS = named("AveragePooling", "MaxPooling")
GLOBAL = named("GlobalAveragePooling", "GlobalMaxPooling")
RESIZING = {
    **dict.fromkeys(named("ZeroPadding"), "padding"),
    **dict.fromkeys(named("Cropping"), "cropping"),
    **dict.fromkeys(named("UpSampling"), "size"),
}

IMAGES = {
    **{cls: convolutions(cls) for cls in {**dict.fromkeys(FILTERING + BY_CHANNEL)}},
    **{cls: poolings(cls) for cls in POOLINGS},
    **{cls: global_poolings(cls) for cls in GLOBAL},
    **{cls: resizings(cls, name) for cls, name in RESIZING.items()},
}

_OF_KERNELS = {"kernel_size": 2, "padding": "same"}
_SIZES = {1: (6,), 2: (6, 5), 3: (3, 4, 3)}

# One case of each: arguments and the shape of a sample.
FIXED_IMAGES = {
    **{cls: ({}, (*_SIZES[cls.rank], 2)) for cls in IMAGES},
    **{cls: (_OF_KERNELS, (*_SIZES[cls.rank], 2)) for cls in BY_CHANNEL},
    **{cls: ({**_OF_KERNELS, "filters": 4}, (*_SIZES[cls.rank], 2)) for cls in FILTERING},
}


def tried(classes):
    """Return the classes without some of those over one or three axes, whose code is the same."""
    alike = [cls for cls in classes if getattr(cls, "rank", 2) != 2]
    left_out = {*alike} - {*part(alike)}
    return [cls for cls in classes if cls not in left_out]

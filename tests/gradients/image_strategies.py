"""What the gradient tests draw from for layers over images and sequences."""

from hypothesis import strategies as st

from nnlite import layers

ORDERS = st.sampled_from(["channels_last", "channels_first"])
PADDINGS = ("valid", "same")


def in_order(order, sizes, channels):
    """Return the shape of a sample."""
    return (channels, *sizes) if order == "channels_first" else (*sizes, channels)


@st.composite
def convolutions(draw, cls, filters=True, both=False):
    """Return arguments and the shape of a sample, no smaller than a window."""
    rank = cls.rank
    each = lambda most: draw(st.tuples(*[st.integers(1, most)] * rank))  # noqa: E731
    kernel, order = each(3), draw(ORDERS)
    strides, dilation = draw(st.sampled_from([(each(3), 1), (1, each(2))]))
    if both:
        strides, dilation = each(2), each(2)
    spread = dilation if isinstance(dilation, tuple) else (1,) * rank
    sizes = [d * (k - 1) + 1 + draw(st.integers(0, 3)) for k, d in zip(kernel, spread, strict=True)]
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
    if filters:
        arguments["filters"] = draw(st.sampled_from([2, 4]))
    if issubclass(cls, layers.Conv1D | layers.Conv2D):
        arguments["groups"] = draw(st.sampled_from([1, channels if channels < 8 else 2]))
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


CONVOLUTIONS = [layers.Conv1D, layers.Conv2D, layers.Conv3D]
POOLINGS = [vars(layers)[f"{kind}Pooling{n}D"] for kind in ("Average", "Max") for n in (1, 2, 3)]

IMAGES = {
    **{cls: convolutions(cls) for cls in CONVOLUTIONS},
    **{cls: poolings(cls) for cls in POOLINGS},
}

_SIZES = {1: (6,), 2: (6, 5), 3: (3, 4, 3)}

# One case of each: arguments and the shape of a sample.
FIXED_IMAGES = {
    **{
        cls: (
            {"filters": 4, "kernel_size": 2, "padding": "same"},
            (*_SIZES[cls.rank], 2),
        )
        for cls in CONVOLUTIONS
    },
    **{cls: ({"pool_size": 2}, (*_SIZES[cls.rank], 2)) for cls in POOLINGS},
}

"""Layers over images and sequences: known values, sums by definition, and what they refuse."""

import numpy as np
import pytest

from nnlite import Input, Model, Sequential, layers
from nnlite.backend import convolution

RNG = np.random.default_rng(4)


def there_and_back(layer, x, gradient):
    return layer.forward(np.asarray(x, float), training=True), layer.backward(np.asarray(gradient))


def steps(values):
    """Return a sequence of one channel."""
    return np.array(values, float)[None, :, None]


# ---- convolutions -------------------------------------------------------------------------------


def by_definition(x, kernel, strides, dilation, before, counts):
    """Return a convolution of x, (rows, columns, channels), as its formula has it."""
    y = np.zeros((*counts, kernel.shape[-1]))
    for p in np.ndindex(*counts):
        for k in np.ndindex(*kernel.shape[:2]):
            axes = zip(p, strides, k, dilation, before, strict=True)
            at = [i * stride + j * apart - start for i, stride, j, apart, start in axes]
            if all(0 <= i < n for i, n in zip(at, x.shape, strict=False)):
                y[p] += x[tuple(at)] @ kernel[k]
    return y


# Strides, dilation, padding; zeros before the first row and column, and the number of windows of
# (2, 3) entries in (6, 5): of "same" the output has a window for each stride, and where the zeros
# around are odd in number, one more of them at the end.
GEOMETRY = [
    ((1, 1), (1, 1), "valid", (0, 0), (5, 3)),
    ((1, 1), (1, 1), "same", (0, 1), (6, 5)),
    ((2, 3), (1, 1), "valid", (0, 0), (3, 1)),
    ((2, 3), (1, 1), "same", (0, 0), (3, 2)),
    ((1, 1), (3, 2), "valid", (0, 0), (3, 1)),
    ((1, 1), (3, 2), "same", (1, 2), (6, 5)),
]


@pytest.mark.parametrize(("strides", "dilation", "padding", "before", "counts"), GEOMETRY)
@pytest.mark.parametrize("channels", [2, 9])
def test_a_convolution_is_what_its_formula_says(
    strides, dilation, padding, before, counts, channels, monkeypatch
):
    layer = layers.Conv2D(4, (2, 3), strides, padding, None, dilation, groups=1, dtype="float64")
    x = RNG.standard_normal((3, 6, 5, channels))
    layer.ensure_built((None, 6, 5, channels))
    layer.bias.assign([1, 2, 3, 4])
    kernel, y = layer.kernel.value, layer(x)
    expected = [by_definition(one, kernel, strides, dilation, before, counts) for one in x]
    expected = np.add(expected, [1, 2, 3, 4])
    np.testing.assert_allclose(y, expected, atol=1e-12)
    monkeypatch.setattr(convolution, "BUDGET", 1)  # a sample at a time
    np.testing.assert_allclose(layer(x), expected, atol=1e-12)


@pytest.mark.parametrize("order", ["channels_last", "channels_first"])
def test_a_convolution_by_channel_is_one_of_as_many_groups_as_channels(order):
    same = {"padding": "same", "strides": 2, "data_format": order, "dtype": "float64"}
    shape = (5, 4, 3) if order == "channels_last" else (3, 5, 4)
    by_channel = layers.DepthwiseConv2D((2, 3), depth_multiplier=2, **same)
    grouped = layers.Conv2D(6, (2, 3), groups=3, **same)
    for layer in (by_channel, grouped):
        layer.ensure_built((None, *shape))
        layer.bias.assign(np.arange(6.0))
    grouped.kernel.assign(by_channel.kernel.value.reshape(2, 3, 1, 6))
    x = RNG.standard_normal((4, *shape))
    R = RNG.standard_normal(grouped(x).shape)
    found, expected = [there_and_back(layer, x, R) for layer in (by_channel, grouped)]
    np.testing.assert_allclose(found[0], expected[0], atol=1e-12)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-12)
    kernel = by_channel.kernel.gradient.reshape(2, 3, 1, 6)
    np.testing.assert_allclose(kernel, grouped.kernel.gradient, atol=1e-12)
    np.testing.assert_allclose(by_channel.bias.gradient, grouped.bias.gradient, atol=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda **more: layers.Conv2D(4, 2, padding="same", **more),
        lambda **more: layers.Conv2D(4, 2, groups=2, **more),
        lambda **more: layers.Conv2D(4, 3, 2, padding="same", **more),
        lambda **more: layers.Conv2D(4, 2, dilation_rate=2, padding="same", **more),
        lambda **more: layers.Conv2DTranspose(4, 3, 2, **more),
        lambda **more: layers.Conv2DTranspose(4, 3, 2, padding="same", **more),
        lambda **more: layers.DepthwiseConv2D(2, depth_multiplier=2, **more),
        lambda **more: layers.SeparableConv2D(4, 2, **more),
        lambda **more: layers.MaxPooling2D(2, 1, **more),
        lambda **more: layers.AveragePooling2D(2, 1, "same", **more),
        lambda **more: layers.UpSampling2D(2, interpolation="bilinear", **more),
    ],
)
@pytest.mark.parametrize("budget", [3 * 300, 1])  # parts of different sizes; rows of windows
def test_neither_parts_nor_the_order_of_axes_change_a_number(make, budget, monkeypatch):
    x = RNG.standard_normal((5, 4, 6, 2))
    last, first = (make(dtype="float64", data_format=f"channels_{at}") for at in ("last", "first"))
    y = last.forward(x, True) if last.built else last(x, training=True)
    R = RNG.standard_normal(y.shape)
    expected = [y, last.backward(R), *(weight.gradient.copy() for weight in last.weights)]
    turned = np.moveaxis(x, -1, 1).copy()
    first.ensure_built((None, *turned.shape[1:]))
    first.set_weights(last.get_weights())
    monkeypatch.setattr(convolution, "BUDGET", budget)
    for layer, array, back in [(last, x, R), (first, turned, np.moveaxis(R, -1, 1).copy())]:
        found = [layer.forward(array, training=True), layer.backward(back)]
        if layer is first:
            found = [np.moveaxis(one, 1, -1) for one in found]
        found += [weight.gradient for weight in layer.weights]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Conv1D(8, 5), (32, 100_000, 16)),
        (layers.Conv2D(64, 3, padding="same"), (4, 512, 512, 64)),
        (layers.Conv2DTranspose(64, 3, 2), (4, 256, 256, 64)),
        (layers.Conv3D(4, 3), (1, 32, 32, 32, 8)),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_columns_never_exceed_the_budget(layer, shape):
    (entries,), dtype = layer.arrays(shape)["columns"]
    assert convolution.BUDGET / 2 < entries * np.dtype(dtype).itemsize <= convolution.BUDGET


def test_causal_windows_end_at_their_step():
    layer = layers.Conv1D(1, 2, padding="causal", dilation_rate=2, kernel_initializer="ones")
    np.testing.assert_array_equal(layer(steps([1, 2, 4, 8]))[0, :, 0], [1, 2, 5, 10])


def test_a_transposed_convolution_is_the_adjoint_of_the_convolution():
    # <conv(x), d> = <x, transposed(d)> for the same kernel, where each window fits.
    conv, transposed = layers.Conv2D(3, (2, 3), 2), layers.Conv2DTranspose(2, (2, 3), 2)
    x, d = RNG.standard_normal((2, 6, 7, 2)), RNG.standard_normal((2, 3, 3, 3))
    y = conv(x)
    transposed.ensure_built((None, 3, 3, 3))
    transposed.kernel.assign(conv.kernel.value)
    np.testing.assert_allclose(np.vdot(y, d), np.vdot(x, transposed(d)), rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, [1, 1, 1, 2, 2, 2]),
        ({"strides": 2}, [1, 1, 3, 2, 2]),
        ({"strides": 2, "padding": "same"}, [1, 1, 3, 2]),
        ({"strides": 2, "output_padding": 1}, [1, 1, 3, 2, 2, 0]),
        ({"strides": 2, "output_padding": 0, "padding": "same"}, [1, 3, 2]),
        ({"strides": 4}, [1, 1, 1, 0, 2, 2, 2, 0]),
    ],
)
def test_sizes_of_transposed_convolutions(arguments, expected):
    arguments = {"strides": 3, **arguments}
    layer = layers.Conv1DTranspose(1, 3, **arguments, kernel_initializer="ones")
    np.testing.assert_array_equal(layer(steps([1, 2]))[0, :, 0], expected)
    assert layer.compute_output_shape((None, None, 1)) == (None, None, 1)


def test_a_separable_convolution_trains_and_freezes_all_of_its_weights():
    layer = layers.SeparableConv1D(2, 2)
    model = Sequential([Input((4, 3)), layer, layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    x, y = RNG.standard_normal((8, 4, 3)), RNG.standard_normal((8, 1))
    model.train_on_batch(x, y)
    assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    layer.trainable = False
    model.compile("sgd", "mse")
    before = layer.get_weights()
    model.train_on_batch(x, y)
    assert all((a == b).all() for a, b in zip(before, layer.get_weights(), strict=True))


# ---- poolings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("strides", [None, 1])
def test_the_first_of_equal_entries_gets_the_gradient(strides):
    x = np.ones((1, 2, 2, 1))
    layer = layers.MaxPooling2D(2, strides, dtype="float64")
    y, dx = there_and_back(layer, x, np.full((1, 1, 1, 1), 3.0))
    np.testing.assert_array_equal(y, [[[[1]]]])
    np.testing.assert_array_equal(dx[0, :, :, 0], [[3, 0], [0, 0]])


def test_overlapping_maxima_add_up():
    layer = layers.MaxPooling1D(2, 1, "same", dtype="float64")
    y, dx = there_and_back(layer, steps([-1, -3, -2]), steps([1, 10, 100]))
    np.testing.assert_array_equal(y, steps([-1, -2, -2]))
    np.testing.assert_array_equal(dx, steps([1, 0, 110]))


def test_a_mean_leaves_padding_out():
    layer = layers.AveragePooling1D(2, 2, "same", dtype="float64")
    y, dx = there_and_back(layer, steps([1, 3, 5]), steps([4, 7]))
    np.testing.assert_array_equal(y, steps([2, 5]))
    np.testing.assert_array_equal(dx, steps([2, 2, 7]))


def test_equal_maxima_of_a_whole_image_share_the_gradient():
    layer = layers.GlobalMaxPooling1D(dtype="float64")
    y, dx = there_and_back(layer, steps([2, 5, 5]), [[4.0]])
    np.testing.assert_array_equal(y, [[5]])
    np.testing.assert_array_equal(dx, steps([0, 2, 2]))


def test_the_entries_of_a_whole_image_share_the_gradient_of_its_mean():
    y, dx = there_and_back(layers.GlobalAveragePooling1D(dtype="float64"), steps([1, 3]), [[4.0]])
    np.testing.assert_array_equal(y, [[2]])
    np.testing.assert_array_equal(dx, steps([2, 2]))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("order", ["channels_last", "channels_first"])
def test_a_mean_of_steps_honours_the_mask(keepdims, order):
    x = np.array([[[2.0, 4.0], [4.0, 8.0], [np.nan, 0.0]], [[1.0, 1.0]] * 3, [[9.0, 9.0]] * 3])
    mask = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 0]], bool)
    if order == "channels_first":
        x = np.moveaxis(x, -1, 1)
    layer = layers.GlobalAveragePooling1D(order, keepdims, dtype="float64")
    layer.ensure_built((None, *x.shape[1:]))
    y = layer._forward(x, True, mask)
    np.testing.assert_array_equal(np.squeeze(y), [[3, 6], [1, 1], [0, 0]])
    dx = layer.backward(np.ones_like(y))
    each = np.moveaxis(dx, 1, -1) if order == "channels_first" else dx
    np.testing.assert_allclose(each[..., 0], [[0.5, 0.5, 0], [1 / 3] * 3, [0, 0, 0]])


def test_a_model_hands_the_mask_to_the_mean():
    inputs = Input((3, 1))
    model = Model(inputs, layers.GlobalAveragePooling1D()(layers.Masking()(inputs)))
    np.testing.assert_array_equal(model.predict(steps([4, 2, 0]), verbose=0), [[3]])


# ---- sizes --------------------------------------------------------------------------------------


def test_lines_between_the_middles_of_entries():
    layer = layers.UpSampling2D((1, 2), interpolation="bilinear", dtype="float64")
    y, dx = there_and_back(layer, [[[[0.0], [4.0]]]], [[[[1.0], [10.0], [100.0], [1000.0]]]])
    np.testing.assert_array_equal(y[0, 0, :, 0], [0, 1, 3, 4])
    np.testing.assert_array_equal(dx[0, 0, :, 0], [1 + 7.5 + 25, 2.5 + 75 + 1000])


def test_copies_margins_and_crops():
    x = np.arange(4.0).reshape(1, 2, 2, 1)
    y, dx = there_and_back(layers.UpSampling2D((2, 1), dtype="float64"), x, np.ones((1, 4, 2, 1)))
    np.testing.assert_array_equal(y[0, :, :, 0], [[0, 1], [0, 1], [2, 3], [2, 3]])
    np.testing.assert_array_equal(dx, np.full((1, 2, 2, 1), 2))
    padding = layers.ZeroPadding2D(((1, 0), (0, 2)), dtype="float64")
    y, dx = there_and_back(padding, x, np.ones((1, 3, 4, 1)))
    np.testing.assert_array_equal(y[0, :, :, 0], [[0, 0, 0, 0], [0, 1, 0, 0], [2, 3, 0, 0]])
    cropping = layers.Cropping2D(((1, 0), (0, 2)), dtype="float64")
    back, dx = there_and_back(cropping, y, x)
    np.testing.assert_array_equal(back, x)
    np.testing.assert_array_equal(dx, y)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.Conv2D(8, 3), (None, None, 3, 8)),
        (layers.Conv2D(8, 3, strides=2, padding="same"), (None, None, 3, 8)),
        (layers.Conv2DTranspose(8, 3, strides=2), (None, None, 11, 8)),
        (layers.DepthwiseConv2D(3), (None, None, 3, 2)),
        (layers.MaxPooling2D(), (None, None, 2, 2)),
        (layers.GlobalAveragePooling2D(), (None, 2)),
        (layers.UpSampling2D(), (None, None, 10, 2)),
        (layers.ZeroPadding2D(), (None, None, 7, 2)),
        (layers.Cropping2D(1), (None, None, 3, 2)),
    ],
)
def test_sizes_may_be_unknown(layer, expected):
    inputs = Input((None, 5, 2))
    model = Model(inputs, layer(inputs))
    assert model.output.shape == expected
    for rows in (5, 7):
        assert model.predict(np.ones((2, rows, 5, 2)), verbose=0).shape[-1] == expected[-1]


X = np.ones((2, 4, 4, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: layers.Conv2D(0, 3), ValueError, "filters must be at least 1"),
        (
            lambda: layers.Conv2D(2, 3.5),
            TypeError,
            "kernel_size must be an integer or a t",
        ),
        (lambda: layers.Conv2D(2, (3, 3, 3)), ValueError, r"kernel_size=\(3, 3, 3\)"),
        (lambda: layers.Conv2D(2, 3, 0), ValueError, "strides must be at least 1"),
        (lambda: layers.Conv2D(2, 3, 2, dilation_rate=2), ValueError, "Conv2D supports strides or"),
        (lambda: layers.Conv2D(2, 3, padding="causal"), ValueError, "one of 'valid', 'same'. Rec"),
        (lambda: layers.Conv2D(2, 3, groups=3), ValueError, "groups must divide filters"),
        (lambda: layers.Conv2D(2, 3, groups=2)(X), ValueError, "groups=2, which must divide"),
        (lambda: layers.Conv2D(2, 5)(X), ValueError, "would have an empty output.*same"),
        (lambda: layers.Conv2D(2, 3)(X[0]), ValueError, r"\(batch, rows, columns, channels\)"),
        (lambda: layers.Conv1D(2, 3)(X), ValueError, r"\(batch, steps, channels\). Received"),
        (lambda: layers.Conv2D(2, 3, data_format="last"), ValueError, "data_format must be"),
        (lambda: layers.Conv2D(2, 3, activation="glu2"), ValueError, "Unknown activation"),
        (lambda: layers.Conv2D(2, 3).build((None, 4, 4, None)), ValueError, "every size must be"),
        (
            lambda: layers.Conv2DTranspose(2, 3, 2, output_padding=2),
            ValueError,
            "output_padding must be less than strides",
        ),
        (
            lambda: layers.Conv2DTranspose(2, 2, 2, "same", 0)(X[:, :1]),
            ValueError,
            "would have an empty output",
        ),
        (lambda: layers.DepthwiseConv2D(2, depth_multiplier=0), ValueError, "depth_multiplier"),
        (lambda: layers.MaxPooling2D(5)(X), ValueError, "would have an empty output"),
        (lambda: layers.MaxPooling2D(2, padding="causal"), ValueError, "padding must be one of"),
        (lambda: layers.UpSampling2D(2, interpolation="bicubic"), ValueError, "interpolation must"),
        (lambda: layers.Cropping2D(2)(X), ValueError, "crops all of its input"),
        (lambda: layers.ZeroPadding2D((1, 2, 3)), ValueError, "padding must be an integer, or a t"),
        (lambda: layers.ZeroPadding1D(-1), ValueError, "padding must be at least 0"),
    ],
)
def test_what_cannot_be_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_built_layer_takes_images_of_other_sizes_but_no_other_channels():
    layer = layers.Conv2D(2, 3)
    layer(X)
    assert layer(np.ones((1, 9, 3, 3))).shape == (1, 7, 1, 2)
    with pytest.raises(ValueError, match="expects an input of shape"):
        layer(np.ones((1, 4, 4, 2)))

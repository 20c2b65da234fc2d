"""Attention layers, EinsumDense, GroupNormalization, images and Lambda: values and refusals."""

import copy
import pickle
import tracemalloc
import warnings

import numpy as np
import pytest

from nnlite import Input, Model, layers, saving
from nnlite.execution.plan import Memory, Plan
from nnlite.execution.reference_executor import ReferenceExecutor
from nnlite.gradcheck import check_layer

GENERATOR = np.random.default_rng(0)


def draw(*shape):
    return GENERATOR.normal(size=shape)


X, OTHER = draw(2, 3, 4), draw(2, 5, 4)


# ---- attention ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (layers.Attention(use_scale=True, dtype="float64"), [X, OTHER]),
        (layers.Attention(True, "concat", dtype="float64"), [X, draw(2, 5, 6), OTHER]),
        (layers.AdditiveAttention(dtype="float64"), [X, OTHER]),
        (layers.MultiHeadAttention(2, 3, dtype="float64"), [X, OTHER]),
        (
            layers.MultiHeadAttention(2, 3, 5, output_shape=(2, 3), dtype="float64"),
            [X, draw(2, 5, 5), draw(2, 5, 6)],
        ),
        (
            layers.MultiHeadAttention(2, 3, attention_axes=2, dtype="float64"),
            [draw(2, 3, 4, 5), draw(2, 3, 2, 5)],
        ),
        (layers.MultiHeadAttention(1, 3, dtype="float64"), [draw(2, 3, 2, 4), draw(2, 2, 3, 4)]),
    ],
)
def test_backward_is_the_slope_of_forward(layer, inputs):
    check_layer(layer, inputs)


OF_QUERY = np.array([[1, 0, 1], [1, 1, 1]], bool)
OF_VALUE = np.array([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0]], bool)  # of the second nothing is read


@pytest.mark.parametrize(
    ("layer", "call"),
    [
        (layers.Attention(True), lambda x: (x, [OF_QUERY, OF_VALUE])),
        (layers.Attention(True, "concat"), lambda x: (x, [OF_QUERY, OF_VALUE])),
        (layers.AdditiveAttention(), lambda x: (x, [OF_QUERY, OF_VALUE])),
        (layers.MultiHeadAttention(2, 3), lambda x: (*x, None, OF_QUERY, OF_VALUE)),
    ],
    ids=["dot", "concat", "additive", "heads"],
)
def test_backward_is_the_slope_with_masks_dropout_and_weights_put_out(layer, call):
    config = {**layer.get_config(), "dropout": 0.3, "dtype": "float64"}
    layer, x = type(layer).from_config(config), [X, OTHER]
    options = {"training": True, "return_attention_scores": True, "use_causal_mask": True}

    def loss():
        layer.generator = np.random.default_rng(2)
        return sum(np.vdot(a, r) for a, r in zip(layer(*call(x), **options), R, strict=True))

    R = [draw(*a.shape) for a in layer(*call(x), **options)]
    for weight in layer.weights:
        weight.assign(1 + 0.3 * draw(*weight.shape))
    loss()
    gradients = layer.backward(R)
    gradients = gradients[0] if isinstance(layer, layers.Attention) else gradients
    slopes = [*gradients[:2], *(weight.gradient.copy() for weight in layer.weights)]
    for array, slope in zip([*x, *(w.value for w in layer.weights)], slopes, strict=True):
        way, values = draw(*array.shape), []
        before = array.copy()
        for sign in (1, -1):
            array[...] = before + sign * 1e-6 * way
            values.append(loss())
        array[...] = before
        found = (values[0] - values[1]) / 2e-6
        assert np.vdot(slope, way) == pytest.approx(found, rel=1e-6, abs=1e-7)


def test_a_query_that_is_masked_reads_all_alike_in_each_head():
    layer = layers.MultiHeadAttention(2, 3, dtype="float64")
    _, weights = layer(X, OTHER, query_mask=OF_QUERY, return_attention_scores=True)
    np.testing.assert_allclose(weights[0, :, 1], 1 / 5)
    assert (weights[0, :, 0] != 1 / 5).all()


def test_attention_is_softmax_of_products_times_values():
    query, value = np.array([[[1.0, 0.0]]]), np.array([[[1.0, 2.0], [3.0, 4.0]]])
    weights = np.exp([1.0, 3.0]) / np.exp([1.0, 3.0]).sum()
    y, shown = layers.Attention()([query, value], return_attention_scores=True)
    np.testing.assert_allclose(shown, [[weights]], rtol=1e-6)
    np.testing.assert_allclose(y[0, 0], weights @ value[0], rtol=1e-6)


def test_masked_values_are_not_read_and_masked_queries_are_0():
    layer = layers.Attention(dtype="float64")
    of_value = np.array([[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]], bool)
    of_query = np.array([[1, 1, 0], [1, 1, 1]], bool)
    y = layer([X, OTHER], mask=[of_query, of_value])
    np.testing.assert_allclose(y[0, :2], layer([X[:1], OTHER[:1, :2]])[0, :2])
    assert (y[0, 2] == 0).all()
    np.testing.assert_allclose(y[1], layer([X, OTHER])[1])


def test_causal_queries_read_no_later_values():
    layer = layers.MultiHeadAttention(2, 3, dtype="float64")
    y = layer(X, OTHER, use_causal_mask=True)
    for step in range(3):
        alone = layer(X[:, step : step + 1], OTHER[:, : step + 1])
        np.testing.assert_allclose(y[:, step : step + 1], alone)


def test_heads_take_masks_by_hand():
    layer = layers.MultiHeadAttention(2, 3, dtype="float64")
    kept = np.array([[1, 1, 0, 0, 0]] * 2, bool)
    expected = layer(X, OTHER[:, :2])
    for options in (
        {"value_mask": kept},
        {"key_mask": kept},
        {"attention_mask": np.repeat(kept[:, None], 3, 1)},
        {"attention_mask": np.tile(kept[:, None, None], (1, 2, 3, 1))},
    ):
        np.testing.assert_allclose(layer(X, OTHER, **options), expected)
    layer(X, OTHER, training=True, value_mask=kept)
    assert (layer.backward(np.ones_like(X))[1][:, 2:] == 0).all()


def test_dropout_drops_weights_in_training_alone():
    layer = layers.Attention(dropout=0.5, seed=1, dtype="float64")
    value = np.ones((1, 4000, 1))
    query = np.zeros((1, 1, 1))
    assert layer([query, value]) == pytest.approx(1)
    y, weights = layer([query, value], training=True, return_attention_scores=True)
    assert np.unique(weights) == pytest.approx([0, 2 / 4000])
    assert y == pytest.approx(1, abs=0.1)
    np.testing.assert_allclose(
        layer.backward([np.ones((1, 1, 1)), weights * 0])[1][0, :, 0], weights[0, 0]
    )


def test_words_that_are_padded_change_nothing():
    words = Input((None,), dtype="int32")
    x = layers.Embedding(5, 4, mask_zero=True)(words)
    y = layers.MultiHeadAttention(2, 3, dropout=0.2)(x, x, use_causal_mask=False)
    y, weights = layers.Attention()([y, y], return_attention_scores=True)
    model = Model(words, [y, weights])
    short, long = np.array([[1, 2, 3]]), np.array([[1, 2, 3, 0, 0]])
    expected, found = (model.predict(a, verbose=0) for a in (short, long))
    np.testing.assert_allclose(found[0][:, :3], expected[0], rtol=1e-5)
    np.testing.assert_allclose(found[1][:, :3, :3], expected[1], rtol=1e-5)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.predict(long, verbose=0)[0], found[0])


def test_the_weights_have_no_mask():
    # The scores, (batch, T, S), are no sequence of the query's steps: the loss averages all.
    x = Input((3, 2))
    m = layers.Masking()(x)
    for y, weights in (
        layers.Attention()([m, m], return_attention_scores=True),
        layers.MultiHeadAttention(1, 2)(m, m, return_attention_scores=True),
    ):
        graph = Model(x, [y, weights]).graph(training=True)
        assert [slot in graph.masks for slot in graph.outputs] == [True, False]


@pytest.mark.parametrize(
    "layer",
    [
        layers.Attention(True, dropout=0.5),
        layers.Attention(True, "concat", dropout=0.5),
        layers.AdditiveAttention(dropout=0.5),
        layers.MultiHeadAttention(2, 2, dropout=0.5),
    ],
    ids=lambda layer: f"{layer.name}",
)
def test_a_step_of_attention_makes_no_array_of_a_weight_for_each_pair(layer):
    x = draw(32, 64, 2).astype("float32")
    inputs = [x, x.copy()]
    layer(*([inputs] if isinstance(layer, layers.Attention) else inputs))
    (stage,) = layer.stages(training=True)
    arrays = stage.run_into(inputs)
    stage.run_back(np.ones_like(arrays["y"]), arrays)
    arrays["dy"] = np.ones_like(arrays["y"])
    tracemalloc.start()
    try:
        stage.forward_into(*[arrays[name] for name in stage.forward_names])
        stage.backward_into(*[arrays[name] for name in stage.backward_names])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.4 * arrays["p"].nbytes


def block():
    x = Input((4, 6))
    m = layers.Masking()(x)
    y = layers.MultiHeadAttention(2, 3)(m, m, use_causal_mask=True)
    y = layers.LayerNormalization()(layers.Add()([m, y]))
    y = layers.Attention(True)([y, y])
    return Model(x, layers.Dense(1)(y))


def test_the_plan_gives_the_bits_of_the_reference():
    model = block()
    x = draw(5, 4, 6).astype("float32")
    x[:3, 2:] = 0
    graph, learning = model.graph(True), model.learning_variables()
    found = []
    for executor in (Plan(graph, learning, [x], Memory()), ReferenceExecutor(graph, learning)):
        (y,) = executor.forward([x])
        y = y.copy()
        executor.backward([np.ones_like(y)])
        found.append([y, *(variable.gradient.copy() for variable in learning)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_transformer_block_learns_and_is_read_again(tmp_path):
    model = block()
    model.compile("adam", "mse")
    x = draw(32, 4, 6).astype("float32")
    first, *_, last = model.fit(x, x[:, :, :1], epochs=20, verbose=0).history["loss"]
    assert last < 0.9 * first
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        read = saving.load_model(tmp_path / name)
        np.testing.assert_array_equal(read.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: layers.Attention()([X]), r"must be called on \[query, value\]"),
        (lambda: layers.Attention()([X, draw(2, 5, 3)]), "must have equally many features"),
        (lambda: layers.Attention()([X, OTHER, X]), "must have equally many steps"),
        (lambda: layers.Attention()([X, X], mask=3), r"mask must be \[query_mask, value_mask\]"),
        (lambda: layers.Attention(score_mode="sum"), "score_mode must be 'dot' or 'concat'"),
        (lambda: layers.MultiHeadAttention(0, 1), "num_heads must be"),
        (lambda: layers.MultiHeadAttention(1, 1)(X, X[0]), "must have equally many axes"),
        (lambda: layers.MultiHeadAttention(1, 1, attention_axes=2)(X, X), "attends along axes"),
        (
            lambda: layers.MultiHeadAttention(1, 1)(
                draw(1, 2, 2, 2), draw(1, 2, 2, 2), use_causal_mask=True
            ),
            r"takes masks for inputs of shape \(batch, steps,",
        ),
        (lambda: layers.MultiHeadAttention(1, 1, use_gate=True), "supports use_gate=False only"),
    ],
)
def test_what_attention_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- EinsumDense and GroupNormalization ---------------------------------------------------------


def test_einsum_dense_is_dense_along_the_last_axis():
    dense, einsum = layers.Dense(5, "tanh"), layers.EinsumDense("...a,ab->...b", 5, "tanh", "b")
    expected = dense(X)
    einsum(X)
    einsum.set_weights(dense.get_weights())
    np.testing.assert_allclose(einsum(X), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ab->ac", 2), "equation must have the form"),
        (("aa,ab->ab", 2), "must name each axis of an array once"),
        (("ab,bc->ad", 2), "must take each axis of the output"),
        (("ab,bc->ac", 2, None, "x"), "bias_axes must name axes of the output"),
        (("abc,cd->abd", 2), "does not fit an input of shape"),
        (("abc,cd->abd", (7, 2)), "does not fit an input of shape"),
        (("ab,bc->ac", (2, 7)), "does not fit an input of shape"),
    ],
)
def test_what_einsum_dense_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.EinsumDense(*arguments)(X)


def test_groups_of_one_channel_are_normalized_by_themselves():
    y = layers.GroupNormalization(groups=-1, epsilon=1e-9, dtype="float64")(X)
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=1), 1, rtol=1e-6)
    with pytest.raises(ValueError, match="groups=3 divides"):
        layers.GroupNormalization(3)(X)


# ---- images -------------------------------------------------------------------------------------

IMAGE = np.arange(12.0).reshape(1, 3, 4, 1)


def test_the_nearest_pixel_and_the_mean_of_neighbours():
    nearest = layers.Resizing(2, 2, "nearest")(IMAGE)
    np.testing.assert_array_equal(nearest.ravel(), [1, 3, 9, 11])
    np.testing.assert_allclose(
        layers.Resizing(3, 2)(IMAGE).ravel(), [0.5, 2.5, 4.5, 6.5, 8.5, 10.5]
    )
    padded = layers.Resizing(2, 4, "nearest", pad_to_aspect_ratio=True, fill_value=7)(IMAGE)
    np.testing.assert_array_equal(padded[0, :, [0, 3], 0], 7)


def test_the_centre_is_cut_out():
    np.testing.assert_array_equal(layers.CenterCrop(1, 2)(IMAGE).ravel(), [5, 6])
    # Of an image that is too low or too narrow, the middle in the ratio is made larger.
    for size, cut in (((6, 2), IMAGE[:, :, 1:2]), ((1, 8), IMAGE[:, 1:2])):
        expected = layers.Resizing(*size)(cut)
        np.testing.assert_array_equal(layers.CenterCrop(*size)(IMAGE), expected)


@pytest.mark.parametrize("order", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    "make",
    [
        lambda **order: layers.CenterCrop(1, 2, **order),
        lambda **order: layers.Resizing(2, 2, crop_to_aspect_ratio=True, **order),
    ],
)
def test_what_is_cropped_away_is_not_read_and_learns_nothing(make, order):
    x = np.full((2, 3, 5, 2), np.nan)
    x[:, :, 1:4] = draw(2, 3, 3, 2)
    layer = make(data_format=order, dtype="float64")
    y = layer(x if order == "channels_last" else np.moveaxis(x, -1, 1), training=True)
    assert np.isfinite(y).all()
    dx = layer.backward(np.ones_like(y))
    dx = dx if order == "channels_last" else np.moveaxis(dx, 1, -1)
    assert (dx[:, :, [0, 4]] == 0).all()
    assert dx.sum() == pytest.approx(y.size)  # the weights of each new pixel sum to 1


def test_a_larger_image_needs_no_wider_means():
    larger, smooth = (layers.Resizing(5, 7, antialias=wide) for wide in (False, True))
    np.testing.assert_array_equal(smooth(IMAGE), larger(IMAGE))


def test_a_crop_spreads_no_infinity_within():
    x = np.ones((1, 3, 5, 1))
    x[0, 1, 2] = np.inf
    assert np.isinf(layers.CenterCrop(3, 3)(x)).sum() == 1


def test_what_images_refuse():
    with pytest.raises(ValueError, match="interpolation must be 'bilinear' or 'nearest'"):
        layers.Resizing(2, 2, "bicubic")
    with pytest.raises(ValueError, match="fill_mode must be 'constant'"):
        layers.Resizing(2, 2, fill_mode="wrap")
    with pytest.raises(ValueError, match="Only one of"):
        layers.Resizing(2, 2, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True)
    with pytest.raises(ValueError, match=r"expects an input of shape \(batch, rows"):
        layers.CenterCrop(2, 2)(X)


# ---- Lambda -------------------------------------------------------------------------------------


def scaled(**options):
    return layers.Lambda(lambda x, k: k * x**2, arguments={"k": 3}, **options)


def test_a_function_with_a_derivative_is_a_layer():
    layer = scaled(derivative=lambda x, y, dy: 6 * x * dy, dtype="float64")
    np.testing.assert_allclose(layer(X), 3 * X**2)
    check_layer(layer, X)
    product = layers.Lambda(
        lambda x: x[0] * x[1], lambda x, y, dy: [dy * x[1], dy * x[0]], dtype="float64"
    )
    check_layer(product, [X, X + 1])


def test_the_mask_of_a_function_is_what_is_said():
    x = Input((3, 1))
    steps = layers.Masking()(x)
    for mask, kept in (
        (None, [True, True, True]),
        (lambda inputs, mask: ~mask, [False, True, False]),
        (np.array([[True, True, False]]), [True, True, False]),
    ):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Layer 'lambda' does not pass masks on")
            y = layers.Lambda(lambda x: x + 1, mask=mask, name="lambda")(steps)
            pooled = layers.GlobalAveragePooling1D()(y)
            found = Model(x, pooled).predict(np.array([[[1.0], [0.0], [5.0]]]), verbose=0)
        assert found.item() == np.mean(np.array([2.0, 1.0, 6.0])[kept])


def test_without_a_derivative_nothing_before_it_learns():
    x = Input((2,))
    model = Model(x, layers.Dense(1)(scaled(name="square")(x)))
    model.compile("sgd", "mse")
    model.fit(draw(4, 2), draw(4, 1), verbose=0)
    model = Model(x, scaled(name="square")(layers.Dense(1)(x)))
    model.compile("sgd", "mse")
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"^Layer 'square' has no derivative, but a layer"):
        model.fit(draw(4, 2), draw(4, 1), verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    model.layers[1].trainable = False
    model.predict(draw(4, 2), verbose=0)


def test_a_function_is_no_data(tmp_path):
    x = Input((2,))
    model = Model(x, scaled(name="square")(x))
    for name in ("model.keras", "model.h5"):
        with pytest.raises(TypeError, match=r"^Layer 'square' is a Lambda, whose function cannot"):
            model.save(tmp_path / name)
        assert not (tmp_path / name).exists()
    with pytest.raises(ValueError, match="Unknown layer: 'Lambda'"):
        layers.deserialize({"class_name": "Lambda", "config": {"function": "len"}})


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: layers.Lambda(3), TypeError, "function must be a function"),
        (lambda: layers.Lambda(abs, derivative=3), TypeError, "derivative must be a function"),
        (lambda: layers.Lambda(lambda x, mask: x), TypeError, "without mask"),
        (lambda: layers.Lambda(abs, output_shape=(3,))(X), ValueError, "must return an array of"),
        (lambda: layers.Lambda(lambda x: x.sort() or x)(X), ValueError, "writes into an argument"),
    ],
)
def test_what_lambda_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("value", [{}, {"value": None}])
def test_heads_need_a_value(value):
    with pytest.raises(TypeError, match=r"called as layer\(query, value\).*Received: one input"):
        layers.MultiHeadAttention(2, 3)(np.ones((1, 2, 3)), **value)

"""ONNX Runtime gives what `predict` does, for every layer, operation and random graph."""

import inspect
import itertools
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from gradients.graph_strategies import Mixed, graphs
from gradients.image_strategies import tried
from gradients.strategies import LAYERS, build, generators
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from samples import examples

from nnlite import Input, Model, layers, ops
from nnlite.layers import Layer
from nnlite.saving.onnx import exporting

TOLERANCE = 1e-5
SAMPLES = (3, 1, 5)  # batches of these sizes go through one file
PAGE = Path(__file__).parents[2] / "docs" / "onnx.md"

#: The largest relative difference that was seen of a layer, by its name.
DIFFERENCES = defaultdict(float)


def onnx_of(model, **options):
    """Return a session of the exported model, which the whole checker of ONNX has passed."""
    content = exporting.model_bytes(model, **options)
    onnx.checker.check_model(content, full_check=True)
    how = onnxruntime.SessionOptions()
    how.log_severity_level, how.intra_op_num_threads = 4, 1
    return onnxruntime.InferenceSession(content, how, providers=["CPUExecutionProvider"])


def agrees(model, draw, **options):
    """Check that ONNX Runtime computes what the model does, and return the largest difference.

    Args:
        model: The model.
        draw: Returns the list of inputs for a number of samples.
        **options: Those of the export.
    """
    session, worst = onnx_of(model, **options), 0.0
    for samples in SAMPLES:
        x = [np.asarray(a, t) for a, t in zip(draw(samples), model.input_dtypes, strict=True)]
        feed = {one.name: a for one, a in zip(session.get_inputs(), x, strict=True)}
        outputs = model.predict(x if len(x) > 1 else x[0], verbose=0)
        wanted = outputs if isinstance(outputs, list) else [outputs]
        for y, want in zip(session.run(None, feed), wanted, strict=True):
            assert y.dtype == want.dtype
            assert y.shape == want.shape
            np.testing.assert_allclose(y, want, TOLERANCE, TOLERANCE)
            if y.size:
                worst = max(worst, float((np.abs(y - want) / np.maximum(1, np.abs(want))).max()))
    return worst


ONE_INPUT = [cls for cls in tried(LAYERS) if cls is not layers.InputLayer]


@pytest.mark.parametrize("cls", ONE_INPUT, ids=lambda cls: cls.__name__)
@given(st.data(), generators)
@settings(max_examples=examples(20))
def test_a_layer_of_one_input(cls, data, generator):
    arguments, shape = data.draw(LAYERS[cls])
    layer = build(cls(**arguments), shape, generator)
    x = Input(shape)
    worst = agrees(Model(x, layer(x)), lambda n: [generator.standard_normal((n, *shape))])
    DIFFERENCES[cls.__name__] = max(DIFFERENCES[cls.__name__], worst)


#: The layers of several inputs or of integers: arguments, shapes of the inputs, call options.
MORE = {
    **{
        cls: [({}, [(2, 3), (2, 3), (3,)], {}), ({}, [(1,), (4,)], {})]
        for cls in (layers.Add, layers.Average, layers.Maximum, layers.Minimum, layers.Multiply)
    },
    layers.Subtract: [({}, [(2, 3), (3,)], {})],
    layers.Concatenate: [({}, [(2, 3), (2, 1)], {}), ({"axis": 1}, [(2, 3), (1, 3)], {})],
    layers.Dot: [
        ({"axes": 1}, [(3,), (3,)], {}),
        ({"axes": (2, 1)}, [(2, 3), (3, 4)], {}),
        ({"axes": -1, "normalize": True}, [(2, 3), (4, 3)], {}),
    ],
    layers.Embedding: [({"input_dim": 7, "output_dim": 3}, [(4,)], {})],
    layers.Attention: [
        ({}, [(2, 3), (4, 3)], {}),
        ({"use_scale": True}, [(4, 3), (4, 2), (4, 3)], {"use_causal_mask": True}),
        ({"score_mode": "concat", "use_scale": True}, [(2, 3), (4, 3)], {}),
        ({}, [(2, 3), (4, 3)], {"return_attention_scores": True}),
    ],
    layers.AdditiveAttention: [
        ({}, [(2, 3), (4, 3)], {}),
        ({"use_scale": False}, [(2, 3), (4, 3)], {}),
    ],
    layers.MultiHeadAttention: [
        ({"num_heads": 2, "key_dim": 3}, [(4, 5), (3, 2)], {}),
        ({"num_heads": 2, "key_dim": 3}, [(4, 5), (4, 5)], {"use_causal_mask": True}),
        ({"num_heads": 1, "key_dim": 2, "value_dim": 3}, [(4, 5), (3, 2), (3, 1)], {}),
        (
            {"num_heads": 2, "key_dim": 3, "output_shape": 7, "use_bias": False},
            [(4, 5), (3, 2)],
            {"return_attention_scores": True},
        ),
        ({"num_heads": 2, "key_dim": 3}, [(2, 3, 5), (4, 2, 5)], {}),
        ({"num_heads": 2, "key_dim": 3, "attention_axes": 2}, [(4, 2, 5), (4, 3, 5)], {}),
    ],
}


RECURRENT = {
    layers.SimpleRNN: [{"activation": a} for a in ("tanh", "relu", "linear", "hard_sigmoid")],
    layers.LSTM: [{}, {"use_bias": False, "recurrent_activation": "hard_sigmoid"}],
    layers.GRU: [{}, {"reset_after": False, "activation": "softsign"}, {"use_bias": False}],
    layers.RNN: [{"cell": [layers.GRUCell(2), layers.LSTMCell(4)]}],
}
WITHIN = {
    layers.TimeDistributed: [
        lambda: layers.Dense(2, activation="softmax"),
        lambda: layers.Conv1D(2, 1, activation="relu"),
        lambda: layers.BatchNormalization(),
        lambda: layers.Dropout(0.5),
        lambda: Model(x := Input((3,)), layers.Add()([x, layers.Dense(3)(x)])),
        lambda: layers.LSTM(4),
    ],
    layers.Bidirectional: [
        lambda: layers.LSTM(4),
        lambda: layers.GRU(4, return_sequences=True, return_state=True),
        lambda: layers.SimpleRNN(4, return_sequences=True, activation="relu"),
    ],
}
#: The layers for tables: arguments, the type of the entries, and their array.
TEXTS = np.array([["red", ""], ["blue", "red"], ["pink", "blue"], ["[UNK]", "grey"]], object)
WHOLE = np.array([[5, 0], [9, 5], [7, 9], [-1, 3]])
FLOATS = np.array([[-1, 0], [0.5, 0.49], [2, 3], [0, 1e-9]], "float32")
MODES = [{"output_mode": mode} for mode in ("one_hot", "multi_hot", "count")]


def lookups(known, mask):
    """Return the arguments of lookups in every mode, with and without a mask_token."""
    for mode, pad, masked in itertools.product([{}, *MODES], (False, True), (None, mask)):
        padded = {"max_tokens": 7, "pad_to_max_tokens": pad}
        yield {"vocabulary": known, "mask_token": masked, **mode, **padded}
    yield {"vocabulary": known, "output_mode": "tf_idf", "idf_weights": [0.5, 2.0]}
    yield {"vocabulary": known, "mask_token": mask, "invert": True}


OF_TABLES = {
    layers.StringLookup: [*lookups(["red", "blue"], "")],
    layers.IntegerLookup: [*lookups([5, 9], 0)],
    layers.CategoryEncoding: [{"num_tokens": 10, **mode} for mode in MODES],
    layers.Discretization: [{"bin_boundaries": [0.0, 0.5, 2.0], **mode} for mode in [{}, *MODES]],
}
PARTS = {layers.SimpleRNNCell, layers.LSTMCell, layers.GRUCell, layers.StackedRNNCells}


def random_weights(layer, generator):
    for weight in layer.weights:
        value = generator.standard_normal(weight.shape)
        weight.assign(np.abs(value) if weight.name.endswith("variance") else value)


@pytest.mark.parametrize("cls", RECURRENT, ids=lambda cls: cls.__name__)
def test_a_recurrent_layer(cls):
    generator = np.random.default_rng(3)
    for arguments in RECURRENT[cls]:
        for sequences, state, back in itertools.product((False, True), repeat=3):
            how = {"return_sequences": sequences, "return_state": state, "go_backwards": back}
            how |= arguments if cls is layers.RNN else {"units": 4, **arguments}
            layer, x = cls(**how), Input((None, 3))
            y = layer(x)
            random_weights(layer, generator)
            draw = lambda n: [generator.standard_normal((n, 5, 3))]  # noqa: E731
            DIFFERENCES[cls.__name__] = max(DIFFERENCES[cls.__name__], agrees(Model(x, y), draw))


@pytest.mark.parametrize("cls", [layers.SimpleRNN, layers.LSTM, layers.GRU])
def test_states_to_begin_with(cls):
    generator = np.random.default_rng(3)
    sizes = [4] * (2 if cls is layers.LSTM else 1)
    x, states = Input((5, 3)), [Input((size,)) for size in sizes]
    y, z = (
        cls(4)(x, initial_state=states),
        layers.Bidirectional(cls(4))(x, initial_state=states * 2),
    )
    shapes = [(5, 3), *((size,) for size in sizes)]
    agrees(Model([x, *states], [y, z]), lambda n: [generator.normal(size=(n, *s)) for s in shapes])


@pytest.mark.parametrize("cls", WITHIN, ids=lambda cls: cls.__name__)
def test_a_layer_around_another(cls):
    generator = np.random.default_rng(3)
    modes = [{}]
    if cls is layers.Bidirectional:
        modes = [{"merge_mode": mode} for mode in ("concat", "sum", "ave", "mul", None)]
    for make, mode in itertools.product(WITHIN[cls], modes):
        inner = make()
        shape = (None, 5, 3) if isinstance(inner, (layers.Conv1D, layers.LSTM)) else (None, 3)
        shape = (None, 3) if cls is layers.Bidirectional else shape
        layer, x = cls(inner, **mode), Input(shape)
        y = layer(x)
        random_weights(layer, generator)
        draw = lambda n, s=shape: [generator.standard_normal((n, 4, *s[1:]))]  # noqa: E731
        DIFFERENCES[cls.__name__] = max(DIFFERENCES[cls.__name__], agrees(Model(x, y), draw))


def test_every_public_layer_is_tried():
    public = {getattr(layers, name) for name in layers.__all__}
    classes = {thing for thing in public if inspect.isclass(thing)}
    tried = {*LAYERS, *MORE, *RECURRENT, *WITHIN, *OF_TABLES}
    refused = {layers.Lambda, layers.Hashing, layers.TextVectorization}
    assert classes - tried - PARTS - {Layer, layers.ActivationLayer} == refused


@pytest.mark.parametrize("cls", OF_TABLES, ids=lambda cls: cls.__name__)
def test_a_layer_for_tables(cls):
    for arguments in OF_TABLES[cls]:
        layer = cls(**arguments)
        entries = {layers.StringLookup: TEXTS, layers.Discretization: FLOATS}.get(cls, WHOLE)
        if cls is layers.CategoryEncoding or arguments.get("invert"):
            entries = np.abs(WHOLE)
        for columns, samples in itertools.product((2, 1), (4, 1)):
            x = entries[:samples, :columns]
            dtype = layer.default_input_dtype or "float32"
            tensor = Input((columns,), dtype=dtype)
            model = Model(tensor, layer(tensor))
            session = onnx_of(model)
            x = x if dtype == "string" else x.astype(dtype)
            (y,) = session.run(None, {session.get_inputs()[0].name: x})
            want = model.predict(x, verbose=0)
            assert (y.shape, y.dtype) == (want.shape, want.dtype)
            np.testing.assert_array_equal(y, want)


def test_weights_of_counted_entries():
    x, weights = Input((2,), dtype="int32"), Input((2,))
    y = layers.CategoryEncoding(10, output_mode="count")(x, count_weights=weights)
    generator = np.random.default_rng(3)
    agrees(Model([x, weights], y), lambda n: [generator.integers(0, 10, (n, 2)), np.ones((n, 2))])


def test_a_table_with_text_goes_from_the_columns_to_the_prediction():
    colour, seats = Input((1,), dtype="string", name="colour"), Input((1,), name="seats")
    words = layers.StringLookup(vocabulary=["red", "blue"], output_mode="one_hot")(colour)
    model = Model([colour, seats], layers.Dense(1)(layers.Concatenate()([words, seats])))
    x = {"colour": TEXTS[:, :1], "seats": np.ones((4, 1), "float32")}
    (y,) = onnx_of(model).run(None, x)
    np.testing.assert_allclose(y, model.predict(x, verbose=0), TOLERANCE)


@pytest.mark.parametrize("cls", MORE, ids=lambda cls: cls.__name__)
def test_a_layer_of_more(cls):
    generator = np.random.default_rng(3)
    for arguments, shapes, options in MORE[cls]:
        layer = cls(**arguments)
        inputs = [Input(shape, dtype=cls.default_input_dtype) for shape in shapes]
        unpacked = cls is layers.MultiHeadAttention
        y = (
            layer(*inputs, **options)
            if unpacked
            else layer(inputs if len(inputs) > 1 else inputs[0], **options)
        )
        random_weights(layer, generator)
        draw = lambda n, s=shapes: [generator.uniform(0, 6, (n, *a)) for a in s]  # noqa: E731
        worst = agrees(Model(inputs, y), draw)
        DIFFERENCES[cls.__name__] = max(DIFFERENCES[cls.__name__], worst)


def test_masks_that_are_given_as_tensors():
    generator = np.random.default_rng(3)
    query, value = Input((3, 2)), Input((4, 2))
    of_query, of_value, whole = Input((3,)), Input((4,)), Input((3, 4))
    y = layers.Attention()([query, value], mask=[of_query, of_value])
    z = layers.MultiHeadAttention(2, 3)(
        query, value, query_mask=of_query, value_mask=of_value, attention_mask=whole
    )
    model = Model([query, value, of_query, of_value, whole], [y, z])
    draw = lambda n: [  # noqa: E731
        *(generator.standard_normal((n, size, 2)) for size in (3, 4)),
        *(generator.integers(0, 2, (n, *sizes)) for sizes in ((3,), (4,), (3, 4))),
    ]
    agrees(model, draw)


UNARY = ["abs", "absolute", "exp", "log", "negative", "relu", "sigmoid", "sqrt", "square", "tanh"]
BINARY = ["add", "divide", "maximum", "minimum", "multiply", "power", "subtract", "true_divide"]


def unary(name):
    function = getattr(ops, name)
    return lambda a, b, c: [function(a), function(b + 1.0)]


def binary(name):
    function = getattr(ops, name)
    return lambda a, b, c: [function(a, b), function(2, a), function(a, a[:, :1])]


def reduction(name):
    function = getattr(ops, name)
    return lambda a, b, c: [
        function(a),
        function(a, axis=-1),
        function(a, axis=(0, 2), keepdims=True),
        function(a, axis=()),
    ]


#: Functions of positive tensors a, b of shape (batch, 2, 3), and c of (batch, 3) integers.
OPERATIONS = {
    **{name: unary(name) for name in UNARY},
    **{name: binary(name) for name in BINARY},
    **{name: reduction(name) for name in ("max", "mean", "min", "sum")},
    "cast": lambda a, b, c: [ops.cast(a, "int32"), ops.cast(c, "float32"), ops.cast(c, "bool")],
    "clip": lambda a, b, c: [ops.clip(a, 0.5, 2), ops.clip(c, 1, 2), ops.clip(c, 0.5, 1.5)],
    "concatenate": lambda a, b, c: [ops.concatenate([a, b], 1), ops.concatenate([a, b], -1)],
    "expand_dims": lambda a, b, c: [ops.expand_dims(a, 1), ops.expand_dims(a, (0, -1))],
    "matmul": lambda a, b, c: [a @ np.ones((3, 2)), ops.matmul(a, ops.transpose(b, (0, 2, 1)))],
    "one_hot": lambda a, b, c: [
        ops.one_hot(c - 1, 3),
        ops.one_hot(c, 3, axis=1),
        ops.one_hot(c, 3, dtype="int32"),
    ],
    "reshape": lambda a, b, c: [ops.reshape(a, (-1, 6)), ops.reshape(a, (-1,))],
    "softmax": lambda a, b, c: [ops.softmax(a), ops.softmax(a, (1, 2))],
    "split": lambda a, b, c: [*ops.split(a, 3, 2), *ops.split(a, [1], 1), *ops.split(a, 1, 1)],
    "squeeze": lambda a, b, c: [ops.squeeze(part) for part in (a[:, :1], a[:, :, 1:2], a)],
    "stack": lambda a, b, c: [ops.stack([a, b], 1), ops.stack([a, b], -1)],
    "transpose": lambda a, b, c: [ops.transpose(a), ops.transpose(a, (1, -1, 0))],
    "slices": lambda a, b, c: [a[:, 0], a[..., -1], a[:, ::-1], a[:, None, 1:, :-1], a[0], a[::2]],
    "no entries": lambda a, b, c: [a[:, 0:0]],
    "extremes and a number": lambda a, b, c: [ops.max(a, 1, initial=2.0), ops.min(a, initial=0.5)],
    "of integers": lambda a, b, c: [c + 1, c * 1.5, c / 2, ops.sum(c, 1), ops.mean(c), -c, c**2],
    "with arrays": lambda a, b, c: [a - np.ones((2, 1)), [1.0, 2.0, 3.0] * a],
}


def test_every_operation_is_tried():
    assert {*ops.__all__} - {*OPERATIONS} == set()


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation(name):
    generator = np.random.default_rng(3)
    a, b, c = Input((2, 3)), Input((2, 3)), Input((3,), dtype="int32")
    model = Model([a, b, c], OPERATIONS[name](a, b, c))
    session = onnx_of(model)
    for samples in SAMPLES:
        x = [generator.uniform(0.1, 3, (samples, 2, 3)).astype("float32") for _ in range(2)]
        x.append(generator.integers(0, 4, (samples, 3)).astype("int32"))
        feed = {one.name: value for one, value in zip(session.get_inputs(), x, strict=True)}
        outputs = model(x)
        wanted = outputs if isinstance(outputs, list) else [outputs]
        for y, want in zip(session.run(None, feed), wanted, strict=True):
            assert y.dtype == want.dtype
            np.testing.assert_allclose(y, want, TOLERANCE, TOLERANCE)


@given(graphs())
@settings(max_examples=examples(60))
def test_a_random_graph(drawn):
    model, x = drawn
    assume(not any(isinstance(layer, Mixed) for layer in model.all_layers()))
    generator = np.random.default_rng(0)
    agrees(model, lambda n: [generator.standard_normal((n, *a.shape[1:])) for a in x])


def test_axes_of_unknown_sizes():
    generator = np.random.default_rng(1)
    x = Input((None, None, 3))
    y = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    y = layers.UpSampling2D(2)(layers.MaxPooling2D(2, padding="same")(y))
    y = layers.GroupNormalization(2)(layers.Conv2DTranspose(4, 3, strides=2, padding="same")(y))
    model = Model(x, [y, layers.GlobalAveragePooling2D()(y)])
    session = onnx_of(model)
    for size in ((9, 7), (8, 12)):
        x = generator.standard_normal((2, *size, 3)).astype("float32")
        (name,) = (one.name for one in session.get_inputs())
        for y, want in zip(session.run(None, {name: x}), model.predict(x, verbose=0), strict=True):
            np.testing.assert_allclose(y, want, TOLERANCE, TOLERANCE)


def test_sizes_of_a_signature():
    x = Input((None, None, 3))
    model = Model(x, layers.Resizing(4, 5)(x))
    signature = [Input((8, 6, 3))]
    draw = lambda n: [np.random.default_rng(n).standard_normal((n, 8, 6, 3))]  # noqa: E731
    agrees(model, draw, input_signature=signature)


def rows_of_the_page():
    """Return the names of layers, and the difference that the page tells, of each of its rows."""
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if "|" in line]
    return {names: float(bound) for _, names, bound in rows[2:]}


def test_the_page_has_every_layer():
    named = [name.strip("`") for names in rows_of_the_page() for name in names.split(", ")]
    assert sorted(named) == sorted(
        cls.__name__ for cls in {*LAYERS, *MORE, *RECURRENT, *WITHIN, *OF_TABLES}
    )


def test_the_page_tells_the_differences():
    for names, bound in rows_of_the_page().items():
        seen = {name: DIFFERENCES[name.strip("`")] for name in names.split(", ")}
        assert max(seen.values()) <= bound, seen

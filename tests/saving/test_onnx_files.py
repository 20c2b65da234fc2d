"""ONNX files by their bytes, and what is refused; tests/onnx has what they compute."""

import os
import struct
from itertools import pairwise

import numpy as np
import pytest

from nnlite import Input, Model, Sequential, layers
from nnlite.layers import ActivationLayer, Dense
from nnlite.saving.onnx import protobuf
from nnlite.utils.protobuf import message


def fields(content):
    """Return the fields of a message by number, each a list: integers, floats or bytes.

    Source: Google, "Protocol Buffers: Encoding".
    """
    found, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = content[at]
            value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
            if byte < 128:
                return value - 2**64 if value >= 2**63 else value

    while at < len(content):
        number, kind = divmod(varint(), 8)
        value = varint() if kind == 0 else None
        if kind == 5:
            (value,), at = struct.unpack("<f", content[at : at + 4]), at + 4
        elif kind == 2:
            size = varint()
            value, at = content[at : at + size], at + size
        found.setdefault(number, []).append(value)
    return found


def exported(model, folder, **options):
    path = os.path.join(folder, "m.onnx")
    model.export(path, format="onnx", verbose=False, **options)
    with open(path, "rb") as file:
        return fields(file.read())


def sizes_of(value_info):
    """Return the name, type and sizes of an input or output."""
    (tensor,) = fields(fields(value_info)[2][0])[1]
    axes = [fields(axis) for axis in fields(fields(tensor)[2][0])[1]]
    sizes = [axis[1][0] if 1 in axis else axis[2][0].decode() for axis in axes]
    return fields(value_info)[1][0].decode(), fields(tensor)[1][0], sizes


def test_a_file_has_the_nodes_and_weights_of_the_model(tmp_path):
    x = Input((None, 4), name="x")
    model = Model(x, Dense(3, activation="relu", bias_initializer="ones", name="y")(x), name="net")
    content = exported(model, tmp_path)
    assert (content[1], content[2]) == ([7], [b"nnlite"])
    assert fields(content[8][0]) == {1: [b""], 2: [13]}
    graph = fields(content[7][0])
    assert graph[2] == [b"net"]
    nodes = [fields(node) for node in graph[1]]
    assert [node[4][0] for node in nodes] == [b"MatMul", b"Add", b"Relu", b"Identity"]
    assert nodes[0][1][0] == b"x"
    for before, node in pairwise(nodes):
        assert before[2][0] in node[1]
    assert nodes[-1][2] == [b"y"]
    kernel, bias = (fields(tensor) for tensor in graph[5])
    assert (kernel[1], kernel[2]) == ([4, 3], [1])
    np.testing.assert_array_equal(
        np.frombuffer(kernel[9][0], "<f4").reshape(4, 3), model.get_weights()[0]
    )
    assert kernel[8][0] in nodes[0][1]
    assert np.frombuffer(bias[9][0], "<f4").tolist() == [1, 1, 1]
    assert [sizes_of(one) for one in graph[11]] == [("x", 1, ["batch", "x_1", 4])]
    assert [sizes_of(one) for one in graph[12]] == [("y", 1, ["y_0", "y_1", 3])]


def test_attributes_are_integers_floats_words_and_lists(tmp_path):
    model = Sequential(
        [
            Input((5, 2)),
            layers.Conv1D(3, 2, strides=2, use_bias=False),
            layers.LeakyReLU(0.25),
            layers.EinsumDense("abc,cd->abd", (2, 1)),
        ]
    )
    graph = fields(exported(model, tmp_path)[7][0])
    attributes = {}
    for node in map(fields, graph[1]):
        for own in map(fields, node.get(5, [])):
            attributes[node[4][0].decode(), own[1][0].decode()] = own
    assert attributes["Conv", "strides"][8] == [2]
    assert attributes["Conv", "strides"][20] == [7]
    assert attributes["Conv", "group"] == {1: [b"group"], 3: [1], 20: [2]}
    assert attributes["LeakyRelu", "alpha"] == {1: [b"alpha"], 2: [0.25], 20: [1]}
    assert attributes["Einsum", "equation"] == {1: [b"equation"], 4: [b"abc,cd->abd"], 20: [3]}


def test_integers_of_all_sizes_and_signs():
    for number in (0, 1, 127, 128, 300, 2**40, 2**63 - 1, -1, -(2**63)):
        assert fields(message(_7=number)) == {7: [number]}


def test_weights_that_calls_share_are_written_once(tmp_path):
    x = Input((2,))
    shared = Dense(2)
    model = Model(x, layers.Add()([shared(x), shared(shared(x))]))
    assert len(fields(exported(model, tmp_path)[7][0])[5]) == 2


def test_names_of_inputs_and_outputs_are_told_apart(tmp_path):
    x = Input((2,), name="x")
    both = Dense(2, name="d")
    model = Model(x, [both(x), both(both(x)), x])
    graph = fields(exported(model, tmp_path)[7][0])
    assert [sizes_of(one)[0] for one in graph[12]] == ["d", "d_1", "x_1"]


def test_a_signature_tells_sizes(tmp_path):
    model = Model(x := Input((None, 2), name="x"), layers.Rescaling(2)(x))
    graph = fields(exported(model, tmp_path, input_signature=np.zeros((1, 7, 2)))[7][0])
    assert sizes_of(graph[11][0]) == ("x", 1, ["batch", 7, 2])
    assert sizes_of(graph[12][0])[2][1:] == [7, 2]
    assert isinstance(sizes_of(graph[12][0])[2][0], str)  # batches of any size all the same
    with pytest.raises(
        ValueError, match=r"must have the shapes \(None, None, 2\) of the inp.* Received: \[arr"
    ):
        exported(model, tmp_path, input_signature=[np.zeros((1, 7, 3))])
    with pytest.raises(ValueError, match="input_signature must have"):
        exported(model, tmp_path, input_signature=[x, x])


class Cube(ActivationLayer):
    needs_input = True

    def apply(self, x, out):
        return np.power(x, 3, out=out)

    def chain(self, gradient, x, y, out):
        return np.multiply(gradient, 3 * x**2, out=out)


class Mine(Dense):
    pass


def test_all_that_has_no_form_is_named_and_the_old_file_stays(tmp_path):
    (tmp_path / "m.onnx").write_text("old")
    x = Input((None, None, 3))
    y = layers.Resizing(2, 2, name="smaller")(x)
    y = Dense(2, activation=Cube(), name="of_cubes")(y)
    y = Mine(2, name="mine")(layers.Dropout(0.5, name="drops")(y, training=True))
    y = layers.BatchNormalization(name="normal")(y, training=True)
    model = Model(x, y, name="net")
    with pytest.raises(ValueError, match=r"Model 'net' cannot be exported as ONNX") as refused:
        exported(model, tmp_path)
    assert str(refused.value).splitlines()[1:] == [
        "  'smaller' (Resizing): it depends on unknown sizes of its input: give them in "
        "input_signature",
        "  'of_cubes' (Dense): class Cube is not supported",
        "  'drops' (Dropout): a call with training=True is not supported",
        "  'mine' (Mine): class Mine is not supported",
        "  'normal' (BatchNormalization): a call with training=True is not supported",
    ]
    assert (tmp_path / "m.onnx").read_text() == "old"
    assert os.listdir(tmp_path) == ["m.onnx"]


def test_masks_are_refused_where_they_count_and_only_there(tmp_path):
    words = Input((4,), dtype="int32")
    vectors = layers.Embedding(5, 3, mask_zero=True, name="words")(words)
    exported(Model(words, Dense(2)(vectors)), tmp_path)
    for y in (layers.GlobalAveragePooling1D()(vectors), layers.Attention()([vectors, vectors])):
        with pytest.raises(ValueError, match=r"'words' \(Embedding\): its mask, which a later"):
            exported(Model(words, y), tmp_path)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (layers.LSTM(2, stateful=True), "it is stateful"),
        (layers.GRU(2, activation="gelu"), "activation=GELU"),
        (layers.SimpleRNN(2, activation=layers.ReLU(max_value=1)), "activation=ReLU"),
        (layers.TimeDistributed(Mine(2, name="mine")), r"'mine' \(Mine\): class Mine is not "),
    ],
)
def test_what_a_recurrent_layer_cannot_be_is_named(layer, reason, tmp_path):
    model = Sequential([Input((3, 2)), layer])
    with pytest.raises(ValueError, match=rf"(?s){layer.name}' .*{reason}"):
        exported(model, tmp_path)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (layers.Hashing(3), "class Hashing is not supported"),
        (
            layers.TextVectorization(vocabulary=["a"], output_mode="count"),
            "class TextVectorization is",
        ),
        (layers.StringLookup(vocabulary=["a"], num_oov_indices=2), "num_oov_indices must be 1"),
        (layers.StringLookup(vocabulary=["a"], num_oov_indices=0), "num_oov_indices must be 1"),
        (layers.IntegerLookup(vocabulary=[1], invert=True, oov_token=None), "no oov_token"),
        (layers.Discretization(num_bins=2), "no boundaries yet"),
    ],
)
def test_what_a_layer_for_tables_cannot_be_is_named(layer, reason, tmp_path):
    model = Sequential([Input((1,), dtype=layer.default_input_dtype), layer])
    with pytest.raises(ValueError, match=rf"(?s){layer.name}' .*{reason}"):
        exported(model, tmp_path)


def test_operators_for_tables_are_named_only_where_they_are(tmp_path):
    entries = {"count": layers.CategoryEncoding(4), "words": layers.StringLookup(vocabulary=["a"])}
    for name, layer in entries.items():
        Sequential([Input((1,), dtype=layer.default_input_dtype), layer]).export(tmp_path / name)
    assert b"ai.onnx.ml" not in (tmp_path / "count").read_bytes()
    assert b"ai.onnx.ml" in (tmp_path / "words").read_bytes()


def test_a_lambda_is_refused(tmp_path):
    model = Sequential([Input((2,)), layers.Lambda(lambda x: x * 2, name="twice")])
    with pytest.raises(ValueError, match=r"'twice' \(Lambda\): class Lambda is not supported"):
        exported(model, tmp_path)


def test_other_formats_and_models_without_weights_are_refused(tmp_path):
    model = Sequential([Dense(2)])
    with pytest.raises(ValueError, match=r"format must be 'onnx'. Received: format='torch'"):
        model.export(tmp_path / "m", format="torch")
    with pytest.raises(AttributeError, match=r"before it is built"):
        model.export(tmp_path / "m")
    assert os.listdir(tmp_path) == []


def test_files_beyond_the_limit_are_refused(tmp_path, monkeypatch):
    model = Sequential([Input((4,)), Dense(3)])
    for limit in (59, 300):  # below the weights, and below the whole
        monkeypatch.setattr(protobuf, "LIMIT", limit)
        with pytest.raises(
            ValueError, match=r"less than 2 GiB. Model 'sequential.*' has [0-9,]+ b"
        ):
            exported(model, tmp_path)
    assert os.listdir(tmp_path) == []


def test_it_says_where_the_file_is(tmp_path, capsys):
    model = Sequential([Input((4,)), Dense(3)])
    model.export(tmp_path / "a" / "m.onnx")
    assert capsys.readouterr().out == f"Saved artifact at '{tmp_path / 'a' / 'm.onnx'}'.\n"
    model.export(tmp_path / "m.onnx", verbose=False)
    assert capsys.readouterr().out == ""

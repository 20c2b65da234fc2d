"""The masks that Keras 3 writes into the calls of functional models."""

import copy
import json

import numpy as np
import pytest

import nnlite
from nnlite import layers
from nnlite.models import model_from_json

IDS = np.array([[1, 2, 0, 1, 0], [2, 0, 0, 0, 1]])


def tensor(name, index=0):
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, index]}}


def operation(class_name, name, *args, **config):
    return {
        "module": "keras.src.ops.numpy",
        "class_name": class_name,
        "config": {"name": name, **config},
        "name": name,
        "inbound_nodes": [{"args": list(args), "kwargs": {}}],
    }


def two():
    """Two masked sequences, joined, and a layer that reads the mask."""
    a, b = (nnlite.Input((5,), dtype="int32", name=name) for name in "ab")
    x = layers.Embedding(3, 2, mask_zero=True, name="x")(a)
    y = layers.Embedding(3, 2, mask_zero=True, name="y")(b)
    z = layers.Dropout(0.5, name="drop")(layers.Add(name="sum")([x, y]))
    return nnlite.Model([a, b], layers.GlobalAveragePooling1D(name="mean")(z))


def written(mask, *operations):
    """Return the model as Keras writes it, the mask of the last layer being ``mask``."""
    data = json.loads(two().to_json())
    *before, last = data["config"]["layers"]
    last["inbound_nodes"][0]["kwargs"] = {"mask": mask}
    data["config"]["layers"] = [*before, *operations, last]
    return data


OF_A = operation("NotEqual", "of_a", tensor("a"), 0)
OF_B = operation("NotEqual", "of_b", tensor("b"), 0)
EITHER = operation("LogicalOr", "either", tensor("of_a"), tensor("of_b"))


def read(data):
    return model_from_json(json.dumps(data))


@pytest.mark.parametrize("end", [[], [operation("ConvertToTensor", "end", tensor("either"))]])
def test_the_own_mask_is_dropped(end):
    data = written(tensor(end[0]["name"] if end else "either"), OF_A, OF_B, EITHER, *end)
    for model in (read(data), nnlite.Model.from_config(data["config"])):
        assert [layer.name for layer in model.layers] == ["a", "b", "x", "y", "sum", "drop", "mean"]
        model.set_weights(two().get_weights())
        plain = two()
        plain.set_weights(model.get_weights())
        want = plain.predict([IDS, IDS[::-1]], verbose=0)
        np.testing.assert_array_equal(model.predict([IDS, IDS[::-1]], verbose=0), want)


def test_masks_side_by_side_are_dropped():
    """Concatenate's, as Keras makes it: spread over the entries, joined, and any of them."""
    a = nnlite.Input((5,), dtype="int32", name="a")
    x = layers.Embedding(3, 2, mask_zero=True, name="x")(a)
    y = layers.Embedding(3, 2, name="y")(a)
    z = layers.Concatenate(axis=1, name="join")([x, y])
    model = nnlite.Model(a, layers.GlobalAveragePooling1D(name="mean")(z))
    data = json.loads(model.to_json())
    more = [
        OF_A,
        operation("ExpandDims", "wide", tensor("of_a"), axis=-1),
        operation("ZerosLike", "no", tensor("x"), dtype="bool"),
        operation("LogicalOr", "spread", tensor("wide"), tensor("no")),
        operation("OnesLike", "yes", tensor("y"), dtype="bool"),
        operation("Concatenate", "joined", [tensor("spread"), tensor("yes")], axis=1),
        operation("Any", "any", tensor("joined"), axis=-1, keepdims=False),
    ]
    *before, last = data["config"]["layers"]
    last["inbound_nodes"][0]["kwargs"] = {"mask": tensor("any")}
    data["config"]["layers"] = [*before, *more, last]
    assert [layer.name for layer in read(data).layers] == ["a", "x", "y", "join", "mean"]
    more[-2]["config"]["axis"] = 2
    with pytest.raises(ValueError, match="'mean' is called with a mask= of its own"):
        read(data)


def test_the_mask_of_masking_is_dropped():
    a = nnlite.Input((5, 3), name="a")
    x = layers.LSTM(2, name="lstm")(layers.Masking(2.0, name="masking")(a))
    data = json.loads(nnlite.Model(a, x).to_json())
    more = [
        operation("NotEqual", "other", tensor("a"), 2.0),
        operation("Any", "any", tensor("other"), axis=-1, keepdims=False),
    ]
    data["config"]["layers"][1:1] = more
    data["config"]["layers"][-1]["inbound_nodes"][0]["kwargs"] = {"mask": tensor("any")}
    assert len(read(data).layers) == 3
    more[0]["inbound_nodes"][0]["args"][1] = 3.0
    with pytest.raises(ValueError, match="'lstm' is called with a mask= of its own"):
        read(data)


HUGE = [OF_A]
for _number in range(20):
    HUGE.append(
        operation(
            "Concatenate", f"of_{_number}", [tensor(HUGE[-1]["name"]), tensor(HUGE[-1]["name"])],
            axis=1,
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ([OF_A], "layer 'mean' is called with a mask= of its own"),
        ([OF_A, OF_B, {**EITHER, "class_name": "LogicalAnd"}], "'mean' is called with a mask="),
        ([operation("NotEqual", "m", tensor("a"), 1)], "'mean' is called with a mask= of its own"),
        ([operation("NotEqual", "m", tensor("a"), "0x")], "layer 'm' cannot be called: the mask"),
        ([operation("NotEqual", "m", tensor("a"))], "layer 'm' cannot be called: the mask"),
        ([OF_A, operation("NotEqual", "m", tensor("of_a"), 0)], "'mean' is called with a mask="),
        ([OF_A, operation("Any", "m", tensor("of_a"), axis="x")], "layer 'm' cannot be called"),
        ([OF_A, operation("Any", "m", tensor("of_a"), axis=7)], "layer 'm' cannot be called"),
        ([operation("Equal", "m", tensor("a"), 0)], "operation 'm' of class Equal"),
        (HUGE, "layer 'of_1.' cannot be called: .* has [0-9]+ entries"),
    ],
)
def test_another_mask_is_refused_by_name(operations, message):
    with pytest.raises(ValueError, match=message):
        read(written(tensor(operations[-1]["name"]), *operations))


def test_an_operation_that_makes_more_than_masks_is_no_mask():
    data = written(tensor("of_a"), OF_A)
    data["config"]["output_layers"] = ["of_a", 0, 0]
    with pytest.raises(ValueError, match="operation 'of_a' of class NotEqual"):
        read(data)
    twice = [
        operation("Concatenate", "once", [tensor("x"), tensor("y")], axis=-1),
        operation("Concatenate", "twice", [tensor("once"), tensor("x")], axis=-1),
    ]
    data = json.loads(two().to_json())
    layers_of = data["config"]["layers"]
    layers_of[-1:-1] = twice
    for argument in copy.deepcopy(layers_of[-1]["inbound_nodes"][0]["args"]):
        argument["config"]["keras_history"][0] = "twice"
        layers_of[-1]["inbound_nodes"][0]["args"] = [argument]
    assert read(data).output_shape == (None, 6)


def test_beside_states_sequences_are_taken_whole():
    """As in Keras 3, which hands no mask to a layer that is called on several tensors."""
    a = nnlite.Input((5,), dtype="int32", name="a")
    h = nnlite.Input((2,), name="h")
    results = {}
    for mask_zero in (False, True):
        x = layers.Embedding(3, 2, mask_zero=mask_zero, name="x")(a)
        for wrapped in (False, True):
            gru = layers.GRU(2, name="gru")
            layer, states = (layers.Bidirectional(gru), [h, h]) if wrapped else (gru, [h])
            for given in (states, None):
                output = layer(x, initial_state=given) if given else layer(x)
                model = nnlite.Model([a, h], output + layers.Dense(1)(h))
                rng = np.random.default_rng(1)
                model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
                y = model.predict([IDS, np.ones((2, 2))], verbose=0)
                results[mask_zero, wrapped, bool(given)] = y
    for wrapped in (False, True):
        np.testing.assert_array_equal(results[True, wrapped, True], results[False, wrapped, True])
        assert (results[True, wrapped, False] != results[False, wrapped, False]).any()


def test_a_mask_beside_states_is_refused():
    a, h = nnlite.Input((5,), dtype="int32", name="a"), nnlite.Input((2,), name="h")
    x = layers.Embedding(3, 2, mask_zero=True, name="x")(a)
    model = nnlite.Model([a, h], layers.GRU(2, name="gru")(x, initial_state=h))
    data = json.loads(model.to_json())
    *before, last = data["config"]["layers"]
    last["inbound_nodes"][0]["kwargs"]["mask"] = tensor("of_a")
    data["config"]["layers"] = [*before, OF_A, last]
    with pytest.raises(ValueError, match="'gru' is called with a mask= of its own"):
        read(data)

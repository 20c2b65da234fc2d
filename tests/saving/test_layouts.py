"""The ways in which Keras's files lay out the weights, and what does not fit them."""

from functools import partial

import h5py
import numpy as np
import pytest

from nnlite import Sequential
from nnlite.layers import BatchNormalization, Dense, Dropout, Input, Layer
from nnlite.models import load_model
from nnlite.saving import register_keras_serializable

from .old_files import (
    CHAIN,
    NEW_GROUPS,
    TWO_GROUPS,
    X,
    dense,
    expected,
    input_layer,
    kernel_and_bias,
    sequential,
    two_layers,
    weights_h5,
    write_h5,
    write_keras,
    write_names,
)


def fresh():
    return Sequential([Input((4,)), Dense(3, "tanh", name="dense"), Dense(2, name="dense_1")])


def assert_predicts(model, y=None):
    y = expected() if y is None else y
    np.testing.assert_allclose(model.predict(X, verbose=0), y, rtol=1e-5, atol=1e-6)


# ---- nested groups -------------------------------------------------------------------------

OLD = "_layer_checkpoint_dependencies"


@pytest.mark.parametrize(
    "groups",
    [
        NEW_GROUPS,
        {f"{OLD}/dense": CHAIN[0], f"{OLD}/dense_1": CHAIN[1]},
        {f"{OLD}\\dense": CHAIN[0], f"{OLD}\\dense_2": CHAIN[1]},
        {"layers\\dense": CHAIN[0], "layers\\dense_1": CHAIN[1], "metrics\\mean": [np.ones(3)]},
        {f"{OLD}/dense": CHAIN[0], f"{OLD}/dense_10": CHAIN[1]},
        {**NEW_GROUPS, "layers/input_layer": [], "optimizer": [np.array(3), np.float32(0.1)]},
    ],
    ids=["3", "2.14", "2.13 windows", "2.15 windows", "2.13", "with more"],
)
def test_groups_of_all_years(tmp_path, groups):
    assert_predicts(load_model(write_keras(tmp_path / "m.keras", groups=groups)))


def test_a_group_may_bear_the_name_of_another_layer(tmp_path):
    layers = [input_layer(), dense("dense_1", 3, "tanh"), dense("dense", 2)]
    path = write_keras(tmp_path / "m.keras", sequential(layers))
    model = load_model(path)
    assert [layer.name for layer in model.layers] == ["dense_1", "dense"]
    assert_predicts(model)


def test_the_group_of_a_renamed_class_bears_the_old_name(tmp_path):
    bn = {"class_name": "SyncBatchNormalization", "config": {"name": "bn", "epsilon": 0.0625}}
    arrays = np.array([[2, 2], [1, 1], [0, 0], [3.9375, 3.9375]], "float32")
    groups = {**NEW_GROUPS, "layers/sync_batch_normalization": arrays}
    path = write_keras(tmp_path / "m.keras", sequential([*two_layers(), bn]), groups)
    assert_predicts(load_model(path), expected() + 1)


def test_numbers_sort_as_numbers(tmp_path):
    rng = np.random.default_rng(2)
    squares = [(rng.normal(size=(4, 4)) / 2, rng.normal(size=4)) for _ in range(12)]
    layers = [input_layer(), *(dense(f"d{number}", 4) for number in range(12))]
    groups = {
        f"layers/dense_{number}" if number else "layers/dense": pair
        for number, pair in enumerate(squares)
    }
    y = X
    for W, b in squares:
        y = y @ W + b
    model = load_model(write_keras(tmp_path / "m.keras", sequential(layers), groups))
    assert_predicts(model, y.astype("float32"))


def test_variables_of_a_layer_sort_as_numbers(tmp_path):
    vectors = np.arange(1, 12, dtype="float32")

    class Many(Dense):
        def build(self, input_shape):
            super().build(input_shape)
            for number in range(9):
                self.add_weight(f"w{number}", (), "zeros")

    layers = [input_layer(), {**dense("d", 3), "class_name": "Many"}]
    arrays = [*CHAIN[0], *vectors[2:]]
    path = write_keras(tmp_path / "m.keras", sequential(layers), {"layers/many": arrays})
    model = load_model(path, custom_objects={"Many": Many})
    assert [float(w.value) for w in model.weights[2:]] == list(vectors[2:])


class Counted(Layer):
    def build(self, input_shape):
        self.seen = self.add_weight("seen", (2,), "zeros", trainable=False)
        self.shift = self.add_weight("shift", (2,), "zeros")

    def forward(self, x, training=False):
        return x + self.shift.value


def test_what_learns_comes_first_in_a_layers_group(tmp_path):
    layers = [*two_layers(), {"class_name": "Counted", "config": {"name": "c"}}]
    groups = {**NEW_GROUPS, "layers/counted": [np.ones(2, "float32"), np.zeros(2, "float32")]}
    path = write_keras(tmp_path / "m.keras", sequential(layers), groups)
    model = load_model(path, {"Counted": Counted})
    assert_predicts(model, expected() + 1)
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5") as file:
        np.testing.assert_array_equal(file["layers/counted/vars/0"], np.ones(2))


def test_states_of_seed_generators_are_left_alone(tmp_path):
    dropout = {"class_name": "Dropout", "config": {"name": "drop", "rate": 0.5, "seed": 3}}
    layers = [*two_layers()[:2], dropout, two_layers()[2]]
    groups = {**NEW_GROUPS, "layers/dropout/seed_generator": [np.array([3, 0], "uint32")]}
    assert_predicts(load_model(write_keras(tmp_path / "m.keras", sequential(layers), groups)))


@pytest.mark.parametrize("kind", ["Sequential", "Functional"])
def test_groups_of_nested_models_go_by_their_class(tmp_path, kind):
    inner = sequential(two_layers())
    nodes = {"input_1": [], "dense": [[["input_1", 0, 0, {}]]], "dense_1": [[["dense", 0, 0, {}]]]}
    if kind == "Functional":
        inner["class_name"] = kind
        for layer in inner["config"]["layers"]:
            layer["name"] = layer["config"]["name"]
            layer["inbound_nodes"] = nodes[layer["name"]]
        inner["config"] |= {"input_layers": ["input_1", 0, 0], "output_layers": ["dense_1", 0, 0]}
    other = sequential([input_layer((None, 2)), dense("last", 2)], name="other")
    W, b = np.eye(2, dtype="float32") * 2, np.ones(2, "float32")
    place = {"Sequential": "layers/sequential", "Functional": "layers/functional"}[kind]
    second = "layers/sequential_1" if kind == "Sequential" else "layers/sequential"
    groups = {f"{place}/{name}": pair for name, pair in NEW_GROUPS.items()}
    groups[f"{second}/layers/dense"] = [W, b]
    path = write_keras(tmp_path / "m.keras", sequential([input_layer(), inner, other]), groups)
    assert_predicts(load_model(path), expected() * 2 + 1)


def test_an_activation_with_weights_of_its_own(tmp_path):
    prelu = {"class_name": "PReLU", "config": {"name": "p", "shared_axes": None}}
    layers = [input_layer(), dense("dense", 3, prelu), dense("dense_1", 2)]
    alpha = np.array([0.1, 0.2, 0.3], "float32")
    groups = {**NEW_GROUPS, "layers/dense/activation": [alpha]}
    path = write_keras(tmp_path / "m.keras", sequential(layers), groups)
    assert_predicts(load_model(path), expected(lambda z: np.where(z > 0, z, alpha * z)))


class Block(Layer):
    """Layers in an attribute, in a list, and in a place that no file has a group for."""

    def __init__(self, hidden=False, **kwargs):
        super().__init__(**kwargs)
        self.hidden = hidden
        self.first = Dense(3, "tanh", name="f")
        self.rest = [Dense(3, use_bias=False, name="f"), Dense(2, name="s")]
        if hidden:
            self.rest = partial(list, self.rest)

    def sublayers(self):
        return (self.first, *(self.rest() if self.hidden else self.rest))

    def build(self, input_shape):
        for layer in self.sublayers():
            layer.ensure_built(input_shape)
            input_shape = layer.compute_output_shape(input_shape)

    def forward(self, x, training=False):
        for layer in self.sublayers():
            x = layer.forward(x, training)
        return x


def test_layers_within_a_layer_of_the_programs_own(tmp_path):
    (W, b), (V, c) = CHAIN
    layers = [input_layer(), {"class_name": "Block", "config": {"name": "block"}}]
    groups = {
        "layers/block/first": [W, b],
        "layers/block/rest/dense": [np.eye(3, dtype="float32")],
        "layers/block/rest/dense_1": [V, c],
    }
    path = write_keras(tmp_path / "m.keras", sequential(layers), groups)
    model = load_model(path, {"Block": Block})
    assert_predicts(model)
    model.save(tmp_path / "again.keras")
    assert_predicts(load_model(tmp_path / "again.keras", {"Block": Block}))
    model.save(tmp_path / "again.h5")
    assert_predicts(load_model(tmp_path / "again.h5", {"Block": Block}))


def test_a_weight_that_has_no_place_in_the_file_is_named(tmp_path):
    config = {"name": "block", "hidden": True}
    layers = [input_layer(), {"class_name": "Block", "config": config}]
    groups = {"layers/block/first": CHAIN[0], "layers/other": [np.ones(100, "float32")]}
    path = write_keras(tmp_path / "m.keras", sequential(layers), groups)
    with pytest.raises(ValueError, match="does not have the weights 'kernel', 'kernel', 'bias'"):
        load_model(path, {"Block": Block})


def test_the_group_of_a_models_subclass_bears_the_subclasses_name(tmp_path):
    class MyChain(Sequential):
        pass

    inner = {**sequential(two_layers()), "class_name": "MyChain"}
    groups = {f"layers/my_chain/{name}": pair for name, pair in NEW_GROUPS.items()}
    path = write_keras(tmp_path / "m.keras", sequential([input_layer(), inner]), groups)
    model = load_model(path, {"MyChain": MyChain})
    assert isinstance(model.layers[0], MyChain)
    assert_predicts(model)


# ---- names in attributes -------------------------------------------------------------------


def test_the_attributes_order_counts_not_the_spelling(tmp_path):
    (W, b), (V, c) = CHAIN
    groups = [
        ("input_1", []),
        ("dense", [("z_57/second:0", W), ("a/first:0", b)]),
        ("dropout", []),
        ("dense_1", [("sequential/dense_1/kernel", V), ("sequential/dense_1/bias", c)]),
    ]
    drop = {"class_name": "Dropout", "config": {"name": "dropout", "rate": 0.5}}
    layers = [*two_layers()[:2], drop, two_layers()[2]]
    assert_predicts(load_model(write_h5(tmp_path / "m.h5", sequential(layers), groups)))


def test_names_as_text_and_in_parts(tmp_path):
    path = write_h5(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        group = file["model_weights"]
        del group.attrs["layer_names"]
        group.attrs["layer_names0"] = np.array(["dense"], dtype=object)
        group.attrs["layer_names1"] = np.array(["dense_1"], dtype=object)
    assert_predicts(load_model(path))


def test_layer_names_with_slashes(tmp_path):
    layers = [input_layer(), dense("net/dense", 3, "tanh"), dense("net/out", 2)]
    groups = [
        ("net/dense", kernel_and_bias("net/dense", 0)[1]),
        ("net/out", kernel_and_bias("net/out", 1)[1]),
    ]
    assert_predicts(load_model(write_h5(tmp_path / "m.h5", sequential(layers), groups)))


def test_a_nested_model_lists_what_learns_first(tmp_path):
    gamma, beta, mean, variance = np.arange(8, dtype="float32").reshape(4, 2) + 1
    bn = {"class_name": "BatchNormalization", "config": {"name": "bn", "axis": -1, "epsilon": 0.5}}
    inner = sequential([*two_layers(), bn, dense("last", 2)], name="inner")
    V = np.array([[1, 2], [3, 4]], "float32")
    arrays = [*CHAIN[0], *CHAIN[1], gamma, beta, V, np.zeros(2, "float32"), mean, variance]
    group = [("inner", [(f"{number}:0", array) for number, array in enumerate(arrays)])]
    path = write_h5(tmp_path / "m.h5", sequential([input_layer(), inner]), group)
    y = (gamma * (expected() - mean) / np.sqrt(variance + 0.5) + beta) @ V
    assert_predicts(load_model(path), y)


# ---- weights alone -------------------------------------------------------------------------


def write_weights(tmp_path, kind, groups=None):
    if kind == "old":
        return write_h5(tmp_path / "old.h5", groups=groups or TWO_GROUPS, whole=False)
    if kind == "whole":
        return write_h5(tmp_path / "whole.h5", groups=groups or TWO_GROUPS)
    if kind == "archive":
        return write_keras(tmp_path / "m.keras", groups=groups or NEW_GROUPS)
    path = tmp_path / "new.weights.h5"
    path.write_bytes(weights_h5(groups or NEW_GROUPS))
    return str(path)


@pytest.mark.parametrize("kind", ["old", "whole", "archive", "new"])
def test_load_weights_out_of_every_kind_of_file(tmp_path, kind):
    model = fresh()
    model.load_weights(write_weights(tmp_path, kind))
    assert_predicts(model)


def test_weights_by_name(tmp_path):
    groups = [("other", [("k", np.ones((9, 9), "float32"))]), kernel_and_bias("dense_1", 1)]
    model = fresh()
    before = model.get_weights()
    model.load_weights(write_weights(tmp_path, "old", groups), by_name=True)
    for had, has in zip(before[:2], model.get_weights()[:2], strict=True):
        np.testing.assert_array_equal(had, has)
    for want, has in zip(CHAIN[1], model.get_weights()[2:], strict=True):
        np.testing.assert_array_equal(want, has)


def test_by_name_is_refused_where_there_are_no_names(tmp_path):
    with pytest.raises(ValueError, match=r"by_name is for .h5 files of Keras 2"):
        fresh().load_weights(write_weights(tmp_path, "new"), by_name=True)


def test_layers_to_skip(tmp_path):
    model = fresh()
    before = model.get_weights()
    model.load_weights(write_weights(tmp_path, "new"), objects_to_skip=[model.layers[0]])
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    np.testing.assert_array_equal(model.get_weights()[2], CHAIN[1][0])
    for kind in ("old", "archive"):
        with pytest.raises(ValueError, match=r"objects_to_skip is for .weights.h5"):
            model.load_weights(write_weights(tmp_path, kind), objects_to_skip=[model.layers[0]])


def another():
    layers = [Dense(3, "tanh", name="dense"), Dense(5, name="dense_1")]
    return Sequential([Input((4,)), *layers])


@pytest.mark.parametrize("kind", ["old", "archive", "new"])
def test_weights_that_do_not_fit_change_nothing(tmp_path, kind):
    model = another()
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"weight 'kernel' of layer 'dense_1' has shape \(3, 5\)"):
        model.load_weights(write_weights(tmp_path, kind))
    for had, has in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(had, has)


@pytest.mark.parametrize("kind", ["old", "archive", "new"])
def test_skip_mismatch_takes_what_fits_and_names_the_rest(tmp_path, kind):
    model = another()
    before = model.get_weights()
    with pytest.warns(UserWarning, match="layer 'dense_1'"):
        model.load_weights(write_weights(tmp_path, kind), skip_mismatch=True)
    np.testing.assert_array_equal(model.get_weights()[0], CHAIN[0][0])
    np.testing.assert_array_equal(model.get_weights()[2], before[2])


def test_another_number_of_layers_is_refused(tmp_path):
    model = Sequential([Input((4,)), Dense(3), BatchNormalization(), Dense(2)])
    with pytest.raises(ValueError, match="3 layers with weights, the file 2") as caught:
        model.load_weights(write_weights(tmp_path, "old"))
    lines = [line.split("|") for line in str(caught.value).splitlines()[1:]]
    assert [(left.strip(), right.strip()) for left, right in lines] == [
        ("the model", "the file"),
        ("dense: (4, 3), (3,)", "dense: (4, 3), (3,)"),
        ("batch_normalization: (3,), (3,), (3,), (3,)", "dense_1: (3, 2), (2,)"),
        ("dense_1: (3, 2), (2,)", "-"),
    ]
    with pytest.raises(ValueError, match=r"'batch_normalization' has 4 weights .* has 0 for it"):
        model.load_weights(write_weights(tmp_path, "new"))


def test_layers_that_only_the_file_has_are_refused_or_skipped(tmp_path):
    groups = {**NEW_GROUPS, "layers/dense_2": [np.ones((2, 1), "float32")]}
    groups["layers/dropout/seed_generator"] = [np.zeros(2, "uint32")]
    path, model = write_weights(tmp_path, "new", groups), fresh()
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"dense_2 \(not in the model\): none \| /layers/dense_2"):
        model.load_weights(path)
    for had, has in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(had, has)
    with pytest.warns(UserWarning, match="dense_2"):
        model.load_weights(path, skip_mismatch=True)
    assert_predicts(model)


def test_by_name_with_no_name_in_common_is_refused(tmp_path):
    model = Sequential([Input((4,)), Dense(3, name="other"), Dense(2, name="more")])
    with pytest.raises(ValueError, match="has other, more; the file dense, dense_1"):
        model.load_weights(write_weights(tmp_path, "old"), by_name=True)


@register_keras_serializable("tests")
class Gates(Layer):
    """Has the weights of an LSTM of two units, or of a GRU that resets after the product."""

    def __init__(self, gates, **kwargs):
        super().__init__(**kwargs)
        self.gates = gates

    def build(self, input_shape):
        self.kernel = self.add_weight("kernel", (3, 2 * self.gates))
        self.recurrent_kernel = self.add_weight("recurrent_kernel", (2, 2 * self.gates))
        bias = (8,) if self.gates == 4 else (2, 6)
        self.bias = self.add_weight("bias", bias)

    def forward(self, x, training=False):
        return x

    def backward(self, gradient):
        return gradient


@pytest.mark.parametrize("gates", [3, 4])
def test_weights_of_cudnn(tmp_path, gates):
    """cuDNN reads each gate's matrices W (units, inputs) row by row, and W x + b + U h + c."""
    generator = np.random.default_rng(0)
    W, U = (generator.normal(size=(gates, 2, size)).astype("float32") for size in (3, 2))
    biases = generator.normal(size=(2, 2 * gates)).astype("float32")
    stored = [
        ("kernel", np.hstack([one.reshape(3, 2) for one in W])),
        ("recurrent_kernel", np.hstack([one.reshape(2, 2) for one in U])),
        ("bias", biases.reshape(-1)),
    ]
    model = Sequential([Input((3,)), Gates(gates)])
    model.load_weights(write_weights(tmp_path, "old", [("cu_dnn", stored)]))
    kernel, recurrent, bias = model.get_weights()
    x, h = np.float32([1, -2, 3]), np.float32([0.5, 4])
    np.testing.assert_allclose(x @ kernel, np.concatenate([one @ x for one in W]), rtol=1e-5)
    np.testing.assert_allclose(h @ recurrent, np.concatenate([one @ h for one in U]), rtol=1e-5)
    np.testing.assert_array_equal(bias, biases.sum(axis=0) if gates == 4 else biases)


def test_another_number_of_weights_is_refused(tmp_path):
    model = Sequential([Input((4,)), Dense(3, use_bias=False), Dense(2)])
    with pytest.raises(ValueError, match=r"layer 'dense' has 1 weights \(kernel \(4, 3\)\)"):
        model.load_weights(write_weights(tmp_path, "old"))


def test_a_model_without_weights_yet_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has no weights yet"):
        Sequential([Dense(3)]).load_weights(write_weights(tmp_path, "new"))


def test_integers_are_no_weights(tmp_path):
    groups = {**NEW_GROUPS, "layers/dense_1": [CHAIN[1][0].astype("int32"), CHAIN[1][1]]}
    with pytest.raises(ValueError, match="'dense_1' is stored as int32, not as real numbers"):
        fresh().load_weights(write_weights(tmp_path, "new", groups))


def test_numbers_beyond_the_models_type_are_refused(tmp_path):
    groups = {**NEW_GROUPS, "layers/dense": [CHAIN[0][0].astype("float64") * 1e300, CHAIN[0][1]]}
    with pytest.raises(ValueError, match="which cannot hold numbers as large"):
        fresh().load_weights(write_weights(tmp_path, "new", groups))


def test_a_file_of_weights_is_no_model(tmp_path):
    for kind in ("old", "new"):
        with pytest.raises(ValueError, match=r"weights without a model.*load_weights"):
            load_model(write_weights(tmp_path, kind))
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        write_names(file, "other", ["a"])
    with pytest.raises(ValueError, match="the file holds no model"):
        load_model(tmp_path / "empty.h5")


def test_dropout_keeps_the_others_places(tmp_path):
    model = Sequential([Input((4,)), Dropout(0.1), Dense(3, "tanh"), Dropout(0.1), Dense(2)])
    model.load_weights(write_weights(tmp_path, "new"))
    assert_predicts(model)

"""Configurations made to do harm: each is refused, or read for what little of it is a model."""

import json
import tracemalloc
import warnings

import numpy as np
import pytest

from nnlite import Sequential
from nnlite.backend.variables import Variable, array_for_file, weights_from_file
from nnlite.layers import Dense, Input
from nnlite.models import load_model, model_from_json
from nnlite.saving.load_report import naming_file

from .old_files import (
    CHAIN,
    TWO_GROUPS,
    X,
    dense,
    input_layer,
    sequential,
    two_layers,
    write_h5,
    write_keras,
)

CODE = ["4wAAAAAAAAAAAQAAAAQAAAATAAAAcwwAAAB0AGQBgwEAfABTACkC", None, None]


@pytest.fixture
def small():
    """Assert that no more than 20 MB are taken within the test."""
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


# ---- sizes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([input_layer(), dense("dense", 10**9), dense("dense_1", 2)], "more than the file holds"),
        ([input_layer(), dense("dense", 10**300)], "more than the file holds"),
        ([input_layer((None, 10**12)), dense("dense", 3)], "more than the file holds"),
        (
            [input_layer(), {"class_name": "RepeatVector", "config": {"n": 10**9}},
             {"class_name": "Flatten", "config": {}}, dense("dense", 3)],
            "more than the file holds",
        ),
        ([input_layer(), *(dense(f"d{i}", 3) for i in range(50))], "more than the file holds"),
        ([input_layer(), dense("dense", -3)], "units"),
        ([input_layer(), dense("dense", 2.5)], "units"),
        ([input_layer(), dense("dense", "3")], "units"),
        ([input_layer((None, -4)), dense("dense", 3)], "positive integers"),
        ([input_layer("no shape"), dense("dense", 3)], "positive integers"),
        ([input_layer((None, float("nan"))), dense("dense", 3)], "positive integers"),
    ],
)  # fmt: skip
def test_sizes_that_the_file_does_not_bear_out(tmp_path, small, layers, message):
    for path in (
        write_h5(tmp_path / "m.h5", sequential(layers)),
        write_keras(tmp_path / "m.keras", sequential(layers)),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            load_model(path)
        assert str(caught.value).startswith(path)


def test_sizes_that_are_no_weights_take_no_memory(tmp_path, small):
    chain = [
        *two_layers(),
        {"class_name": "RepeatVector", "config": {"name": "r", "n": 10**12}},
        {"class_name": "Permute", "config": {"name": "p", "dims": [2, 1]}},
    ]
    path = write_h5(tmp_path / "m.h5", sequential(chain), [*TWO_GROUPS, ("r", []), ("p", [])])
    assert load_model(path).output_shape == (None, 2, 10**12)


def test_a_fixed_batch_of_any_size_takes_no_memory(tmp_path, small):
    chain = [input_layer((10**12, 4)), *two_layers()[1:]]
    assert load_model(write_h5(tmp_path / "m.h5", sequential(chain))).predict(X).shape == (7, 2)


def test_more_layers_than_a_chain_can_have(tmp_path):
    relus = [{"class_name": "ReLU", "config": {"name": f"r{i}"}} for i in range(1_500)]
    chain = [input_layer(), sequential(relus), sequential(relus)]
    with pytest.raises(ValueError, match="more than 2000 layers"):
        load_model(write_keras(tmp_path / "m.keras", sequential(chain)))


def functional(layers, out, inputs=("input_1",)):
    """Return a functional model of layers, each with its name and what it reads, call by call."""
    entries = [{**input_layer(name=name), "name": name} for name in inputs]
    for layer, name, *calls in layers:
        nodes = [[[source, at, 0, {}] for source, at in call] for call in calls]
        entries.append({**layer, "name": name, "inbound_nodes": nodes})
    config = {
        "name": "model",
        "layers": entries,
        "input_layers": [[name, 0, 0] for name in inputs],
        "output_layers": [[*out, 0]],
    }
    return {"class_name": "Functional", "config": config}


def relu(name):
    return {"class_name": "ReLU", "config": {"name": name}}


def test_nested_calls_that_double_are_refused_before_they_are_made(tmp_path, small):
    """Twenty models, each calling the one within it twice: 2^20 calls in a file of 10 kB."""
    model = functional([(relu("relu"), "relu", [("input_1", 0)])], ("relu", 0))
    for depth in range(20):
        name = f"m{depth}"
        twice = [("input_1", 0)], [(name, 1)]
        model = functional([(model, name, *twice)], (name, 2))
    for path in (
        write_h5(tmp_path / "m.h5", model, []),
        write_keras(tmp_path / "m.keras", model, {}),
    ):
        with pytest.raises(ValueError, match="more than 10000 calls of layers"):
            load_model(path)


def test_a_layer_that_is_called_without_end_is_refused(tmp_path):
    calls = [[("input_1", 0)], *([("relu", at)] for at in range(10_000))]
    model = functional([(relu("relu"), "relu", *calls)], ("relu", 10_000))
    with pytest.raises(ValueError, match="more than 10000 calls of layers"):
        load_model(write_keras(tmp_path / "m.keras", model, {}))


def test_a_ring_of_layers_is_refused(tmp_path):
    ring = [(relu(f"r{i}"), f"r{i}", [(f"r{(i + 1) % 500}", 0)]) for i in range(500)]
    with pytest.raises(ValueError, match=r"has a cycle: .*'r0', 'r1'"):
        load_model(write_keras(tmp_path / "m.keras", functional(ring, ("r0", 0)), {}))


def test_layers_in_the_worst_order_take_no_longer(tmp_path):
    chain = [(relu(f"r{i}"), f"r{i}", [(f"r{i - 1}" if i else "input_1", 0)]) for i in range(300)]
    model = load_model(write_keras(tmp_path / "m.keras", functional(chain[::-1], ("r299", 0)), {}))
    np.testing.assert_array_equal(model.predict(X), np.maximum(X, 0))


def test_code_among_the_arguments_of_a_call_is_refused(tmp_path):
    for value in (
        {"class_name": "__lambda__", "config": {"code": CODE[0]}},
        {"class_name": "function", "module": "os", "config": "system", "registered_name": "system"},
        {"class_name": "Popen", "module": "subprocess", "config": {"args": ["touch", "harm"]}},
    ):
        model = functional([(relu("relu"), "relu")], ("relu", 0))
        tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": ["input_1", 0, 0]}}
        model["config"]["layers"][1]["inbound_nodes"] = [{"args": [tensor, value], "kwargs": {}}]
        with pytest.raises(ValueError, match=r"Cannot make a|expected"):
            load_model(write_keras(tmp_path / "m.keras", model, {}))


def test_a_weight_may_have_what_is_left_in_the_file():
    with weights_from_file(10):
        assert not Variable(array_for_file("a", (2, 3), "float32"), "a").value.any()
        with pytest.raises(ValueError, match=r"b has 5 numbers by its shape \(5,\)"):
            array_for_file("b", (5,), "float32")
        assert array_for_file("c", (4,), "float64").dtype == np.float64
    assert array_for_file("d", (10**12,), "float32") is None


def test_initializers_are_not_run_for_weights_that_a_file_fills():
    def initializer(shape, dtype):
        raise AssertionError

    with weights_from_file(100):
        Sequential([Input((4,)), Dense(3, kernel_initializer=initializer)])


def test_a_weight_that_the_file_lacks_is_not_left_at_zero(tmp_path):
    groups = {"layers/dense": [*CHAIN[0], np.zeros(100, "float32")], "layers/dense_1": []}
    with pytest.raises(ValueError, match=r"dense. has 2 weights .* The file has 3"):
        load_model(write_keras(tmp_path / "m.keras", groups=groups))


# ---- code ----------------------------------------------------------------------------------

LAMBDAS = [
    {"class_name": "Lambda", "config": {"name": "code", "function": CODE,
                                        "function_type": "lambda"}},
    {"class_name": "Lambda", "module": "keras.layers", "registered_name": None,
     "config": {"name": "code", "function": {"class_name": "__lambda__",
                                             "config": {"code": CODE[0]}}}},
    {"class_name": "Lambda", "config": {"name": "code", "function": "system",
                                        "function_type": "function", "module": "os"}},
    {"class_name": "Popen", "module": "subprocess", "registered_name": "subprocess>Popen",
     "config": {"name": "code", "args": ["touch", "harm"]}},
    {"class_name": "TFSMLayer", "config": {"name": "code", "filepath": "elsewhere"}},
    {"class_name": "TorchModuleWrapper", "config": {"name": "code", "module": "gASV"}},
    {"class_name": "__init__", "module": "builtins", "config": {"name": "code"}},
]  # fmt: skip


@pytest.mark.parametrize("layer", LAMBDAS, ids=lambda layer: layer["class_name"])
@pytest.mark.parametrize("safe_mode", [True, False])
def test_code_is_refused_by_name(tmp_path, layer, safe_mode):
    config = sequential([*two_layers(), layer])
    for path in (
        write_h5(tmp_path / "m.h5", config, [*TWO_GROUPS, ("code", [])]),
        write_keras(tmp_path / "m.keras", config),
    ):
        with pytest.raises(ValueError, match=f"layer 'code' of class {layer['class_name']}"):
            load_model(path, safe_mode=safe_mode)


@pytest.mark.parametrize(
    "activation",
    [
        "system",
        "__import__",
        {"class_name": "function", "module": "os", "config": "system", "registered_name": "system"},
        {"class_name": "__lambda__", "config": {"code": CODE[0]}},
        {"class_name": "Lambda", "config": {"name": "x", "function": CODE}},
    ],
)
def test_functions_out_of_the_blue_are_refused(tmp_path, activation):
    with pytest.raises(ValueError, match="nnlite does not have these parts of the model"):
        load_model(write_keras(tmp_path / "m.keras", sequential(two_layers(activation))))


@pytest.mark.parametrize("key", ["optimizer", "loss", "metrics", "weighted_metrics"])
@pytest.mark.parametrize(
    "value",
    [
        {"class_name": "function", "module": "os", "config": "system", "registered_name": "system"},
        {"class_name": "system", "module": "os", "config": {"command": "touch harm"}},
        {"class_name": "__lambda__", "config": {"code": CODE[0]}},
    ],
)
def test_code_in_the_settings_of_training_is_left_out(tmp_path, key, value):
    path = write_keras(tmp_path / "m.keras", compiled={"loss": "mse", key: value})
    with pytest.warns(UserWarning, match="system|__lambda__"):
        load_model(path)


def test_a_registry_holds_no_module_of_pythons():
    for name in ("os", "sys", "open", "eval", "Layer", "object", "type"):
        with pytest.raises(ValueError, match="nnlite does not have these parts of the model"):
            model_from_json(json.dumps(sequential([{"class_name": name, "config": {}}])))


# ---- nonsense ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        {"class_name": "Sequential", "config": {"layers": [None]}},
        {"class_name": "Sequential", "config": {"layers": [{"class_name": [], "config": {}}]}},
        {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense"}]}},
        {"class_name": "Sequential", "config": {"layers": [dense([1], 3)]}},
        {"class_name": "Sequential", "config": {"layers": [dense("dense", 3, 5)]}},
        {"class_name": "Sequential", "config": {"layers": []}},
        {"class_name": "Functional", "config": {"layers": [{}]}},
        {"class_name": "Functional", "config": {"layers": [], "input_layers": {}}},
        {"class_name": "Functional", "config": {"layers": [None], "output_layers": "x"}},
        {"class_name": "Functional", "config": {"layers": [input_layer()], "output_layers": [[]]}},
        {"class_name": 3, "config": {}},
        {"class_name": "Sequential"},
        {},
        sequential([input_layer(), *[dense("same", 3)] * 2]),
        sequential(two_layers(kernel_initializer={"class_name": "Sequential", "config": []})),
        sequential(two_layers(dtype=7)),
    ],
)
def test_nonsense_is_refused_or_warned_of(tmp_path, config):
    path = write_keras(tmp_path / "m.keras", config or {"class_name": None})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = load_model(path)
        except ValueError as error:
            assert str(error).startswith(path)  # noqa: PT017  either end is right
        else:
            assert model.predict(X).shape == (7, 2)


def test_the_text_of_settings_may_be_broken(tmp_path):
    for training in ("{", [], 3, {"loss": {"class_name": "MeanSquaredError"}}):
        path = write_h5(tmp_path / "m.h5", training=training)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert load_model(path).predict(X).shape == (7, 2)


def test_what_any_error_says_is_kept_and_the_file_named():
    with pytest.raises(ValueError, match=r"m.h5: KeyError: 'x'"), naming_file("m.h5"):
        {}["x"]
    with pytest.raises(FileNotFoundError), naming_file("m.h5"), open("nowhere"):
        pass


def test_files_that_are_not_there_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "nowhere.keras")
    with pytest.raises(ValueError, match="Received: a directory"):
        load_model(tmp_path)

"""The published holes in Keras's loading of models, each tried with a file built to exploit it.

An exploit that works leaves a mark: a module imported, a file opened or written, a process, a
connection, code run. Python itself tells of all of these (`sys.addaudithook`).
"""

import base64
import copy
import io
import json
import marshal
import os
import pickle
import re
import sys
import tarfile
import types
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from samples import part

import nnlite
from nnlite import Sequential, layers, losses, metrics, optimizers
from nnlite.models import load_model, model_from_json
from nnlite.saving import deserialize_keras_object

from .harm import (
    CODE_LAYERS,
    FUNCTIONS,
    MARK,
    NAMES,
    OTHER_PLACES,
    SLOTS,
    Harm,
    a_model,
    changed_dense,
    lambda_code,
    layer,
    nothing_happens,
    outcome,
    refused_everywhere,
    ways_in,
)
from .harm import ready as ready  # for every test here
from .limits import refuses
from .model_damage import places
from .old_files import (
    CHAIN,
    TWO_GROUPS,
    X,
    dense,
    expected,
    input_layer,
    sequential,
    two_layers,
    write_h5,
    write_keras,
)


def test_the_watch_sees_each_kind_of_harm(tmp_path):
    run = types.FunctionType(marshal.loads(base64.b64decode(lambda_code())), {})
    harms = [
        lambda: __import__("harmful"),
        lambda: (tmp_path / "x").write_text("x"),
        lambda: open("/etc/hostname").close(),
        lambda: pickle.loads(pickle.dumps(Harm())),
        lambda: marshal.loads(base64.b64decode(lambda_code())),
        lambda: os.system("true"),
        lambda: exec("1"),
        run,
    ]
    for harm in harms:
        with pytest.raises(AssertionError), nothing_happens():
            harm()
        os.environ.pop(MARK, None)
        sys.modules.pop("harmful", None)


# ---- one after another ---------------------------------------------------------------------


def test_cve_2021_37678_a_model_in_yaml(tmp_path):
    text = f"!!python/object/apply:os.putenv ['{MARK}', '1']\n"
    with nothing_happens():
        refuses(lambda: model_from_json(text), "not valid JSON")
    path = tmp_path / "m.yaml"
    path.write_text(text)
    for call in (lambda: load_model(path), lambda: a_model().load_weights(path)):
        with nothing_happens(path):
            refuses(call, r"expected a model file .* begins with b'!!python")
    archive = tmp_path / "m.keras"
    with zipfile.ZipFile(archive, "w") as zipped:
        for name, data in {
            "config.json": text,
            "metadata.json": "{}",
            "model.weights.h5": b"",
        }.items():
            zipped.writestr(name, data)
    with nothing_happens(archive):
        refuses(lambda: load_model(archive), "config.json: not valid JSON")
    assert not hasattr(nnlite.models, "model_from_yaml")


def test_cve_2024_3660_code_in_a_lambda_layer(tmp_path):
    for make in CODE_LAYERS.values():
        made = make()
        holds = ("Sequential", "TimeDistributed", "Bidirectional")  # of a Lambda
        name = "Lambda" if made["class_name"] in holds else made["class_name"]
        refused_everywhere(tmp_path, made, name)


@pytest.mark.parametrize(
    ("module", "name", "registered_name"),
    [
        ("harmful", "Thing", None),
        ("harmful", "Thing", "harmful>Thing"),
        ("harmful", "Thing", "harmful.Thing"),
        ("harmful", "harmful.Thing", None),
        ("subprocess", "Popen", "subprocess>Popen"),
        ("builtins", "exec", "exec"),
        ("builtins", "__import__", "__import__"),
        ("keras.layers.__builtins__", "eval", None),
        ("keras.layers", "__class__", None),
        ("keras.layers", "../../harmful", None),
        ("keras.src.utils.python_utils", "func_load", None),
        ("keras.src.legacy.saving.serialization", "ClassWithInit", None),
        ("nnlite.serialization.objects", "CustomObjectScope", None),
        ("nnlite.layers", "registry", None),
        ("numpy", "fromfile", None),
        ("pickle", "Unpickler", None),
        ("os", "system", ["system"]),
        (None, "harmful.Thing", {"a": 1}),
        (["keras.layers"], "Thing", 3),
    ],
)
def test_cve_2025_1550_any_class_of_any_module(tmp_path, module, name, registered_name):
    made = layer(name, module, registered_name, args=["touch", str(tmp_path / "harm")])
    refused_everywhere(tmp_path, made, re.escape(name))
    assert not (tmp_path / "harm").exists()
    assert "harmful" not in sys.modules


@pytest.mark.parametrize("thing", FUNCTIONS, ids=NAMES)
def test_cve_2025_8747_and_9906_keras_own_functions_as_a_lambda_and_as_a_layer(tmp_path, thing):
    made = layer("Lambda", function=thing, arguments={"origin": "https://example.com/x",
                 "fname": "x", "cache_dir": str(tmp_path), "extract": True})  # fmt: skip
    refused_everywhere(tmp_path, made, "Lambda")
    as_layer = {**thing, "module": thing.get("module")}
    config = sequential([*two_layers(), as_layer])
    for call in (
        lambda: model_from_json(json.dumps(config)),
        lambda: Sequential.from_config(config["config"]),
        lambda: layers.deserialize(as_layer),
        lambda: deserialize_keras_object(as_layer, safe_mode=False),
        lambda: deserialize_keras_object([{"a": as_layer}], safe_mode=False),
    ):
        with nothing_happens():
            refuses(call, ".")


@pytest.mark.parametrize("slot", SLOTS)
@pytest.mark.parametrize(("thing", "name"), list(zip(FUNCTIONS, NAMES, strict=True)), ids=NAMES)
def test_functions_in_every_place_of_a_layer(tmp_path, slot, thing, name):
    config = sequential([input_layer(), changed_dense(slot, thing), dense("dense_1", 2)])
    for path, call in ways_in(tmp_path, config):
        said = outcome(call, path)
        assert name in said or slot in said, said


#: Layers with parts of their own, such as cells, and many places for functions.
WITH_PARTS = [
    layers.Embedding(3, 2),
    layers.Conv1D(2, 2),
    layers.SeparableConv1D(2, 2),
    layers.Conv2DTranspose(2, 2),
    layers.LSTM(2),
    layers.GRU(2),
    layers.RNN([layers.SimpleRNNCell(2), layers.LSTMCell(2)]),
    layers.Bidirectional(layers.SimpleRNN(2)),
    layers.TimeDistributed(layers.Dense(2)),
    layers.MultiHeadAttention(1, 2),
    layers.Attention(),
]


@pytest.mark.parametrize("whole", WITH_PARTS, ids=lambda whole: type(whole).__name__)
def test_functions_in_every_place_of_layers_with_parts(whole):
    good = sequential([whole.serialized()])
    found = [path for path in places(good) if path[:3] == ("config", "layers", 0)]
    assert len(found) > 5
    objects = ("activation", "initializer", "regularizer", "constraint", "cell", "cells", "layer")
    for number in part(range(len(found) * len(FUNCTIONS))):
        path, at = divmod(number, len(FUNCTIONS))
        config = copy.deepcopy(good)
        holder = config
        for key in found[path][:-1]:
            holder = holder[key]
        slot = found[path][-1]
        holder[slot] = FUNCTIONS[at]
        said = outcome(lambda config=config: model_from_json(json.dumps(config)))
        if str(slot).endswith(objects):
            assert NAMES[at] in said or slot in said, (found[path], said)


@pytest.mark.parametrize("thing", FUNCTIONS, ids=NAMES)
@pytest.mark.parametrize("slot", OTHER_PLACES)
def test_functions_in_places_of_other_kinds(tmp_path, slot, thing):
    config = sequential([input_layer(), changed_dense(slot, thing), dense("dense_1", 2)])
    config["config"][slot] = config[slot] = config["config"]["layers"][1][slot] = thing
    for path, call in ways_in(tmp_path, config):
        outcome(call, path)


@pytest.mark.parametrize(("thing", "name"), list(zip(FUNCTIONS, NAMES, strict=True)), ids=NAMES)
def test_functions_in_the_settings_of_training(tmp_path, thing, name):
    adam = {"class_name": "Adam", "module": "keras.optimizers", "registered_name": None}
    for settings in (
        {"optimizer": thing},
        {"optimizer": {**adam, "config": {"learning_rate": thing}}},
        {"optimizer": {**adam, "config": {"weight_decay": thing}}},
        {"optimizer": {**adam, "config": {"clipnorm": thing, "name": thing}}},
        {"optimizer": {"class_name": "LossScaleOptimizer", "config": {"inner_optimizer": thing}}},
        {"loss": thing},
        {"loss": {"class_name": "LossFunctionWrapper", "config": {"fn": thing}}},
        {"loss": {"class_name": "Huber", "config": {"delta": thing}}},
        {"metrics": [thing]},
        {"metrics": [{"class_name": "MeanMetricWrapper", "config": {"fn": thing}}]},
        {"weighted_metrics": [[thing]]},
        {"metrics": [{"class_name": "AUC", "config": {"thresholds": thing}}]},
    ):
        full = {"optimizer": "sgd", "loss": "mse", **settings}
        for path in (
            write_keras(tmp_path / "m.keras", compiled=full),
            write_h5(tmp_path / "m.h5", training={"optimizer_config": full["optimizer"], **full}),
        ):
            said = outcome(lambda path=path: load_model(path), path)
            assert "left out" in said, settings
        whole = {**sequential(two_layers()), "compile_config": full}
        assert "left out" in outcome(lambda whole=whole: model_from_json(json.dumps(whole)))
    for family in (losses, metrics, optimizers, optimizers.schedules.registry, nnlite.initializers,
                   nnlite.regularizers, nnlite.constraints, nnlite.activations):  # fmt: skip
        with pytest.raises((ValueError, TypeError)), nothing_happens():
            family.get(thing)


def test_cve_2025_9905_a_lambda_in_an_h5_file_in_safe_mode(tmp_path):
    for make in CODE_LAYERS.values():
        config = sequential([*two_layers(), make()])
        for name, version in (("m.h5", "2.2.4"), ("m.hdf5", "2.15.0"), ("m", "3.11.2")):
            path = write_h5(tmp_path / name, config, [*TWO_GROUPS, ("harm", [])], version=version)
            with nothing_happens(path):
                refuses(lambda path=path: load_model(path, safe_mode=True), "nnlite does not have")


@pytest.mark.parametrize(
    "made",
    [
        layer("StringLookup", vocabulary="/etc/passwd"),
        layer("IntegerLookup", vocabulary="https://example.com/words.txt"),
        layer("TextVectorization", vocabulary="/etc/passwd", split="whitespace"),
        layer("Normalization", mean="/etc/passwd", variance="/etc/passwd"),
        layer("Rescaling", scale="/etc/passwd"),
        layer("Embedding", embeddings_initializer="file:///etc/passwd"),
    ],
    ids=lambda made: made["class_name"],
)
def test_cve_2025_12058_a_vocabulary_that_is_a_path_or_an_address(tmp_path, made):
    refused_everywhere(tmp_path, made, f"{made['class_name']}|must hold real numbers")


def test_cve_2025_12060_12638_and_2024_55459_names_that_leave_the_folder(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    path = inner / "m.keras"
    write_keras(path)
    with zipfile.ZipFile(path, "a") as archive:
        for name in ("../harm", "/tmp/nnlite_harm", "assets/../../harm", "C:harm",
                     "a\\..\\harm", "harmful.py", "assets/x.txt", "model.weights.npz"):  # fmt: skip
            archive.writestr(name, "harm")
        link = zipfile.ZipInfo("assets/link")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc")
    with nothing_happens(path):
        model = load_model(path)
        model.load_weights(str(path))
    np.testing.assert_allclose(model.predict(X), expected(), rtol=1e-5)
    assert os.listdir(inner) == ["m.keras"]
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("../harm"))
    path.write_bytes(stream.getvalue())
    with nothing_happens(path):
        refuses(lambda: load_model(path), "expected a model file")
    assert not (tmp_path / "harm").exists()


def test_cve_2025_49655_a_pickle_in_a_torch_module(tmp_path):
    packed = base64.b64encode(pickle.dumps(Harm())).decode()
    for name in ("TorchModuleWrapper", "FlaxLayer", "JaxLayer"):
        made = layer(name, module_=packed, lazy_module=packed)
        made["config"]["module"] = {"class_name": "__bytes__", "value": packed}
        refused_everywhere(tmp_path, made, name)
    path = tmp_path / "m.keras"
    path.write_bytes(pickle.dumps(Harm()))
    with nothing_happens(path):
        refuses(lambda: load_model(path), "a pickle, which is never read")


def test_cve_2026_1462_a_saved_model_by_its_path(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"harm")
    refused_everywhere(tmp_path, layer("TFSMLayer", filepath=str(tmp_path)), "TFSMLayer")
    with nothing_happens():
        refuses(lambda: load_model(tmp_path), "a TensorFlow SavedModel")


def test_of_a_directory_of_parts_of_a_model_three_files_are_read(tmp_path):
    """Not Orbax's checkpoints, whose assets were written to wherever their names led."""
    folder = tmp_path / "model"
    (folder / "assets").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(sequential(two_layers())))
    for call in (lambda: load_model(folder), lambda: a_model().load_weights(folder)):
        with nothing_happens():
            refuses(call, "there is no .*metadata.json and no .*model.weights.h5")


def test_cve_2026_12479_layers_named_as_paths(tmp_path):
    chain = [input_layer(), dense("../../harm", 3, "tanh"), dense("/tmp/nnlite_harm", 2)]
    path = write_keras(tmp_path / "m.keras", sequential(chain))
    with nothing_happens(path):
        model = load_model(path)
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("m.keras", "m.weights.h5", "m.h5"):
        (model.save_weights if "weights" in name else model.save)(str(folder / name))
    assert sorted(os.listdir(folder)) == ["m.h5", "m.keras", "m.weights.h5"]
    assert not (tmp_path / "harm").exists()
    assert not Path("/tmp/nnlite_harm").exists()
    np.testing.assert_allclose(load_model(folder / "m.keras").predict(X), expected(), rtol=1e-5)


def files_of_weights(folder, fill):
    """Yield each kind of file with weights that ``fill(group, key, array)`` writes."""
    for name in ("m.keras", "m.weights.h5", "m.h5"):
        path = folder / name
        where = folder / "weights" if name == "m.keras" else path
        with h5py.File(where, "w") as file:
            for number, pair in enumerate(CHAIN):
                layer = f"dense_{number}" if number else "dense"
                group = file.create_group(layer if name == "m.h5" else f"layers/{layer}/vars")
                for key, array in zip("01", pair, strict=True):
                    fill(group, key, array)
                group.attrs["weight_names"] = [b"0", b"1"]
            if name == "m.h5":
                file.attrs["layer_names"] = [b"dense", b"dense_1"]
                file.attrs["model_config"] = json.dumps(sequential(two_layers()))
        if name == "m.keras":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("metadata.json", "{}")
                archive.writestr("config.json", json.dumps(sequential(two_layers())))
                archive.write(where, "model.weights.h5")
        yield path


def weights_refused_everywhere(folder, fill, message):
    for path in files_of_weights(folder, fill):
        model = a_model()
        before = model.get_weights()
        calls = [lambda path=path, model=model: model.load_weights(str(path))]
        if "weights" not in path.name:
            calls.append(lambda path=path: load_model(path))
        for call in calls:
            with nothing_happens(path):
                refuses(call, message)
        for was, now in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(was, now)


def test_the_files_of_weights_are_good_ones(tmp_path):
    for path in files_of_weights(tmp_path, lambda group, key, array: group.update({key: array})):
        model = a_model()
        model.load_weights(str(path))
        np.testing.assert_allclose(model.predict(X), expected(), rtol=1e-5)


def test_cve_2026_1669_weights_that_are_bytes_of_other_files(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(1000))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        for pair in CHAIN:
            for array in pair:
                file[f"{array.shape}"] = array

    def external(group, key, array):
        group.create_dataset(key, array.shape, "f4", external=[(str(secret), 0, array.nbytes)])

    def virtual(group, key, array):
        layout = h5py.VirtualLayout(array.shape, "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), f"{array.shape}", array.shape)
        group.create_virtual_dataset(key, layout)

    def external_link(group, key, array):
        group[key] = h5py.ExternalLink(str(tmp_path / "other.h5"), f"{array.shape}")

    def soft_link(group, key, array):
        group.file.require_group("held")[f"{array.shape}"] = array
        group[key] = h5py.SoftLink(f"/held/{array.shape}")

    for fill, message in [
        (external, "external files"),
        (virtual, "virtual|newest"),
        (external_link, "external link"),
        (soft_link, "soft link"),
    ]:
        weights_refused_everywhere(tmp_path, fill, message)


def test_cve_2026_0897_shapes_of_more_than_the_file_holds(tmp_path):
    def huge(group, key, array):
        group.create_dataset(key, (50_000_000, 50_000_000), "f4", chunks=(1024, 1024))

    def many_below_any_limit_of_one(group, key, array):
        group.create_dataset(key, (30_000, 30_000), "f4", chunks=(1000, 1000), compression="gzip")

    def right_and_empty(group, key, array):
        group.create_dataset(key, array.shape, "f4", chunks=array.shape)

    for fill in (huge, many_below_any_limit_of_one, right_and_empty):
        weights_refused_everywhere(tmp_path, fill, r"it has 0 of its \d+ chunks")
    for units in (10**8, 10**12, 10**300):
        config = sequential([input_layer(), dense("dense", units), dense("dense_1", 2)])
        for path in (
            write_keras(tmp_path / "m.keras", config),
            write_h5(tmp_path / "m.h5", config),
        ):
            with nothing_happens(path):
                refuses(lambda path=path: load_model(path), "more than the file holds")

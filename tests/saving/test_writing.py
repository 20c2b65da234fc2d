"""Writing: what a file holds, that it is there whole or not at all, and that it can be read."""

import json
import os
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

from nnlite import Sequential, layers, losses, models, optimizers
from nnlite.layers import Dense, Input
from nnlite.saving import load_model, save_model, writing
from nnlite.utils.atomic_write import atomic_write

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
Y = np.random.default_rng(1).normal(size=(8, 2)).astype("float32")


def trained(optimizer=None, **settings):
    model = Sequential([Input((4,)), Dense(3, "tanh"), layers.BatchNormalization(), Dense(2)])
    model.compile(optimizer or optimizers.Adam(0.01), "mse", **settings)
    model.fit(X, Y, epochs=2, verbose=0)
    return model


KINDS = ["keras", "h5", "hdf5"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_comes_back_and_trains_on(tmp_path, kind):
    model = trained(metrics=["mae"], weighted_metrics=["mse"])
    model.save(tmp_path / f"m.{kind}")
    again = load_model(tmp_path / f"m.{kind}")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.get_config() == model.get_config()
    assert again.optimizer.get_config() == model.optimizer.get_config()
    for one in (model, again):
        for _ in range(3):
            one.train_on_batch(X, Y)
    # The moments are rounded on their way into Keras's scale.
    np.testing.assert_allclose(again.predict(X), model.predict(X), rtol=1e-5, atol=1e-7)
    for one, other in zip(
        again.evaluate(X, Y, verbose=0), model.evaluate(X, Y, verbose=0), strict=True
    ):
        assert one == pytest.approx(other, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_without_compile_is_written_as_what_it_was(tmp_path, kind):
    model = Sequential([Input((4,)), Dense(1, "sigmoid")])
    model.fit(X, X[:, :1] > 0, verbose=0)
    model.save(tmp_path / f"m.{kind}")
    again = load_model(tmp_path / f"m.{kind}")
    assert isinstance(again.optimizer, optimizers.SGD)
    assert isinstance(again.loss, losses.BinaryCrossEntropy)


def test_an_optimizer_is_left_out_on_request(tmp_path):
    trained().save(tmp_path / "m.h5", include_optimizer=False)
    assert load_model(tmp_path / "m.h5").optimizer is None


def test_float64_comes_back_to_the_last_bit(tmp_path):
    model = Sequential([Input((4,), dtype="float64"), Dense(2, dtype="float64")])
    model.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras")
    assert again.dtype == "float64"
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])


def test_the_members_of_an_archive_are_stored_as_they_are(tmp_path):
    trained().save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        names = [(info.filename, info.compress_type) for info in archive.infolist()]
        metadata = json.loads(archive.read("metadata.json"))
    assert names == [(n, 0) for n in ("metadata.json", "config.json", "model.weights.h5")]
    assert metadata["keras_version"] == writing.KERAS_VERSION
    assert set(metadata) == {"keras_version", "nnlite_version", "date_saved"}


def test_weights_alone_with_the_optimizers_state(tmp_path):
    model = trained()
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5") as file:
        assert sorted(file) == ["layers", "optimizer", "vars"]
        assert file["layers/dense_1/vars"].attrs["name"] == "dense_1"
        assert file["optimizer/vars/0"][()] == 2
    other = trained()
    other.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(other.predict(X), model.predict(X))


def test_layers_can_be_left_out_of_the_weights(tmp_path):
    model = trained()
    model.save_weights(tmp_path / "m.weights.h5", objects_to_skip=[model.layers[0]])
    with h5py.File(tmp_path / "m.weights.h5") as file:
        assert sorted(file["layers"]) == ["batch_normalization", "dense_1"]


def test_more_names_than_one_attribute_can_hold(tmp_path):
    chain = [Dense(4, use_bias=False, name=f"{'layer' * 20}_{i}") for i in range(700)]
    model = Sequential([Input((4,)), *chain])
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        assert {"layer_names0", "layer_names1"} <= set(file["model_weights"].attrs)
    again = load_model(tmp_path / "m.h5")
    assert [layer.name for layer in again.layers] == [layer.name for layer in chain]


def test_activations_that_keras_has_as_functions_are_written_as_such(tmp_path):
    chain = [Input((4,)), Sequential([layers.GELU(), layers.Tanh()]), layers.Mish(), layers.ReLU()]
    data = json.loads(Sequential(chain).to_json())["config"]["layers"]
    inner = [layer["config"].get("activation") for layer in data[1]["config"]["layers"]]
    assert inner[-2:] == ["gelu", "tanh"]
    assert [layer["class_name"] for layer in data[2:]] == ["Activation", "ReLU"]
    assert data[2]["config"]["activation"] == "mish"


def test_what_cannot_be_written_as_data_leaves_no_file(tmp_path):
    model = trained(metrics=[lambda y, z: abs(y - z).mean(axis=-1)])
    for kind in KINDS:
        with pytest.raises(TypeError, match="cannot be serialized"):
            model.save(tmp_path / f"m.{kind}")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("m.json", {}, r"must end in .keras, or in .h5"),
        ("m.keras", {"zipped": False}, "must not end in .keras"),
        ("m.keras", {"save_format": "h5"}, "save_format='h5'"),
        ("m", {"save_format": "keras"}, "must end in .keras"),
        ("m.keras", {"signatures": None}, "does not take signatures"),
    ],
)
def test_where_a_model_cannot_be_saved_to(tmp_path, name, options, message):
    with pytest.raises(ValueError, match=message):
        save_model(trained(), tmp_path / name, **options)


def test_weights_go_to_files_of_their_own_kind(tmp_path):
    with pytest.raises(ValueError, match=r"must end in .weights.h5"):
        trained().save_weights(tmp_path / "m.h5")


def test_a_model_without_weights_is_saved_without_with_a_warning(tmp_path):
    model = Sequential([Dense(2)])
    model.compile("adam", "mse")
    with pytest.warns(UserWarning, match="not built yet: it is saved without weights"):
        model.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras")
    assert not again.built
    again.fit(X, Y, verbose=0)
    for name in ("m.h5", "m.weights.h5"):
        save = model.save if name == "m.h5" else model.save_weights
        with pytest.raises(ValueError, match="has no weights to save yet"):
            save(tmp_path / name)
    assert os.listdir(tmp_path) == ["m.keras"]


def test_missing_folders_are_made_by_whatever_writes(tmp_path):
    model, folder = trained(), tmp_path / "one" / "two"
    for name in ("a/m.keras", "b/m.h5", "c/m.weights.h5", "d/m"):
        if name == "c/m.weights.h5":
            model.save_weights(folder / name)
        else:
            model.save(folder / name, zipped=name != "d/m")
    assert sorted(os.listdir(folder)) == ["a", "b", "c", "d"]


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path):
    (tmp_path / "one").write_bytes(b"")
    for path in (tmp_path / "one" / "m.keras", tmp_path / "one" / "two" / "m.keras"):
        with pytest.raises(OSError, match=r"A part of the path is a file|has the name of a folder"):
            trained().save(path)


def test_what_save_format_says_may_be_said_once_more(tmp_path):
    for name, form in [("m.keras", "keras"), ("m.h5", "h5"), ("m.hdf5", "h5")]:
        trained().save(tmp_path / name, save_format=form)
        assert load_model(tmp_path / name).built


def test_weights_are_not_divided_among_files(tmp_path):
    with pytest.raises(ValueError, match=r"to one file. Received: max_shard_size=1"):
        trained().save_weights(tmp_path / "m.weights.h5", max_shard_size=1)


def test_unknown_arguments_of_load_weights_are_told(tmp_path):
    model = trained()
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    for name, options, message in [
        ("m.keras", {"named": True}, "does not take named"),
        ("m.keras", {"by_name": True}, "by_name is for"),
        ("m.keras", {"objects_to_skip": []}, "objects_to_skip is for"),
        ("m.h5", {"objects_to_skip": []}, "objects_to_skip is for"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.load_weights(tmp_path / name, **options)


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.pkl", "m.weights.h5"])
def test_a_missing_file_is_a_value_error_as_in_keras_and_no_file(tmp_path, name):
    model = trained()
    for error in (FileNotFoundError, ValueError):
        for load in (load_model, model.load_weights):
            with pytest.raises(error, match=r"No such file .*m\."):
                load(tmp_path / name)


# ---- folders -------------------------------------------------------------------------------


def test_a_folder_holds_what_a_file_would(tmp_path):
    model, folder = trained(), tmp_path / "model"
    model.save(folder, zipped=False)
    (folder / "notes.txt").write_text("mine")
    trained().save(folder, zipped=False)
    model.save(folder, zipped=False)
    parts = {"config.json", "metadata.json", "model.weights.h5"}
    assert set(os.listdir(folder)) == {*parts, "notes.txt"}
    again = load_model(folder)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.optimizer.iterations == model.optimizer.iterations
    other = trained()
    other.load_weights(folder)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    with pytest.raises(ValueError, match="exists already"):
        model.save(folder, overwrite=False, zipped=False)


def test_a_folder_whose_parts_are_too_large_or_missing_is_refused(tmp_path):
    folder = tmp_path / "model"
    trained().save(folder, zipped=False)
    (folder / "metadata.json").write_bytes(b" " * 100_000)
    with pytest.raises(ValueError, match=r"metadata.json has more than 65536 bytes"):
        load_model(folder)
    (folder / "metadata.json").unlink()
    with pytest.raises(ValueError, match=r"not a Keras model: there is no .*metadata.json"):
        load_model(folder)


# ---- whole or not at all -------------------------------------------------------------------


def test_an_existing_file_is_kept_without_overwrite(tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(b"old")
    for save in (trained().save, lambda p, overwrite: trained().save_weights(p, overwrite)):
        target = path if save.__name__ == "save" else tmp_path / "m.weights.h5"
        target.write_bytes(b"old")
        with pytest.raises(ValueError, match="already exists"):
            save(target, overwrite=False)
        assert target.read_bytes() == b"old"


def _fails_half_way(file):
    file.write(b"half")
    raise ValueError("half")


def test_an_error_while_writing_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="half"), atomic_write(path) as file:
        _fails_half_way(file)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["m"]


def test_a_failing_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "m.keras"
    path.write_bytes(b"old")
    for call in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, lambda *arguments: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                trained().save(path)
        assert path.read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["m.keras"]


def test_the_file_is_on_the_disk_before_it_is_renamed(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *a, real=real, name=name: (calls.append(name), real(*a))[1]
        )
    with atomic_write(tmp_path / "m") as file:
        file.write(b"new")
    assert calls == ["fsync", "replace", "fsync"]
    assert (tmp_path / "m").read_bytes() == b"new"


def test_permissions_and_links_stay(tmp_path):
    path, link = tmp_path / "m", tmp_path / "link"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to(path)
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(IsADirectoryError), atomic_write(tmp_path):
        pass


# ---- models out of data --------------------------------------------------------------------


def test_a_clone_has_the_layers_and_fresh_weights():
    model = trained()
    clone = models.clone_model(model)
    assert clone.get_config() == model.get_config()
    assert not np.array_equal(clone.get_weights()[0], model.get_weights()[0])


def test_a_clone_by_a_function_and_with_another_input():
    inner = Sequential([Input((4,)), Dense(4)], name="inner")
    model = Sequential([Input((4,)), inner, Dense(2)])
    names = []

    def copy(layer):
        names.append(layer.name)
        return type(layer).from_config(layer.get_config())

    models.clone_model(model, clone_function=copy)
    assert names == ["inner", "dense"]
    names.clear()
    clone = models.clone_model(model, [Input((4,), batch_size=3)], copy, recursive=True)
    assert names == ["dense", "dense"]
    assert clone.input_shape == (3, 4)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": Dense(2)}, TypeError, "takes a model"),
        ({"input_tensors": X}, ValueError, "must be an Input"),
        ({"call_function": print}, ValueError, "functional models"),
    ],
)
def test_what_cannot_be_cloned(arguments, error, message):
    with pytest.raises(error, match=message):
        models.clone_model(**{"model": Sequential([Dense(2)]), **arguments})


def test_json_holds_how_the_model_is_compiled():
    model = trained(metrics=["mae"])
    again = models.model_from_json(model.to_json(indent=2))
    assert again.get_config() == model.get_config()
    assert again.get_compile_config() == model.get_compile_config()
    assert models.model_from_config(json.loads(model.to_json())).count_params() == 35


def test_compile_settings_as_data():
    model = trained(metrics=["mae", losses.Huber(delta=2.0)])
    config = model.get_compile_config()
    assert config["loss"] == "mse"
    assert config["metrics"][0] == "mae"
    other = Sequential([Input((4,)), Dense(2)])
    assert other.get_compile_config() == {}
    other.compile_from_config(config)
    assert other.get_compile_config() == config
    with pytest.warns(UserWarning, match="the loss 'junk'"):
        other.compile_from_config({"optimizer": "adam", "loss": "junk"})


def test_what_is_no_model_is_said():
    for text, message in [
        ("{", "not valid JSON"),
        ("[]", "expected the configuration of a model"),
        ('{"class_name": "Sequential", "config": 3}', "without a list of layers"),
        ('{"class_name": "Dense", "config": {"units": 3}}', "a model of class 'Dense'"),
    ]:
        with pytest.raises(ValueError, match=message):
            models.model_from_json(text)


def test_whoever_has_no_file_does_not_pay_for_files():
    code = (
        "import sys, nnlite; names = ('h5py', 'zipfile', 'json', 'nnlite.saving.reading', "
        "'nnlite.saving.writing'); print([name for name in names if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_needs_no_h5py(tmp_path):
    trained().save(tmp_path / "m.keras")
    code = (
        "import sys; sys.modules['h5py'] = None\n"
        "from nnlite.models import load_model; print(load_model(sys.argv[1]).count_params())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "m.keras")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "35"


def test_public_names():
    from nnlite import saving

    for room in (saving, models):
        assert all(hasattr(room, name) for name in room.__all__)
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            _ = room.nothing

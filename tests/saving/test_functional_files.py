"""Functional models and subclasses in files, as data, copied, and as layers of one another."""

import json
import pickle

import numpy as np
import pytest

import nnlite
from nnlite import Input, Model, Sequential, layers, models
from nnlite.callbacks import BackupAndRestore, EarlyStopping
from nnlite.layers import Dense
from nnlite.saving import register_keras_serializable

RNG = np.random.default_rng(5)
X = {
    "a": RNG.normal(size=(6, 4)).astype("float32"),
    "b": RNG.normal(size=(6, 2)).astype("float32"),
}
Y = {
    "x": RNG.normal(size=(6, 5)).astype("float32"),
    "y": RNG.normal(size=(6, 2)).astype("float32"),
}


def network():
    """Two inputs, two outputs, a shared layer, nested models called twice, an operation."""
    a, b = Input((4,), name="a"), Input((2,), name="b")
    shared = Dense(3, name="shared")
    x = Input((3,), name="entry")
    inner = Model(x, [Dense(2, name="one")(x), Dense(2, "tanh", name="two")(x)], name="inner")
    chain = Sequential(
        [Input((2,)), Dense(3, name="wide"), layers.BatchNormalization(name="normal")], name="chain"
    )
    left, right = shared(a), shared(Dense(4, name="before")(b))
    p, q = inner(left + right * 0.5)
    r, s = inner(left)
    p = chain(chain(p)[:, 1:])
    x = layers.Concatenate(name="join")([layers.Dropout(0.5, name="drop")(p, training=False), q])
    return Model({"a": a, "b": b}, {"x": x, "y": s * r}, name="network")


def trained():
    model = network()
    model.compile("adam", {"x": "mse", "y": "mae"}, {"x": 2.0, "y": 0.5}, {"y": ["mse"]})
    model.fit(X, Y, epochs=2, verbose=0)
    return model


def assert_alike(one, other):
    want, got = one.predict(X), other.predict(X)
    assert want.keys() == got.keys()
    for key in want:
        np.testing.assert_array_equal(got[key], want[key])


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "folder"])
def test_a_file_holds_the_graph_its_weights_and_its_training(tmp_path, name):
    model = trained()
    model.save(tmp_path / name, **({"zipped": False} if name == "folder" else {}))
    again = models.load_model(tmp_path / name)
    assert again.get_config() == model.get_config()
    assert_alike(model, again)
    assert again.loss["y"].name == "mean_absolute_error"
    for one in (model, again):
        one.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-7)


def test_weights_alone_and_json(tmp_path):
    model = trained()
    model.save_weights(tmp_path / "one.weights.h5")
    again = network()
    again.load_weights(tmp_path / "one.weights.h5")
    assert_alike(model, again)
    again = models.model_from_json(model.to_json())
    assert again.get_compile_config() == model.get_compile_config()
    again.load_weights(tmp_path / "one.weights.h5")
    assert_alike(model, again)


def test_the_configuration_names_calls_as_keras_does():
    config = network().get_config()
    entries = {entry["name"]: entry for entry in config["layers"]}
    assert list(config) == ["name", "trainable", "layers", "input_layers", "output_layers"]
    assert config["input_layers"] == {"a": ["a", 0, 0], "b": ["b", 0, 0]}
    assert entries["a"]["inbound_nodes"] == []
    (first,), (second,) = (node["args"] for node in entries["shared"]["inbound_nodes"])
    assert first["config"] == {
        "shape": (None, 4), "dtype": "float32", "keras_history": ["a", 0, 0]
    }  # fmt: skip
    assert second["config"]["keras_history"] == ["before", 0, 0]
    assert entries["drop"]["inbound_nodes"][0]["kwargs"] == {"training": False}
    join = entries["join"]["inbound_nodes"][0]["args"]
    assert [t["config"]["keras_history"] for t in join[0]] == [["drop", 0, 0], ["inner", 0, 1]]
    assert entries["inner"]["registered_name"] == "Functional"
    assert entries["multiply"]["inbound_nodes"][0]["args"][1] == 0.5


def test_an_output_of_a_nested_model_counts_its_own_way_first():
    x = Input((3,), name="x")
    inner = Model(x, Dense(2, name="d")(x), name="inner")
    y = Input((3,), name="y")
    assert Model(y, inner(y)).get_config()["output_layers"] == ["inner", 1, 0]
    chain = Sequential([Input((3,)), Dense(2)], name="chain")
    assert Model(y, chain(y)).get_config()["output_layers"] == ["chain", 0, 0]


def test_a_functional_model_in_a_sequential(tmp_path):
    x = Input((4,), name="x")
    inner = Model(x, layers.Add(name="sum")([x, Dense(4, "tanh", name="d")(x)]), name="inner")
    model = Sequential([Input((4,)), inner, Dense(2)])
    for kind in ("keras", "h5"):
        model.save(tmp_path / f"m.{kind}")
        again = models.load_model(tmp_path / f"m.{kind}")
        assert isinstance(again.layers[0], models.Functional)
        np.testing.assert_array_equal(again.predict(X["a"]), model.predict(X["a"]))


def test_a_model_of_inner_tensors_gets_an_input_of_its_own(tmp_path):
    model = network()
    part = Model(model.get_layer("before").output, model.get_layer("shared").nodes[1].outputs)
    x = RNG.normal(size=(3, 4)).astype("float32")
    for kind in ("keras", "h5"):
        part.save(tmp_path / f"part.{kind}")
        again = models.load_model(tmp_path / f"part.{kind}")
        np.testing.assert_array_equal(again.predict(x), part.predict(x))
    assert [layer["name"] for layer in part.get_config()["layers"]] == ["before", "shared"]


def test_an_input_made_by_a_layer_that_is_called_again_has_a_name_of_its_own():
    shared = Dense(4, name="shared")
    h = shared(Input((4,)))
    part = Model(h, shared(h))
    again = Model.from_config(part.get_config())
    assert [layer.name for layer in again.layers] == ["shared_input", "shared"]
    again.set_weights(part.get_weights())
    np.testing.assert_array_equal(again.predict(X["a"]), part.predict(X["a"]))


def test_from_config_is_a_new_model():
    model = network()
    again = type(model).from_config(json.loads(json.dumps(model.get_config())))
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    assert_alike(model, again)


# ---- subclasses ------------------------------------------------------------------------------


@register_keras_serializable("functional_files")
class Residual(Model):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first = Dense(units, "tanh")
        self.rest = [layers.BatchNormalization(), Dense(units)]
        self.second = self.first

    def call(self, x):
        y = self.first(x)
        for layer in self.rest:
            y = layer(y)
        return x + y


@register_keras_serializable("functional_files")
class Watched(Model):
    """Made of inputs and outputs, as those with a train_step of their own often are."""


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
def test_a_subclass_keeps_its_weights_at_its_attributes(tmp_path, name):
    h5py = pytest.importorskip("h5py")
    model = Residual(4)
    model.compile("adam", "mse")
    model.fit(X["a"], X["a"], verbose=0)
    if name == "model.keras":
        model.save(tmp_path / name)
        again = models.load_model(tmp_path / name)
        assert (type(again), again.units) == (Residual, 4)
    else:
        model.save_weights(tmp_path / name)
        with h5py.File(tmp_path / name) as file:
            # Keras puts what comes after "layers" in the alphabet there.
            assert sorted(file) == ["first", "layers", "optimizer", "vars"]
            assert sorted(file["layers"]) == ["batch_normalization", "dense_1"]
        again = Residual(4)
        again.build((None, 4))
        again.load_weights(tmp_path / name)
    np.testing.assert_array_equal(again.predict(X["a"]), model.predict(X["a"]))


def test_a_subclass_in_a_functional_model(tmp_path):
    x = Input((4,), name="x")
    model = Model(x, Dense(1, name="end")(Residual(4, name="block")(x)))
    model.save(tmp_path / "m.keras")
    again = models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(X["a"]), model.predict(X["a"]))


def test_a_subclass_of_inputs_and_outputs_stays_of_its_class(tmp_path):
    x = Input((4,), name="x")
    model = Watched(x, Dense(1, name="end")(x))
    for kind in ("keras", "h5"):
        model.save(tmp_path / f"m.{kind}")
        again = models.load_model(tmp_path / f"m.{kind}")
        assert type(again) is Watched
        np.testing.assert_array_equal(again.predict(X["a"]), model.predict(X["a"]))


def test_a_subclass_that_cannot_be_made_again_is_refused(tmp_path):
    class Bare(Model):
        def __init__(self, units):
            super().__init__()
            self.units = units
            self.dense = Dense(units)

        def call(self, x):
            return self.dense(x)

    model = Bare(2)
    model.build((None, 4))
    with pytest.raises(TypeError, match="'bare' could not be loaded again"):
        model.save(tmp_path / "m.keras")
    assert list(tmp_path.iterdir()) == []


# ---- copies ----------------------------------------------------------------------------------


def test_a_clone_has_fresh_weights_and_shares_what_was_shared():
    model = trained()
    clone = models.clone_model(model)
    assert clone.get_config() == model.get_config()
    assert clone.get_compile_config() == model.get_compile_config()
    assert not np.array_equal(clone.get_weights()[0], model.get_weights()[0])
    assert set(clone.all_layers()).isdisjoint(model.all_layers())
    clone.set_weights(model.get_weights())
    assert_alike(model, clone)


def test_a_clone_by_functions():
    model, seen = network(), []

    def copy(layer):
        seen.append(layer.name)
        return type(layer).from_config(layer.get_config())

    models.clone_model(model, clone_function=copy, recursive=True)
    assert seen.count("shared") == seen.count("one") == seen.count("wide") == 1
    assert "inner" not in seen
    assert "chain" not in seen

    def call(layer, *args, **kwargs):
        y = layer(*args, **kwargs)
        return layers.ReLU()(y) if layer.name == "join" else y

    same = models.clone_model(model, clone_function=lambda layer: layer, call_function=call)
    assert same.get_layer("shared") is model.get_layer("shared")
    np.testing.assert_array_equal(same.predict(X)["x"], np.maximum(model.predict(X)["x"], 0))


def test_a_clone_on_other_tensors():
    model = network()
    b = Input((2,), name="other")
    inputs = {"a": Input((4,), batch_size=3), "b": b}
    assert models.clone_model(model, inputs).input["b"] is b
    with pytest.raises(ValueError, match="same structure"):
        models.clone_model(model, [Input((4,)), b])
    with pytest.raises(ValueError, match="must be KerasTensors"):
        models.clone_model(model, {"a": 3, "b": b})


def test_a_subclass_is_cloned_from_its_configuration():
    model = Residual(4)
    model.build((None, 4))
    clone = models.clone_model(model)
    assert (type(clone), clone.units, clone.built) == (Residual, 4, True)
    for options in ({"clone_function": lambda layer: layer}, {"input_tensors": Input((4,))}):
        with pytest.raises(ValueError, match="are for Sequential and functional models"):
            models.clone_model(model, **options)
    with pytest.raises(ValueError, match="call_function is for functional models"):
        models.clone_model(model, call_function=print)


def test_a_pickle_of_another_version_is_refused(monkeypatch):
    data = pickle.dumps(network())
    monkeypatch.setattr("nnlite.models.model.__version__", "99.0.0")
    with pytest.raises(ValueError, match="files are the way across versions"):
        pickle.loads(data)


# ---- backups ---------------------------------------------------------------------------------


class StoppedError(Exception):
    pass


def run(folder, *more):
    def stop(epoch, logs):
        if epoch == 1:
            raise StoppedError

    model = Sequential([Input((4,)), Dense(1)])
    model.compile("adam", "mse")
    callbacks = [BackupAndRestore(folder), EarlyStopping("loss"), *more]
    if not more:
        callbacks.append(nnlite.callbacks.LambdaCallback(on_epoch_begin=stop))
    model.fit(X["a"], X["b"][:, :1], epochs=3, callbacks=callbacks, verbose=0)


def test_a_backup_of_another_format_is_refused(tmp_path, monkeypatch):
    with pytest.raises(StoppedError):
        run(tmp_path)
    monkeypatch.setattr("nnlite.callbacks.run_state._FORMAT", 99)
    with pytest.raises(ValueError, match=r"is a backup of format 2, .* has format 99"):
        run(tmp_path, nnlite.callbacks.LambdaCallback())


def test_an_attribute_that_is_gone_is_no_silent_loss(tmp_path, monkeypatch):
    start = EarlyStopping.__init__

    def renamed(self, *args, **kwargs):
        start(self, *args, **kwargs)
        self.forbearance = 3

    monkeypatch.setattr(EarlyStopping, "__init__", renamed)
    with pytest.raises(StoppedError):
        run(tmp_path)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="forbearance=3 of EarlyStopping, which has no such"):
        run(tmp_path, nnlite.callbacks.LambdaCallback())

"""Functional models and subclasses in files between Keras and nnlite, both ways."""

import json

import keras
import numpy as np
import pytest

import nnlite
from nnlite import models

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

KINDS = ["keras", "h5"]
RNG = np.random.default_rng(3)
X = {
    "a": RNG.normal(size=(8, 4)).astype("float32"),
    "b": RNG.normal(size=(8, 2)).astype("float32"),
}
Y = {
    "x": RNG.normal(size=(8, 7)).astype("float32"),
    "y": RNG.normal(size=(8, 2)).astype("float32"),
}


def network(k, ops=True, rate=0.5):
    """Two inputs, two outputs, a shared layer, nested models called twice, unnamed layers."""
    layers = k.layers
    a, b = k.Input((4,), name="a"), k.Input((2,), name="b")
    shared = layers.Dense(3, name="shared")
    x = k.Input((3,), name="entry")
    ends = [layers.Dense(2, name="one")(x), layers.Dense(2, activation="tanh", name="two")(x)]
    inner = k.Model(x, ends, name="inner")
    chain = k.Sequential(
        [layers.Input((2,), name="in"), layers.Dense(3, name="wide"), layers.BatchNormalization()],
        name="chain",
    )
    left, right = shared(a), shared(layers.Dense(4, name="before")(b))
    p, q = inner(left + right if ops else layers.Add(name="sum")([left, right]))
    r, s = inner(left)
    p = chain(p)[:, 1:] * 2.0 if ops else layers.Dense(2, name="narrow")(chain(p))
    p = layers.Dropout(rate, name="drop")(chain(p), training=False)
    x = layers.Concatenate(name="join")([p, q, r])
    return k.Model({"a": a, "b": b}, {"x": x, "y": s}, name="network")


def shaken(model):
    """Return the model with weights of no pattern, the variances of averages among them."""
    rng = np.random.default_rng(1)
    model.set_weights([np.abs(rng.normal(0.5, 0.3, w.shape)) for w in model.get_weights()])
    return model


def alike(one, other, x=X, tolerance=1e-6):
    got, want = one.predict(x, verbose=0), other.predict(x, verbose=0)
    if not isinstance(want, (dict, list)):
        got, want = [got], [want]
    pairs = (
        [(got[key], want[key]) for key in want]
        if isinstance(want, dict)
        else zip(got, want, strict=True)
    )
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    return True


@pytest.mark.parametrize("ops", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_models_go_both_ways(tmp_path, kind, ops):
    theirs = shaken(network(keras, ops))
    theirs.save(tmp_path / f"theirs.{kind}")
    ours = models.load_model(tmp_path / f"theirs.{kind}")
    assert alike(ours, theirs)
    ours.save(tmp_path / f"ours.{kind}")
    assert alike(models.load_model(tmp_path / f"ours.{kind}"), theirs)
    if kind == "h5" and ops:  # Keras cannot read the operations that it writes there either
        for name in ("theirs.h5", "ours.h5"):
            with pytest.raises(ValueError, match="Unknown layer: 'GetItem'"):
                keras.saving.load_model(tmp_path / name)
    else:
        assert alike(keras.saving.load_model(tmp_path / f"ours.{kind}"), theirs)


def test_weights_and_json_go_both_ways(tmp_path):
    theirs, ours = shaken(network(keras)), network(nnlite)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours.load_weights(tmp_path / "theirs.weights.h5")
    assert alike(ours, theirs)
    ours.save_weights(tmp_path / "ours.weights.h5")
    again = network(keras)
    again.load_weights(tmp_path / "ours.weights.h5")
    assert alike(again, theirs)
    ours = models.model_from_json(theirs.to_json())
    ours.load_weights(tmp_path / "theirs.weights.h5")
    assert alike(ours, theirs)
    again = keras.models.model_from_json(ours.to_json())
    again.load_weights(tmp_path / "ours.weights.h5")
    assert alike(again, theirs)


def graph(config):
    """Return what a configuration says of the calls, without what Keras's layers do not read."""
    own = {
        layer["name"]: [
            {**node, "kwargs": {k: v for k, v in node["kwargs"].items() if v is not None}}
            for node in layer["inbound_nodes"]
        ]
        for layer in config["layers"]
    }
    inner = {
        layer["name"]: graph(layer["config"])
        for layer in config["layers"]
        if layer["class_name"] == "Functional"
    }
    classes = [(layer["module"], layer["class_name"]) for layer in config["layers"]]
    return own, inner, classes, config["input_layers"], config["output_layers"]


def test_configurations_are_the_same():
    keras.utils.clear_session()  # layers without a name are numbered from 0
    ours, theirs = (json.loads(network(k).to_json()) for k in (nnlite, keras))
    assert graph(ours["config"]) == graph(theirs["config"])
    names = ("module", "class_name", "registered_name", "build_config")
    assert [ours[name] for name in names] == [theirs[name] for name in names]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("losses", [{"x": "mse", "y": "huber"}, ["mae", "mse"], "mse"])
def test_training_goes_on_where_the_other_stopped(tmp_path, kind, losses):
    # Keras drops in training, whatever training=False says of a call.
    theirs = shaken(network(keras, ops=False, rate=0.0))
    weights = {"x": 0.5, "y": 2.0} if isinstance(losses, dict) else None
    theirs.compile(keras.optimizers.Adam(0.01), losses, loss_weights=weights)
    theirs.train_on_batch(X, Y)
    theirs.save(tmp_path / f"theirs.{kind}")
    ours = models.load_model(tmp_path / f"theirs.{kind}")
    theirs.reset_metrics()
    assert theirs.train_on_batch(X, Y) == pytest.approx(ours.train_on_batch(X, Y), rel=1e-5)
    assert alike(ours, theirs, tolerance=1e-4)
    ours.save(tmp_path / f"ours.{kind}")
    again = keras.saving.load_model(tmp_path / f"ours.{kind}")
    if kind == "h5":  # Keras builds the optimizer for no weights, of its own files too
        assert alike(again, ours)
        return
    again.train_on_batch(X, Y)
    ours.train_on_batch(X, Y)
    assert alike(ours, again, tolerance=1e-4)


def test_a_functional_model_in_a_sequential(tmp_path):
    x = keras.Input((4,))
    y = keras.layers.Add()([x, keras.layers.Dense(4)(x)])
    theirs = keras.Sequential([keras.Input((4,)), keras.Model(x, y), keras.layers.Dense(2)])
    for kind in KINDS:
        theirs.save(tmp_path / f"m.{kind}")
        ours = models.load_model(tmp_path / f"m.{kind}")
        assert alike(ours, theirs, X["a"])
        ours.save(tmp_path / f"o.{kind}")
        assert alike(keras.saving.load_model(tmp_path / f"o.{kind}"), theirs, X["a"])


@pytest.mark.parametrize("last", [True, False])
def test_inner_tensors_become_inputs(tmp_path, last):
    for one, other in ((keras, models.load_model), (nnlite, keras.saving.load_model)):
        x = one.Input((4,), name="x")
        h = one.layers.Dense(3, name="h")(x)
        y = one.layers.Dense(2, name="y")(h)
        part = one.Model(h, y if last else [y, one.layers.Add(name="s")([h, h])])
        for kind in KINDS:
            part.save(tmp_path / f"m.{kind}")
            assert alike(other(tmp_path / f"m.{kind}"), part, X["a"][:, :3])


@keras.saving.register_keras_serializable("kept", "Kept")
class Theirs(keras.Model):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.zero = keras.layers.Dense(units, activation="tanh")
        self.rest = [keras.layers.BatchNormalization(), keras.layers.Dense(units)]

    def call(self, x):
        return x + self.rest[1](self.rest[0](self.zero(x)))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@nnlite.saving.register_keras_serializable("kept", "Kept")
class Ours(nnlite.Model):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.zero = nnlite.layers.Dense(units, activation="tanh")
        self.rest = [nnlite.layers.BatchNormalization(), nnlite.layers.Dense(units)]

    def call(self, x):
        return x + self.rest[1](self.rest[0](self.zero(x)))


def test_subclasses_go_both_ways(tmp_path):
    theirs = Theirs(4)
    theirs(X["a"])
    theirs.compile("adam", "mse")
    theirs.train_on_batch(X["a"], X["a"])
    theirs.save(tmp_path / "theirs.keras")
    ours = models.load_model(tmp_path / "theirs.keras")
    assert type(ours) is Ours
    assert alike(ours, theirs, X["a"])
    ours.save(tmp_path / "ours.keras")
    again = keras.saving.load_model(tmp_path / "ours.keras", custom_objects={"Ours": Theirs})
    assert alike(again, theirs, X["a"])
    theirs.save_weights(tmp_path / "t.weights.h5")
    other = Ours(4)
    other.build((None, 4))
    other.load_weights(tmp_path / "t.weights.h5")
    assert alike(other, theirs, X["a"])


def test_clones_are_those_of_keras():
    for k in (keras, nnlite):
        seen = []

        def copy(layer, seen=seen):
            seen.append(layer.name)
            return type(layer).from_config(layer.get_config())

        model = network(k, ops=False)
        clone = k.models.clone_model(model, clone_function=copy, recursive=True)
        assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
        named = {name for name in seen if not name.startswith("batch_norm")}
        assert named == {"shared", "before", "one", "two", "wide", "sum", "narrow", "drop", "join"}
        with pytest.raises(ValueError, match="same structure"):
            k.models.clone_model(model, [k.Input((4,)), k.Input((2,))])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:You are saving:UserWarning")
def test_keras_reads_a_model_with_a_seed(kind, tmp_path):
    x = nnlite.Input((3,), name="x")
    layers = nnlite.layers
    functional = nnlite.Model(x, layers.Dense(2, name="y")(layers.Dropout(0.5)(x)), seed=7)
    chain = nnlite.Sequential([nnlite.Input((3,)), layers.Dense(2)], seed=7)
    x = np.ones((2, 3), "float32")
    for model in (functional, chain, nnlite.Sequential([nnlite.Input((3,)), functional])):
        path = str(tmp_path / f"{model.name}.{kind}")
        model.save(path)
        read = keras.models.load_model(path, compile=False)
        np.testing.assert_allclose(read.predict(x, verbose=0), model.predict(x), rtol=1e-5)

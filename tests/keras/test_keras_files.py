"""Files between Keras and nnlite, both ways: predictions, weights and the next steps."""

import json
import zipfile

import keras
import numpy as np
import pytest

import nnlite
from nnlite import models

# Keras 3.15 and NumPy 2 do not quite agree on __array__.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

KINDS = ["keras", "h5"]

OPTIMIZERS = {
    "sgd": lambda o: o.SGD(0.1),
    "sgd with momentum": lambda o: o.SGD(0.05, momentum=0.9, nesterov=True),
    "rmsprop": lambda o: o.RMSprop(0.01),
    "rmsprop centered": lambda o: o.RMSprop(0.01, momentum=0.5, centered=True),
    "adam": lambda o: o.Adam(0.01),
    "adam amsgrad": lambda o: o.Adam(0.01, amsgrad=True, clipnorm=0.5),
    "adamw": lambda o: o.AdamW(0.01, weight_decay=0.1),
    "adamax": lambda o: o.Adamax(0.01),
    "nadam": lambda o: o.Nadam(0.01),
    "adagrad": lambda o: o.Adagrad(0.1),
    "adadelta": lambda o: o.Adadelta(1.0),
    "lion": lambda o: o.Lion(0.003),
    "averages": lambda o: o.Adam(0.01, use_ema=True, ema_momentum=0.9, global_clipnorm=1.0),
    "accumulated": lambda o: o.SGD(0.1, momentum=0.5, gradient_accumulation_steps=2),
    "schedule": lambda o: o.Adam(o.schedules.ExponentialDecay(0.02, 4, 0.5, staircase=True)),
}


def data(seed=0, rows=16):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 5)).astype("float32")
    y = np.eye(3, dtype="float32")[rng.integers(0, 3, rows)]
    return x, y


def chain(k, **kwargs):
    """Return a small model of the library ``k``, Keras or nnlite."""
    layers = k.layers
    return k.Sequential(
        [
            layers.Input((5,)),
            layers.Dense(6, activation="tanh", kernel_regularizer="l2", name="first"),
            layers.BatchNormalization(momentum=0.9, name="normal"),
            layers.Dense(4, activation="elu", name="second"),
            layers.Dense(3, activation="softmax", name="last"),
        ],
        **kwargs,
    )


def train(model, steps, first=0):
    for step in range(first, first + steps):
        model.train_on_batch(*data(step))


def weights_differ(one, other):
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return max(float(np.abs(a - b).max() / max(1.0, np.abs(b).max())) for a, b in pairs)


def predictions_differ(one, other, x=None):
    x = data(9)[0] if x is None else x
    y, z = one.predict(x, verbose=0), other.predict(x, verbose=0)
    return float(np.abs(y - z).max() / max(1.0, np.abs(z).max()))


# ---- training goes on ----------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("kind", KINDS)
def test_nnlite_goes_on_where_keras_stopped(name, kind, tmp_path):
    theirs = chain(keras)
    optimizer = OPTIMIZERS[name](keras.optimizers)
    theirs.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    train(theirs, 3)
    theirs.save(tmp_path / f"model.{kind}")
    ours = models.load_model(tmp_path / f"model.{kind}")
    assert predictions_differ(ours, theirs) < 1e-6
    assert type(ours.optimizer).__name__ == type(optimizer).__name__
    train(theirs, 10, first=3)
    train(ours, 10, first=3)
    assert weights_differ(ours, theirs) < 1e-5
    assert ours.optimizer.iterations == int(theirs.optimizer.iterations)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_keras_goes_on_where_nnlite_stopped(name, tmp_path):
    # In .keras files only: out of an .h5 file, its own too, Keras 3.15 takes the optimizer without
    # its state, and cannot train by it.
    ours = chain(nnlite)
    optimizer = OPTIMIZERS[name](nnlite.optimizers)
    ours.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    train(ours, 3)
    ours.save(tmp_path / "model.keras")
    theirs = keras.saving.load_model(tmp_path / "model.keras")
    assert predictions_differ(ours, theirs) < 1e-6
    assert type(theirs.optimizer).__name__ == type(optimizer).__name__
    train(ours, 10, first=3)
    train(theirs, 10, first=3)
    assert weights_differ(ours, theirs) < 1e-5
    assert int(theirs.optimizer.iterations) == ours.optimizer.iterations


# ---- every layer ---------------------------------------------------------------------------


def everything(k):
    """Return a model with each kind of layer that has something of its own in files."""
    layers = k.layers
    normalization = layers.Normalization()
    normalization.adapt(data(1)[0] * 3 + 1)
    inner = k.Sequential(
        [layers.Input((3,)), layers.Dense(4), layers.BatchNormalization(), layers.Dropout(0.2)],
        name="inner",
    )
    inner.layers[0].trainable = False
    return k.Sequential(
        [
            layers.Input((5,)),
            normalization,
            layers.Dense(3, activation=layers.LeakyReLU(0.1)),
            layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 1.0, 2.0]),
            inner,
            k.Sequential([layers.Input((4,)), layers.Dense(4, use_bias=False)], name="second"),
            layers.PReLU(alpha_initializer="ones"),
            layers.GaussianNoise(0.1),
            layers.AlphaDropout(0.1),
            layers.GaussianDropout(0.1),
            layers.LayerNormalization(axis=-1),
            layers.Dense(6, activation=layers.PReLU(alpha_initializer="he_normal")),
            layers.UnitNormalization(),
            layers.Rescaling(2.0, offset=0.5),
            layers.RMSNormalization(),
            layers.Reshape((2, 3)),
            layers.Permute((2, 1)),
            layers.Flatten(),
            layers.Identity(),
            layers.ActivityRegularization(l2=0.01),
            layers.ReLU(max_value=3.0, negative_slope=0.1),
            layers.ELU(),
            layers.Activation("gelu"),
            layers.RepeatVector(2),
            layers.Dense(2, activation="mish"),
            layers.Flatten(),
            layers.Dense(3),
            layers.Softmax(),
        ]
    )


def shaken(model):
    """Give every weight a value that no initializer gives."""
    model(data()[0])  # Keras makes the weights of an activation only now
    rng = np.random.default_rng(5)
    model.set_weights(
        [
            (rng.uniform(0.2, 1.5, w.shape) if np.ndim(w) else np.asarray(w)).astype(
                np.asarray(w).dtype
            )
            for w in model.get_weights()
        ]
    )
    for layer in model.layers:
        if type(layer).__name__ == "Normalization":
            layer.finalize_state()  # else Keras goes on with what it was
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_comes_from_keras(kind, tmp_path):
    theirs = shaken(everything(keras))
    theirs.save(tmp_path / f"model.{kind}")
    assert predictions_differ(models.load_model(tmp_path / f"model.{kind}"), theirs) < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_goes_to_keras(kind, tmp_path):
    ours = shaken(everything(nnlite))
    ours.save(tmp_path / f"model.{kind}")
    theirs = keras.saving.load_model(tmp_path / f"model.{kind}")
    assert predictions_differ(theirs, ours) < 1e-6
    assert [w.shape for w in theirs.weights] == [w.shape for w in ours.weights]


def test_weights_alone_both_ways(tmp_path):
    ours, theirs = shaken(everything(nnlite)), shaken(everything(keras))
    theirs.set_weights([w * 0 for w in theirs.get_weights()])
    ours.save_weights(tmp_path / "ours.weights.h5")
    theirs.load_weights(tmp_path / "ours.weights.h5")
    assert predictions_differ(theirs, ours) < 1e-6
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    again = everything(nnlite)
    again.load_weights(tmp_path / "theirs.weights.h5")
    assert predictions_differ(again, ours) < 1e-6


def test_weights_out_of_whole_models(tmp_path):
    theirs = shaken(everything(keras))
    for kind in KINDS:
        theirs.save(tmp_path / f"model.{kind}")
        ours = everything(nnlite)
        ours.load_weights(tmp_path / f"model.{kind}")
        assert predictions_differ(ours, theirs) < 1e-6


def test_layers_that_keras_lacks_go_as_its_functions(tmp_path):
    names = ["GELU", "Mish", "Softsign", "HardSigmoid", "SELU", "SiLU", "Tanh", "Sigmoid"]
    layers = [getattr(nnlite.layers, name)() for name in names]
    ours = nnlite.Sequential([nnlite.layers.Input((5,)), nnlite.layers.Dense(4), *layers])
    for kind in KINDS:
        ours.save(tmp_path / f"model.{kind}")
        theirs = keras.saving.load_model(tmp_path / f"model.{kind}")
        assert predictions_differ(theirs, ours) < 1e-6
        assert predictions_differ(models.load_model(tmp_path / f"model.{kind}"), ours) == 0


def test_functional_chains_come_from_keras(tmp_path):
    inner_in = keras.Input((4,))
    inner = keras.Model(inner_in, keras.layers.Dense(4, name="b")(inner_in), name="inner")
    x = keras.Input((5,), name="entry")
    hidden = keras.layers.Dense(4, activation="relu", name="a")(x)
    hidden = keras.layers.BatchNormalization(name="normal")(inner(hidden))
    hidden = keras.Sequential([keras.layers.Dense(4, name="c")], name="seq")(hidden)
    theirs = shaken(keras.Model(x, keras.layers.Dense(2, name="d")(hidden)))
    for kind in KINDS:
        theirs.save(tmp_path / f"model.{kind}")
        ours = models.load_model(tmp_path / f"model.{kind}")
        assert predictions_differ(ours, theirs) < 1e-6
    assert [layer.name for layer in ours.layers] == ["a", "inner", "normal", "seq", "d"]


def test_a_functional_model_with_two_ways_is_refused_by_its_layers_names(tmp_path):
    x = keras.Input((5,))
    a = keras.layers.Dense(4, name="a")(x)
    out = keras.layers.Add(name="sum")([a, keras.layers.Dense(4, name="b")(a)])
    keras.Model(x, out).save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="layer 'sum' of class Add"):
        models.load_model(tmp_path / "model.keras")


def test_float64_stays_float64(tmp_path):
    theirs = keras.Sequential(
        [keras.layers.Input((5,)), keras.layers.Dense(3, dtype="float64", name="wide")]
    )
    theirs.save(tmp_path / "model.keras")
    ours = models.load_model(tmp_path / "model.keras")
    x = data()[0].astype("float64")
    assert ours.predict(x).dtype == np.float64
    assert np.abs(ours.predict(x) - theirs.predict(x, verbose=0)).max() < 1e-14


@pytest.mark.parametrize("kind", KINDS)
def test_keras_compiles_what_nnlite_compiled(kind, tmp_path):
    ours = chain(nnlite)
    ours.compile("adam", "mse", metrics=["mae", "accuracy"], weighted_metrics=["mse"])
    ours.save(tmp_path / f"model.{kind}")
    theirs = keras.saving.load_model(tmp_path / f"model.{kind}")
    x, y = data()
    expected = ours.evaluate(x, y, verbose=0)
    assert len(expected) == 4  # the loss, two metrics, a weighted one
    assert theirs.evaluate(x, y, verbose=0) == pytest.approx(expected, abs=1e-5)


# ---- the text of the files -----------------------------------------------------------------


def without_ids(value):
    """Return a config without what differs from run to run."""
    if isinstance(value, dict):
        return {k: without_ids(v) for k, v in value.items() if k != "shared_object_id"}
    return [without_ids(v) for v in value] if isinstance(value, list) else value


def test_the_config_is_that_of_keras(tmp_path):
    configs = []
    for k in (keras, nnlite):
        model = chain(k, name="net")
        model.compile(
            k.optimizers.Adam(0.01, name="adam"), "mse", metrics=["mae"], jit_compile=False
        )
        model.save(tmp_path / "model.keras")
        with zipfile.ZipFile(tmp_path / "model.keras") as archive:
            configs.append(without_ids(json.loads(archive.read("config.json"))))
    theirs, ours = configs
    for config in configs:
        config["config"]["layers"][0]["config"].pop("name")  # Keras counts inputs over the process
    rate = theirs["compile_config"]["optimizer"]["config"].pop("learning_rate")  # in float32
    assert ours["compile_config"]["optimizer"]["config"].pop("learning_rate") == pytest.approx(rate)
    assert ours == theirs


def test_json_both_ways():
    ours, theirs = everything(nnlite), everything(keras)
    for one in (
        models.model_from_json(theirs.to_json()),
        keras.models.model_from_json(ours.to_json()),
    ):
        shaken(one)
        assert [w.shape for w in one.weights] == [w.shape for w in ours.weights]


# ---- the program's own ---------------------------------------------------------------------


class Halved(nnlite.layers.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight("scale", input_shape[1:], "ones")

    def forward(self, x, training=False):
        if training:
            self.cache = (x,)
        return x * self.scale.value / 2

    def backward(self, gradient):
        (x,) = self.cache
        self.scale.gradient[...] = (gradient * x).sum(axis=0) / 2
        return gradient * self.scale.value / 2


class TheirHalved(keras.layers.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight(shape=input_shape[1:], initializer="ones", name="scale")

    def call(self, x):
        return x * self.scale / 2


TheirHalved.__name__ = "Halved"


@pytest.mark.parametrize("kind", KINDS)
def test_custom_layers_both_ways(kind, tmp_path):
    theirs = shaken(keras.Sequential([keras.layers.Input((5,)), TheirHalved(name="own")]))
    theirs.save(tmp_path / f"model.{kind}")
    with pytest.raises(ValueError, match="layer 'own' of class Halved"):
        models.load_model(tmp_path / f"model.{kind}")
    ours = models.load_model(tmp_path / f"model.{kind}", custom_objects={"Halved": Halved})
    assert predictions_differ(ours, theirs) < 1e-6
    ours.save(tmp_path / f"back.{kind}")
    with keras.saving.custom_object_scope({"Halved": TheirHalved}):
        back = keras.saving.load_model(tmp_path / f"back.{kind}")
    assert predictions_differ(ours, back) < 1e-6

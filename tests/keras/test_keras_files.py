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


def test_functional_models_come_from_keras(tmp_path):
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
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]


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
    assert ours.pop("nnlite_version") == nnlite.__version__
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


# ---- as users do it ------------------------------------------------------------------------


def test_folders_both_ways(tmp_path):
    theirs, ours = chain(keras), chain(nnlite)
    theirs.save(tmp_path / "theirs", zipped=False)
    assert predictions_differ(models.load_model(tmp_path / "theirs"), theirs) < 1e-6
    ours.save(tmp_path / "ours", zipped=False)
    assert predictions_differ(keras.saving.load_model(tmp_path / "ours"), ours) < 1e-6


def test_a_model_that_is_not_built_both_ways(tmp_path):
    for k, other in ((keras, nnlite), (nnlite, keras)):
        model = k.Sequential([k.layers.Dense(3)])
        model.compile("adam", "mse")
        with pytest.warns(UserWarning, match="not .*been built|not built yet"):
            model.save(tmp_path / "m.keras")
        again = other.saving.load_model(tmp_path / "m.keras")
        assert not again.built
        assert again.compiled


def nest(k):
    """Return a layer of the library ``k`` that keeps layers in lists, dicts and itself."""

    class Nest(k.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            make = k.layers.Dense
            self.parts = [(make(4), make(4)), {"last": make(5), "more": [[make(6)]]}]
            self.words = np.arange(3)

        def sublayers(self):
            first, last = self.parts
            return [*first, last["last"], last["more"][0][0]]

        def build(self, input_shape):
            for layer in self.sublayers():
                layer.build(input_shape)
                input_shape = (None, layer.units)

        def forward(self, x, training=False):
            for layer in self.sublayers():
                x = layer(x)
            return x

        def backward(self, gradient):
            return gradient

        if k is keras:
            call = forward

        def save_own_variables(self, store):
            super().save_own_variables(store)
            store["words"] = self.words

        def load_own_variables(self, store):
            self.words = np.array(store["words"])

    return Nest


def test_layers_in_containers_and_what_a_layer_stores_itself_both_ways(tmp_path):
    made = {k: nest(k) for k in (keras, nnlite)}
    for k, other in ((keras, nnlite), (nnlite, keras)):
        model = k.Sequential([k.layers.Input((5,)), made[k]()])
        model.layers[0].words = np.array([5, 7])
        model.save(tmp_path / "m.keras")
        again = other.saving.load_model(tmp_path / "m.keras", {"Nest": made[other]})
        assert predictions_differ(again, model) < 1e-6
        assert again.layers[0].words.tolist() == [5, 7]


def test_a_clone_is_compiled_as_kerass_is():
    for k in (keras, nnlite):
        model = chain(k)
        model.compile(k.optimizers.Adam(0.125), "categorical_crossentropy", metrics=["accuracy"])
        clone = k.models.clone_model(model)
        assert clone.compiled
        assert int(clone.optimizer.iterations) == 0
        assert float(clone.optimizer.get_config()["learning_rate"]) == 0.125


@pytest.mark.parametrize(
    "wrong",
    [
        lambda k, m, path: k.saving.load_model(path / "missing.keras"),
        lambda k, m, path: k.saving.load_model(path / "missing.h5"),
        lambda k, m, path: k.saving.load_model(path / "model.pkl"),
        lambda k, m, path: m.load_weights(path / "missing.weights.h5"),
        lambda k, m, path: m.load_weights(path / "weights.pkl"),
        lambda k, m, path: m.load_weights(path / "m.keras", by_name=True),
        lambda k, m, path: m.load_weights(path / "m.keras", objects_to_skip=[]),
        lambda k, m, path: m.load_weights(path / "m.keras", other=None),
        lambda k, m, path: m.save(path / "m"),
        lambda k, m, path: m.save(path / "m.png"),
        lambda k, m, path: m.save(path / "m.keras", zipped=False),
        lambda k, m, path: m.save(path / "m", save_format="keras"),
        lambda k, m, path: m.save(path / "m.keras", other=1),
        lambda k, m, path: m.save_weights(path / "m.h5"),
        lambda k, m, path: k.Sequential([k.layers.Dense(2)]).save_weights(path / "m.weights.h5"),
        lambda k, m, path: k.saving.deserialize_keras_object(
            {"class_name": "Dense", "module": "keras.layers", "config": [1]}
        ),
        lambda k, m, path: k.saving.deserialize_keras_object(
            {"class_name": "function", "module": "builtins", "config": ["relu"]}
        ),
        lambda k, m, path: k.saving.deserialize_keras_object(
            {"class_name": "Mine", "module": "mine", "config": {}}
        ),
        lambda k, m, path: k.saving.deserialize_keras_object(
            {**DENSE, "registered_name": "mine>Dense"}
        ),
        lambda k, m, path: k.saving.serialize_keras_object(object()),
        lambda k, m, path: k.saving.register_keras_serializable()(object),
        lambda k, m, path: k.models.clone_model(m, input_tensors=[3]),
        lambda k, m, path: k.models.clone_model(m, call_function=print),
        lambda k, m, path: m.add({}),
    ],
)
def test_mistakes_raise_what_keras_raises(wrong, tmp_path):
    raised = []
    for k in (keras, nnlite):
        model = chain(k)
        model.save(tmp_path / "m.keras")
        try:
            wrong(k, model, tmp_path)
        except Exception as error:
            raised.append(error)
    assert len(raised) == 2
    assert isinstance(raised[1], type(raised[0]))


DENSE = {"class_name": "Dense", "module": "keras.layers", "config": {"units": 1}}


@pytest.mark.parametrize(
    "thing",
    [b"x", ..., slice(1, None, 2), np.arange(3.0), np.float32(0.5), (1, [None, {"a": True}])],
)
def test_values_are_the_data_that_keras_makes_of_them(thing):
    ours, theirs = (k.saving.serialize_keras_object(thing) for k in (nnlite, keras))
    assert ours == theirs

"""Layers and models of users in files: what could not be loaded is refused, the rest is kept."""

import os
import random as python_random

import h5py
import numpy as np
import pytest

import nnlite
from nnlite import Sequential, losses, models, optimizers, random
from nnlite.layers import Dense, Dropout, Input, Layer
from nnlite.models import load_model
from nnlite.saving import CustomObjectScope

X = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")


class Same(Layer):
    def forward(self, x, training=False):
        return x

    def backward(self, gradient):
        return gradient


class NoKeywords(Same):
    def __init__(self, factor=2):
        super().__init__()
        self.factor = factor


class Forgets(Same):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def get_config(self):
        return {"name": self.name}


class FixedUnits(Dense):
    def __init__(self, **kwargs):
        super().__init__(units=4, **kwargs)


class WantsMore(Same):
    @classmethod
    def from_config(cls, config):
        return cls(name=config["title"])


class OwnNet(Sequential):
    def __init__(self):
        super().__init__([Dense(2)])


class Nest(Layer):
    """Layers in a list of a tuple and a dict, which holds itself, and behind a property."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.parts = [(Dense(3, name="a"), Dense(3, name="b")), {"last": Dense(3, name="c")}]
        self.parts.append(self.parts)
        self._end = Dense(2, name="d")

    @property
    def end(self):
        return self._end

    def sublayers(self):
        return [*self.parts[0], self.parts[1]["last"], self._end]

    def build(self, input_shape):
        for layer in self.sublayers():
            layer.build((None, 3))

    def forward(self, x, training=False):
        for layer in self.sublayers():
            x = layer.forward(x, training)
        return x


# ---- refused at save -------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (NoKeywords, "unexpected keyword argument"),
        (lambda: Forgets(3), "missing 1 required positional argument: 'factor'"),
        (FixedUnits, "multiple values for keyword argument 'units'"),
        (WantsMore, "KeyError: 'title'"),
        (OwnNet, "OwnNet.__init__"),
    ],
)
def test_what_could_not_be_loaded_is_refused_by_name_and_remedy(tmp_path, layer, reason, ending):
    model = Sequential([Input((3,)), layer()])
    with pytest.raises(TypeError, match=f"could not be loaded again: .*{reason}.* Let __init__"):
        model.save(tmp_path / f"m.{ending}")
    assert os.listdir(tmp_path) == []


def test_what_its_own_configuration_fits_is_saved_without_more_ado(tmp_path):
    class Fits(NoKeywords):
        def get_config(self):
            return {"factor": self.factor}

    Sequential([Input((3,)), Fits(5)]).save(tmp_path / "m.keras")
    assert load_model(tmp_path / "m.keras", {"Fits": Fits}).layers[0].factor == 5


def test_a_layer_within_a_layer_is_looked_at_too(tmp_path):
    class Around(Same):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = NoKeywords()

        def sublayers(self):
            return [self.inner]

    with pytest.raises(TypeError, match="'no_keywords' could not be loaded again"):
        Sequential([Input((3,)), Around()]).save(tmp_path / "m.keras")


def test_to_try_it_draws_nothing(tmp_path):
    class Drawing(Dropout):
        def __init__(self, **kwargs):
            super().__init__(**{"rate": 0.5, **kwargs})
            python_random.random()
            np.random.rand()  # noqa: NPY002

    model = Sequential([Input((3,)), Drawing(), Dense(1)])
    nnlite.utils.set_random_seed(3)
    expected = random.new_seed(), python_random.random(), np.random.rand()  # noqa: NPY002
    nnlite.utils.set_random_seed(3)
    model.save(tmp_path / "m.keras")
    assert (random.new_seed(), python_random.random(), np.random.rand()) == expected  # noqa: NPY002


# ---- what a layer keeps itself ---------------------------------------------------------------


class Counted(Dense):
    """A Dense that keeps a vocabulary beside its weights, and the weights under names."""

    words = np.array([1, 2])

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store["words"] = self.words

    def load_own_variables(self, store):
        self.words = store.pop("words")
        super().load_own_variables(store)


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5"])
def test_what_a_layer_stores_itself_comes_back(tmp_path, name):
    model = Sequential([Input((3,)), Sequential([Counted(2)]), Dense(1)])
    model.layers[0].layers[0].words = np.array([7, 8, 9])
    with CustomObjectScope({"Counted": Counted}):
        if name == "m.keras":
            model.save(tmp_path / name)
            again = load_model(tmp_path / name)
        else:
            again = models.clone_model(model)
            model.save_weights(tmp_path / name)
            again.load_weights(tmp_path / name)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    np.testing.assert_array_equal(again.layers[0].layers[0].words, [7, 8, 9])


class Noted(Same):
    """A layer without weights that keeps a note."""

    note = 0

    def save_own_variables(self, store):
        store["note"] = self.note

    def load_own_variables(self, store):
        self.note = int(store["note"])


class NotedNet(Sequential):
    note = 0
    save_own_variables = Noted.save_own_variables
    load_own_variables = Noted.load_own_variables


class Holder(Nest):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.held = Noted(name="noted")

    def sublayers(self):
        return [*super().sublayers(), self.held]


def test_models_and_layers_without_weights_may_store_something_too(tmp_path):
    model = NotedNet([Input((3,)), Noted(), Holder()])
    model.note, model.layers[0].note, model.layers[1].held.note = 1, 2, 3
    model.save(tmp_path / "m.keras")
    again = load_model(
        tmp_path / "m.keras", {"NotedNet": NotedNet, "Noted": Noted, "Holder": Holder}
    )
    assert [again.note, again.layers[0].note, again.layers[1].held.note] == [1, 2, 3]


def test_what_a_layer_cannot_take_changes_no_weight(tmp_path):
    model = Sequential([Input((3,)), Dense(4), Counted(2)])
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "a") as file:
        del file["layers/counted/vars/1"]
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"'counted' has 2 own weights\. The file has 0 "):
        model.load_weights(tmp_path / "m.weights.h5")
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_assets_are_refused(tmp_path):
    class WithAssets(Same):
        def save_assets(self, inner_path): ...

    with pytest.raises(TypeError, match="'with_assets' defines save_assets, but nnlite's files"):
        Sequential([Input((3,)), WithAssets()]).save(tmp_path / "m.keras")


# ---- layers in lists, tuples and dicts ---------------------------------------------------------


def test_layers_within_nested_containers_have_kerass_groups(tmp_path):
    """The names are those that Keras 3.15 gives to such an object's groups."""
    model = Sequential([Input((3,)), Nest()])
    model.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras", {"Nest": Nest})
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    model.save_weights(tmp_path / "m.weights.h5")
    groups = []
    with h5py.File(tmp_path / "m.weights.h5") as file:
        file["layers/nest"].visit(lambda name: groups.append(name) if name[-2:] == "/0" else None)
    assert sorted(groups) == [
        "end/vars/0",
        "parts/container/dense/vars/0",
        "parts/container/dense_1/vars/0",
        "parts/container_1/dense/vars/0",
    ]


def test_a_layer_that_no_attribute_holds_is_named(tmp_path):
    class Hiding(Nest):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.parts = iter(self.parts)
            self.kept = lambda one=self._end: one
            del self._end

        def sublayers(self):
            return [self.kept()]

    with pytest.raises(ValueError, match="'hiding' must keep its layer 'd' in an attribute"):
        Sequential([Input((3,)), Hiding()]).save(tmp_path / "m.keras")
    assert os.listdir(tmp_path) == []


# ---- models of users' own ----------------------------------------------------------------------


class OwnCompile(Sequential):
    def compile(self, rate):
        super().compile(optimizers.SGD(rate), "mse")


class ToldCompile(OwnCompile):
    def get_compile_config(self):
        return {"rate": self.optimizer.learning_rate}

    def compile_from_config(self, config):
        self.compile(config["rate"])


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_compile_of_ones_own_is_told_and_to_be_called(tmp_path, ending):
    model = OwnCompile([Input((3,)), Dense(1)])
    model.compile(0.5)
    for _ in range(2):
        model.save(tmp_path / f"m.{ending}")
        with pytest.warns(UserWarning, match="OwnCompile overrides compile. Call it, or"):
            again = load_model(tmp_path / f"m.{ending}", {"OwnCompile": OwnCompile})
        assert not again.compiled
        model = again  # is saved with the same settings again
    with pytest.raises(ValueError, match=r"Call compile\(...\) first"):
        again.fit(X, X[:, :1], verbose=0)
    again.compile(0.25)
    again.fit(X, X[:, :1], verbose=0)


def test_compile_settings_of_ones_own_are_written_and_taken_up(tmp_path):
    model = ToldCompile([Input((3,)), Dense(1)])
    model.compile(0.5)
    model.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras", {"ToldCompile": ToldCompile})
    assert again.optimizer.learning_rate == 0.5
    assert models.clone_model(model).optimizer.learning_rate == 0.5


# ---- clones ------------------------------------------------------------------------------------


class Tenfold(losses.MeanSquaredError):
    def call(self, y_true, y_pred):
        return 10 * super().call(y_true, y_pred)

    def derivative(self, y_true, y_pred):
        return 10 * super().derivative(y_true, y_pred)


def furthest(y_true, y_pred):
    return abs(y_true - y_pred).max(axis=-1)


def test_a_clone_is_compiled_as_the_model_with_nothing_shared():
    model = Sequential([Input((3,)), Dense(1)])
    model.compile(optimizers.Adam(0.125), Tenfold(), metrics=["mae", furthest])
    model.fit(X, X[:, :1], verbose=0)
    clone = models.clone_model(model)
    assert clone.compiled
    assert clone.optimizer is not model.optimizer
    assert clone.optimizer.get_config() == model.optimizer.get_config()
    assert clone.optimizer.iterations == 0
    assert type(clone.loss) is Tenfold
    clone.set_weights(model.get_weights())
    expected = model.evaluate(X, X[:, :1], verbose=0)
    assert len(expected) == 3
    assert clone.evaluate(X, X[:, :1], verbose=0) == expected


def test_a_clone_of_what_was_not_compiled_is_not():
    assert not models.clone_model(Sequential([Input((3,)), Dense(1)])).compiled


def test_a_clone_of_a_class_with_arguments_of_its_own_is_refused_by_name():
    with pytest.raises(TypeError, match=r"calls OwnNet\(layers, name\)"):
        models.clone_model(OwnNet())

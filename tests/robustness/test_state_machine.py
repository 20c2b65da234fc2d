"""A model driven through random public calls does what the textbook does, or refuses unchanged."""

import contextlib
import copy
import io
import json
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
import samples
from bad_calls import BAD, BAD_ONCE_BUILT, BAD_ONCE_COMPILED, DOCUMENTED, FEATURES
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from reference import Layer, Reference, Rule

from nnlite import Sequential, losses, models, optimizers, set_random_seed
from nnlite.layers import Dense, Input
from nnlite.regularizers import L2

OPTIMIZERS = {
    "sgd": (lambda: optimizers.SGD(0.03), {"rate": 0.03}),
    "decay": (lambda: optimizers.SGD(0.03, weight_decay=0.1), {"rate": 0.03, "decay": 0.1}),
    "momentum": (lambda: optimizers.SGD(0.02, momentum=0.9), {"rate": 0.02, "momentum": 0.9}),
    "adam": (lambda: optimizers.Adam(0.01), {"kind": "adam", "rate": 0.01}),
    "adamw": (
        lambda: optimizers.AdamW(0.01, weight_decay=0.05),
        {"kind": "adam", "rate": 0.01, "decay": 0.05},
    ),
}
CHOSEN = {
    "mse": losses.MeanSquaredError,
    "binary_crossentropy": losses.BinaryCrossEntropy,
    "categorical_crossentropy": losses.CategoricalCrossEntropy,
}
LOSSES = [None, *CHOSEN]


def snapshot(model):
    """Return everything about a model that a refused call must leave, to the last bit."""
    optimizer = model.optimizer
    return {
        "layers": list(model.layers),
        "names": [layer.name for layer in model.layers],
        "built": [model.built, *(layer.built for layer in model.layers)],
        "shapes": [
            getattr(model, "input_shape", None),
            *(layer.input_shape for layer in model.layers),
        ],
        "trainable": [model.trainable, *(layer.trainable for layer in model.layers)],
        "weights": [weight.numpy().tobytes() for weight in model.all_variables()],
        "config": json.dumps(model.get_config()),
        "compiled": [optimizer, model.loss, json.dumps(model.get_compile_config())],
        "rate": optimizer and optimizer.learning_rate,
        "count": optimizer and optimizer.iterations,
        "state": optimizer and state_of(optimizer),
        "stop": model.stop_training,
    }


def state_of(optimizer):
    """Return what an optimizer keeps of each weight, frozen or not; zeros are as good as none."""
    held = dict(optimizer._resting)
    for weight, part in zip(optimizer._variables, optimizer._slices, strict=True):
        held[weight] = {slot: vector[part] for slot, vector in optimizer.state.items()}
    return {
        (id(weight), slot): array.tobytes()
        for weight, arrays in held.items()
        for slot, array in arrays.items()
        if array.any()
    }


def clone_of(model):
    other = models.clone_model(model)
    if model.built:
        other.set_weights(model.get_weights())
    return other


def config_of(model):
    other = Sequential.from_config(json.loads(json.dumps(model.get_config())))
    if model.built:
        other.set_weights(model.get_weights())
    return other


def file_of(ending):
    def saved(model):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"model{ending}"
            model.save(path)
            return models.load_model(path)

    return saved


def weights_file_of(model):
    """Return a copy that has its weights, and the optimizer its state, from a file."""
    other = config_of(model)
    if model.optimizer:
        other.compile_from_config(model.get_compile_config())
    if model.built:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.weights.h5"
            model.save_weights(path)
            other.load_weights(path)
    return other


WHOLE = {  # copies with all that training needs
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "copy": copy.copy,
}
FILES = {"keras": file_of(".keras"), "h5": file_of(".h5"), "weights.h5": weights_file_of}
UNCOMPILED = {"clone": clone_of, "config": config_of}

rows = st.integers(1, 7)
flags = st.booleans()
seeds = st.integers(0, 2**16)
positions = st.integers(0, 3)


class Machine(RuleBasedStateMachine):
    """A model and the reference, side by side."""

    @initialize(declared=flags, seed=seeds)
    def begin(self, declared, seed):
        set_random_seed(seed)
        self.model = Sequential([Input((FEATURES,), dtype="float64")] if declared else [])
        self.reference = Reference()
        self.popped = []

    def data(self, n, seed, weighted=False):
        g = np.random.default_rng(seed)
        x, wide = g.standard_normal((n, FEATURES)), self.reference.layers[-1].units
        y = g.uniform(0.1, 0.9, (n, wide))
        y /= y.sum(axis=1, keepdims=True)  # distributions, and numbers in [0, 1]
        return x, y, g.uniform(0.5, 2, n) if weighted else None

    def adopt(self):
        """Tell the reference the weights that layers have just been built with."""
        for layer, plain in zip(self.model.layers, self.reference.layers, strict=True):
            if layer.built and not plain.weights:
                plain.weights = [weight.astype(float) for weight in layer.get_weights()]

    def comparable(self):
        """The reference knows the cross-entropy of classes behind a softmax only."""
        plain = self.reference
        return bool(plain.layers) and (
            plain.loss_name() != "categorical_crossentropy"
            or plain.layers[-1].activation == "softmax"
        )

    # ---- the layers -------------------------------------------------------------------

    @precondition(lambda self: len(self.reference.layers) < 4)
    @rule(
        units=st.integers(1, 3),
        activation=st.sampled_from(["linear", "tanh", "relu", "sigmoid", "softmax"]),
        l2=st.sampled_from([0.0, 0.0, 0.02]),
        trainable=flags | st.just(True),
    )
    def add(self, units, activation, l2, trainable):
        options = {"kernel_regularizer": L2(l2) if l2 else None, "dtype": "float64"}
        self.model.add(Dense(units, activation, trainable=trainable, **options))
        self.reference.layers.append(Layer(units, activation, l2, trainable))
        self.adopt()

    @precondition(lambda self: self.reference.layers)
    @rule()
    def pop(self):
        layer, plain = self.model.pop(), self.reference.layers.pop()
        if not self.reference.layers:  # what was built for an input of then may not fit a new one
            self.popped.clear()
        elif layer.built:
            self.popped.append((layer, plain))

    @precondition(lambda self: self.popped and self.reference.layers)
    @rule()
    def add_again(self):
        layer, plain = self.popped.pop()
        before = snapshot(self.model)
        try:
            self.model.add(layer)
        except ValueError:  # built for another width, or its name is taken meanwhile
            assert snapshot(self.model) == before
            return
        self.reference.layers.append(plain)
        self.adopt()

    @precondition(lambda self: self.reference.layers)
    @rule()
    def build(self):
        self.model.build((None, FEATURES))
        self.adopt()

    @precondition(lambda self: self.reference.layers)
    @rule(at=positions, value=flags)
    def freeze(self, at, value):
        at %= len(self.reference.layers)
        self.model.layers[at].trainable = self.reference.layers[at].trainable = value

    @rule(value=flags)
    def freeze_all(self, value):
        self.model.trainable = self.reference.trainable = value
        for plain in self.reference.layers:
            plain.trainable = value

    # ---- training ---------------------------------------------------------------------

    @rule(name=st.sampled_from(sorted(OPTIMIZERS)), loss=st.sampled_from(LOSSES), metric=flags)
    def compile(self, name, loss, metric):
        make, arguments = OPTIMIZERS[name]
        self.model.compile(make(), loss, metrics=["mae"] if metric else None)
        self.reference.rule = Rule(**arguments)
        self.reference.loss, self.reference.mae = loss, metric

    @precondition(comparable)
    @rule(n=rows, size=rows, epochs=st.integers(1, 3), seed=seeds, weighted=flags)
    def fit(self, n, size, epochs, seed, weighted):
        x, y, weight = self.data(n, seed, weighted)
        options = {"shuffle": False, "verbose": 0, "sample_weight": weight}
        self.build()
        history = self.model.fit(x, y, size, epochs, **options).history
        plain = self.reference
        wanted = [plain.epoch(plain.train, x, y, weight, size) for _ in range(epochs)]
        assert list(history) == ["loss", "mae"][: 1 + plain.mae]
        np.testing.assert_allclose(
            np.transpose(list(history.values())), np.array(wanted)[:, : len(history)], rtol=1e-9
        )

    @precondition(comparable)
    @rule(n=rows, seed=seeds, weighted=flags, train=flags)
    def one_batch(self, n, seed, weighted, train):
        x, y, weight = self.data(n, seed, weighted)
        self.build()
        call = self.model.train_on_batch if train else self.model.test_on_batch
        plain = self.reference
        found = call(x, y, weight, return_dict=True)
        wanted = plain.train(x, y, weight) if train else plain.score(x, y, weight)[0]
        np.testing.assert_allclose(list(found.values()), wanted[: 1 + plain.mae], rtol=1e-9)

    @precondition(comparable)
    @rule(n=rows, size=rows, seed=seeds, weighted=flags)
    def evaluate(self, n, size, seed, weighted):
        x, y, weight = self.data(n, seed, weighted)
        self.build()
        found = self.model.evaluate(x, y, size, 0, weight, return_dict=True)
        plain = self.reference
        wanted = plain.epoch(lambda *a: plain.score(*a)[0], x, y, weight, size)
        np.testing.assert_allclose(list(found.values()), wanted[: 1 + plain.mae], rtol=1e-9)

    @precondition(lambda self: self.reference.layers)
    @rule(n=rows, size=rows, seed=seeds)
    def predict(self, n, size, seed):
        x = self.data(n, seed)[0]
        self.build()
        wanted = self.reference.forward(x)[-1]
        for found in (self.model.predict(x, size), self.model.predict_on_batch(x), self.model(x)):
            np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)

    @precondition(lambda self: self.model.optimizer)
    @rule(rate=st.sampled_from([0.0, 0.001, 0.02]))
    def rate(self, rate):
        self.model.optimizer.learning_rate = self.reference.rule.rate = rate

    # ---- weights and copies -----------------------------------------------------------

    @precondition(lambda self: self.model.built)
    @rule(seed=seeds, at=positions, whole=flags)
    def set_weights(self, seed, at, whole):
        g = np.random.default_rng(seed)
        chosen = range(len(self.model.layers)) if whole else [at % len(self.model.layers)]
        drawn = {
            i: [g.uniform(-1, 1, w.shape) for w in self.reference.layers[i].weights] for i in chosen
        }
        if whole:
            self.model.set_weights([weight for each in drawn.values() for weight in each])
        for i, each in drawn.items():
            self.model.layers[i].set_weights(each)
            self.reference.layers[i].weights = [weight.copy() for weight in each]

    @rule(way=st.sampled_from(sorted(WHOLE)))
    def go_on_with_a_copy(self, way):
        self.become(WHOLE[way], compiled=True)

    @precondition(lambda self: self.model.built)
    @rule(way=st.sampled_from(sorted(FILES)))
    def go_on_from_a_file(self, way):
        self.become(FILES[way], compiled=True)
        plain = self.reference
        if plain.rule is not None:  # Keras's files hold no state of weights that rest
            state = plain.rule.state.items()
            plain.rule.state = {key: kept for key, kept in state if plain.learns(key[0])}
        if self.model.loss is not None:
            self.take_loss()

    @precondition(lambda self: self.reference.layers)
    @rule(way=st.sampled_from(sorted(UNCOMPILED)))
    def go_on_with_the_layers_only(self, way):
        plain, keeps = self.reference, way == "clone" and self.model.compiled  # as in Keras
        old, mae = plain.rule or Rule(), plain.mae
        self.become(UNCOMPILED[way], compiled=False)
        if keeps:
            plain.rule, plain.mae = Rule(old.kind, old.rate, old.momentum, old.decay), mae
            self.take_loss()

    def take_loss(self):
        """Let the reference take the loss that was chosen last, which data and files hold."""
        names = {loss: name for name, loss in CHOSEN.items()}
        self.reference.loss = self.model.loss and names[type(self.model.loss)]

    def become(self, way, compiled):
        before = snapshot(self.model)
        old, self.model = self.model, way(self.model)
        assert snapshot(old) == before
        assert type(self.model.loss) is type(old.loss) or not compiled
        assert self.model is not old
        assert set(self.model.layers).isdisjoint(old.layers)
        self.popped.clear()
        if not compiled:
            self.reference.rule, self.reference.loss, self.reference.mae = None, None, False
        elif self.model.optimizer:
            assert self.model.optimizer is not old.optimizer

    # ---- calls that change nothing ----------------------------------------------------

    @rule()
    def look(self):
        before = snapshot(self.model)
        with contextlib.redirect_stdout(io.StringIO()):
            self.model.summary()
        repr(self.model)
        if self.model.built:
            sizes = [w.size for plain in self.reference.layers for w in plain.weights]
            assert self.model.count_params() == sum(sizes)
            for weight in self.model.get_weights():
                weight[...] = 99.0
        assert snapshot(self.model) == before

    def refused(self, call):
        before = snapshot(self.model)
        with pytest.raises(DOCUMENTED), contextlib.redirect_stdout(io.StringIO()):
            call(self.model)
        assert snapshot(self.model) == before

    @rule(name=st.sampled_from(sorted(BAD)))
    def wrong(self, name):
        self.refused(BAD[name])

    @precondition(lambda self: self.model.built)
    @rule(name=st.sampled_from(sorted(BAD_ONCE_BUILT)))
    def wrong_once_built(self, name):
        self.refused(BAD_ONCE_BUILT[name])

    @precondition(lambda self: self.model.optimizer and self.reference.layers)
    @rule(name=st.sampled_from(sorted(BAD_ONCE_COMPILED)))
    def wrong_once_compiled(self, name):
        self.refused(BAD_ONCE_COMPILED[name])

    # ---- after every call -------------------------------------------------------------

    @invariant()
    def the_model_is_the_reference(self):
        model, plain = self.model, self.reference
        assert [one.units for one in model.layers] == [one.units for one in plain.layers]
        assert [one.trainable for one in model.layers] == [one.trainable for one in plain.layers]
        assert model.trainable == plain.trainable
        for layer, own in zip(model.layers, plain.layers, strict=True):
            assert layer.built == bool(own.weights)
            for found, wanted in zip(
                layer.get_weights() if own.weights else [], own.weights, strict=True
            ):
                np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-10)
        if plain.rule is not None:
            assert model.optimizer.iterations == plain.rule.count
            assert model.optimizer.learning_rate == plain.rule.rate


class LongMachine(Machine):
    """The same, for longer."""


EVERYTHING = {"suppress_health_check": list(HealthCheck), "deadline": None}
RUNS, LONG_RUNS = samples.examples(400), len(samples.part(range(3000)))
Machine.TestCase.settings = settings(max_examples=RUNS, stateful_step_count=40, **EVERYTHING)
LongMachine.TestCase.settings = settings(
    max_examples=LONG_RUNS, stateful_step_count=60, **EVERYTHING
)
seed(samples.PART)(LongMachine)
# A model of random layers may end in a softmax over one output.
pytestmark = pytest.mark.filterwarnings("ignore:The model ends in a softmax over a single output")
TestStateMachine = Machine.TestCase
TestStateMachineAtLength = pytest.mark.slow(LongMachine.TestCase)

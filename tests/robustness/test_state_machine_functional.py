"""A functional model under random calls behaves like a plain network, or is left as it was."""

import contextlib
import copy
import json
import pickle
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from nnlite import Input, Model, models, optimizers, set_random_seed
from nnlite.layers import Dense


def network(two_outputs):
    """Return two inputs through one shared layer, and one output or two of their sum."""
    a, b = Input((3,), name="a", dtype="float64"), Input((3,), name="b", dtype="float64")
    shared = Dense(4, "tanh", name="shared", dtype="float64")
    joined = shared(a) + 2.0 * shared(b)
    y = Dense(2, name="y", dtype="float64")(joined)
    z = Dense(1, name="z", dtype="float64")(joined)
    return Model({"a": a, "b": b}, {"y": y, "z": z} if two_outputs else y)


class Plain:
    """The same network in a page, with gradient descent on the mean squared error."""

    def __init__(self, weights):
        self.weights = [weight.copy() for weight in weights]

    def forward(self, x):
        kernel, bias, *heads = self.weights
        self.hidden = [np.tanh(x[name] @ kernel + bias) for name in "ab"]
        self.joined = self.hidden[0] + 2 * self.hidden[1]
        return [self.joined @ w + c for w, c in zip(heads[::2], heads[1::2], strict=True)]

    def step(self, x, targets, rate, frozen):
        slopes = [2 * (y - t) / t.size for y, t in zip(self.forward(x), targets, strict=True)]
        gradients = [g for d in slopes for g in (self.joined.T @ d, d.sum(0))]
        below = sum(d @ w.T for d, w in zip(slopes, self.weights[2::2], strict=True))
        parts = [k * below * (1 - h**2) for k, h in zip((1, 2), self.hidden, strict=True)]
        own = [sum(x[n].T @ p for n, p in zip("ab", parts, strict=True)), sum(parts).sum(0)]
        gradients = [*(np.zeros_like(g) if frozen else g for g in own), *gradients]
        for weight, gradient in zip(self.weights, gradients, strict=True):
            weight -= rate * gradient


def filed(model):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return models.load_model(path)


def cloned(model):
    other = models.clone_model(model)
    other.set_weights(model.get_weights())
    return other


def from_config(model):
    other = Model.from_config(json.loads(json.dumps(model.get_config())))
    other.set_weights(model.get_weights())
    return other


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "file": filed,
    "clone": cloned,
    "config": from_config,
}
BAD = {
    "an input too few": lambda m, x, y: m.predict({"a": x["a"]}, verbose=0),
    "a wrong width": lambda m, x, y: m.predict({"a": x["a"][:, :2], "b": x["b"]}, verbose=0),
    "rows that differ": lambda m, x, y: m.fit({"a": x["a"], "b": x["b"][:-1]}, y, verbose=0),
    "an unknown target": lambda m, x, y: m.fit(x, {"w": x["a"]}, verbose=0),
    "a NaN": lambda m, x, y: m.fit({"a": x["a"] * np.nan, "b": x["b"]}, y, verbose=0),
}


class FunctionalMachine(RuleBasedStateMachine):
    """A functional model and the plain network, side by side."""

    @initialize(two_outputs=st.booleans(), seed=st.integers(0, 99))
    def begin(self, two_outputs, seed):
        set_random_seed(seed)
        self.model, self.two, self.frozen = network(two_outputs), two_outputs, False
        self.plain = Plain(self.model.get_weights())
        self.compile(0.05)

    @rule(rate=st.sampled_from([0.02, 0.1]))
    def compile(self, rate):
        self.rate = rate
        self.model.compile(optimizers.SGD(rate), "mse")

    def data(self, rows, seed):
        g = np.random.default_rng(seed)
        x = {name: g.standard_normal((rows, 3)) for name in "ab"}
        targets = [g.standard_normal((rows, n)) for n in ((2, 1) if self.two else (2,))]
        return x, targets, dict(zip("yz", targets, strict=False)) if self.two else targets[0]

    @rule(rows=st.integers(2, 7), size=st.integers(1, 4), seed=st.integers(0, 99))
    def fit(self, rows, size, seed):
        x, targets, y = self.data(rows, seed)
        self.model.fit(x, y, batch_size=size, shuffle=False, verbose=0)
        for start in range(0, rows, size):
            part = slice(start, start + size)
            batch = {name: array[part] for name, array in x.items()}
            self.plain.step(batch, [t[part] for t in targets], self.rate, self.frozen)

    @rule()
    def freeze_or_thaw(self):
        self.frozen = not self.frozen
        self.model.get_layer("shared").trainable = not self.frozen
        self.compile(self.rate)

    @rule(way=st.sampled_from(sorted(COPIES)))
    def replace_by_a_copy(self, way):
        self.model = COPIES[way](self.model)
        assert self.model.get_layer("shared").trainable is not self.frozen
        self.compile(self.rate)

    @rule(way=st.sampled_from(sorted(BAD)), seed=st.integers(0, 99))
    def refuse(self, way, seed):
        x, _, y = self.data(3, seed)
        before = [weight.tobytes() for weight in self.model.get_weights()]
        refused = True
        with contextlib.suppress(ValueError, TypeError):
            BAD[way](self.model, x, y)
            refused = False
        assert refused
        assert [weight.tobytes() for weight in self.model.get_weights()] == before

    @invariant()
    def the_two_agree(self):
        if hasattr(self, "model"):
            for found, expected in zip(self.model.get_weights(), self.plain.weights, strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
            x, _, _ = self.data(3, 0)
            y = self.model.predict(x, verbose=0)
            outputs = [y["y"], y["z"]] if self.two else [y]
            for found, expected in zip(outputs, self.plain.forward(x), strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


TestFunctionalMachine = FunctionalMachine.TestCase
TestFunctionalMachine.settings = settings(
    max_examples=10,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=True,
)

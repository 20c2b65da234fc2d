"""Every optimizer against a plain transcription of its paper, over many steps in float64."""

import copy
import itertools

import numpy as np
import pytest

from nnlite import Sequential, optimizers
from nnlite.layers import Dense, Layer
from nnlite.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    Nadam,
    RMSprop,
)

STEPS = 20
SHAPES = {"kernel": (3, 4), "bias": (4,), "scale": (2,)}


class Given(Layer):
    """A layer with weights whose gradients are given beforehand."""

    def __init__(self, shapes, gradients, **kwargs):
        super().__init__(dtype="float64", **kwargs)
        self.shapes, self.gradients = shapes, gradients

    def build(self, input_shape):
        self.own = {name: self.add_weight(name, shape) for name, shape in self.shapes.items()}
        self.step = itertools.count()

    def forward(self, x, training=False):
        return x

    def backward(self, gradient):
        step = next(self.step)
        for name, variable in self.own.items():
            variable.gradient[...] = self.gradients[name][step]
        return gradient


def draw(shapes=SHAPES, steps=STEPS, seed=0):
    """Return initial weights, and a gradient of each for every step."""
    rng = np.random.default_rng(seed)
    weights = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    gradients = {name: rng.standard_normal((steps, *shape)) for name, shape in shapes.items()}
    return weights, gradients


def model_of(optimizer, weights, gradients):
    layer = Given({name: weight.shape for name, weight in weights.items()}, gradients)
    model = Sequential([layer])
    model.compile(optimizer, "mse")
    model.build((None, 1))
    model.set_weights(list(weights.values()))
    return model


def step(model):
    model.train_on_batch(np.zeros((1, 1)), np.zeros((1, 1)))


def run(optimizer, weights, gradients, steps=STEPS):
    """Return the weights after every step."""
    model = model_of(optimizer, weights, gradients)
    path = []
    for _ in range(steps):
        step(model)
        path.append(dict(zip(weights, model.get_weights(), strict=True)))
    return path


# ---- the rules, as their papers have them ---------------------------------------------------


def sgd(w, gradients, a=0.01, r=0.0, nesterov=False):
    """Sutskever et al. 2013, equations 1 to 4, in the form that looks ahead from the weights."""
    v = np.zeros_like(w)
    for g in gradients:
        v = r * v - a * g
        w = w + (r * v - a * g if nesterov else v)
        yield w


def adam(w, gradients, a=0.001, b1=0.9, b2=0.999, e=1e-7, amsgrad=False):
    """Kingma and Ba 2015, algorithm 1 as rearranged at the end of section 2; Reddi et al. 2018."""
    m = v = largest = np.zeros_like(w)
    for t, g in enumerate(gradients, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        largest = np.maximum(largest, v) if amsgrad else v
        a_t = a * np.sqrt(1 - b2**t) / (1 - b1**t)
        w = w - a_t * m / (np.sqrt(largest) + e)
        yield w


def rmsprop(w, gradients, a=0.001, r=0.9, p=0.0, e=1e-7, centered=False):
    """Tieleman and Hinton 2012; Graves 2013, equations 38 to 41."""
    s = mean = v = np.zeros_like(w)
    for g in gradients:
        s = r * s + (1 - r) * g**2
        mean = r * mean + (1 - r) * g if centered else mean
        v = p * v + a * g / np.sqrt(s - mean**2 + e)
        w = w - v
        yield w


def adamw(w, gradients, a=0.001, d=0.004, **arguments):
    """Loshchilov and Hutter 2019, algorithm 2, at a constant rate: all decay, then Adam's steps."""
    steps = np.diff([np.zeros_like(w), *adam(np.zeros_like(w), gradients, a, **arguments)], axis=0)
    for change in steps:
        w = w * (1 - a * d) + change
        yield w


def adamax(w, gradients, a=0.001, b1=0.9, b2=0.999, e=1e-7):
    """Kingma and Ba 2015, algorithm 2."""
    m = u = np.zeros_like(w)
    for t, g in enumerate(gradients, 1):
        m = b1 * m + (1 - b1) * g
        u = np.maximum(b2 * u, np.abs(g))
        w = w - a / (1 - b1**t) * m / (u + e)
        yield w


def nadam(w, gradients, a=0.001, b1=0.9, b2=0.999, e=1e-7):
    """Dozat 2016, algorithm 2, with mu_t = b1 (1 - 0.96^t / 2)."""
    mu = [b1 * (1 - 0.5 * 0.96**t) for t in range(1, len(gradients) + 2)]
    m = v = np.zeros_like(w)
    for t, g in enumerate(gradients, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        ahead = mu[t] * m / (1 - np.prod(mu[: t + 1]))
        ahead = ahead + (1 - mu[t - 1]) * g / (1 - np.prod(mu[:t]))
        w = w - a * ahead / (np.sqrt(v / (1 - b2**t)) + e)
        yield w


def adagrad(w, gradients, a=0.001, s=0.1, e=1e-7):
    """Duchi et al. 2011."""
    for g in gradients:
        s = s + g**2
        w = w - a * g / np.sqrt(s + e)
        yield w


def adadelta(w, gradients, a=0.001, r=0.95, e=1e-7):
    """Zeiler 2012, algorithm 1."""
    s = u = np.zeros_like(w)
    for g in gradients:
        s = r * s + (1 - r) * g**2
        change = -np.sqrt(u + e) / np.sqrt(s + e) * g
        u = r * u + (1 - r) * change**2
        w = w + a * change
        yield w


def lion(w, gradients, a=0.001, b1=0.9, b2=0.99):
    """Chen et al. 2023, algorithm 2."""
    m = np.zeros_like(w)
    for g in gradients:
        w = w - a * np.sign(b1 * m + (1 - b1) * g)
        m = b2 * m + (1 - b2) * g
        yield w


RULES = [
    (SGD(), sgd, {}),
    (SGD(0.3), sgd, {"a": 0.3}),
    (SGD(0.1, momentum=0.9), sgd, {"a": 0.1, "r": 0.9}),
    (SGD(0.1, momentum=1), sgd, {"a": 0.1, "r": 1.0}),
    (SGD(0.1, momentum=0.9, nesterov=True), sgd, {"a": 0.1, "r": 0.9, "nesterov": True}),
    (SGD(0.1, nesterov=True), sgd, {"a": 0.1}),
    (Adam(), adam, {}),
    (Adam(0.1, beta_1=0.8, beta_2=0.9), adam, {"a": 0.1, "b1": 0.8, "b2": 0.9}),
    (Adam(0.1, epsilon=0.3), adam, {"a": 0.1, "e": 0.3}),
    (Adam(0.1, beta_1=0.0, beta_2=0.0), adam, {"a": 0.1, "b1": 0.0, "b2": 0.0}),
    (Adam(0.1, beta_2=0.5, amsgrad=True), adam, {"a": 0.1, "b2": 0.5, "amsgrad": True}),
    (RMSprop(), rmsprop, {}),
    (RMSprop(0.1, rho=0.7, epsilon=0.2), rmsprop, {"a": 0.1, "r": 0.7, "e": 0.2}),
    (RMSprop(0.1, momentum=0.8), rmsprop, {"a": 0.1, "p": 0.8}),
    (RMSprop(0.1, centered=True), rmsprop, {"a": 0.1, "centered": True}),
    (
        RMSprop(0.1, momentum=0.8, centered=True),
        rmsprop,
        {"a": 0.1, "p": 0.8, "centered": True},
    ),
    (AdamW(), adamw, {}),
    (AdamW(0.1, 0.5, beta_2=0.9), adamw, {"a": 0.1, "d": 0.5, "b2": 0.9}),
    (AdamW(0.1, amsgrad=True, beta_2=0.5), adamw, {"a": 0.1, "b2": 0.5, "amsgrad": True}),
    (Adamax(), adamax, {}),
    (Adamax(0.1, beta_1=0.8, beta_2=0.7), adamax, {"a": 0.1, "b1": 0.8, "b2": 0.7}),
    (Adamax(0.1, epsilon=0.3), adamax, {"a": 0.1, "e": 0.3}),
    (Nadam(), nadam, {}),
    (Nadam(0.1, beta_1=0.8, beta_2=0.7), nadam, {"a": 0.1, "b1": 0.8, "b2": 0.7}),
    (Nadam(0.1, epsilon=0.3), nadam, {"a": 0.1, "e": 0.3}),
    (Adagrad(), adagrad, {}),
    (Adagrad(0.1, 0.0, 0.3), adagrad, {"a": 0.1, "s": 0.0, "e": 0.3}),
    (Adadelta(), adadelta, {}),
    (Adadelta(1.0, rho=0.7, epsilon=0.3), adadelta, {"a": 1.0, "r": 0.7, "e": 0.3}),
    (Lion(), lion, {}),
    (Lion(0.1, beta_1=0.6, beta_2=0.8), lion, {"a": 0.1, "b1": 0.6, "b2": 0.8}),
    (Lion(0.1, beta_1=1.0, beta_2=0.0), lion, {"a": 0.1, "b1": 1.0, "b2": 0.0}),
]


def shown(part):
    return getattr(part, "__name__", repr(part))


@pytest.mark.parametrize(("optimizer", "rule", "arguments"), RULES, ids=shown)
def test_every_step_is_the_papers(optimizer, rule, arguments):
    weights, gradients = draw()
    path = run(copy.deepcopy(optimizer), weights, gradients)
    for name, weight in weights.items():
        wanted = list(rule(weight, gradients[name], **arguments))
        got = [after[name] for after in path]
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12)


def test_every_optimizer_has_a_rule():
    classes = {thing for thing in vars(optimizers).values() if isinstance(thing, type)}
    assert classes - {optimizers.Optimizer} == {type(optimizer) for optimizer, _, _ in RULES}


@pytest.mark.parametrize(("optimizer", "rule", "arguments"), RULES[2::3], ids=shown)
def test_a_weight_of_many_slices_moves_like_small_ones(optimizer, rule, arguments, monkeypatch):
    monkeypatch.setattr("nnlite.optimizers.optimizer._SLICE", 32)
    steps = 3
    shapes = {"first": (7,), "large": (10, 9), "last": (5,)}
    weights, gradients = draw(shapes, steps)
    last = run(copy.deepcopy(optimizer), weights, gradients, steps)[-1]
    for name, weight in weights.items():
        *_, wanted = rule(weight, gradients[name], **arguments)
        np.testing.assert_allclose(last[name], wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("optimizer", [rule[0] for rule in RULES], ids=repr)
def test_float32_stays_float32_and_close(optimizer):
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((16, 4)), rng.standard_normal((16, 2))
    trained = {}
    for dtype in ("float32", "float64"):
        model = Sequential([Dense(2, kernel_initializer="ones", dtype=dtype)])
        model.compile(copy.deepcopy(optimizer), "mse")
        model.fit(x, y, epochs=5, verbose=0, shuffle=False)
        trained[dtype] = model.get_weights()[0]
        assert trained[dtype].dtype == dtype
        assert {vector.dtype for vector in model.optimizer.state.values()} <= {np.dtype(dtype)}
    np.testing.assert_allclose(trained["float32"], trained["float64"], rtol=1e-3, atol=1e-4)


# ---- clipping and decay ---------------------------------------------------------------------


def clipped(gradients, clipnorm=None, clipvalue=None, global_clipnorm=None):
    """Clip every step's gradients the plain way."""
    result = {name: array.copy() for name, array in gradients.items()}
    for t in range(STEPS):
        norms = {name: np.sqrt((array[t] ** 2).sum()) for name, array in gradients.items()}
        total = np.sqrt(sum(norm**2 for norm in norms.values()))
        for name, array in result.items():
            if clipnorm:
                array[t] *= min(1, clipnorm / norms[name])
            if global_clipnorm:
                array[t] *= min(1, global_clipnorm / total)
            if clipvalue:
                array[t] = np.minimum(np.maximum(array[t], -clipvalue), clipvalue)
    return result


@pytest.mark.parametrize("limit", [0.5, 2.0, 100.0])
@pytest.mark.parametrize("way", ["clipnorm", "clipvalue", "global_clipnorm"])
def test_gradients_are_clipped_before_the_rule(way, limit):
    weights, gradients = draw()
    path = run(Adam(0.1, **{way: limit}), weights, gradients)
    expected = clipped(gradients, **{way: limit})
    for name, weight in weights.items():
        wanted = list(adam(weight, expected[name], a=0.1))
        np.testing.assert_allclose([after[name] for after in path], wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("way", ["clipnorm", "global_clipnorm"])
@pytest.mark.parametrize("size", [1e-300, 1e200])
def test_a_norm_neither_overflows_nor_divides_by_zero(way, size):
    weights = {"kernel": np.ones(4)}
    gradients = {"kernel": np.stack([np.zeros(4), np.full(4, size)])}
    with np.errstate(all="raise", under="ignore"):
        path = run(SGD(1.0, **{way: 1.0}), weights, gradients, 2)
    np.testing.assert_array_equal(path[0]["kernel"], np.ones(4))
    np.testing.assert_allclose(path[1]["kernel"], 1 - min(0.5, size))


@pytest.mark.parametrize("excluded", ["nothing", "var_list", "var_names", "pattern"])
def test_weight_decay_shrinks_before_the_rule(excluded):
    weights, gradients = draw()
    optimizer = SGD(0.1, momentum=0.9, weight_decay=0.2)
    model = model_of(optimizer, weights, gradients)
    if excluded == "var_list":
        optimizer.exclude_from_weight_decay(var_list=[model.layers[0].own["bias"]])
    elif excluded == "var_names":
        optimizer.exclude_from_weight_decay(var_names=["gamma", "bia"])
    elif excluded == "pattern":
        optimizer.exclude_from_weight_decay(var_names=["^b.*s$"])
    for _ in range(STEPS):
        step(model)
    for name, got in zip(weights, model.get_weights(), strict=True):
        kept = name == "bias" and excluded != "nothing"
        w, v = weights[name], np.zeros_like(weights[name])
        for g in gradients[name]:
            w = w * (1 if kept else 1 - 0.2 * 0.1)
            v = 0.9 * v - 0.1 * g
            w = w + v
        np.testing.assert_allclose(got, w, rtol=0, atol=1e-12)


def test_the_learning_rate_can_be_set_on_the_way():
    weights, gradients = draw()
    model = model_of(SGD(0.1), weights, gradients)
    step(model)
    model.optimizer.learning_rate = 0.0
    before = model.get_weights()
    step(model)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    model.optimizer.learning_rate = 2
    step(model)
    np.testing.assert_allclose(model.get_weights()[1], before[1] - 2 * gradients["bias"][2])
    assert model.optimizer.learning_rate == 2.0
    for bad, error in [(-1, ValueError), ("1", TypeError), (np.nan, ValueError)]:
        with pytest.raises(error, match="learning_rate"):
            model.optimizer.learning_rate = bad
    assert model.optimizer.learning_rate == 2.0


# ---- state ----------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [rule[0] for rule in RULES if rule[0].slots], ids=repr)
def test_state_survives_a_change_of_trainable(optimizer):
    """A layer that rests for some steps goes on from the moments that it had."""
    weights, gradients = draw({"kernel": (3,)}, 8)
    other_weights, other_gradients = draw({"kernel": (2,)}, 8, seed=1)
    rests = Given({"kernel": (3,)}, gradients)
    works = Given({"kernel": (2,)}, other_gradients)
    model = Sequential([rests, works])
    model.compile(copy.deepcopy(optimizer), "mse")
    model.build((None, 1))
    model.set_weights([weights["kernel"], other_weights["kernel"]])
    for _ in range(3):
        step(model)
    state = {slot: vector.copy() for slot, vector in model.optimizer.state.items()}
    kept = model.get_weights()[0]
    rests.trainable = False
    for _ in range(2):
        step(model)
    np.testing.assert_array_equal(model.get_weights()[0], kept)
    rests.trainable = True
    model.optimizer.learning_rate = 0.0
    works.trainable = False
    step(model)
    works.trainable = True
    step(model)
    # The moments that rested have seen two more gradients, the two of learning rate 0.
    reference = model_of(copy.deepcopy(optimizer), weights, gradients)
    for _ in range(3):
        step(reference)
    for slot, vector in reference.optimizer.state.items():
        np.testing.assert_array_equal(state[slot][:3], vector)
    reference.optimizer.learning_rate = 0.0
    reference.optimizer.iterations = 5
    for _ in range(2):
        step(reference)
    for slot, vector in reference.optimizer.state.items():
        np.testing.assert_allclose(model.optimizer.state[slot][:3], vector, rtol=0, atol=1e-15)


def test_iterations_count_the_steps():
    weights, gradients = draw()
    model = model_of(Adam(), weights, gradients)
    for count in range(1, 4):
        step(model)
        assert model.optimizer.iterations == count


def test_a_new_head_trains_on_a_frozen_body():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((16, 4)), rng.standard_normal((16, 1))
    model = Sequential([Dense(3, activation="tanh"), Dense(1)])
    model.compile("adam", "mse")
    model.fit(x, y, verbose=0)
    body = model.layers[0]
    body.trainable = False
    kept = body.get_weights()
    model.pop()
    model.add(Dense(1))
    head = model.layers[1].get_weights()
    model.fit(x, y, epochs=3, verbose=0)
    np.testing.assert_array_equal(body.get_weights()[0], kept[0])
    assert (model.layers[1].get_weights()[0] != head[0]).all()


def test_an_optimizer_of_another_model_is_refused():
    x, y = np.ones((4, 2)), np.ones((4, 1))
    first, second = (Sequential([Dense(1)]) for _ in range(2))
    optimizer = SGD()
    first.compile(optimizer, "mse")
    second.compile(optimizer, "mse")
    first.fit(x, y, verbose=0)
    for train in (second.fit, second.train_on_batch):
        with pytest.raises(ValueError, match=r"belongs to another model.*optimizer of its own"):
            train(x, y)
    assert not second.built
    first.fit(x, y, verbose=0)
    assert optimizer.iterations == 2


def test_compiling_anew_with_the_same_optimizer_keeps_its_state():
    weights, gradients = draw()
    model = model_of(Adam(0.1), weights, gradients)
    for count in range(STEPS):
        if count == 7:
            model.compile(model.optimizer, "mae")
        step(model)
    for name, got in zip(weights, model.get_weights(), strict=True):
        *_, wanted = adam(weights[name], gradients[name], a=0.1)
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12)


# ---- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        *((name, SGD) for name in ("sgd", "SGD", "Sgd")),
        *((name, RMSprop) for name in ("rmsprop", "RMSprop", "RMSProp", "rm_sprop")),
        *((name, AdamW) for name in ("adamw", "AdamW", "adam_w", "ADAMW")),
        *((cls.__name__, cls) for cls in (Adam, Adamax, Nadam, Adagrad, Adadelta, Lion)),
        *((cls.__name__.lower(), cls) for cls in (Adam, Adamax, Nadam, Adagrad, Adadelta, Lion)),
    ],
)
def test_names_find_their_class(name, cls):
    assert type(optimizers.get(name)) is cls
    assert optimizers.get(name) is not optimizers.get(name)


@pytest.mark.parametrize("optimizer", [rule[0] for rule in RULES], ids=repr)
def test_the_configuration_makes_the_same_optimizer(optimizer):
    data = optimizers.serialize(optimizer)
    assert data["module"] == "keras.optimizers"
    for other in (
        type(optimizer).from_config(optimizer.get_config()),
        optimizers.deserialize(data),
        optimizers.get(data),
    ):
        assert other.get_config() == optimizer.get_config()
        assert repr(other) == repr(optimizer)


def test_keras_defaults():
    assert SGD().get_config() == {
        "learning_rate": 0.01,
        "momentum": 0.0,
        "nesterov": False,
        "weight_decay": None,
        "clipnorm": None,
        "clipvalue": None,
        "global_clipnorm": None,
        "use_ema": False,
        "ema_momentum": 0.99,
        "ema_overwrite_frequency": None,
        "loss_scale_factor": None,
        "gradient_accumulation_steps": None,
        "name": "sgd",
    }
    assert repr(Adam()) == "Adam()"
    assert Adam().get_config()["epsilon"] == 1e-7
    assert RMSprop().get_config()["rho"] == 0.9
    assert AdamW().get_config()["weight_decay"] == 0.004
    assert Adagrad().get_config()["initial_accumulator_value"] == 0.1
    assert Adadelta().get_config()["rho"] == 0.95
    assert Lion().get_config()["beta_2"] == 0.99
    assert Adamax().get_config()["beta_2"] == Nadam().get_config()["beta_2"] == 0.999

"""Optimizers and schedules beside Keras's: equal gradients in, equal weights and state out."""

import inspect

import jax
import keras
import numpy as np
import pytest
from keras import optimizers as theirs

from nnlite import optimizers as ours
from nnlite.backend.variables import Variable, WeightVector

# Keras's variables do not yet take NumPy 2's copy=False.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STEPS = 15
SHAPES = {"kernel": (3, 4), "bias": (4,)}
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}

# Public names of Keras's that there are none of here, and why.
ABSENT = {
    "Adafactor": "its state is factored by rows and columns, for models of billions",
    "Ftrl": "for sparse features and embeddings",
    "Lamb": "for batches of tens of thousands, over many machines",
    "LossScaleOptimizer": "for float16",
    "MultiOptimizer": "no single rule",
    "Muon": "for the matrices of transformers",
    "OptimizerMap": "part of MultiOptimizer",
    "ScheduleFreeAdamW": "its weights in training are others than in use",
    "legacy": "refused by Keras 3 itself",
}


def fraction(rng):
    return float(rng.choice([0.0, 0.5, 0.9, 0.99]))


def beta(rng):
    # Not 0: a step is then as large as the mean over one entry, and its rounding as many times.
    return float(rng.choice([0.5, 0.9, 0.99, 0.999]))


def epsilon(rng):
    return float(10.0 ** rng.uniform(-7, -1))


# For each class, how to draw the arguments that are its own.
CASES = {
    "SGD": lambda rng: {"momentum": fraction(rng), "nesterov": bool(rng.integers(2))},
    "RMSprop": lambda rng: {
        "rho": fraction(rng),
        "momentum": fraction(rng),
        "epsilon": float(10.0 ** rng.uniform(-4, -1)),
        "centered": bool(rng.integers(2)),
    },
    "Adam": lambda rng: {
        "beta_1": fraction(rng),
        "beta_2": beta(rng),
        "epsilon": epsilon(rng),
        "amsgrad": bool(rng.integers(2)),
    },
    "AdamW": lambda rng: {
        "weight_decay": float(rng.uniform(0, 0.3)),
        "beta_1": fraction(rng),
        "beta_2": beta(rng),
        "epsilon": epsilon(rng),
        "amsgrad": bool(rng.integers(2)),
    },
    "Adamax": lambda rng: {
        "beta_1": fraction(rng),
        "beta_2": beta(rng),
        "epsilon": epsilon(rng),
    },
    "Nadam": lambda rng: {
        "beta_1": fraction(rng),
        "beta_2": beta(rng),
        "epsilon": epsilon(rng),
    },
    "Adagrad": lambda rng: {
        "initial_accumulator_value": float(rng.uniform(0, 1)),
        "epsilon": epsilon(rng),
    },
    "Adadelta": lambda rng: {"rho": fraction(rng), "epsilon": epsilon(rng)},
    "Lion": lambda rng: {
        "beta_1": float(rng.choice([0.5, 0.9, 1.0])),
        "beta_2": float(rng.choice([0.5, 0.9, 0.99])),
    },
}

# The arguments that all have; each class meets each of them, in one float type or the other.
COMMON = [
    {},
    {"clipnorm": 1.0, "loss_scale_factor": 8.0},
    {"clipvalue": 0.3, "weight_decay": 0.1},
    {"global_clipnorm": 2.0, "weight_decay": 0.2, "excluded": ["gamma", "^bi"]},
    {"use_ema": True, "ema_momentum": 0.8, "scheduled": True, "weight_decay": 0.3},
    {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 4},
    {"gradient_accumulation_steps": 4, "clipnorm": 0.5, "weight_decay": 0.1, "use_ema": True},
    {
        "gradient_accumulation_steps": 3,
        "use_ema": True,
        "ema_momentum": 0.7,
        "ema_overwrite_frequency": 2,
        "scheduled": True,
    },
]

SCHEDULES = {
    "ExponentialDecay": lambda rng: {
        "decay_steps": int(rng.integers(1, 20)),
        "decay_rate": float(rng.uniform(0.1, 1)),
        "staircase": bool(rng.integers(2)),
    },
    "PolynomialDecay": lambda rng: {
        "decay_steps": int(rng.integers(1, 20)),
        "end_learning_rate": float(rng.uniform(0, 0.2)),
        "power": float(rng.uniform(0.3, 3)),
        "cycle": bool(rng.integers(2)),
    },
    "InverseTimeDecay": lambda rng: {
        "decay_steps": int(rng.integers(1, 20)),
        "decay_rate": float(rng.uniform(0.1, 5)),
        "staircase": bool(rng.integers(2)),
    },
    "CosineDecay": lambda rng: {
        "decay_steps": int(rng.integers(1, 20)),
        "alpha": float(rng.uniform(0, 1)),
        **(
            {"warmup_target": float(rng.uniform(0, 1)), "warmup_steps": int(rng.integers(0, 9))}
            if rng.integers(2)
            else {}
        ),
    },
    "CosineDecayRestarts": lambda rng: {
        "first_decay_steps": int(rng.integers(1, 9)),
        "t_mul": float(rng.choice([1.0, 2.0, 3.0])),
        "m_mul": float(rng.uniform(0.5, 1.2)),
        "alpha": float(rng.uniform(0, 1)),
    },
    "PiecewiseConstantDecay": None,  # the one without an initial rate
}


def schedule(name, rng):
    """Return the class and arguments of a schedule."""
    if name == "PiecewiseConstantDecay":
        boundaries = sorted(rng.choice(40, 3, replace=False).tolist())
        return {"boundaries": boundaries, "values": rng.uniform(0, 1, 4).tolist()}
    return {"initial_learning_rate": float(rng.uniform(0.01, 1)), **SCHEDULES[name](rng)}


class Pair:
    """An optimizer of Keras's and one of ours over equal weights, given equal gradients."""

    def __init__(self, name, dtype, seed, excluded=(), scheduled=False, **common):
        self.rng = rng = np.random.default_rng([seed, *name.encode()])
        self.dtype = np.dtype(dtype)
        # Powers of two, for Keras keeps the rate as float32.
        rates = [float(2.0 ** rng.integers(-9, -2))] * 2
        if scheduled:
            # Keras computes a cosine in float32, and its polynomial, once JAX has compiled it, can
            # be NaN after its end: there 1 - t / n is rounded to below 0.
            kinds = ["ExponentialDecay", "InverseTimeDecay", "PiecewiseConstantDecay"]
            kind = str(rng.choice(kinds))
            arguments = schedule(kind, rng)
            rates = [getattr(module.schedules, kind)(**arguments) for module in (theirs, ours)]
        arguments = {**CASES[name](rng), **common}
        self.their, self.our = (
            getattr(module, name)(rate, **arguments)
            for module, rate in zip((theirs, ours), rates, strict=True)
        )
        values = [rng.standard_normal(shape).astype(dtype) for shape in SHAPES.values()]
        self.their_weights = [
            keras.Variable(value, name=name, dtype=dtype)
            for name, value in zip(SHAPES, values, strict=True)
        ]
        self.our_weights = [
            Variable(value.copy(), name) for name, value in zip(SHAPES, values, strict=True)
        ]
        if excluded:
            for optimizer in (self.their, self.our):
                optimizer.exclude_from_weight_decay(var_names=excluded)
        self.vector = WeightVector(self.our_weights, self.dtype)
        self.our.build(self.vector)
        self.their.build(self.their_weights)
        self.apply = jax.jit(self.their.stateless_apply)

    def step(self):
        gradients = [
            self.rng.standard_normal(shape).astype(self.dtype) for shape in SHAPES.values()
        ]
        scale = self.their.loss_scale_factor or 1
        state = [variable.value for variable in self.their.variables]
        weights = [weight.value for weight in self.their_weights]
        weights, state = self.apply(state, [g * scale for g in gradients], weights)
        for variable, value in zip(self.their.variables, state, strict=True):
            variable.assign(value)
        for weight, value in zip(self.their_weights, weights, strict=True):
            weight.assign(value)
        for weight, gradient in zip(self.our_weights, gradients, strict=True):
            weight.gradient[...] = gradient
        with np.errstate(all="raise", under="ignore"):
            self.our.update()

    def state(self):
        return [np.asarray(variable) for variable in self.their.variables]

    def check(self):
        tolerance = TOLERANCE[self.dtype.name]
        for mine, yours in zip(self.our_weights, self.their_weights, strict=True):
            assert mine.dtype == self.dtype
            np.testing.assert_allclose(mine.value, yours, rtol=tolerance, atol=tolerance)
        names, arrays = zip(*self.our.state_arrays(), strict=True)
        assert len(set(names)) == len(names)
        for name, array, variable in zip(names, arrays, self.their.variables, strict=True):
            if name != "u_product":  # Keras calls it "variable"
                assert variable.name == name
            wanted = np.asarray(variable)
            assert array.shape == wanted.shape
            scale = np.abs(wanted).max()
            np.testing.assert_allclose(array, wanted, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("common", COMMON, ids=lambda common: "-".join(common) or "plain")
def test_weights_and_state_are_keras_at_every_step(name, common):
    seed = COMMON.index(common)
    dtype = sorted(TOLERANCE)[(seed + list(CASES).index(name)) % 2]
    pair = Pair(name, dtype, seed, **common)
    if not common.get("use_ema"):  # before the first step Keras's averages are 0, ours the weights
        pair.check()
    for _ in range(STEPS):
        pair.step()
        pair.check()
        assert pair.our.learning_rate == pytest.approx(float(pair.their.learning_rate))
        assert pair.our.iterations == int(pair.their.iterations)
    if common.get("use_ema"):
        pair.their.finalize_variable_values(pair.their_weights)
        pair.our.finalize_variable_values(pair.our_weights)
        pair.check()


@pytest.mark.parametrize("name", CASES)
def test_training_goes_on_from_keras_state(name):
    common = COMMON[-1] if list(CASES).index(name) % 2 else {}
    pair = Pair(name, "float32", 5, **common)
    for _ in range(7):
        pair.step()
    weights = [np.array(weight) for weight in pair.their_weights]
    fresh = Pair(name, "float32", 5, **common)
    fresh.rng = pair.rng
    fresh.their, fresh.their_weights, fresh.apply = pair.their, pair.their_weights, pair.apply
    for weight, value in zip(fresh.our_weights, weights, strict=True):
        weight.value[...] = value
    fresh.our.load_state_arrays(fresh.state())
    fresh.check()
    for _ in range(5):
        fresh.step()
        fresh.check()


@pytest.mark.parametrize("name", CASES)
def test_keras_goes_on_from_our_state(name):
    pair = Pair(name, "float32", 6, use_ema=True, gradient_accumulation_steps=2)
    for _ in range(7):
        pair.step()
    fresh = Pair(name, "float32", 6, use_ema=True, gradient_accumulation_steps=2)
    fresh.rng = pair.rng
    fresh.our, fresh.our_weights = pair.our, pair.our_weights
    fresh.their.set_weights([array for _, array in pair.our.state_arrays()])
    for mine, yours in zip(pair.our_weights, fresh.their_weights, strict=True):
        yours.assign(mine.value)
    for _ in range(5):
        fresh.step()
        fresh.check()


# ---- configurations -------------------------------------------------------------------------


def rounded(config):
    """Return a configuration with the learning rate as Keras keeps it, in float32."""
    rate = config["learning_rate"]
    return {**config, "learning_rate": rate if isinstance(rate, dict) else float(np.float32(rate))}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("common", COMMON, ids=lambda common: "-".join(common) or "plain")
def test_configurations_are_keras(name, common):
    pair = Pair(name, "float32", 7, **common)
    config = pair.our.get_config()
    theirs_config = pair.their.get_config()
    theirs_config["name"] = config["name"]  # Keras counts them over the whole process
    assert rounded(config) == theirs_config
    again = type(pair.our).from_config(theirs_config).get_config()
    assert again == theirs_config
    assert rounded(type(pair.their).from_config(dict(config)).get_config()) == theirs_config
    data = ours.serialize(pair.our)
    assert {**data, "config": None} == {**theirs.serialize(pair.their), "config": None}
    assert ours.deserialize(data).get_config() == config
    assert theirs.deserialize(data).get_config() == theirs_config


@pytest.mark.parametrize("name", [*CASES, *(f"schedules.{name}" for name in SCHEDULES)])
def test_arguments_are_keras_in_its_order(name):
    def arguments(module):
        for part in name.split("."):
            module = getattr(module, part)
        parameters = inspect.signature(module.__init__).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}

    assert list(arguments(ours).items()) == list(arguments(theirs).items())


@pytest.mark.parametrize("name", CASES)
def test_names_are_keras_in_any_case(name):
    for spelled in (name, name.lower(), name.upper()):
        assert type(ours.get(spelled)).__name__ == type(theirs.get(spelled)).__name__ == name
        assert type(ours.get({"class_name": spelled, "config": {}})).__name__ == name


def test_every_public_name_is_compared():
    classes = {name for name in ours.__all__ if inspect.isclass(getattr(ours, name))}
    assert classes - {"Optimizer"} == set(CASES)
    schedules = {name for name in ours.schedules.__all__ if name[0].isupper()}
    assert schedules - {"LearningRateSchedule"} == set(SCHEDULES)


def test_every_public_name_of_keras_is_there_or_known_to_be_absent():
    def public(module):
        return {name for name in dir(module) if not name.startswith("_")}

    assert public(theirs) - set(ours.__all__) == set(ABSENT)
    assert public(theirs.schedules) == set(ours.schedules.__all__)


# ---- schedules ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_keras_at_every_step(name, seed):
    arguments = schedule(name, np.random.default_rng([seed, *name.encode()]))
    their, our = (getattr(module.schedules, name)(**arguments) for module in (theirs, ours))
    tolerance = 1e-6 if "Cosine" in name else 1e-10  # Keras computes a cosine in float32
    wanted = jax.vmap(their)(np.arange(45))
    rates = [our(step) for step in range(45)]
    np.testing.assert_allclose(rates, wanted, rtol=tolerance, atol=tolerance, err_msg=arguments)
    assert our.get_config() == their.get_config()
    assert type(our).from_config(their.get_config()).get_config() == their.get_config()
    data = ours.schedules.serialize(our)
    assert data == theirs.schedules.serialize(their)
    assert ours.schedules.deserialize(data).get_config() == our.get_config()


@pytest.mark.parametrize("ratio", [1.1, 1.2, 1.3, 1.5, 1.7, 3.0])
def test_restarts_fall_on_keras_steps(ratio):
    arguments = {"initial_learning_rate": 1.0, "first_decay_steps": 1000, "t_mul": ratio}
    their, our = (module.schedules.CosineDecayRestarts(**arguments) for module in (theirs, ours))
    steps = np.arange(20_000)
    wanted = jax.vmap(their)(steps)
    np.testing.assert_allclose([our(step) for step in steps], wanted, rtol=1e-5, atol=1e-5)


# ---- steps by hand, and rules of one's own --------------------------------------------------


def heavy(module):
    """Return the same class, statement for statement, as an optimizer of either package."""

    class Heavy(module.Optimizer):
        def __init__(self, learning_rate=0.25, momentum=0.5, **kwargs):
            super().__init__(learning_rate, **kwargs)
            self.momentum = momentum

        def build(self, variables):
            if self.built:
                return
            super().build(variables)
            self.momentums = [
                self.add_variable_from_reference(v, name="momentum") for v in variables
            ]

        def update_step(self, gradient, variable, learning_rate):
            m = self.momentums[self._get_variable_index(variable)]
            self.assign(m, m * self.momentum - gradient * learning_rate / (self.iterations + 1))
            self.assign_add(variable, m)

        def get_config(self):
            return {**super().get_config(), "momentum": self.momentum}

    return Heavy


@pytest.mark.parametrize("common", [COMMON[i] for i in (1, 3, 5, 6)], ids=str)
@pytest.mark.parametrize("name", ["Heavy", "Nadam"])
def test_steps_by_hand_on_some_of_the_weights_are_keras(name, common):
    """On all, on one, and with a gradient missing: over so many steps that each follows each."""
    rng = np.random.default_rng([5, *name.encode()])
    common = {key: value for key, value in common.items() if key != "excluded"}
    own = {"momentum": 0.5} if name == "Heavy" else {}
    pairs = []
    values = [rng.standard_normal(shape).astype("float32") for shape in SHAPES.values()]
    for module, variable in ((theirs, keras.Variable), (ours, Variable)):
        cls = heavy(module) if name == "Heavy" else getattr(module, name)
        weights = [variable(v.copy(), name=n) for n, v in zip(SHAPES, values, strict=True)]
        pairs.append((cls(0.25, **own, **common), weights))
    for chosen in ([0, 1], [1], [0], [0, 1], [0, 1], [1]):
        grads = [rng.standard_normal(values[i].shape).astype("float32") for i in chosen]
        for optimizer, weights in pairs:
            if not optimizer.built:
                optimizer.build(weights)
            optimizer.apply(grads, [weights[i] for i in chosen])
        (their, yours), (our, mine) = pairs
        for one, other in zip([*mine, *our.variables], [*yours, *their.variables], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5, err_msg=one.name)


def test_a_rule_of_ones_own_has_keras_names_and_configuration():
    their, our = (heavy(module)(0.25, 0.75, name="own") for module in (theirs, ours))
    assert our.get_config() == their.get_config()
    for optimizer, variable in ((their, keras.Variable), (our, Variable)):
        optimizer.build([variable(np.ones(2, "float32"), name="w")])
    assert [v.name for v in our.variables] == [v.name for v in their.variables]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda module, v: module.SGD().apply([np.ones(2)]),
        lambda module, v: module.SGD().apply([None], [v]),
        lambda module, v: module.SGD().set_weights([]),
        lambda module, v: module.AdamW(weight_decay=None),
        lambda module, v: module.SGD(clipnorm=1.0, clipvalue=1.0),
        lambda module, v: module.SGD(momentum=2.0),
        lambda module, v: module.get("typo"),
    ],
)
def test_the_error_is_of_keras_type(wrong):
    for module, variable in ((theirs, keras.Variable), (ours, Variable)):
        with pytest.raises(ValueError, match=r"."):
            wrong(module, variable(np.ones(2, "float32"), name="v"))


def test_none_is_no_optimizer():
    assert ours.get(None) is theirs.get(None) is None

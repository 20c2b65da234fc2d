"""An optimizer's state as files hold it: order, names, scale, and training that goes on from it."""

import numpy as np
import pytest

from nnlite.backend.variables import Variable, WeightVector
from nnlite.optimizers import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, Lion, Nadam, RMSprop
from nnlite.optimizers.schedules import ExponentialDecay

SHAPES = [("kernel", (2, 3)), ("bias", (3,)), ("kernel", (3, 1))]


def built(optimizer, dtype="float64", steps=0):
    """Return the vector of some weights that the optimizer has taken steps on."""
    rng = np.random.default_rng(0)
    weights = [Variable(rng.standard_normal(shape).astype(dtype), name) for name, shape in SHAPES]
    vector = WeightVector(weights, np.dtype(dtype))
    optimizer.build(vector)
    go_on(optimizer, vector, rng, steps)
    return vector


def go_on(optimizer, vector, rng, steps):
    for _ in range(steps):
        vector.gradients[:] = rng.standard_normal(vector.gradients.size)
        optimizer.update()


def named(*slots):
    """Return the names of state that stands side by side for each weight."""
    return [f"{name}_{slot}" for name in ("kernel", "bias", "kernel_1") for slot in slots]


NUMBERS = ["iteration", "learning_rate"]
ORDERS = [
    (SGD(), NUMBERS),
    (SGD(momentum=0.5), NUMBERS + named("momentum")),
    (SGD(ExponentialDecay(0.1, 1, 1)), ["iteration"]),
    (SGD(lambda: 0.1), ["iteration"]),
    (RMSprop(), NUMBERS + named("velocity")),
    (
        RMSprop(momentum=0.5, centered=True),
        NUMBERS + named("velocity") + named("momentum") + named("average_gradient"),
    ),
    (Adam(), NUMBERS + named("momentum", "velocity")),
    (Adam(amsgrad=True), NUMBERS + named("momentum", "velocity") + named("velocity_hat")),
    (AdamW(), NUMBERS + named("momentum", "velocity")),
    (Adamax(), NUMBERS + named("momentum", "norm")),
    (Nadam(), [*NUMBERS, *named("momentum", "velocity"), "u_product"]),
    (Adagrad(), NUMBERS + named("accumulator")),
    (Adadelta(), NUMBERS + named("accumulated_grad", "accumulated_delta_var")),
    (Lion(), NUMBERS + named("momentum")),
    (
        Adam(use_ema=True, gradient_accumulation_steps=2),
        NUMBERS + named("average") + named("gradient_accumulator") + named("momentum", "velocity"),
    ),
]


SHORT = [repr(optimizer).split(" at ")[0][:50] for optimizer, _ in ORDERS]


@pytest.mark.parametrize(("optimizer", "names"), ORDERS, ids=SHORT)
def test_the_order_is_that_of_keras(optimizer, names):
    built(optimizer)
    assert [name for name, _ in optimizer.state_arrays()] == names
    assert [variable.name for variable in optimizer.variables] == names
    shapes = {"kernel": (2, 3), "bias": (3,), "kernel_1": (3, 1)}
    for name, array in optimizer.state_arrays():
        weight = max((key for key in shapes if name.startswith(f"{key}_")), key=len, default=None)
        assert array.shape == shapes.get(weight, ())


def test_values_are_in_the_scale_of_the_formula():
    optimizer = Adam(0.5, beta_1=0.75, beta_2=0.875, amsgrad=True)
    vector = built(optimizer, "float32")
    vector.gradients[:] = 2.0
    optimizer.update()
    state = dict(optimizer.state_arrays())
    assert state["iteration"] == 1
    assert state["iteration"].dtype.kind == "i"
    assert state["learning_rate"] == 0.5
    np.testing.assert_array_equal(state["bias_momentum"], np.full(3, 0.5, "float32"))
    np.testing.assert_array_equal(state["bias_velocity"], np.full(3, 0.5, "float32"))
    np.testing.assert_array_equal(state["bias_velocity_hat"], np.full(3, 0.5, "float32"))
    assert {array.dtype.name for name, array in state.items() if name != "iteration"} == {"float32"}
    state["bias_momentum"][:] = 9  # a copy
    assert dict(optimizer.state_arrays())["bias_momentum"][0] == 0.5


@pytest.mark.parametrize(
    ("optimizer", "slot", "value"),
    [
        (Adamax(beta_1=0.75), "momentum", 0.5),
        (Adamax(beta_1=0.75), "norm", 2),
        (Nadam(beta_1=0.75), "momentum", 0.5),
        (Nadam(beta_2=0.875), "velocity", 0.5),
        (Lion(beta_2=0.75), "momentum", 0.5),
        (Adadelta(rho=0.75), "accumulated_grad", 1),
        (Adadelta(rho=0.75, epsilon=4), "accumulated_delta_var", 0.25 * 4 * 4 / 5),
        (Adagrad(initial_accumulator_value=0.5), "accumulator", 4.5),
        (RMSprop(rho=0.75), "velocity", 1),
        (SGD(0.5, momentum=0.9), "momentum", -1),
        (SGD(0.5, use_ema=True), "average", None),
        (SGD(0.5, gradient_accumulation_steps=2), "gradient_accumulator", 2),
    ],
    ids=lambda part: str(part)[:40],
)
def test_every_rule_keeps_its_scale_to_itself(optimizer, slot, value):
    vector = built(optimizer)
    vector.gradients[:] = 2.0
    optimizer.update()
    got = dict(optimizer.state_arrays())[f"bias_{slot}"]
    np.testing.assert_allclose(got, vector.values[6:9] if value is None else value, rtol=1e-12)


def test_nadam_keeps_the_product_of_its_momenta():
    optimizer = Nadam(beta_1=0.5)
    built(optimizer, steps=2)
    wanted = 0.5 * (1 - 0.96 / 2) * 0.5 * (1 - 0.96**2 / 2)
    assert dict(optimizer.state_arrays())["u_product"] == pytest.approx(wanted)


RULES = [
    SGD(0.1, momentum=0.9),
    RMSprop(0.1, momentum=0.9, centered=True),
    Adam(0.1, amsgrad=True),
    AdamW(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=4),
    Adamax(0.1, gradient_accumulation_steps=2),
    Nadam(0.1),
    Adagrad(ExponentialDecay(0.5, 3, 0.5)),
    Adadelta(0.1, use_ema=True, gradient_accumulation_steps=3),
    Lion(0.1),
]


def again(optimizer):
    return type(optimizer).from_config(optimizer.get_config())


@pytest.mark.parametrize("by_slot", [False, True])
@pytest.mark.parametrize("optimizer", RULES, ids=repr)
def test_training_goes_on_from_loaded_state(optimizer, by_slot):
    first = again(optimizer)
    vector = built(first, steps=7)
    second = again(optimizer)
    other = built(second)
    other.values[:] = vector.values
    arrays = first.state_arrays()
    if by_slot:
        order = ["iteration", *second.scalars, *(n for s in first.state for n in named(s))]
        arrays = [(name, dict(arrays)[name]) for name in order]
    second.load_state_arrays([array for _, array in arrays], by_slot=by_slot)
    assert second.iterations == first.iterations
    assert second.learning_rate == first.learning_rate
    for slot, whole in first.state.items():
        np.testing.assert_allclose(second.state[slot], whole, rtol=1e-14)
    for each, weights in ((first, vector), (second, other)):
        go_on(each, weights, np.random.default_rng(1), 5)
    np.testing.assert_allclose(other.values, vector.values, rtol=1e-12)


def test_other_float_types_and_lists_are_taken():
    optimizer = SGD(0.1, momentum=0.9)
    vector = built(optimizer, "float32")
    optimizer.load_state_arrays(
        [np.int64(3), np.float64(0.25), np.ones((2, 3)), [1, 2, 3], np.zeros((3, 1), int)]
    )
    assert (optimizer.iterations, optimizer.learning_rate) == (3, 0.25)
    np.testing.assert_array_equal(optimizer.state["momentum"], [1] * 6 + [1, 2, 3] + [0] * 3)
    assert optimizer.state["momentum"].dtype == vector.values.dtype


def test_a_rate_that_was_only_rounded_stays_exact():
    optimizer = SGD(0.1)
    built(optimizer)
    optimizer.load_state_arrays([0, np.float32(0.1)])
    assert optimizer.learning_rate == 0.1
    optimizer.load_state_arrays([0, np.float32(0.3)])
    assert optimizer.learning_rate == float(np.float32(0.3))


GOOD = [np.array(2), np.array(0.5), np.ones((2, 3)), np.ones(3), np.ones((3, 1))]


@pytest.mark.parametrize(
    ("place", "bad", "error", "message"),
    [
        (0, np.ones(1, int), ValueError, r"'iteration' has shape \(\).*shape \(1,\)"),
        (0, np.array(2.0), TypeError, "iteration must be an integer"),
        (0, np.array(-1), ValueError, "iteration must be at least 0"),
        (1, np.array(np.nan), ValueError, "learning_rate must be a finite number"),
        (1, np.ones(2), ValueError, r"'learning_rate' has shape \(\)"),
        (2, np.ones((3, 2)), ValueError, r"'kernel_momentum' has shape \(2, 3\).*shape \(3, 2\)"),
        (4, np.ones((2, 1)), ValueError, r"'kernel_1_momentum' has shape \(3, 1\).*\(2, 1\)"),
        (3, np.array(["a"] * 3), TypeError, "'bias_momentum' must hold real numbers"),
        (3, np.full(3, 1e300), ValueError, "'bias_momentum' is float32.*large as 1e\\+300"),
    ],
)
def test_state_that_does_not_fit_is_refused_and_nothing_changes(place, bad, error, message):
    optimizer = SGD(0.1, momentum=0.9)
    built(optimizer, "float32", steps=2)
    before = [array.tobytes() for _, array in optimizer.state_arrays()]
    arrays = [*GOOD[:place], bad, *GOOD[place + 1 :]]
    with pytest.raises(error, match=message):
        optimizer.load_state_arrays(arrays)
    with pytest.raises(ValueError, match=r"keeps 5 arrays: iteration,.*Received: 4"):
        optimizer.load_state_arrays(GOOD[:4])
    assert [array.tobytes() for _, array in optimizer.state_arrays()] == before


def test_state_needs_weights():
    for call in (SGD().state_arrays, lambda: SGD().load_state_arrays([0, 0.1])):
        with pytest.raises(RuntimeError, match=r"no state before build\(vector\)"):
            call()


def test_names_are_all_different():
    optimizer = SGD(momentum=0.9)
    weights = [Variable(np.ones(1), name) for name in ("w", "w_1", "w", "w")]
    optimizer.build(WeightVector(weights, np.dtype(float)))
    names = [name for name, _ in optimizer.state_arrays()][2:]
    assert names == ["w_momentum", "w_1_momentum", "w_2_momentum", "w_3_momentum"]


def test_a_weight_that_comes_later_begins_as_all_do():
    optimizer = Adagrad(0.1, initial_accumulator_value=0.5, use_ema=True)
    first, second = (Variable(np.full(2, 3.0), name) for name in ("first", "second"))
    vector = WeightVector([first], np.dtype(float))
    optimizer.build(vector)
    go_on(optimizer, vector, np.random.default_rng(0), 3)
    old = {slot: whole.copy() for slot, whole in optimizer.state.items()}
    optimizer.build(WeightVector([second, first], np.dtype(float)))
    np.testing.assert_array_equal(optimizer.state["accumulator"][:2], 0.5)
    np.testing.assert_array_equal(optimizer.state["average"][:2], 3.0)
    for slot, whole in old.items():
        np.testing.assert_array_equal(optimizer.state[slot][2:], whole)

"""Learning rate schedules against values worked out by hand, and how optimizers follow them."""

import copy
import math
import pickle

import numpy as np
import pytest

from nnlite import Sequential
from nnlite.backend.variables import Variable
from nnlite.layers import Dense
from nnlite.optimizers import SGD, schedules
from nnlite.optimizers.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LearningRateSchedule,
    PiecewiseConstantDecay,
    PolynomialDecay,
)

# A schedule, and its rate after some steps.
RATES = [
    (ExponentialDecay(0.8, 10, 0.25), {0: 0.8, 5: 0.4, 10: 0.2, 15: 0.1}),
    (ExponentialDecay(0.8, 10, 0.25, staircase=True), {0: 0.8, 9: 0.8, 10: 0.2, 19: 0.2, 20: 0.05}),
    (
        PiecewiseConstantDecay([2, 4.5], [1, 0.5, 0.1]),
        {0: 1, 2: 1, 3: 0.5, 4: 0.5, 5: 0.1, 99: 0.1},
    ),
    (PiecewiseConstantDecay([], [0.3]), {0: 0.3, 7: 0.3}),
    (PolynomialDecay(1.0, 10, 0.2), {0: 1.0, 5: 0.6, 10: 0.2, 99: 0.2}),
    (PolynomialDecay(1.0, 10, 0.2, power=2), {0: 1.0, 5: 0.4, 10: 0.2, 11: 0.2}),
    (PolynomialDecay(1.0, 10, 0.2, cycle=True), {0: 1.0, 10: 0.2, 11: 0.56, 15: 0.4, 20: 0.2}),
    (InverseTimeDecay(0.6, 10, 4), {0: 0.6, 5: 0.2, 10: 0.12}),
    (InverseTimeDecay(0.6, 10, 4, staircase=True), {0: 0.6, 9: 0.6, 10: 0.12, 19: 0.12}),
    (CosineDecay(0.4, 10), {0: 0.4, 5: 0.2, 10: 0.0, 11: 0.0, 99: 0.0}),
    (CosineDecay(0.4, 3, alpha=0.5), {0: 0.4, 1: 0.35, 2: 0.25, 3: 0.2, 4: 0.2}),
    (
        CosineDecay(0.1, 10, warmup_target=0.5, warmup_steps=4),
        {0: 0.1, 1: 0.2, 3: 0.4, 4: 0.5, 9: 0.25, 14: 0.0, 20: 0.0},
    ),
    (CosineDecay(0.1, 10, warmup_target=0.5), {0: 0.5, 5: 0.25}),
    (CosineDecay(0.4, 10, warmup_steps=5), {0: 0.4, 5: 0.2}),
    (
        CosineDecayRestarts(0.4, 2, m_mul=0.5),
        {0: 0.4, 1: 0.2, 2: 0.2, 4: 0.1, 6: 0.1, 10: 0.05, 14: 0.05, 30: 0.025},
    ),
    (
        CosineDecayRestarts(0.4, 2, t_mul=1, alpha=0.5),
        {0: 0.4, 1: 0.3, 2: 0.4, 3: 0.3, 200: 0.4},
    ),
    (CosineDecayRestarts(0.4, 2, t_mul=1.5), {1: 0.2, 2: 0.4, 5: 0.4}),
]


@pytest.mark.parametrize(("schedule", "rates"), RATES, ids=lambda part: repr(part)[:60])
def test_rates_are_those_of_the_formula(schedule, rates):
    with np.errstate(all="raise"):
        for step, rate in rates.items():
            for given in (step, float(step), np.int64(step), np.float32(step)):
                assert schedule(given) == pytest.approx(rate, rel=1e-12, abs=1e-15)
                assert type(schedule(given)) is float


def test_every_schedule_is_tested():
    public = {vars(schedules)[name] for name in schedules.__all__ if name[0].isupper()}
    assert {type(schedule) for schedule, _ in RATES} == public - {LearningRateSchedule}


def test_every_decay_begins_at_the_top_on_its_own_step():
    for ratio in (1.1, 1.2, 1.5, 2.0, 3.0, 7.0):
        schedule = CosineDecayRestarts(1.0, 1000, t_mul=ratio)
        start, period = 0.0, 1000.0
        for _ in range(6):
            assert schedule(math.ceil(round(start, 6))) > 0.99
            assert schedule(math.ceil(round(start + period, 6)) - 1) < 0.01
            start, period = start + period, period * ratio
    # 1000 (1 + 1.1 + 1.21) is 3310, but (1.1^3 - 1) / 0.1 is rounded to above 3.31.
    assert CosineDecayRestarts(1.0, 1000, t_mul=1.1)(3310) == pytest.approx(1.0)


@pytest.mark.parametrize("schedule", [schedule for schedule, _ in RATES], ids=repr)
def test_the_configuration_makes_the_same_schedule(schedule):
    for other in (
        type(schedule).from_config(schedule.get_config()),
        schedules.deserialize(schedules.serialize(schedule)),
        SGD.from_config(SGD(schedule).get_config())._learning_rate,
        pickle.loads(pickle.dumps(schedule)),
    ):
        assert other is not schedule
        assert repr(other) == repr(schedule)
        assert other.get_config() == schedule.get_config()
        assert other(3) == schedule(3)


FINITE = "{} must be a finite number >= 0. Received: "


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ExponentialDecay(0.1, 0, 0.5), ValueError, "decay_steps must be > 0.*=0"),
        (lambda: ExponentialDecay(0.1, "9", 0.5), TypeError, "decay_steps must be a number"),
        (lambda: ExponentialDecay(-1, 9, 0.5), ValueError, FINITE.format("initial_learning_rate")),
        (lambda: ExponentialDecay(1, 9, -0.5), ValueError, FINITE.format("decay_rate")),
        (lambda: InverseTimeDecay(0.1, -1, 0.5), ValueError, FINITE.format("decay_steps") + "-1"),
        (lambda: InverseTimeDecay(0.1, 1, np.nan), ValueError, FINITE.format("decay_rate")),
        (lambda: PolynomialDecay(0.1, 0), ValueError, "decay_steps must be > 0"),
        (lambda: PolynomialDecay(0.1, 1, power=-1), ValueError, FINITE.format("power")),
        (lambda: PolynomialDecay(0.1, 1, -1), ValueError, FINITE.format("end_learning_rate")),
        (lambda: CosineDecay(0.1, 0), ValueError, "decay_steps must be > 0"),
        (lambda: CosineDecay(0.1, 1, alpha=-1), ValueError, FINITE.format("alpha")),
        (lambda: CosineDecay(0.1, 1, warmup_target="1"), TypeError, "warmup_target must be"),
        (lambda: CosineDecay(0.1, 1, warmup_steps=-1), ValueError, "warmup_steps.*at least 0"),
        (lambda: CosineDecayRestarts(0.1, 0), ValueError, "first_decay_steps must be > 0"),
        (lambda: CosineDecayRestarts(0.1, 1, t_mul=0.5), ValueError, "t_mul.* >= 1.*0.5"),
        (lambda: CosineDecayRestarts(0.1, 1, m_mul=-1), ValueError, FINITE.format("m_mul")),
        (lambda: PiecewiseConstantDecay([1], [1]), ValueError, r"one more.*=\[1\], values=\[1\]"),
        (lambda: PiecewiseConstantDecay([1, 1], [3, 2, 1]), ValueError, "must increase"),
        (lambda: PiecewiseConstantDecay(["1"], [3, 2]), TypeError, "boundaries must be a number"),
        (lambda: PiecewiseConstantDecay([1], [3, -2]), ValueError, FINITE.format("values")),
        (lambda: LearningRateSchedule()(0), NotImplementedError, "must define __call__"),
        (lambda: schedules.deserialize({"class_name": "Decay", "config": {}}), ValueError, "Decay"),
    ],
)
def test_wrong_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


# ---- in an optimizer ------------------------------------------------------------------------


class Halved(LearningRateSchedule):
    def __init__(self, initial):
        self.initial = initial

    def __call__(self, step):
        return self.initial * 0.5**step


def fitted(optimizer, epochs=1):
    """Return how far each step moved the one bias, whose gradient is always 1."""
    model = Sequential([Dense(1, kernel_initializer="zeros", dtype="float64")])
    model.compile(optimizer, "mae")
    model.build((None, 1))
    places = [0.0]
    for _ in range(4 * epochs):
        model.train_on_batch(np.zeros((1, 1)), np.full((1, 1), -100.0))
        places.append(model.get_weights()[1][0])
    return -np.diff(places)


@pytest.mark.parametrize("optimizer", [SGD(Halved(0.8)), SGD(ExponentialDecay(0.8, 1, 0.5))])
def test_each_step_takes_the_rate_after_the_steps_before_it(optimizer):
    np.testing.assert_allclose(fitted(optimizer), [0.8, 0.4, 0.2, 0.1], rtol=1e-12)
    assert optimizer.learning_rate == pytest.approx(0.05)
    assert repr(optimizer).startswith(f"SGD(learning_rate={optimizer._learning_rate!r}")


def test_a_schedule_counts_batches_where_gradients_accumulate():
    optimizer = SGD(Halved(0.8), gradient_accumulation_steps=2)
    np.testing.assert_allclose(fitted(optimizer), [0, 0.4, 0, 0.1], rtol=1e-12)
    assert optimizer.iterations == 2


def test_weights_decay_at_the_scheduled_rate():
    model = Sequential([Dense(1, use_bias=False, kernel_initializer="ones", dtype="float64")])
    model.compile(SGD(PiecewiseConstantDecay([0], [0.5, 0.25]), weight_decay=0.5), "mse")
    for kept in (0.75, 0.75 * 0.875):
        model.train_on_batch(np.zeros((1, 1)), np.zeros((1, 1)))
        assert model.get_weights()[0] == pytest.approx(kept)


def test_a_function_gives_the_rate_once_a_step():
    asked = []

    def rate():
        asked.append(None)
        return 0.1 * len(asked)

    np.testing.assert_allclose(fitted(SGD(rate)), [0.1, 0.2, 0.3, 0.4], rtol=1e-12)


def test_a_rate_can_be_assigned_but_not_in_the_place_of_a_schedule():
    optimizer = SGD(0.5)
    optimizer.learning_rate = Halved(0.8)
    assert optimizer.learning_rate == 0.8
    with pytest.raises(
        TypeError, match=r"The learning rate of this SGD is a schedule.*learning_rate=0.1"
    ):
        optimizer.learning_rate = 0.1
    assert optimizer.learning_rate == 0.8
    optimizer.learning_rate = lambda: 0.3
    assert optimizer.learning_rate == 0.3
    optimizer.learning_rate = 0.1
    assert optimizer.learning_rate == 0.1
    with pytest.raises(TypeError, match=r"class Halved\. Create an instance"):
        optimizer.learning_rate = Halved


@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf])
def test_a_rate_that_is_none_stops_training_before_anything_changes(bad):
    optimizer = SGD(lambda: bad)
    model = Sequential([Dense(1)])
    model.compile(optimizer, "mse")
    model.build((None, 1))
    before = model.get_weights()
    with pytest.raises(ValueError, match="learning_rate must be a finite number"):
        model.train_on_batch(np.ones((1, 1)), np.ones((1, 1)))
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    assert optimizer.iterations == 0


class Returns(LearningRateSchedule):
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, step):
        return self.rate


@pytest.mark.parametrize(
    "rate", [1, np.float64(1), np.float32(1), np.ones(()), np.ones(1), np.ones((1, 1), int)]
)
def test_a_schedule_may_return_any_one_number(rate):
    for optimizer in (SGD(Returns(rate)), SGD(lambda: rate)):
        assert type(float(optimizer.learning_rate)) is float
        weight = Variable([3.0], "w")
        optimizer.apply([[2.0]], [weight])
        assert weight.value == [1.0]


@pytest.mark.parametrize(
    ("rate", "error"),
    [
        *((rate, TypeError) for rate in (None, [1.0], np.ones(2), "1", True)),
        *((rate, ValueError) for rate in (-1, np.inf, np.array([np.nan]))),
    ],
)
def test_what_is_no_rate_is_refused_by_the_schedules_name(rate, error):
    weight, optimizer = Variable([3.0], "w"), SGD(Returns(rate))
    with pytest.raises(
        error, match="What Returns returned is not a learning rate: learning_rate must"
    ):
        optimizer.apply([[2.0]], [weight])
    assert (weight.value, optimizer.iterations) == ([3.0], 0)


def test_a_lambda_has_no_configuration():
    with pytest.raises(TypeError, match="cannot be serialized"):
        SGD(lambda: 0.1).get_config()


def test_a_copied_optimizer_goes_on_with_the_schedule():
    optimizer = SGD(Halved(0.8))
    fitted(optimizer)
    assert copy.deepcopy(optimizer).learning_rate == pytest.approx(0.05)

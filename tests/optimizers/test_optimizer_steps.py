"""What surrounds an optimizer's rule: averages of weights, sums of gradients, and hard numbers."""

import copy

import numpy as np
import pytest

from nnlite import Sequential, optimizers
from nnlite.backend.variables import Variable, WeightVector
from nnlite.callbacks import Callback
from nnlite.layers import Dense
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


def vector_of(start, dtype="float64"):
    """Return the vector of one weight that holds ``start``."""
    weight = Variable(np.array(start, dtype).reshape(-1), "weight")
    return WeightVector([weight], np.dtype(dtype))


def walked(optimizer, gradients, start=1.0, dtype="float64"):
    """Return the weight after each step along the gradients."""
    vector = vector_of(start, dtype)
    optimizer.build(vector)
    path = []
    for gradient in gradients:
        vector.gradients[:] = gradient
        optimizer.update()
        path.append(vector.values.copy() if vector.values.size > 1 else vector.values[0])
    return path


# ---- hard numbers ---------------------------------------------------------------------------


def once(optimizer, gradient, steps=1, dtype="float32"):
    """Return where a weight of 0 has come to after steps along one gradient."""
    with np.errstate(all="raise", under="ignore"):
        return float(walked(optimizer, [gradient] * steps, 0.0, dtype)[-1])


@pytest.mark.parametrize("rule", [Adam, AdamW, Adamax, Nadam, Adagrad, Adadelta, RMSprop])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("gradient", [0.0, 1e-30, -1e-25])
def test_no_step_divides_by_zero_without_an_epsilon(rule, dtype, gradient):
    arguments = {"initial_accumulator_value": 0} if rule is Adagrad else {}
    end = once(rule(0.1, epsilon=0, **arguments), gradient, 3, dtype)
    assert abs(end) <= 0.31
    assert gradient or end == 0


def test_a_centered_mean_square_is_never_negative():
    """After many equal gradients s - mean^2 is rounded to as little as -4 in float32."""
    ends = [once(RMSprop(0.001, rho=rho, centered=True), 7777.7, 200) for rho in (0.9, 0.5, 0.3)]
    assert np.isfinite(ends).all()
    assert max(ends) < -0.1


def test_lion_stands_still_where_there_is_no_gradient():
    assert once(Lion(0.1), 0.0, 3) == 0.0


# ---- the average of the weights -------------------------------------------------------------


def test_the_average_moves_on_after_every_step():
    optimizer = SGD(1.0, use_ema=True, ema_momentum=0.75)
    assert walked(optimizer, [1, 2, -4]) == [0, -2, 2]
    # It begins as the weight after the first step: 0, then 3/4 0 - 1/4 2, 3/4 -1/2 + 1/4 2.
    assert optimizer.state["average"] == [0.125]
    optimizer.finalize_variable_values()
    assert optimizer.variables[2].value == [0.125]


def test_the_average_takes_the_weights_place_every_so_many_steps():
    optimizer = SGD(1.0, use_ema=True, ema_momentum=0.75, ema_overwrite_frequency=2)
    # 0; -2 becomes the average -0.5; 3.5; 2.5 becomes 0.75 0.5 + 0.25 2.5 = 1, for the average
    # after the third step is 0.75 -0.5 + 0.25 3.5 = 0.5.
    assert walked(optimizer, [1, 2, -4, 1]) == [0, -0.5, 3.5, 1.0]


def test_the_average_counts_steps_where_gradients_accumulate():
    """As in Keras: it moves with every batch, and overwrites with every batch of its step."""
    optimizer = SGD(
        1.0,
        use_ema=True,
        ema_momentum=0.75,
        ema_overwrite_frequency=2,
        gradient_accumulation_steps=2,
    )
    # Two batches of the first step: the average is the weight. Then 0.75 0 + 0.25 0 at once;
    # at last 0.75 0 + 0.25 (0 - 4).
    assert walked(optimizer, [1, 1, 4, 4]) == [1, 0, 0, -1]
    assert optimizer.iterations == 2


def test_every_slice_of_a_long_vector_is_averaged(monkeypatch):
    monkeypatch.setattr("nnlite.optimizers.optimizer._SLICE", 30)
    optimizer = SGD(1.0, use_ema=True, ema_momentum=0.5)
    vector = vector_of(np.arange(70.0))  # three slices
    optimizer.build(vector)
    for _ in range(2):
        vector.gradients[:] = 1
        optimizer.update()
    np.testing.assert_array_equal(optimizer.state["average"] - vector.values, 0.5)


def test_only_the_given_weights_take_their_averages():
    first, second = (Variable(np.ones(2), name) for name in ("first", "second"))
    optimizer = SGD(1.0, use_ema=True, ema_momentum=0.5)
    vector = WeightVector([first, second], np.dtype(float))
    optimizer.build(vector)
    for _ in range(2):
        vector.gradients[:] = 1
        optimizer.update()
    optimizer.finalize_variable_values([second])
    np.testing.assert_array_equal(vector.values, [-1, -1, -0.5, -0.5])


def test_without_averages_there_is_nothing_to_put_in_their_place():
    vector, optimizer = vector_of([1.0, 2.0]), SGD(1.0)
    optimizer.build(vector)
    vector.gradients[:] = 1
    optimizer.update()
    optimizer.finalize_variable_values()
    np.testing.assert_array_equal(vector.values, [0, 1])


class Broken(Callback):
    """Stops a fit by an error after an epoch."""

    def on_epoch_end(self, epoch, logs=None):
        raise KeyboardInterrupt


class Watched(Callback):
    """Takes note of a model's weights at the end."""

    def on_train_end(self, logs=None):
        self.weights = self.model.get_weights()


def line():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((12, 2))
    model = Sequential([Dense(1, kernel_initializer="ones", dtype="float64")])
    return model, x, x @ np.array([[1.0], [-2.0]]) + 3


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_fit_ends_with_the_averages(interrupted):
    model, x, y = line()
    model.compile(SGD(0.1, use_ema=True, ema_momentum=0.6), "mse")
    by_hand, _, _ = line()
    by_hand.compile(SGD(0.1), "mse")
    average, epochs = 0, 1 if interrupted else 5
    for step in range(epochs):
        by_hand.train_on_batch(x, y)
        weights = np.concatenate([w.ravel() for w in by_hand.get_weights()])
        average = 0.6 * average + 0.4 * weights if step else weights
    watched = Watched()
    if interrupted:
        with pytest.raises(KeyboardInterrupt):
            model.fit(x, y, 12, epochs=5, verbose=0, callbacks=[Broken()])
    else:
        model.fit(x, y, 12, epochs=5, verbose=0, callbacks=[watched])
        np.testing.assert_array_equal(watched.weights[0], model.get_weights()[0])
    got = np.concatenate([w.ravel() for w in model.get_weights()])
    np.testing.assert_allclose(got, average, rtol=1e-12)


def test_a_fit_of_no_epochs_leaves_the_weights():
    model, x, y = line()
    model.compile(SGD(0.1, use_ema=True), "mse")
    model.fit(x, y, epochs=0, verbose=0)
    model.set_weights([np.full((2, 1), 7.0), np.zeros(1)])
    model.fit(x, y, epochs=1, initial_epoch=1, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], [[7.0], [7.0]])


def test_a_copied_model_goes_on_with_its_averages():
    model, x, y = line()
    model.compile(Adam(0.1, use_ema=True, gradient_accumulation_steps=3), "mse")
    model.fit(x, y, 4, epochs=2, shuffle=False, verbose=0)
    model.train_on_batch(x, y)
    other = copy.deepcopy(model)
    for each in (model, other):
        each.fit(x, y, 4, epochs=3, shuffle=False, verbose=0)
    for mine, wanted in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, wanted)


# ---- the mean of several batches' gradients -------------------------------------------------

ALL = [SGD(0.1), SGD(0.1, momentum=0.9), RMSprop(0.1), Adam(0.1), AdamW(0.1), Adamax(0.1)]
ALL += [Nadam(0.1), Adagrad(0.1), Adadelta(1.0), Lion(0.1)]


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_small_batches_accumulate_to_a_large_one(optimizer):
    trained = []
    for steps, size in ((None, 12), (3, 4)):
        config = {**optimizer.get_config(), "gradient_accumulation_steps": steps}
        config = {**config, "clipnorm": 0.5, "weight_decay": 0.1}
        model, x, y = line()
        model.compile(type(optimizer).from_config(config), "mse")
        model.fit(x, y, size, epochs=4, shuffle=False, verbose=0)
        assert model.optimizer.iterations == 4
        trained.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    np.testing.assert_allclose(trained[1], trained[0], rtol=1e-12, atol=1e-12)


def test_batches_between_steps_change_neither_weights_nor_the_rules_state():
    optimizer = Adam(0.1, gradient_accumulation_steps=3, weight_decay=0.5)
    vector = vector_of([1.0, 2.0])
    optimizer.build(vector)
    for total in (2.0, 4.0):
        vector.gradients[:] = 2
        optimizer.update()
        np.testing.assert_array_equal(vector.values, [1, 2])
        np.testing.assert_array_equal(optimizer.state["momentum"], 0)
        np.testing.assert_array_equal(optimizer.state["gradient_accumulator"], total)
        assert optimizer.iterations == 0
    vector.gradients[:] = 2
    optimizer.update()
    assert (vector.values < [1, 2]).all()
    np.testing.assert_array_equal(optimizer.state["gradient_accumulator"], 0)
    assert optimizer.iterations == 1


def test_iterations_can_be_set():
    optimizer = SGD(gradient_accumulation_steps=4)
    optimizer.iterations = 3
    assert optimizer.iterations == 3
    for bad, error in [(-1, ValueError), (1.5, TypeError)]:
        with pytest.raises(error, match="iterations"):
            optimizer.iterations = bad
    assert optimizer.iterations == 3


def test_a_loss_scale_changes_nothing():
    assert walked(Adam(0.1, loss_scale_factor=1024), [1, 2]) == walked(Adam(0.1), [1, 2])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"ema_momentum": 1.5}, ValueError, r"ema_momentum must lie in \[0, 1\].*1.5"),
        ({"ema_overwrite_frequency": 0}, ValueError, "ema_overwrite_frequency must be at least 1"),
        ({"ema_overwrite_frequency": 1.5}, TypeError, "ema_overwrite_frequency must be an integer"),
        ({"gradient_accumulation_steps": 1}, ValueError, "must be at least 2.*=1"),
        ({"gradient_accumulation_steps": "2"}, TypeError, "must be an integer.*='2'"),
        ({"loss_scale_factor": -1}, ValueError, "loss_scale_factor must be a finite number"),
        ({"loss_scale_factor": 0}, ValueError, "loss_scale_factor must be positive"),
        ({"clipnorm": 0.0, "clipvalue": 1.0}, ValueError, "Only one of.*clipnorm=0.0, clipvalue"),
    ],
)
@pytest.mark.parametrize("rule", [SGD, Adam, AdamW, Lion])
def test_wrong_arguments_are_refused(rule, arguments, error, message):
    with pytest.raises(error, match=message):
        rule(**arguments)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: AdamW(weight_decay=None), ValueError, "weight_decay must be a number.*=None"),
        (lambda: Lion(beta_1=0), ValueError, r"beta_1 must lie in \(0, 1\]. Received: beta_1=0"),
        (lambda: Lion(beta_2=1.0), ValueError, r"beta_2 must lie in \[0, 1\)"),
        (lambda: Adamax(beta_1=1.0), ValueError, r"beta_1 must lie in \[0, 1\)"),
        (lambda: Nadam(beta_2=1.0), ValueError, r"beta_2 must lie in \[0, 1\)"),
        (lambda: Adadelta(rho=1.0), ValueError, r"rho must lie in \[0, 1\)"),
        (lambda: Adagrad(initial_accumulator_value=-1), ValueError, "initial_accumulator_value"),
        (
            lambda: optimizers.deserialize({"class_name": "adam", "config": {"a": 1}}),
            ValueError,
            "a",
        ),
        (lambda: optimizers.get({"class_name": "addam", "config": {}}), ValueError, "mean 'adam'"),
    ],
)
def test_wrong_arguments_of_the_rules_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()

"""Optimizers that a user writes: what is overridden is used, or refused where it is defined."""

import copy
import pickle

import numpy as np
import pytest

from nnlite import Sequential, constraints, optimizers
from nnlite.backend.variables import Variable, WeightVector
from nnlite.callbacks import (
    BackupAndRestore,
    Callback,
    LearningRateScheduler,
    ReduceLROnPlateau,
)
from nnlite.layers import Dense
from nnlite.models import load_model
from nnlite.optimizers import SGD, Adam, Nadam, Optimizer


class Heavy(Optimizer):
    """Momentum, written as Keras's documentation writes it; with a sum that no weight has."""

    def __init__(self, learning_rate=0.1, momentum=0.5, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.momentum = momentum
        self.total = self.add_variable((), name="total")

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.momentums = [self.add_variable_from_reference(v, name="momentum") for v in variables]

    def update_step(self, gradient, variable, learning_rate):
        m = self.momentums[self._get_variable_index(variable)]
        self.assign(m, self.momentum * m - learning_rate * gradient)
        self.assign_add(variable, m)
        self.assign_add(self.total, np.sum(gradient))


def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((12, 3))
    return x, np.tanh(x @ rng.standard_normal((3, 2)))


def model_with(optimizer):
    kernels = np.random.default_rng(1).standard_normal((2, 6))
    model = Sequential([Dense(2, activation="tanh", dtype="float64"), Dense(2, dtype="float64")])
    model.compile(optimizer, "mse")
    model.build((None, 3))
    model.set_weights([kernels[0].reshape(3, 2), np.zeros(2), kernels[1, :4].reshape(2, 2), [0, 0]])
    return model


def trained(optimizer, model=None, epochs=3):
    model = model or model_with(optimizer)
    model.fit(*data(), 4, epochs=epochs, shuffle=False, verbose=0)
    return model


def flat(model):
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


# ---- update_step ----------------------------------------------------------------------------

AROUND = [
    {},
    {"clipnorm": 0.1},
    {"global_clipnorm": 0.1, "weight_decay": 0.2},
    {"clipvalue": 0.05, "use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2},
    {"gradient_accumulation_steps": 3, "weight_decay": 0.1},
]


@pytest.mark.parametrize("around", AROUND, ids=str)
def test_a_step_of_ones_own_takes_the_rules_place(around):
    """Heavy is momentum: SGD with the same arguments walks the same way."""
    own, shipped = (trained(cls(0.1, momentum=0.5, **around)) for cls in (Heavy, SGD))
    np.testing.assert_allclose(flat(own), flat(shipped), rtol=1e-12)
    assert own.optimizer.iterations == shipped.optimizer.iterations > 0
    assert own.optimizer.total.value != 0


def by_hand(cls, **methods):
    return type(f"Own{cls.__name__}", (cls,), methods)


RULES = [
    (cls, arguments)
    for cls, *several in (
        (SGD, {}, {"momentum": 0.9, "nesterov": True}),
        (optimizers.RMSprop, {"momentum": 0.5, "centered": True}),
        (Adam, {}, {"amsgrad": True}),
        (optimizers.AdamW, {"weight_decay": 0.0}),  # its decay takes the rate of all
        (optimizers.Adamax, {}),
        (Nadam, {}),
        (optimizers.Adagrad, {}),
        (optimizers.Adadelta, {}),
        (optimizers.Lion, {}),
    )
    for arguments in several
]


@pytest.mark.parametrize(("cls", "arguments"), RULES, ids=str)
def test_super_takes_the_shipped_step(cls, arguments):
    calls = []

    def update_step(self, gradient, variable, learning_rate):
        assert (self.iterations, learning_rate) == (len(calls) // 4, 0.1)  # as in Keras, from 0
        calls.append(variable)
        cls.update_step(self, gradient, variable, learning_rate)

    own = trained(by_hand(cls, update_step=update_step)(0.1, **arguments))
    assert calls == own.trainable_weights * 9
    np.testing.assert_allclose(flat(own), flat(trained(cls(0.1, **arguments))), rtol=1e-12)


@pytest.mark.parametrize(("cls", "arguments"), RULES, ids=str)
def test_super_takes_the_rate_that_it_is_given(cls, arguments):
    """Kernels at half the rate move as all do at half the rate, biases as all at the whole."""

    def update_step(self, gradient, variable, learning_rate):
        rate = learning_rate / 2 if variable.name == "kernel" else learning_rate
        cls.update_step(self, gradient, variable, rate)

    def step(optimizer):
        model = model_with(optimizer)
        model.train_on_batch(*data())
        return model.get_weights()

    own, whole, half = map(
        step,
        (
            by_hand(cls, update_step=update_step)(0.1, **arguments),
            *(cls(r, **arguments) for r in (0.1, 0.05)),
        ),
    )
    for got, wanted in zip(own, [half[0], whole[1], half[2], whole[3]], strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_nadams_product_moves_once_a_step_whatever_the_rates():
    def update_step(self, gradient, variable, learning_rate):
        Nadam.update_step(self, gradient, variable, learning_rate * (1 + len(variable.name)))

    model = trained(by_hand(Nadam, update_step=update_step)(0.01))
    assert model.optimizer.u_product == trained(Nadam(0.01)).optimizer.u_product


def test_assign_works_on_arrays_of_state_too():
    class Sum(SGD):
        slots = ("total",)

        def update_step(self, gradient, variable, learning_rate):
            total = self.state["total"][self._slices[self._get_variable_index(variable)]]
            self.assign_add(total, gradient.ravel())
            self.assign_sub(variable, learning_rate * total.reshape(variable.shape))
            with pytest.raises(ValueError, match=r"'array of state' has shape \(2,\)"):
                self.assign(total, [1.0])

    weight, optimizer = Variable([1.0, 2.0], "w"), Sum(0.5)
    optimizer.slots = ("total",)
    for _ in range(2):  # 1 - 0.5 (1) - 0.5 (1 + 1)
        optimizer.apply([[1.0, 0.0]], [weight])
    np.testing.assert_array_equal(weight.value, [-0.5, 2.0])


def test_a_begin_step_beside_an_update_step_is_called_once_a_step():
    class Counting(SGD):
        counts = ()

        def begin_step(self):
            self.counts += (int(self.iterations),)

        def update_step(self, gradient, variable, learning_rate):
            self.assign_sub(variable, learning_rate * gradient)

    model = trained(Counting(0.1))
    assert model.optimizer.counts == tuple(range(1, 10))
    np.testing.assert_allclose(flat(model), flat(trained(SGD(0.1))), rtol=1e-12)


# ---- state of one's own ---------------------------------------------------------------------


def names(optimizer):
    return [variable.name for variable in optimizer.variables]


def test_state_of_ones_own_is_among_the_variables_in_order():
    optimizer = Heavy(0.5)
    assert names(optimizer) == ["iteration", "learning_rate", "total"]
    model = trained(optimizer)
    own = ["kernel_momentum", "bias_momentum", "kernel_1_momentum", "bias_1_momentum"]
    assert names(optimizer) == ["iteration", "learning_rate", "total", *own]
    assert optimizer.variables[3:] == optimizer.momentums
    before = optimizer.momentums[0].numpy()
    optimizer.variables[3].assign(2 * before)
    np.testing.assert_array_equal(optimizer.momentums[0], 2 * before)
    assert model.optimizer.state["total"] == optimizer.total.value


@pytest.mark.parametrize("how", ["pickle", "copy", ".keras", ".h5"])
def test_training_goes_on_from_a_copy_or_a_file(how, tmp_path):
    model = trained(Heavy(0.1))
    if how == "pickle":
        other = pickle.loads(pickle.dumps(model))
    elif how == "copy":
        other = copy.deepcopy(model)
    else:
        model.save(tmp_path / f"model{how}")
        other = load_model(tmp_path / f"model{how}", custom_objects={"Heavy": Heavy})
    optimizer = other.optimizer
    for mine, wanted in zip(optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(mine.value, wanted.value)
    optimizer.variables[2].assign(7)  # it is what the optimizer works with, before a fit too
    optimizer.variables[3].assign(np.ones((3, 2)))
    assert optimizer.total.value == 7
    model.optimizer.total.assign(7)
    model.optimizer.momentums[0].assign(np.ones((3, 2)))
    for each in (model, other):
        trained(None, each)
    np.testing.assert_array_equal(flat(other), flat(model))
    assert optimizer.total.value == model.optimizer.total.value


class Stops(Callback):
    """Ends a run by an error after the second epoch, the first time."""

    def __init__(self, times):
        self.times = iter(range(times))

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1 and next(self.times, None) is not None:
            raise KeyboardInterrupt


def test_a_backup_holds_it(tmp_path):
    def run(model, *callbacks):
        model.fit(*data(), 4, epochs=4, shuffle=False, verbose=0, callbacks=callbacks)
        return [*flat(model), *(v.numpy().sum() for v in model.optimizer.variables)]

    backup = BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        run(model_with(Heavy(0.1)), backup, Stops(1))
    resumed = run(model_with(Heavy(0.1)), backup, Stops(0))
    assert resumed == run(model_with(Heavy(0.1)))


def test_it_rests_while_its_weight_is_frozen():
    """As with SGD's momentum, which rests likewise; a weight that comes later begins at zero."""
    ends = []
    for optimizer in (Heavy(0.1, 0.5), SGD(0.1, 0.5)):
        model = model_with(optimizer)
        model.layers[1].trainable = False
        trained(None, model)
        for frozen in (0, None, 1):
            for place, layer in enumerate(model.layers):
                layer.trainable = place != frozen
            trained(None, model)
        model.layers[1].trainable = True
        ends.append(flat(trained(None, model)))
    np.testing.assert_allclose(*ends, rtol=1e-12)


def test_names_are_told_apart_and_initializers_used():
    class Several(Adam):
        def build(self, variables):
            super().build(variables)
            self.own = self.add_optimizer_variables(
                variables, ["momentum", "hat"], ["ones", lambda shape, dtype: np.full(shape, 3.0)]
            )
            self.again = self.add_optimizer_variables(variables, "hat", "zeros")

    optimizer = Several()
    optimizer.build([Variable([1.0, 2.0], "w"), Variable([[3.0]], "v")])
    assert names(optimizer)[2:] == [
        *("w_momentum", "w_velocity", "v_momentum", "v_velocity"),
        *("w_momentum_1", "w_hat", "v_momentum_1", "v_hat", "w_hat_1", "v_hat_1"),
    ]
    got = [variable.value.ravel().tolist() for variable in optimizer.variables[6:]]
    assert got == [[1, 1], [3, 3], [1], [3], [0, 0], [0]]
    assert [v.name for v in optimizer.own[1]] == ["w_hat", "v_hat"]
    with pytest.raises(ValueError, match="as many initializers as names"):
        optimizer.add_optimizer_variables([], ["a", "b"], ["zeros"])


def test_a_build_that_would_lose_state_is_refused():
    class Forgets(Heavy):
        def build(self, variables):
            Optimizer.build(self, variables)
            if not hasattr(self, "momentums"):
                self.momentums = self.add_optimizer_variables(variables, "momentum")

    class Alone(Heavy):
        def build(self, variables):
            pass

    class Early(Optimizer):
        def build(self, variables):
            self.add_variable_from_reference(variables[0])

    model = trained(Forgets())
    model.layers[0].trainable = False
    with pytest.raises(RuntimeError, match=r"Forgets.build must add momentum every time"):
        trained(None, model)
    with pytest.raises(RuntimeError, match=r"Alone.build must call super\(\).build\(variables\)"):
        trained(Alone())
    with pytest.raises(ValueError, match=r"Unknown variable.*super\(\).build\(variables\)"):
        trained(Early(0.1))


# ---- refused --------------------------------------------------------------------------------

REFUSED = {
    **dict.fromkeys(
        ("apply", "apply_gradients", "assign", "assign_add", "assign_sub", "_clip_gradients"),
        r"define update_step\(gradient, variable, learning_rate\)",
    ),
    **dict.fromkeys(
        ("add_variable", "add_variable_from_reference", "add_optimizer_variables"), "in build"
    ),
    **dict.fromkeys(("variables", "save_own_variables", "load_own_variables"), "is saved with"),
    "set_weights": "define load_state_arrays",
    "scale_loss": "define a loss",
    "learning_rate": "LearningRateSchedule",
    "iterations": "add_variable",
}


@pytest.mark.parametrize("base", [Optimizer, Adam, Heavy])
@pytest.mark.parametrize(("method", "message"), REFUSED.items())
def test_what_no_step_calls_is_refused_at_its_definition(base, method, message):
    with pytest.raises(TypeError, match=f"Mine overrides {method}, which nnlite.*: .*{message}"):
        type("Mine", (base,), {method: lambda self, *args: None})
    mixin = type("Mixin", (), {method: lambda self, *args: None})
    with pytest.raises(TypeError, match=f"Mine overrides {method}, "):
        type("Mine", (mixin, base), {})


USED = {
    "update": lambda model: trained(None, model),
    "update_step": lambda model: trained(None, model),
    "rule": lambda model: trained(None, model),
    "begin_step": lambda model: trained(None, model),
    "build": lambda model: trained(None, model),
    "take_up": lambda model: trained(None, model),
    "updates": lambda model: trained(None, trained(None, model)),
    "check_owner": lambda model: trained(None, model),
    "finalize_variable_values": lambda model: trained(None, model),
    "state_arrays": lambda model: trained(None, model).summary(print_fn=str),
    "load_state_arrays": lambda model: trained(None, model).optimizer.set_weights([9, 0.1]),
    "exclude_from_weight_decay": lambda model: model.optimizer.exclude_from_weight_decay(),
    "get_config": lambda model: model.get_compile_config(),
    "serialized": lambda model: model.get_compile_config(),
    "from_config": lambda model: type(model.optimizer).from_config({}),
    "default_name": lambda model: type(model.optimizer)(),
}


@pytest.mark.parametrize("method", USED)
def test_every_other_method_is_used(method):
    calls = []
    original = getattr(SGD, method)
    bound = hasattr(original, "__self__")  # a class method

    def spy(self, *args, **kwargs):
        calls.append(method)
        return (original.__func__ if bound else original)(self, *args, **kwargs)

    cls = type("Mine", (SGD,), {method: classmethod(spy) if bound else spy})
    USED[method](model_with(cls(0.1)))
    assert calls


def test_every_public_method_is_used_or_refused():
    public = {name for name in dir(Optimizer) if not name.startswith("_")}
    data = {name for name in public if not callable(getattr(Optimizer, name))}
    assert public - data == {*USED, *REFUSED} - {"variables", "learning_rate", "iterations"} - {
        name for name in REFUSED if not hasattr(Optimizer, name) or name[0] == "_"
    }


# ---- by hand --------------------------------------------------------------------------------


def pair():
    return Variable([1.0, 2.0], "first"), Variable([[3.0]], "second")


def test_a_step_by_hand_is_that_of_fit():
    """Over three batches: the gradients that the model computes, applied by hand."""
    wanted = model_with(Adam(0.1, clipnorm=0.2, weight_decay=0.1, use_ema=True))
    model, by_hand = model_with("sgd"), Adam(0.1, clipnorm=0.2, weight_decay=0.1, use_ema=True)
    model.compile(SGD(0.0), "mse")
    x, y = data()
    for start in (0, 4, 8):
        wanted.train_on_batch(x[start : start + 4], y[start : start + 4])
        model.train_on_batch(x[start : start + 4], y[start : start + 4])
        grads = [variable.gradient for variable in model.trainable_weights]
        assert by_hand.apply_gradients(zip(grads, model.trainable_weights, strict=True)) > 0
    np.testing.assert_array_equal(flat(model), flat(wanted))
    assert by_hand.iterations == 3
    by_hand.finalize_variable_values(model.trainable_weights)
    wanted.optimizer.finalize_variable_values()
    np.testing.assert_array_equal(flat(model), flat(wanted))
    model.fit(x, y, verbose=0)  # the model's own optimizer has not been disturbed


def test_only_the_weights_given_take_the_step():
    first, second = pair()
    optimizer = SGD(0.5, momentum=0.5, weight_decay=1.0, global_clipnorm=5.0)
    optimizer.apply([[0, 0], [[0]]], [first, second])
    np.testing.assert_array_equal([*first.value, *second.value[0]], [0.5, 1.0, 1.5])
    optimizer.apply([[3.0, 4.0]], [first])  # 5 long: not clipped, whatever the other's was
    np.testing.assert_array_equal(first.value, [0.25 - 1.5, 0.5 - 2])
    np.testing.assert_array_equal(second.value, [[1.5]])
    optimizer.apply([[0, 0], [[0]]])
    # The momentum of the first goes on, the second has none.
    np.testing.assert_array_equal(first.value, [-0.625 - 0.75, -0.75 - 1])
    np.testing.assert_array_equal(second.value, [[0.75]])
    assert optimizer.iterations == 3


def test_gradients_of_weights_not_given_do_not_accumulate():
    first, second = pair()
    optimizer = SGD(1.0, gradient_accumulation_steps=2)
    for grads, given in (([[1, 1], [[1]]], (first, second)), ([[1, 1]], (first,))):
        optimizer.apply(grads, given)
    np.testing.assert_array_equal(first.value, [0, 1])
    np.testing.assert_array_equal(second.value, [[3]])


def test_a_missing_gradient_leaves_its_weight_with_a_warning():
    first, second = pair()
    optimizer = SGD(1.0)
    with pytest.warns(UserWarning, match=r"Gradients do not exist for variables \['second'\]"):
        optimizer.apply([[1, 1], None], [first, second])
    np.testing.assert_array_equal([*first.value, *second.value[0]], [0, 1, 3])
    assert optimizer.apply([]) is None
    assert optimizer.iterations == 1


@pytest.mark.parametrize(
    ("grads", "chosen", "error", "message"),
    [
        ([None, None], (0, 1), ValueError, "No gradients provided for any variable"),
        ([[1, 1]], (0, 1), ValueError, "Received: 1 gradients for 2 variables"),
        ([[1, 1]], None, ValueError, "Received: 1 gradients for 2 variables"),
        ([[1, 1], [1]], (0, 1), ValueError, r"The gradient of weight 'second' has shape \(1, 1\)"),
        ([[1, 1], [["a"]]], (0, 1), TypeError, "the gradient of weight 'second' must hold real"),
        ([[1, 1], [1, 1]], (0, 0), ValueError, "takes each variable once"),
        ([[1, 1]], (2,), ValueError, "Unknown variable: <Variable other"),
    ],
)
def test_gradients_that_do_not_fit_change_nothing(grads, chosen, error, message):
    variables = (*pair(), Variable([0.0, 0.0], "other"))
    optimizer = SGD(1.0)
    with pytest.raises(ValueError, match="is not built: call build"):
        optimizer.apply([[1, 1]])
    optimizer.build(variables[:2])
    with pytest.raises(error, match=message):
        optimizer.apply(grads, None if chosen is None else [variables[i] for i in chosen])
    assert [variable.value.sum() for variable in variables] == [3, 3, 0]
    assert optimizer.iterations == 0


def test_variables_of_two_types_are_refused():
    first, second = pair()
    second = Variable(second.value.astype("float64"), "second")
    for wrong in (second, np.ones(2)):
        with pytest.raises(TypeError, match="SGD updates Variables of one float type"):
            SGD().build([first, wrong])


def test_constraints_are_applied_and_scaled_gradients_scaled_back():
    weight = Variable([1.0, -2.0], "w", constraint=constraints.NonNeg())
    optimizer = SGD(1.0, loss_scale_factor=8.0)
    assert optimizer.scale_loss(0.5) == 4.0
    assert SGD().scale_loss(0.5) == 0.5
    optimizer.apply([[4.0, 0.0]], [weight])
    np.testing.assert_array_equal(weight.value, [0.5, 0.0])


def test_an_optimizer_follows_its_weights_into_another_vector():
    first, second = pair()
    one, other = SGD(0.5, momentum=0.5), SGD(1.0)
    one.apply([[1, 1]], [first])
    other.apply([[1, 1], [[1]]], [first, second])
    one.apply([[0, 0]], [first])
    other.apply([[1, 1], [[1]]])
    np.testing.assert_array_equal(first.value, [1 - 0.5 - 1 - 0.25 - 1, 2 - 2.75])
    np.testing.assert_array_equal(second.value, [[1.0]])
    vector = WeightVector([first], np.dtype("float32"))
    again = SGD()
    again.build([first])
    assert again.updates(vector)  # where they live together already, they stay
    copied = pickle.loads(pickle.dumps(one))
    copied.apply([[0, 0]])
    np.testing.assert_array_equal(copied._variables[0].value, first.value - 0.125)


def test_the_state_that_variables_show_can_be_assigned():
    weight, optimizer = Variable([1.0, 2.0], "w"), Adam(0.1, beta_1=0.75)
    assert [float(v) for v in optimizer.variables] == [0, pytest.approx(0.1)]
    optimizer.apply([[4.0, 8.0]], [weight])
    count, rate, momentum, _ = optimizer.variables
    np.testing.assert_array_equal(momentum.value, [1.0, 2.0])  # in Keras's scale
    momentum.assign([0.5, 0.25])
    momentum.value += 1
    np.testing.assert_array_equal(optimizer.state["momentum"], [6.0, 5.0])
    count.assign(5)
    rate.assign(0.5)
    assert (optimizer.iterations, optimizer.learning_rate) == (5, 0.5)
    other = Adam()
    with pytest.raises(ValueError, match=r"set_weights\(\) on an optimizer that is not built"):
        other.set_weights(optimizer.variables)
    other.build([Variable([0.0, 0.0], "w")])
    other.set_weights(optimizer.variables)
    for mine, wanted in zip(other.variables, optimizer.variables, strict=True):
        np.testing.assert_array_equal(mine.value, wanted.value)
    assert isinstance(pickle.loads(pickle.dumps(momentum)), Variable)


# ---- the rate and the count -----------------------------------------------------------------


def test_the_rate_is_a_float_with_the_methods_of_a_variable():
    optimizer = SGD(0.5)
    rate = optimizer.learning_rate
    assert isinstance(rate, float)
    rate.assign(0.25)
    assert rate.value == rate.numpy() == optimizer.learning_rate == 0.25
    rate.assign_add(0.25)
    rate.assign_sub(0.125)
    assert optimizer.learning_rate == 0.375
    with pytest.raises(ValueError, match="learning_rate must be a finite number"):
        rate.assign(-1)
    assert type(pickle.loads(pickle.dumps(rate))) is type(copy.deepcopy(rate)) is float
    with pytest.raises(TypeError, match=r"learning rate of this .* is a schedule"):
        SGD(optimizers.schedules.CosineDecay(0.1, 9)).learning_rate.assign(0.1)
    optimizer.iterations.assign_add(3)
    assert optimizer.iterations.numpy() == optimizer.iterations == 3
    assert type(copy.deepcopy(optimizer.iterations)) is int


def test_histories_hold_plain_numbers():
    model = model_with(SGD(0.5))
    calls = [LearningRateScheduler(lambda epoch, rate: rate), ReduceLROnPlateau("loss")]
    history = model.fit(*data(), epochs=2, verbose=0, callbacks=calls).history
    assert [type(rate) for rate in history["learning_rate"]] == [float, float]


def test_gradients_of_weights_that_a_step_is_not_for_do_not_count():
    first, second = Variable([0.0], "first"), Variable([0.0], "second")
    optimizer = SGD(1.0, global_clipnorm=1.0)
    optimizer.build([first, second])
    second.gradient = [100.0]
    optimizer.apply([[3.0]], [first])
    # The norm of the one gradient given is 3, which is clipped to 1.
    assert (first.value.tolist(), second.value.tolist()) == ([-1.0], [0.0])

import math
import signal
import threading

import numpy as np
import pytest

import nnlite
from nnlite import Sequential
from nnlite.callbacks import Callback, TerminateOnNaN
from nnlite.layers import BatchNormalization, Dense, Input
from nnlite.losses import Loss
from nnlite.optimizers import SGD, Adam

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((64, 4)).astype(np.float32)
Y = X[:, :1] * 1000


def net(learning_rate=0.01, *first, optimizer=None):
    nnlite.set_random_seed(1)
    model = Sequential([Input((4,)), *first, Dense(8, activation="relu"), Dense(1)])
    model.compile(optimizer or SGD(learning_rate), "mse")
    return model


def bits(model):
    return [w.tobytes() for w in model.get_weights()]


class Watch(Callback):
    """Keeps the weights after every batch."""

    def __init__(self):
        self.after = []

    def on_train_begin(self, logs=None):
        self.after.append(bits(self.model))

    def on_train_batch_end(self, batch, logs=None):
        self.after.append(bits(self.model))


CASES = {
    "weights that have grown": (1e30, 1, r"dense_1'\. Weights reach .*Lower the learning rate"),
    "a learning rate too high": (10, 1, r"their loss is not \(inputs reach [\d.]+, targets"),
    "inputs out of scale": (0.01, 1e37, r"Epoch 1, batch [12]: the loss is .*inputs reach [\d.]+e"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_loss_that_is_not_finite_ends_the_run_before_it_changes_a_weight(case):
    rate, scale, message = CASES[case]
    model, watch = net(rate), Watch()
    with pytest.raises(FloatingPointError, match=message) as caught:
        model.fit(X * scale, Y, epochs=50, verbose=0, callbacks=[watch], shuffle=False)
    assert "The weights are those before this step" in str(caught.value)
    assert bits(model) == watch.after[-1]
    assert all(np.isfinite(w).all() for w in model.get_weights())
    epoch, batch = (int(part.split()[1]) for part in str(caught.value).split(":")[0].split(","))
    assert len(watch.after) - 1 == 2 * (epoch - 1) + batch - 1
    assert len(model.history.history.get("loss", [])) == epoch - 1


def test_the_layer_is_named_in_a_nested_model_too():
    inner = Sequential([Dense(8, kernel_initializer="ones", name="wide"), Dense(2)])
    model = Sequential([Input((4,)), inner, Dense(1)])
    inner.layers[0].kernel.assign(np.full((4, 8), 1e38))
    with pytest.raises(FloatingPointError, match=r"in the output of layer 'wide'\. Weights"):
        model.fit(X * 10, Y, verbose=0)


def test_weights_that_are_not_finite_already_are_named():
    model = net()
    model.layers[0].kernel.value[0, 0] = np.nan
    with pytest.raises(FloatingPointError, match="'kernel' of layer 'dense' is not finite already"):
        model.train_on_batch(X, Y)


class SteepLoss(Loss):
    """A finite value with a slope that is not."""

    def call(self, y_true, y_pred):
        return np.abs(y_pred - y_true).mean(axis=-1)

    def derivative(self, y_true, y_pred):
        return np.full_like(y_pred, np.inf)


def test_a_gradient_that_is_not_finite_ends_the_run_too():
    model = net()
    model.compile("sgd", SteepLoss())
    before = bits(model)
    with pytest.raises(FloatingPointError, match=r"gradient is not finite.*backward pass"):
        model.fit(X, Y, verbose=0)
    assert bits(model) == before
    model.fit(X, Y, verbose=0, callbacks=[TerminateOnNaN()])
    assert bits(model) == before
    assert math.isnan(model.history.history["loss"][0])


def test_gradients_whose_squares_overflow_are_finite():
    model = net(1e-30)
    model.fit(X, Y * 1e15, verbose=0, epochs=1)
    assert model.optimizer.iterations == 2


def test_the_optimizer_and_the_moving_averages_stay_as_they_were():
    model = net(0, BatchNormalization(), optimizer=Adam())
    model.fit(X, Y, verbose=0)
    before, state = bits(model), {k: v.copy() for k, v in model.optimizer.state.items()}
    with pytest.raises(FloatingPointError, match="inputs reach"):
        model.train_on_batch(X * 1e37, Y)
    assert bits(model) == before
    assert model.optimizer.iterations == 2
    assert all((model.optimizer.state[k] == v).all() for k, v in state.items())
    assert math.isfinite(model.train_on_batch(X, Y))


def test_terminate_on_nan_ends_the_run_without_an_error(capsys):
    model, watch = net(10), Watch()
    history = model.fit(X, Y, epochs=50, verbose=0, callbacks=[TerminateOnNaN(), watch])
    assert "Training ends" in capsys.readouterr().out
    assert not math.isfinite(history.history["loss"][-1])
    assert bits(model) == watch.after[-1] == watch.after[-2]
    with pytest.raises(RuntimeError, match="The loss is"):
        net(10).fit(X, Y, epochs=50, verbose=0, callbacks=[TerminateOnNaN(raise_error=True)])


class Interrupt(Dense):
    """A layer in whose forward pass somebody presses Ctrl-C, once or twice."""

    presses = 0

    def forward(self, x, training=False):
        for _ in range(self.presses if training else 0):
            signal.raise_signal(signal.SIGINT)
        return super().forward(x, training)

    def backward(self, gradient):
        return super().backward(gradient)


def test_ctrl_c_ends_the_run_after_the_step_that_is_being_taken():
    layer = Interrupt(8)
    model, same = net(1e-9, layer), net(1e-9, Dense(8))
    same.set_weights(model.get_weights())
    model.fit(X, Y, verbose=0, shuffle=False)
    layer.presses = 1
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=9, verbose=0, shuffle=False)
    same.fit(X, Y, verbose=0, shuffle=False)
    same.fit(X[:32], Y[:32], verbose=0, shuffle=False)
    assert bits(model) == bits(same)
    assert model.optimizer.iterations == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    layer.presses = 0
    assert len(model.fit(X, Y, epochs=2, verbose=0).history["loss"]) == 2


def test_ctrl_c_twice_does_not_wait():
    layer = Interrupt(8)
    layer.presses = 2
    model = net(1e-9, layer)
    before = bits(model)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, verbose=0)
    assert bits(model) == before


def test_ctrl_c_between_steps_comes_at_once():
    def batches():
        yield X[:32], Y[:32]
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("not reached")

    model = net()
    with pytest.raises(KeyboardInterrupt):
        model.fit(batches(), verbose=0)
    assert model.optimizer.iterations == 1


def test_a_fit_in_another_thread_leaves_signals_alone():
    model, done = net(), []
    thread = threading.Thread(target=lambda: done.append(model.fit(X, Y, verbose=0)))
    thread.start()
    thread.join()
    assert len(done) == 1


def test_a_handler_of_the_programs_own_stays():
    seen = []
    old = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        layer = Interrupt(8)
        layer.presses = 1
        net(1e-9, layer).fit(X, Y, verbose=0)
    finally:
        signal.signal(signal.SIGINT, old)
    assert seen == [1, 1]

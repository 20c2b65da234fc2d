import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import nnlite
from nnlite import Sequential
from nnlite.callbacks import LambdaCallback
from nnlite.layers import BatchNormalization, Dense, Dropout, Input
from nnlite.optimizers import SGD

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((256, 8)).astype(np.float32)
Y = (X[:, :1] > 0).astype(np.float32)


def net():
    nnlite.set_random_seed(1)
    model = Sequential(
        [
            Input((8,)),
            Dense(32, activation="relu"),
            BatchNormalization(),
            Dropout(0.3),
            Dense(1, activation="sigmoid"),
        ]
    )
    model.fit(X, Y, epochs=2, verbose=0)
    return model


@pytest.mark.parametrize("way", ["predict", "predict_on_batch", "__call__", "by batches"])
def test_sixteen_threads_predict_what_one_does(way):
    model = net()
    calls = {
        "predict": lambda x: model.predict(x),
        "predict_on_batch": lambda x: model.predict_on_batch(x),
        "__call__": lambda x: model(x),
        "by batches": lambda x: model.predict(x, batch_size=10),
    }
    parts = [X[i : i + 1 + i % 50] for i in range(200)]
    expected = [calls[way](part).tobytes() for part in parts]
    start = threading.Barrier(16)

    def work(number):
        start.wait()
        order = np.random.default_rng(number).permutation(len(parts))
        return [(i, calls[way](parts[i]).tobytes()) for i in order]

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(work, range(16)))
    assert all(found == expected[i] for result in results for i, found in result)


def test_predictions_while_another_thread_trains_are_of_the_weights_between_two_steps():
    model = Sequential([Input((1,)), Dense(512, kernel_initializer="zeros"), Dense(1)])
    model.layers[1].set_weights([np.ones((512, 1)), np.zeros(1)])
    model.layers[1].trainable = False
    model.compile(SGD(1e-5), "mse")
    x, y = np.ones((1, 1)), np.full((1, 1), 100.0)
    # Between two steps all units are alike, so the output is 512 times one of few numbers.
    between, done = {0.0}, threading.Event()

    def note(batch, logs):
        kernel, bias = model.layers[0].get_weights()
        between.add(float(np.float32(model.layers[1].forward(kernel + bias)[0, 0])))

    seen = set()

    def predict():
        while not done.is_set():
            seen.add(float(model.predict_on_batch(x)[0, 0]))

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(predict) for _ in range(4)]
        model.fit(x, y, epochs=300, verbose=0, callbacks=LambdaCallback(on_train_batch_end=note))
        done.set()
        [future.result() for future in futures]
    assert len(between) > 5
    assert seen <= between


def test_two_threads_cannot_train_one_model():
    model, entered, leave = net(), threading.Event(), threading.Event()

    def hold(batch, logs):
        entered.set()
        leave.wait(10)

    thread = threading.Thread(
        target=lambda: model.fit(X, Y, verbose=0, callbacks=LambdaCallback(on_train_batch_end=hold))
    )
    thread.start()
    assert entered.wait(10)
    before = [w.tobytes() for w in model.get_weights()]
    try:
        for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
            with pytest.raises(RuntimeError, match="Another thread trains or evaluates this model"):
                call(X, Y)
        assert model.predict(X[:5]).shape == (5, 1)
        assert [w.tobytes() for w in model.get_weights()] == before
    finally:
        leave.set()
        thread.join()
    model.train_on_batch(X, Y)


def test_a_callback_may_train_predict_and_evaluate_in_its_own_thread():
    model, results = net(), []

    def inside(batch, logs):
        results.append((model.predict(X[:3]), model.evaluate(X, Y, verbose=0)))
        results.append(model.train_on_batch(X[:8], Y[:8]))

    model.fit(X, Y, verbose=0, callbacks=LambdaCallback(on_train_batch_end=inside))
    assert len(results) == 16


def test_models_are_trained_in_threads_of_their_own():
    alone = net()
    alone.fit(X, Y, epochs=2, verbose=0, shuffle=False)
    models = [net() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        fit = [pool.submit(m.fit, X, Y, epochs=2, verbose=0, shuffle=False) for m in models]
        [future.result() for future in fit]
    digest = [w.tobytes() for w in alone.get_weights()]
    assert all([w.tobytes() for w in m.get_weights()] == digest for m in models)


def test_a_step_waits_for_a_prediction_that_is_at_work():
    model, order = net(), []

    class Slow(Dense):
        def forward(self, x, training=False):
            if not training:
                order.append("predicting")
                time.sleep(0.05)
                order.append("predicted")
            else:
                order.append("step")
            return super().forward(x, training)

        def backward(self, gradient):
            return super().backward(gradient)

    model = Sequential([Input((8,)), Slow(4), Dense(1)])
    model.compile("sgd", "mse")
    thread = threading.Thread(target=lambda: model.predict_on_batch(X))
    thread.start()
    while not order:
        time.sleep(0.001)
    model.train_on_batch(X, Y)
    thread.join()
    assert order == ["predicting", "predicted", "step"]

"""The numbers printed by the article that nnlite grew from, reproduced to the last digit.

"The seed" is LSayhi's article on deep feed-forward networks, whose code fills in the frame of a
Coursera course. It is feature-major: X is (n_x, m), W is (units, inputs), b is (units, 1). It also
divides by m in each layer, where nnlite's loss owns the mean: hence ``.T`` and ``/ M`` below.
"""

import importlib.util
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from seed_numbers import (
    ACTIVATION_BACKWARD,
    COST,
    FORWARD,
    LINEAR_DA,
    LINEAR_DB,
    LINEAR_DW,
    MODEL_DA0,
    MODEL_DB1,
    MODEL_DW1,
    UPDATED_B1,
    UPDATED_B2,
    UPDATED_W1,
    UPDATED_W2,
    M,
    R,
    assert_prints,
    dense,
)

from nnlite import Input, Sequential
from nnlite.backend.variables import WeightVector
from nnlite.layers import Dense, ReLU, Sigmoid
from nnlite.losses import BinaryCrossEntropy
from nnlite.optimizers import SGD


def initialized(seed, inputs, *units):
    """Return a model whose kernels are drawn as the seed draws W, one after the other."""
    r = R(seed)

    def kernel(shape, dtype=None):
        return r.randn(*reversed(shape)).T * 0.01

    layers = [Dense(n, kernel_initializer=kernel, dtype="float64") for n in units]
    return Sequential([Input((inputs,)), *layers])


def test_initialize_parameters():
    kernel1, bias1, kernel2, bias2 = initialized(1, 2, 2, 1).get_weights()
    assert_prints(kernel1.T, [[0.01624345, -0.00611756], [-0.00528172, -0.01072969]])
    assert_prints(kernel2.T, [[0.00865408, -0.02301539]])
    assert_prints(bias1, [0, 0])
    assert_prints(bias2, [0])


def test_initialize_parameters_deep():
    kernel1, bias1, kernel2, bias2 = initialized(3, 5, 4, 3).get_weights()
    expected1 = [
        [0.01788628, 0.0043651, 0.00096497, -0.01863493, -0.00277388],
        [-0.00354759, -0.00082741, -0.00627001, -0.00043818, -0.00477218],
        [-0.01313865, 0.00884622, 0.00881318, 0.01709573, 0.00050034],
        [-0.00404677, -0.0054536, -0.01546477, 0.00982367, -0.01101068],
    ]
    expected2 = [
        [-0.01185047, -0.0020565, 0.01486148, 0.00236716],
        [-0.01023785, -0.00712993, 0.00625245, -0.00160513],
        [-0.00768836, -0.00230031, 0.00745056, 0.01976111],
    ]
    assert_prints(kernel1.T, expected1)
    assert_prints(kernel2.T, expected2)
    assert_prints(bias1, [0, 0, 0, 0])
    assert_prints(bias2, [0, 0, 0])


def test_linear_forward():
    r = R(1)
    A, W, b = r.randn(3, 2), r.randn(1, 3), r.randn(1, 1)
    assert_prints(dense(W, b)(A.T).T, [[3.26295337, -1.23429987]])


@pytest.mark.parametrize(
    ("activation", "expected"),
    [("sigmoid", [[0.96890023, 0.11013289]]), ("relu", [[3.43896131, 0]])],
)
def test_linear_activation_forward(activation, expected):
    r = R(2)
    A, W, b = r.randn(3, 2), r.randn(1, 3), r.randn(1, 1)
    assert_prints(dense(W, b, activation)(A.T).T, expected)


def test_l_model_forward():
    r = R(1)
    X, W1, b1 = r.randn(4, 2), r.randn(3, 4), r.randn(3, 1)
    W2, b2 = r.randn(1, 3), r.randn(1, 1)
    model = Sequential([dense(W1, b1, "relu"), dense(W2, b2, "sigmoid")])
    assert_prints(model.predict(X.T).T, FORWARD)
    assert_prints(model(X.T, training=True).T, FORWARD)
    caches = [layer.cache for layer in model.layers if layer.cache]
    assert len(caches) == 2


def test_compute_cost():
    Y, AL = np.array([[1, 1, 1]]), np.array([[0.8, 0.9, 0.4]])
    assert BinaryCrossEntropy()(Y.T, AL.T) == COST


def test_linear_backward():
    r = R(1)
    dZ, A, W, b = r.randn(1, 2), r.randn(3, 2), r.randn(1, 3), r.randn(1, 1)
    layer = dense(W, b)
    layer.forward(A.T, training=True)
    dA_prev = layer.backward(dZ.T / M).T * M
    assert_prints(
        dA_prev,
        LINEAR_DA,
    )
    assert_prints(layer.kernel.gradient.T, LINEAR_DW)
    assert_prints(layer.bias.gradient, LINEAR_DB)


@pytest.mark.parametrize(
    ("activation", "dA_prev", "dW", "db"),
    ACTIVATION_BACKWARD,
)
def test_linear_activation_backward(activation, dA_prev, dW, db):
    r = R(2)
    dA, A, W, b = r.randn(1, 2), r.randn(3, 2), r.randn(1, 3), r.randn(1, 1)
    Z = r.randn(1, 2)  # what the activation saw is drawn too, not computed
    linear, activation = dense(W, b), activation(dtype="float64")
    linear.forward(A.T, training=True)
    activation.forward(Z.T, training=True)
    assert_prints(linear.backward(activation.backward(dA.T / M)).T * M, dA_prev)
    assert_prints(linear.kernel.gradient.T, dW)
    assert_prints(linear.bias.gradient, db)


def test_l_model_backward():
    r = R(3)
    AL = r.randn(1, 2)
    A1, W1, b1, Z1 = r.randn(4, 2), r.randn(3, 4), r.randn(3, 1), r.randn(3, 2)
    A2, W2, b2, Z2 = r.randn(3, 2), r.randn(1, 3), r.randn(1, 1), r.randn(1, 2)
    Y = np.array([[1, 0]])
    linear1, relu = dense(W1, b1), ReLU(dtype="float64")
    linear2, sigmoid = dense(W2, b2), Sigmoid(dtype="float64")
    for layer, cached in [(linear1, A1), (relu, Z1), (linear2, A2), (sigmoid, Z2)]:
        layer.forward(cached.T, training=True)
    # AL is drawn and no probability, so that no loss would take it: its gradient by hand.
    gradient = -(Y / AL - (1 - Y) / (1 - AL)).T / M
    for layer in (sigmoid, linear2, relu, linear1):
        gradient = layer.backward(gradient)
    assert_prints(
        linear1.kernel.gradient.T,
        MODEL_DW1,
    )
    assert_prints(linear1.bias.gradient, MODEL_DB1)
    assert_prints(gradient.T * M, MODEL_DA0)


def test_update_parameters():
    r, q = R(2), R(3)
    W1, b1, W2, b2 = r.randn(3, 4), r.randn(3, 1), r.randn(1, 3), r.randn(1, 1)
    dW1, db1, dW2, db2 = q.randn(3, 4), q.randn(3, 1), q.randn(1, 3), q.randn(1, 1)
    model = Sequential([dense(W1, b1), dense(W2, b2)])
    optimizer = SGD(0.1)
    optimizer.build(WeightVector(model.trainable_variables, np.dtype(float)))
    gradients = [dW1.T, db1.ravel(), dW2.T, db2.ravel()]
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        variable.gradient[...] = gradient
    optimizer.update()
    kernel1, bias1, kernel2, bias2 = model.get_weights()
    assert_prints(
        kernel1.T,
        UPDATED_W1,
    )
    assert_prints(bias1, UPDATED_B1)
    assert_prints(kernel2.T, UPDATED_W2)
    assert_prints(bias2, UPDATED_B2)


# ---- the two cat models that the seed leads up to: docs/examples/cats.py ------------------------


@pytest.fixture(scope="module")
def cats():
    path = Path(__file__).parents[1] / "docs" / "examples" / "cats.py"
    spec = importlib.util.spec_from_file_location("cats", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_cat_models_begin_with_the_seed_s_weights(cats):
    for name, sizes in [("two-layer", (12288, 7, 1)), ("five-layer", (12288, 20, 7, 5, 1))]:
        weights = cats.build(name).get_weights()
        r = R(1)
        assert len(weights) == 2 * (len(sizes) - 1)
        for n, kernel, bias in zip(sizes, weights[::2], weights[1::2], strict=False):
            W = r.randn(len(bias), n)
            W = W * 0.01 if name == "two-layer" else W / np.sqrt(n)
            np.testing.assert_array_equal(kernel, W.T, strict=True)
            assert not bias.any()


@pytest.mark.parametrize("name", ["two-layer", "five-layer"])
def test_cat_models_learn_made_up_pictures(cats, name, capsys):
    y = np.arange(10) % 2
    x = np.random.default_rng(0).random((10, 12288)) * (0.6 + 0.4 * y[:, None])
    model = cats.build(name)
    before = BinaryCrossEntropy()(y, model.predict(x))
    costs = cats.train(model, x, y, iterations=101)
    assert costs[0] == pytest.approx(before, rel=1e-12)  # an iteration's cost precedes its update
    assert len(costs) == 101
    assert costs[0] > costs[50] > costs[100]
    assert cats.accuracy(model, x, y) == np.mean((model.predict(x)[:, 0] > 0.5) == y)
    assert f"cost after iteration 100: {costs[100]!r}\n" in capsys.readouterr().out


def test_cats_script_trains_reports_and_draws(cats, tmp_path, capsys):
    pictures = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    for part in ("train", "test"):
        with h5py.File(tmp_path / f"{part}_catvnoncat.h5", "w") as file:
            file[f"{part}_set_x"], file[f"{part}_set_y"] = pictures, [0, 1, 0, 1]
    x, y = cats.load(tmp_path, "train")
    np.testing.assert_array_equal(x, pictures.reshape(4, -1) / 255)
    assert y.tolist() == [0, 1, 0, 1]
    cats.main([str(tmp_path), "--iterations", "2", "--plot", str(tmp_path / "costs.png")])
    out = capsys.readouterr().out
    assert "two-layer: accuracy" in out
    assert "five-layer: accuracy" in out
    assert (tmp_path / "costs.png").stat().st_size


def test_cats_script_says_what_is_missing(cats, tmp_path, capsys):
    def error():
        with pytest.raises(SystemExit, match="2"):
            cats.main([str(tmp_path)])
        return capsys.readouterr().err

    path = tmp_path / "train_catvnoncat.h5"
    assert f"there is no file {path}" in error()
    with h5py.File(path, "w") as file:
        file["train_set_x"] = np.zeros((2, 5))
    assert f"{path} lacks train_set_y. It has: train_set_x" in error()
    with h5py.File(path, "a") as file:
        file["train_set_y"] = [0, 1]
    assert "Received: (2, 5) and (2,)" in error()


@pytest.mark.slow
@pytest.mark.skipif("NNLITE_CATS" not in os.environ, reason="NNLITE_CATS names no folder of data")
def test_two_layer_cat_model_gives_the_published_figures(cats):
    data = {part: cats.load(os.environ["NNLITE_CATS"], part) for part in ("train", "test")}
    model = cats.build("two-layer")
    costs = cats.train(model, *data["train"])
    published = {0: 0.6930497356599888, 100: 0.6464320953428849, 2400: 0.048554785628770206}
    measured = {iteration: costs[iteration] for iteration in published}
    assert measured == pytest.approx(published, rel=1e-9)
    assert cats.accuracy(model, *data["train"]) == pytest.approx(1.0)
    assert cats.accuracy(model, *data["test"]) == pytest.approx(0.72)

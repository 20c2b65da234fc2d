"""Recurrent layers as Keras 2 wrote them, against their formulas step by step."""

import warnings

import numpy as np
import pytest

from nnlite.models import load_model

from .old_files import sequential, write_h5

RNG = np.random.default_rng(3)
X = RNG.normal(size=(2, 5, 3)).astype("float32")
UNITS = 2


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def hard_sigmoid(z):
    return np.clip(0.2 * z + 0.5, 0, 1)


def weights(gates, bias=1):
    shapes = [(3, gates * UNITS), (UNITS, gates * UNITS), (bias * gates * UNITS,)]
    return [RNG.normal(size=shape).astype("float32") for shape in shapes]


def lstm(x, W, U, b, gate=sigmoid):
    h = c = np.zeros((len(x), UNITS))
    for t in range(x.shape[1]):
        i, f, new, o = np.split(x[:, t] @ W + h @ U + b, 4, axis=1)
        c = gate(f) * c + gate(i) * np.tanh(new)
        h = gate(o) * np.tanh(c)
    return h


def gru(x, W, U, b, gate=sigmoid, after=None):
    """Return the last state; ``after`` is the second bias where the reset comes after U h."""
    h = np.zeros((len(x), UNITS))
    (Uz, Ur, Un), c = np.hsplit(U, 3), np.zeros_like(b) if after is None else after
    cz, cr, cn = np.split(c, 3)
    for t in range(x.shape[1]):
        z, r, n = np.split(x[:, t] @ W + b, 3, axis=1)
        z, r = gate(z + h @ Uz + cz), gate(r + h @ Ur + cr)
        n = np.tanh(n + (r * h) @ Un if after is None else n + r * (h @ Un + cn))
        h = z * h + (1 - z) * n
    return h


def recurrent(class_name, batch=None, **config):
    values = {
        "name": "rnn", "trainable": True, "batch_input_shape": [batch, 5, 3], "dtype": "float32",
        "units": UNITS, "return_sequences": False, "return_state": False, "go_backwards": False,
        "stateful": False, "unroll": False,
    }  # fmt: skip
    return {"class_name": class_name, "config": {**values, **config}}


PLAIN = {"activation": "tanh", "recurrent_activation": "hard_sigmoid", "implementation": 1}


def read(tmp_path, layer, arrays, version="2.1.6"):
    """Return the model of a file of one layer, which is read without a warning."""
    stored = [("rnn", [(f"w{number}", array) for number, array in enumerate(arrays)])]
    path = write_h5(tmp_path / "m.h5", sequential([layer]), stored, version=version)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load_model(path)


def assert_predicts(model, y):
    np.testing.assert_allclose(model.predict(X, verbose=0), y, rtol=1e-5, atol=1e-6)


def test_gates_of_an_lstm(tmp_path):
    arrays = weights(4)
    config = {**PLAIN, "time_major": False, "unit_forget_bias": True}
    model = read(tmp_path, recurrent("LSTM", **config), arrays)
    assert_predicts(model, lstm(X, *arrays, hard_sigmoid))
    model.save(tmp_path / "again.keras")
    assert_predicts(load_model(tmp_path / "again.keras"), lstm(X, *arrays, hard_sigmoid))


def test_a_gru_resets_before_the_product_where_the_file_does_not_say(tmp_path):
    arrays = weights(3)
    model = read(tmp_path, recurrent("GRU", **PLAIN), arrays)
    assert_predicts(model, gru(X, *arrays, hard_sigmoid))


def test_layers_of_cudnn(tmp_path):
    """The kernels are transposed gate by gate, and there are two biases."""

    def turned(kernel, gates):
        return np.hstack([part.reshape(part.shape[::-1]).T for part in np.hsplit(kernel, gates)])

    W, U, b = arrays = weights(4, bias=2)
    model = read(tmp_path, recurrent("CuDNNLSTM"), arrays)
    assert_predicts(model, lstm(X, turned(W, 4), turned(U, 4), b[:8] + b[8:]))
    W, U, b = arrays = weights(3, bias=2)
    model = read(tmp_path, recurrent("CuDNNGRU"), arrays)
    assert_predicts(model, gru(X, turned(W, 3), turned(U, 3), b[:6], after=b[6:]))


def test_a_layer_in_both_directions(tmp_path):
    one, other = weights(4), weights(4)
    layer = recurrent("LSTM", **PLAIN, time_major=False)
    config = {"name": "rnn", "layer": layer, "merge_mode": "concat"}
    both = {"class_name": "Bidirectional", "config": config}
    model = read(tmp_path, both, [*one, *other], version="2.15.0")
    sides = lstm(X, *one, hard_sigmoid), lstm(X[:, ::-1], *other, hard_sigmoid)
    assert_predicts(model, np.hstack(sides))


def test_a_fixed_number_of_samples(tmp_path):
    arrays = weights(4)
    model = read(tmp_path, recurrent("LSTM", batch=2, **PLAIN), arrays)
    assert_predicts(model, lstm(X, *arrays, hard_sigmoid))


def test_time_as_the_first_axis_is_refused(tmp_path):
    with pytest.raises(ValueError, match="layer 'rnn' has time_major=True"):
        read(tmp_path, recurrent("LSTM", **PLAIN, time_major=True), weights(4))


def test_layers_within_a_layer_are_counted_and_named(tmp_path):
    cell = {"class_name": "Unknown", "config": {"name": "cell"}}
    config = {"name": "rnn", "layer": recurrent("GRU"), "backward_layer": cell}
    with pytest.raises(ValueError, match="layer 'rnn/cell' of class Unknown"):
        read(tmp_path, {"class_name": "Bidirectional", "config": config}, [])
    config["layer"] = [recurrent("GRU")] * 2_001
    with pytest.raises(ValueError, match="more than 2000 layers"):
        read(tmp_path, {"class_name": "Bidirectional", "config": config}, [])

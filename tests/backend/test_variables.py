"""Variables: arithmetic as arrays have it, and assignments that copy into the model's vectors."""

import copy
import pickle
import timeit

import numpy as np
import pytest

from nnlite import Sequential
from nnlite.backend.variables import Variable, WeightVector
from nnlite.layers import Dense, Layer


def variable(values=(1.0, -2.0), dtype="float32", name="w"):
    return Variable(np.array(values, dtype), name)


def test_arithmetic_gives_arrays_of_the_variables_type():
    v, w = variable(), variable((3.0, 4.0))
    for got, wanted in [
        (v + 1, [2, -1]),
        (1 - v, [0, 3]),
        (v * w, [3, -8]),
        (np.ones(2, "float32") * v, [1, -2]),
        (v / 2, [0.5, -1]),
        (2**v, [2, 0.25]),
        (-v, [-1, 2]),
        (abs(v), [1, 2]),
        (np.maximum(v, 0), [1, 0]),
        (np.diag([1, 2]).astype("float32") @ v, [1, -4]),
        (0.25 * v + 0.75 * w, [2.5, 2.5]),
    ]:
        assert type(got) is np.ndarray
        assert got.dtype == "float32"
        np.testing.assert_array_equal(got, wanted)
    assert (v @ w, np.sum(v), np.mean(w), len(v), v[1], v.ndim) == (-5, -1, 3.5, 2, -2, 1)
    assert (v < 0).tolist() == (v == -2).tolist() == (v != 1).tolist() == [False, True]
    assert (float(Variable(2.5)), int(Variable(2.5))) == (2.5, 2)
    np.testing.assert_array_equal(np.concatenate([v, w]), [1, -2, 3, 4])


def test_variables_are_themselves_to_lists_and_dicts():
    v, w = variable(), variable()
    assert v != w
    assert v == copy.copy([v])[0]
    assert [v, w].index(w) == 1
    assert None not in [v, w]
    assert {v: 1, w: 2}[w] == 2
    with pytest.raises(TypeError, match=r"has no truth value. Compare w\.value"):
        bool(v)


def test_in_place_arithmetic_changes_the_variable():
    v = same = variable()
    v -= 0.5 * np.ones(2)
    v *= 2
    assert v is same
    assert v.value.tolist() == [1, -5]
    with pytest.raises(ValueError, match=r"Weight 'w' has shape \(2,\). Received.*\(3, 2\)"):
        v += np.ones((3, 2))
    v.assign_add(1)
    v.assign_sub([1, 2])
    assert v.value.tolist() == [1, -6]
    for bad, error in [(np.ones(3), ValueError), (None, TypeError), ("a", TypeError)]:
        with pytest.raises(error, match="eight 'w'"):
            v.assign_add(bad)
    total = np.zeros(2)
    total += v
    np.multiply(v, 2, out=total)
    assert total.tolist() == [2, -12]


@pytest.mark.parametrize("part", ["value", "gradient"])
def test_assigning_copies_into_the_vector(part):
    v, w = variable(name="v"), variable(name="w")
    vector = WeightVector([v, w], np.dtype("float32"))
    whole = vector.values if part == "value" else vector.gradients
    given = np.array([5.0, 6.0])
    setattr(w, part, given)
    given[:] = 0
    setattr(w, part, getattr(w, part) + 1)
    array = getattr(w, part)
    array += 1
    setattr(w, part, array)  # as `w.value += 1` ends
    assert whole[2:].tolist() == [7, 8]
    assert np.shares_memory(getattr(w, part), whole)
    of = "" if part == "value" else "the gradient of "
    for bad, error, message in [
        (np.ones((2, 1)), ValueError, r"weight 'w' has shape \(2,\). Received.*\(2, 1\)"),
        (0.0, ValueError, r"weight 'w' has shape \(2,\). Received.*\(\)"),
        (None, TypeError, "weight 'w' is missing"),
        (["a", "b"], TypeError, "weight 'w' must hold real numbers"),
        ([1e300, 0], ValueError, r"weight 'w' is float32, which cannot hold.*1e\+300"),
    ]:
        with pytest.raises(error, match=f"(?i){of}{message}"):
            setattr(w, part, bad)
    assert whole[2:].tolist() == [7, 8]


class Scale(Layer):
    """A layer whose backward assigns the gradient instead of filling it."""

    def build(self, input_shape):
        self.w = self.add_weight("w", input_shape[1:], "ones")

    def forward(self, x, training=False):
        if training:
            self.cache = (x,)
        return x * self.w

    def backward(self, gradient):
        (x,) = self.cache
        self.w.gradient = np.sum(np.float64(gradient) * x, axis=0)
        return gradient * self.w


def test_a_gradient_that_is_assigned_trains():
    """Mean squared error of w x to 0 for x = 1: dL/dw = 2 w / 2 for each of two outputs."""
    model = Sequential([Scale()])
    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 0.5
    model.fit(np.ones((4, 2)), np.zeros((4, 2)), epochs=1, verbose=0)
    assert model.get_weights()[0].tolist() == [0.5, 0.5]


def test_the_soft_update_of_a_target_network():
    online, target = (Sequential([Dense(2), Dense(1)]) for _ in range(2))
    for model in (online, target):
        model.build((None, 3))
    before = target.get_weights()
    for w, target_w in zip(online.weights, target.weights, strict=True):
        target_w.assign(0.1 * w + 0.9 * target_w)
    for was, w, now in zip(before, online.get_weights(), target.get_weights(), strict=True):
        np.testing.assert_allclose(now, 0.9 * was + 0.1 * w, rtol=1e-6)


def test_a_path_is_the_layers_name_and_the_variables():
    layer = Dense(1)
    late = Dense(1)
    layer(np.ones((1, 3))), late(np.ones((1, 1)))
    model = Sequential([layer, late])
    model.build((None, 3))
    paths = [w.path for w in copy.deepcopy(model).weights]
    assert paths == ["dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias"]
    assert variable().path == "w"


def test_numbers_and_lists_make_a_variable_of_floatx():
    assert Variable([1, 2]).dtype == Variable(1.0).dtype == "float32"
    assert Variable(np.ones(2), "w").dtype == "float64"
    with pytest.raises(TypeError, match="weight 'w' must hold real numbers"):
        Variable("one", "w")


def test_a_copy_is_whole_and_alone():
    v, w = variable(), variable(name="v")
    vector = WeightVector([v, w], np.dtype("float32"))
    assert list(vector) == [v, w] == [vector[0], vector[1]]
    assert len(vector) == 2
    for other in (copy.deepcopy(w), pickle.loads(pickle.dumps(w))):
        assert other.vector is None
        other.value += 1
        other.gradient = [1, 1]
        assert (w.value.tolist(), w.gradient.tolist()) == ([1, -2], [0, 0])


def test_reading_the_value_takes_no_call():
    """As quick as an attribute of a plain class; a property takes several times as long."""

    class Plain:
        value = None

    v, plain = variable(), Plain()
    plain.value = v.value
    times = [
        min(timeit.repeat("one.value", number=2000, repeat=20, globals={"one": one}))
        for one in (v, plain)
    ]
    assert times[0] < 3 * times[1]

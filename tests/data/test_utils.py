"""Utilities: labels, norms, splits, padding, and the settings of the process."""

import random as python_random
import re

import numpy as np
import pytest

from nnlite import backend, config, constraints, initializers, losses, utils
from nnlite.serialization import objects as serialization

# ---- to_categorical ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "classes", "expected"),
    [
        ([0, 2], None, [[1, 0, 0], [0, 0, 1]]),
        ([[1], [0]], 3, [[0, 1, 0], [1, 0, 0]]),
        ([[1, 0]], None, [[[0, 1], [1, 0]]]),
        (1, 2, [0, 1]),
        ([True, False], None, [[0, 1], [1, 0]]),
        ([1.0, 0.0], None, [[0, 1], [1, 0]]),
        (np.array([], int), 2, np.zeros((0, 2))),
    ],
)
def test_labels_become_one_hot_rows(x, classes, expected):
    one_hot = utils.to_categorical(x, classes)
    assert one_hot.dtype == float
    np.testing.assert_array_equal(one_hot, expected)


@pytest.mark.parametrize(
    ("x", "classes", "error", "message"),
    [
        ([0, -1], None, ValueError, "class indices"),
        ([0.5], None, ValueError, "class indices"),
        ([np.nan], None, ValueError, "class indices"),
        ([3], 3, ValueError, "less than num_classes=3. Received: 3"),
        ([], None, ValueError, "Pass num_classes"),
        ([1], 0, ValueError, "num_classes must be at least 1"),
        (["a"], None, TypeError, "x must hold real numbers"),
    ],
)
def test_labels_that_are_no_class_are_refused(x, classes, error, message):
    with pytest.raises(error, match=message):
        utils.to_categorical(x, classes)


# ---- normalize --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axis", "order", "expected"),
    [
        (-1, 2, [[0.6, 0.8], [0, 0]]),
        (1, 1, [[3 / 7, 4 / 7], [0, 0]]),
        (0, 2, [[1, 1], [0, 0]]),
        (-1, np.inf, [[0.75, 1], [0, 0]]),
        (-1, 3, [[3 / 91 ** (1 / 3), 4 / 91 ** (1 / 3)], [0, 0]]),
    ],
)
def test_rows_are_divided_by_their_norm(axis, order, expected):
    result = utils.normalize([[3, 4], [0, 0]], axis, order)
    np.testing.assert_allclose(result, expected, rtol=1e-15)


def test_normalizing_keeps_the_float_type_and_the_input():
    x = np.array([[3, 4]], "float32")
    result = utils.normalize(x)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(x, [[3, 4]])


def test_no_number_is_too_large_or_too_small_to_normalize():
    with np.errstate(all="raise"):
        large = utils.normalize(np.array([[3e38, 3e38], [3e-45, 0]], "float32"))
        small = utils.normalize(np.array([[1e-300, 1e-308]]), order=7)
    np.testing.assert_allclose(large, [[0.5**0.5, 0.5**0.5], [1, 0]], rtol=1e-6)
    np.testing.assert_allclose(small, [[1, 1e-8]], rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([[np.inf]],), ValueError, "x must be finite"),
        (([[1.0]], None), TypeError, "axis must be an integer"),
        (([[1.0]], 2), ValueError, "axis 2 is out of bounds"),
        (([[1.0]], -3), ValueError, "axis must be at least -2"),
        (([[1.0]], -1, 0.5), ValueError, "order must be at least 1"),
        ((["a"],), TypeError, "real numbers"),
    ],
)
def test_what_cannot_be_normalized_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        utils.normalize(*arguments)


# ---- split_dataset ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (0.8, None, (8, 2)),
        (None, 0.25, (8, 2)),
        (3, None, (3, 7)),
        (None, 3, (7, 3)),
        (2, 3, (2, 3)),
        (0.25, 0.35, (2, 4)),
        (0.5, 5, (5, 5)),
        (np.float32(0.5), np.int64(2), (5, 2)),
    ],
)
def test_the_left_part_is_the_first_samples_and_the_right_the_last(left, right, expected):
    x = np.arange(10)
    first, last = utils.split_dataset(x, left, right)
    np.testing.assert_array_equal(first, x[: expected[0]])
    np.testing.assert_array_equal(last, x[10 - expected[1] :])
    first[0] = 99
    assert x[0] == 0


def test_several_arrays_are_split_alike_and_keep_their_kind():
    x, y = np.arange(20).reshape(10, 2), list(range(10))
    left, right = utils.split_dataset((x, y), 0.7, shuffle=True, seed=3)
    assert type(left) is type(right) is tuple
    for part in (left, right):
        np.testing.assert_array_equal(part[0][:, 0], 2 * part[1])
    order = np.concatenate([left[1], right[1]])
    assert sorted(order) == y
    assert list(order) != y
    again, _ = utils.split_dataset([x, y], 0.7, shuffle=True, seed=3)
    assert type(again) is list
    np.testing.assert_array_equal(again[1], left[1])
    other, _ = utils.split_dataset((x, y), 0.7, shuffle=True, seed=4)
    assert list(other[1]) != list(left[1])


@pytest.mark.parametrize(
    ("dataset", "left", "right", "error", "message"),
    [
        ([1, 2, 3], None, None, ValueError, "Received shapes: "),
        (np.arange(3), None, None, ValueError, "Pass left_size or right_size"),
        (np.arange(3), 3, None, ValueError, "3 samples cannot be split into 3 and 0"),
        (np.arange(3), 0.1, None, ValueError, "cannot be split into 0 and 3"),
        (np.arange(3), 2, 2, ValueError, "cannot be split into 2 and 2"),
        (np.arange(3), 0, None, ValueError, "left_size must be at least 1"),
        (np.arange(3), 1.0, None, ValueError, r"left_size must lie in \[0, 1\)"),
        (np.arange(3), None, "half", TypeError, "right_size must be an integer"),
        ((np.arange(3), np.arange(4)), 0.5, None, ValueError, r"shapes: \(3,\), \(4,\)"),
        (((),), 0.5, None, ValueError, "0 samples"),
        ((), 0.5, None, ValueError, "equally many samples"),
        (np.array(["a"]), 0.5, None, TypeError, "dataset must hold real numbers"),
        ((np.arange(3), ["a"]), 0.5, None, TypeError, r"dataset\[1\] must hold real numbers"),
    ],
)
def test_splits_that_make_no_sense_are_refused(dataset, left, right, error, message):
    with pytest.raises(error, match=message):
        utils.split_dataset(dataset, left, right)


# ---- pad_sequences ----------------------------------------------------------------------------

ROWS = [[1], [2, 3], [], [4, 5, 6]]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, [[0, 0, 1], [0, 2, 3], [0, 0, 0], [4, 5, 6]]),
        ({"padding": "post", "value": -1}, [[1, -1, -1], [2, 3, -1], [-1, -1, -1], [4, 5, 6]]),
        ({"maxlen": 2}, [[0, 1], [2, 3], [0, 0], [5, 6]]),
        ({"maxlen": 2, "truncating": "post"}, [[0, 1], [2, 3], [0, 0], [4, 5]]),
        ({"maxlen": 4}, [[0, 0, 0, 1], [0, 0, 2, 3], [0, 0, 0, 0], [0, 4, 5, 6]]),
    ],
)
def test_sequences_are_filled_up_or_cut_to_one_length(arguments, expected):
    padded = utils.pad_sequences(ROWS, **arguments)
    assert padded.dtype == np.int32
    np.testing.assert_array_equal(padded, expected)


def test_sequences_of_arrays_are_padded_too():
    padded = utils.pad_sequences([np.ones((1, 2)), np.zeros((0, 2))], 2, "float32", value=0.5)
    np.testing.assert_array_equal(padded, [[[0.5, 0.5], [1, 1]], [[0.5, 0.5], [0.5, 0.5]]])
    assert utils.pad_sequences([]).shape == (0, 0)


@pytest.mark.parametrize(
    ("rows", "arguments", "error", "message"),
    [
        (ROWS, {"padding": "left"}, ValueError, "padding must be 'pre' or 'post'"),
        (ROWS, {"truncating": "left"}, ValueError, "truncating must be 'pre' or 'post'"),
        (ROWS, {"maxlen": 0}, ValueError, "maxlen must be at least 1"),
        ([[1], [[2]]], {}, ValueError, "one shape"),
        ([1, 2], {}, ValueError, "one shape"),
        ([["a"]], {}, TypeError, r"sequences\[0\] must hold real numbers"),
        ([["a"]], {"value": "pad"}, ValueError, "needs dtype=object or str"),
        (["abc", "d"], {"dtype": object, "value": ""}, ValueError, "one shape"),
    ],
)
def test_what_cannot_be_padded_is_refused(rows, arguments, error, message):
    with pytest.raises(error, match=message):
        utils.pad_sequences(rows, **arguments)


@pytest.mark.parametrize("dtype", [object, str, "U9"])
def test_sequences_of_text_are_padded_and_cut_whole(dtype):
    rows = [["long word"], ["a", "b"], []]
    padded = utils.pad_sequences(rows, dtype=dtype, value="pad")
    assert padded.tolist() == [["pad", "long word"], ["a", "b"], ["pad", "pad"]]
    assert padded.dtype.kind == ("O" if dtype is object else "U")


# ---- Progbar ------------------------------------------------------------------------------------


def shown(capsys, *updates, **options):
    bar = utils.Progbar(4, interval=0.0, **options)
    for update in updates:
        bar.update(*update)
    return capsys.readouterr().out


def test_a_bar_shows_how_far_the_loop_is_and_the_mean_of_each_value(capsys):
    text = shown(capsys, (1, [("loss", 1.0)]), (3, [("loss", [3.0, 5.0])]), width=8)
    assert re.fullmatch(
        r"\r1/4 \[##......\] 0s \S+/step - loss: 1.0000 *"
        r"\r3/4 \[######..\] 0s \S+/step - loss: 3.0000 *",  # (1 + 2 * 4) / 3
        text,
    )


def test_the_last_values_stand_as_they_are_and_end_the_line(capsys):
    text = shown(capsys, (1, [("loss", 1.0)]), (4, [("loss", 7.0)]), unit_name="row", verbose=2)
    assert re.fullmatch(r"4/4 0s \S+/row - loss: 7.0000\n", text)
    assert shown(capsys, (4,)).endswith("/step\n")
    assert shown(capsys, (1,), (4,), verbose=0) == ""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ("2.0000", "2.0000")),
        ({"stateful_metrics": ["a"]}, ("3.0000", "2.0000")),
        ({"stateless_metrics": ["a"]}, ("2.0000", "3.0000")),
    ],
)
def test_which_values_are_averaged(capsys, options, expected):
    text = shown(capsys, *((i, [("a", v), ("b", v)]) for i, v in [(1, 1.0), (2, 3.0)]), **options)
    assert text.rstrip().endswith(f"a: {expected[0]} - b: {expected[1]}")
    with pytest.raises(ValueError, match="not both"):
        utils.Progbar(4, stateful_metrics=[], stateless_metrics=[])


def test_a_loop_without_a_known_end(capsys):
    bar = utils.Progbar(None)
    bar.add(2)
    bar.add(3, [("loss", 0.5)])  # too soon to be drawn again
    bar.update(6, finalize=True)
    assert re.fullmatch(
        r"\r2/Unknown 0s \S+/step *\r6/Unknown 0s \S+/step - loss: 0.5000\n",
        capsys.readouterr().out,
    )


# ---- objects as data, and settings ------------------------------------------------------------


def test_what_keras_has_among_its_utilities_is_found_there():
    for name in serialization.__all__:
        assert getattr(utils, name) is getattr(serialization, name)
    for name in backend.__all__:
        assert getattr(backend, name) is getattr(config, name, utils.clear_session)


def test_a_seed_set_there_repeats_everything():
    drawn = []
    for _ in range(2):
        utils.set_random_seed(5)
        drawn.append((initializers.get("glorot_uniform")((3, 3)).tolist(), python_random.random()))
        backend.clear_session()
    assert drawn[0] == drawn[1]


@pytest.fixture
def _default_epsilon():
    yield
    config.set_epsilon(1e-7)


@pytest.mark.usefixtures("_default_epsilon")
@pytest.mark.parametrize("value", [0.01, 0.125])
def test_epsilon_is_what_it_is_set_to_wherever_it_is_used(value):
    config.set_epsilon(value)
    assert config.epsilon() == backend.epsilon() == value
    certain = np.array([[1.0]])
    wrong = losses.BinaryCrossentropy()(np.array([[0.0]]), certain)
    np.testing.assert_allclose(wrong, -np.log(value), rtol=1e-12)
    apart = losses.Dice()(np.array([[1.0, 0.0]]), np.array([[0.5, 0.0]]))
    np.testing.assert_allclose(apart, 1 - 1 / (1.5 + value), rtol=1e-12)
    kernel = constraints.UnitNorm()(np.array([[3.0], [4.0]]))
    np.testing.assert_allclose(kernel, np.array([[3.0], [4.0]]) / (5 + value), rtol=1e-12)


@pytest.mark.usefixtures("_default_epsilon")
@pytest.mark.parametrize(
    ("value", "error"), [(0, ValueError), (0.5, ValueError), (-1, ValueError), ("1", TypeError)]
)
def test_an_epsilon_that_keeps_nothing_off_is_refused(value, error):
    with pytest.raises(error, match="epsilon must"):
        config.set_epsilon(value)
    assert config.epsilon() == 1e-7

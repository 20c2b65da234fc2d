"""The losses and metrics of several outputs: values by hand, and which output gets which."""

import numpy as np
import pytest

from nnlite.losses import MeanAbsoluteError, MeanSquaredError, SparseCategoricalCrossEntropy
from nnlite.metrics import MeanAbsoluteError as MeanAbsoluteErrorMetric
from nnlite.metrics.compiled import MetricsOfOutputs
from nnlite.training.heads import Heads, loss_weights_by_output, losses_by_output, output_keys

ROWS = [[1.0], [3.0]]
NAMES = ["a", "b", "c"]


def outputs(*scales):
    return [np.array(ROWS) * scale for scale in scales]


def test_the_sum_of_weighted_losses_and_each_gradient():
    heads = Heads(NAMES, [MeanSquaredError(), None, MeanAbsoluteError()], [0.5, 1.0, -2.0])
    ys = [np.zeros((2, 1)), None, np.zeros((2, 1))]
    total, gradients, values = heads.value_and_gradients(ys, outputs(1, 1, -1))
    # mse = (1 + 9) / 2 = 5 and mae = (1 + 3) / 2 = 2: 0.5 * 5 - 2 * 2 = -1.5
    assert total == pytest.approx(-1.5)
    assert values == [5.0, None, 2.0]
    # 0.5 * 2 y / 2 = y / 2, and -2 * sign(-y) / 2 = 1
    assert gradients[0].tolist() == [[0.5], [1.5]]
    assert gradients[1] is None
    assert gradients[2].tolist() == [[1.0], [1.0]]


def test_each_output_has_its_own_sample_weights():
    heads = Heads(["a", "b"], [MeanSquaredError(), MeanSquaredError()], [1.0, 1.0])
    ys = [np.zeros((2, 1))] * 2
    weights = [np.array([2.0, 0.0]), None]
    total, gradients, values = heads.value_and_gradients(ys, outputs(1, 1), weights)
    assert values == [1.0, 5.0]  # (2 * 1 + 0 * 9) / 2
    assert total == 6.0
    assert gradients[0].tolist() == [[2.0], [0.0]]
    assert heads(ys, outputs(1, 1), weights) == 6.0
    assert heads(ys, outputs(1, 1), weights[0]) == 2.0  # one for both
    assert heads.gradient(ys, outputs(1, 1))[1].tolist() == ROWS


def test_targets_are_checked_by_the_loss_of_their_output():
    heads = Heads(["a", "b"], [MeanSquaredError(), SparseCategoricalCrossEntropy()], [1, 1])
    shapes = [(2, 1), (2, 3)]
    a, b = heads.check_targets("y", [np.ones(2), [[0], [2]]], shapes)
    assert (a.shape, b.tolist()) == ((2, 1), [0, 2])
    assert heads.takes_indices == [False, True]
    with pytest.raises(ValueError, match=r"expects y\['b'\] of shape \(2,\)"):
        heads.check_targets("y", [np.ones(2), np.ones((2, 2), int)], shapes)


def test_a_loss_for_each_output():
    assert losses_by_output("mse", NAMES) == ["mse"] * 3
    assert losses_by_output(["mse", None, "mae"], NAMES) == ["mse", None, "mae"]
    assert losses_by_output({"c": "mae", "b": None, "a": "mse"}, NAMES) == ["mse", None, "mae"]
    assert losses_by_output({"b": "mse"}, {"a": "x", "b": "y"}) == [None, "mse"]
    config = {"class_name": "Huber", "config": {}}
    assert losses_by_output(config, ["a"]) == [config]


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ({"a": "mse", "b": "mse"}, r"loss must have one part .*: 'a', 'b', 'c'. .* lacks 'c'"),
        ({"a": "mse", "b": "mse", "c": "mse", "d": "mse"}, "has 'd' more"),
        (["mse"], "Received: 1 parts"),
    ],
)
def test_losses_that_do_not_fit_the_outputs_are_refused(loss, message):
    with pytest.raises(ValueError, match=message):
        losses_by_output(loss, NAMES)
    if isinstance(loss, dict) and "d" in loss:
        with pytest.raises(ValueError, match=message):
            losses_by_output(loss, dict.fromkeys(NAMES, "dense"))


def test_no_loss_at_all_is_refused():
    with pytest.raises(
        ValueError, match=r"a loss for at least one output\. Received: None for 'a'"
    ):
        Heads(["a"], [None], [1.0])


def test_loss_weights():
    losses = ["mse", None, "mae"]
    assert loss_weights_by_output(None, NAMES, losses) == [1, 1, 1]
    assert loss_weights_by_output(0.5, NAMES, losses) == [0.5, 0.5, 0.5]
    assert loss_weights_by_output([1, 2, 3], NAMES, losses) == [1, 2, 3]
    assert loss_weights_by_output({"c": 3, "a": 0}, NAMES, losses) == [0, 1, 3]
    with pytest.raises(ValueError, match="which lacks 'a'"):
        loss_weights_by_output({"c": 3}, NAMES, losses)
    with pytest.raises(TypeError, match="loss_weights must be a number"):
        loss_weights_by_output(["1", 1, 1], NAMES, losses)


def test_names_in_logs_differ():
    assert output_keys(["dense", "dense"]) == ["dense", "dense_1"]
    assert output_keys({"b": "dense", "a": "dense"}) == ["a", "b"]
    assert output_keys({"b": ["x", "y"], "a": "z"}) == ["z", "x", "y"]


def metrics(plain, weighted=None, structure=("a", "b")):
    names = output_keys(structure)
    return MetricsOfOutputs(plain, weighted, structure, names, names)


def test_metrics_by_output_and_their_names():
    found = metrics({"b": ["mae", "accuracy"], "a": "mse"}, {"b": "mae"})
    assert list(found.kinds()) == [
        "a_loss",
        "b_loss",
        "a_mse",
        "b_mae",
        "b_accuracy",
        "b_weighted_mae",
    ]
    assert found.results() == dict.fromkeys([], 0)
    zeros = [np.zeros((2, 1))] * 2
    found.add_losses([5.0, 3.0], 2)
    found.add_losses([2.0, None], 1)
    found.update(zeros, outputs(1, 1), [None, np.array([3.0, 1.0])])
    results = found.results()
    assert list(results) == ["a_loss", "b_loss", "a_mse", "b_accuracy", "b_mae", "b_weighted_mae"]
    assert results["a_loss"] == 4.0  # (2 * 5 + 1 * 2) / 3
    assert results["a_mse"] == 5.0
    assert results["b_mae"] == 2.0
    assert results["b_weighted_mae"] == 1.5  # (3 * 1 + 1 * 3) / 4
    found.reset_state()
    assert found.results()["a_mse"] == 0
    assert "a_loss" not in found.results()


def test_metrics_as_a_list_are_those_of_the_outputs_in_turn():
    found = metrics(["mae", [MeanAbsoluteErrorMetric(name="own"), "mse"]])
    assert list(found.kinds())[2:] == ["a_mae", "b_own", "b_mse"]
    assert list(metrics([None, "mae"]).kinds())[2:] == ["b_mae"]
    assert list(metrics({"x": "mae"}, structure={"y": "b", "x": "a"}).kinds())[2:] == ["x_mae"]


def test_metrics_that_do_not_fit_the_outputs_are_refused():
    for given in (["mae"], ["mae"] * 3, {"q": "mae"}):
        with pytest.raises(ValueError, match=r"metrics must have one part .* 'a', 'b'"):
            metrics(given)
    with pytest.raises(TypeError, match="metrics must be a list"):
        metrics("mae")


def test_the_loss_of_a_single_head_is_that_of_the_whole():
    found = MetricsOfOutputs([], [], ["a", "b"], ["a", "b"], ["b"])
    assert list(found.kinds()) == []


def test_shapes_of_a_backup_settle_each_output():
    found, resumed = metrics({"a": "accuracy"}), metrics({"a": "accuracy"})
    assert found.shapes is None
    found.update([np.zeros((2, 1))] * 2, outputs(1, 1), None)
    resumed.settle(found.shapes)
    assert resumed.shapes == found.shapes == [((1,), (1,)), None]
    assert [one.name for one in resumed.all] == ["a_loss", "b_loss", "accuracy"]

"""Metrics of the user's own, what they return and override, and the variables of every metric."""

import copy
import pickle

import numpy as np
import pytest

from nnlite import Sequential, losses, metrics
from nnlite.callbacks import BackupAndRestore, LambdaCallback
from nnlite.layers import Dense

X = np.random.default_rng(0).standard_normal((10, 3))
Y = X[:, :2]


def compiled(*asked, units=2, **more):
    """Return a model without knowledge: it predicts 0, so that values follow from Y alone."""
    model = Sequential([Dense(units, kernel_initializer="zeros")])
    model.compile("sgd", "mse", metrics=list(asked), **more)
    return model


def evaluated(*asked, batch_size=4, **more):
    return compiled(*asked, **more).evaluate(X, Y, batch_size, verbose=0, return_dict=True)


# ---- variables ------------------------------------------------------------------------------

ONE_HOT, P = np.eye(3)[[0, 1, 2, 1]], np.random.default_rng(1).dirichlet(np.ones(3), 4)
LABELS = np.array([0, 1, 2, 1])
ARGUMENTS = {
    "AUC": {"multi_label": True},
    "IoU": {"num_classes": 3, "target_class_ids": [0, 1]},
    "MeanIoU": {"num_classes": 3},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [0, 2]},
    "OneHotMeanIoU": {"num_classes": 3},
    "MeanMetricWrapper": {"fn": losses.Huber(0.3)},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
}
EVERY = {
    cls.__name__: cls
    for cls in vars(metrics).values()
    if isinstance(cls, type) and issubclass(cls, metrics.Metric) and cls is not metrics.Metric
}


@pytest.mark.parametrize("name", EVERY)
def test_the_state_of_every_metric_is_in_its_variables(name):
    def fed(*batches):
        metric = EVERY[name](**ARGUMENTS.get(name, {}))
        for rows in batches:
            y, p = ONE_HOT[rows], P[rows]
            if name in ("IoU", "MeanIoU"):
                y, p = LABELS[rows], p.argmax(-1)
            elif name.startswith("Sparse"):
                y = LABELS[rows]
            elif name == "BinaryIoU":
                p = p.round()
            metric.update_state(*((p,) if name in ("Mean", "Sum") else (y, p)))
        return metric

    metric, other = fed(slice(None)), fed(slice(2))
    for mine, its in zip(metric.variables, other.variables, strict=True):
        its.assign(mine)
    np.testing.assert_array_equal(metric.result(), other.result())
    kept = metric.variables
    assert any(variable.any() for variable in kept)
    metric.reset_state()
    assert not any(variable.any() for variable in kept)
    assert not np.any(metric.result())
    assert all(a is b for a, b in zip(kept, metric.variables, strict=True))


def test_a_variable_is_assigned_to_as_in_keras():
    variable = metrics.Mean().add_variable((2,), "ones", name="sums")
    assert (variable.name, variable.dtype) == ("sums", float)
    before = variable.numpy()
    variable.assign_add([1.0, 2.0])
    variable.assign_sub(0.5)
    np.testing.assert_array_equal(variable.value, [1.5, 2.5])
    np.testing.assert_array_equal(before, [1, 1])
    assert type(before) is np.ndarray
    variable.assign(7)
    for way in (copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))):
        np.testing.assert_array_equal(way(variable), [7, 7])
    with pytest.raises(ValueError, match=r"variable of shape \(2,\) takes .* shape \(3,\)"):
        variable.assign(np.ones(3))
    with pytest.raises(TypeError, match="metric's variable is missing"):
        variable.assign(None)


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32", "float64"])
def test_variables_have_the_type_asked_for(dtype):
    variable = metrics.Mean(dtype="int32").add_weight((), "zeros", dtype)
    variable.assign_add(3)
    assert (variable.dtype, variable) == (dtype, 3)


def test_an_integer_type_is_kept_and_does_not_round():
    metric = metrics.Precision(thresholds=0.25, dtype="int32")
    assert metric.get_config()["dtype"] == "int32"
    assert metric([1, 0], [0.5, 0.3]) == 0.5
    assert metrics.Hinge(dtype="int64")([[-1.0, 1.0]], [[0.5, 2.0]]) == 0.75
    for wrong in ("complex64", "bool", "str", "float16", "number"):
        with pytest.raises(ValueError, match="dtype must be"):
            metrics.Mean(dtype=wrong)
        with pytest.raises(ValueError, match="dtype must be"):
            metrics.Mean().add_variable((), "zeros", wrong)


class Extremes(metrics.Metric):
    """Keeps variables and metrics in containers, and one attribute that it assigns to."""

    def __init__(self, name="extremes", **kwargs):
        super().__init__(name=name, **kwargs)
        self.batches = self.add_weight(name="batches", dtype="int32")
        self.ends = [self.add_weight(name="low"), self.add_weight(name="high")]
        self.inner = {"mean": metrics.Mean()}

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.batches = int(self.batches) + 1
        self.ends[0].assign(min(self.ends[0], y_true.min()))
        self.ends[1].assign(max(self.ends[1], y_true.max()))
        self.inner["mean"].update_state(y_true)

    def result(self):
        low, high = self.ends
        return {"low": low, "high": high, "mean": self.inner["mean"].result()}


def test_variables_in_lists_dicts_and_metrics_are_reset_and_assignment_keeps_them():
    metric = Extremes()
    assert len(metric.variables) == 1 + 2 + 2
    logs = evaluated(metric)
    assert logs == {
        "loss": pytest.approx(np.square(Y).mean(), rel=1e-6),
        "low": pytest.approx(Y.min()),
        "high": pytest.approx(Y.max()),
        "mean": pytest.approx(Y.mean(), abs=1e-6),
    }
    assert (metric.batches.dtype, metric.batches) == ("int32", 3)
    metric.reset_state()
    assert not any(variable.any() for variable in metric.variables)


def test_a_resumed_run_has_all_variables_again(tmp_path):
    class Killed(Exception):  # noqa: N818
        pass

    def run(last, *callbacks):
        def kill(batch, logs):
            if batch == last:
                raise Killed

        auc = metrics.AUC(num_thresholds=5, multi_label=True)
        model = Sequential([Dense(2, "sigmoid", kernel_initializer="zeros")])
        model.compile("sgd", "mse", metrics=[Extremes(), auc])
        callbacks = [LambdaCallback(on_train_batch_end=kill), *callbacks]
        return model.fit(X, Y > 0, 3, 1, 0, callbacks, shuffle=False).history

    for last in (1, 2):
        with pytest.raises(Killed):
            run(last, BackupAndRestore(tmp_path, save_freq=1))
    assert run(None, BackupAndRestore(tmp_path, save_freq=1)) == run(None)


# ---- what a function returns ------------------------------------------------------------------


def absolute(convert):
    """Return a metric function whose value for each sample is changed by ``convert``."""

    def error(y_true, y_pred):
        return convert(np.abs(y_true - y_pred))

    return error


MEAN = np.abs(Y).mean()


@pytest.mark.parametrize(
    ("convert", "expected"),
    [
        (lambda e: e.mean(axis=-1), MEAN),
        (lambda e: e, MEAN),
        (lambda e: e[..., None], MEAN),
        (lambda e: e.mean(axis=-1).astype("float64"), MEAN),
        (lambda e: e.mean(axis=-1).tolist(), MEAN),
        (lambda e: e.max(axis=-1) > 0.5, (np.abs(Y).max(axis=-1) > 0.5).mean()),
        (lambda e: e.argmax(axis=-1), np.abs(Y).argmax(axis=-1).mean()),
    ],
)
def test_what_a_function_says_of_each_sample_is_averaged(convert, expected):
    assert evaluated(absolute(convert))["error"] == pytest.approx(expected, rel=1e-6)


def test_one_number_for_a_batch_counts_once_as_in_keras():
    largest = [np.abs(Y[start : start + 4]).max() for start in (0, 4, 8)]
    for convert in (np.max, lambda e: float(e.max()), lambda e: np.array(e.max(), "float64")):
        assert evaluated(absolute(convert))["error"] == pytest.approx(np.mean(largest), rel=1e-6)


@pytest.mark.parametrize(
    ("convert", "error", "message"),
    [
        (lambda e: None, TypeError, "metric 'error' returns is missing"),
        (lambda e: "good", TypeError, "metric 'error' returns must hold real numbers"),
        (lambda e: e * 1j, TypeError, "metric 'error' returns must hold real numbers.*complex"),
        (
            lambda e: e.mean(axis=0),
            ValueError,
            r"metric 'error' must .* shape \(4,\).*shape \(2,\)",
        ),
        (lambda e: e[:2], ValueError, r"metric 'error' must .* shape \(4,\).*shape \(2, 2\)"),
        (lambda e: e[:, 0] - e[:, :1], ValueError, r"metric 'error' .*Received: shape \(4, 4\)"),
    ],
)
def test_anything_else_is_refused_by_the_metrics_name_before_a_weight_changes(
    convert, error, message
):
    model = compiled(absolute(convert))
    model.build((None, 3))
    for call in (model.evaluate, model.fit):
        with pytest.raises(error, match=message):
            call(X, Y, batch_size=4, verbose=0)
        assert not any(weight.any() for weight in model.get_weights())
    with pytest.raises(error, match=message):
        metrics.MeanMetricWrapper(absolute(convert), "error")(Y[:4], np.zeros((4, 2)))


def test_targets_and_predictions_that_broadcast_are_refused():
    error = metrics.MeanMetricWrapper(lambda y, p: np.abs(y - p), "error")
    with pytest.raises(ValueError, match=r"metric 'error' .*y_true of shape \(4,\).*\(4, 4\)"):
        error(np.zeros(4), np.ones((4, 1)))


def test_weights_of_samples_do_not_fit_one_number_for_the_batch():
    model = compiled(weighted_metrics=[absolute(np.max)])
    with pytest.raises(ValueError, match=r"sample_weight must .* fit the values' shape"):
        model.evaluate(X, Y, sample_weight=np.ones(10), verbose=0)


def doubling(y_true, y_pred):
    y_pred *= 2
    return np.abs(y_true - y_pred)


class Doubling(metrics.Mean):
    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true *= 2


@pytest.mark.parametrize("metric", [doubling, Doubling(name="doubling")])
def test_what_a_metric_is_given_cannot_be_written_to(metric):
    y = Y.copy()
    with pytest.raises(ValueError, match="Metric 'doubling' writes into y_true, y_pred"):
        compiled(metric).fit(X, y, verbose=0)
    np.testing.assert_array_equal(y, Y)


# ---- what a class returns and overrides -------------------------------------------------------


class Says(metrics.Metric):
    """Returns what it was made with."""

    def __init__(self, said, name="says"):
        super().__init__(name=name)
        self.said = said

        self.batches = 0

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.batches += 1

    def reset_state(self):
        pass

    def result(self):
        return self.said


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (3, 3.0),
        (True, 1.0),
        (np.float32(0.5), 0.5),
        (np.array(2), 2.0),
        ([1, 2], np.array([1, 2])),
        (np.array([0.5, 1.0]), np.array([0.5, 1.0])),
        (np.array([0.5]), 0.5),
    ],
)
def test_results_are_numbers_or_arrays_of_them(said, expected):
    result = evaluated(Says(said))["says"]
    assert type(result) is type(expected)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("said", [None, "good", object(), {"part": None}])
def test_a_result_of_another_kind_is_refused_in_the_first_step(said):
    metric = Says(said)
    with pytest.raises(TypeError, match="result of metric 'says'"):
        compiled(metric).fit(X, Y, 2, 3, verbose=0)
    assert metric.batches == 1


def test_a_metric_that_does_not_call_its_base_is_refused_by_name():
    class Hollow(metrics.Metric):
        def __init__(self):
            pass

    with pytest.raises(TypeError, match=r"super\(\).__init__\(\). Received: Hollow"):
        compiled(Hollow())


def test_what_training_does_not_call_cannot_be_overridden():
    with pytest.raises(TypeError, match=r"Own overrides __call__, .*: training calls update_state"):
        type("Own", (metrics.Metric,), {"__call__": lambda self, y, p: 0.0})
    with pytest.raises(TypeError, match=r"Own overrides add, .*: define update_state"):
        type("Own", (metrics.Mean,), {"add": lambda self, value, weight: None})


def test_overrides_are_used_in_training():
    class Tenfold(metrics.MeanAbsoluteError):
        def values(self, y_true, y_pred):
            return 10 * super().values(y_true, y_pred)

    class Capped(metrics.MeanAbsoluteError):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(np.clip(y_true, -1, 1), y_pred, sample_weight)

    class Percent(metrics.MeanAbsoluteError):
        def result(self):
            return 100 * super().result()

    class Endless(metrics.Sum):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(np.ones(len(y_true)))

        def reset_state(self):
            pass

    class Watched(metrics.Precision):
        made = ()

        def add_variable(self, *args, **kwargs):
            self.made = (*self.made, kwargs["name"])
            return super().add_variable(*args, **kwargs)

    asked = [Tenfold("a"), Capped("b"), Percent("c"), Endless("d"), Watched(name="e")]
    model = compiled(*asked)
    for passes in (1, 2):
        logs = model.evaluate(X, Y, 4, verbose=0, return_dict=True)
        assert logs["a"] == pytest.approx(10 * MEAN, rel=1e-6)
        assert logs["b"] == pytest.approx(np.abs(np.clip(Y, -1, 1)).mean(), rel=1e-6)
        assert logs["c"] == pytest.approx(100 * MEAN, rel=1e-6)
        assert logs["d"] == 10 * passes
    assert asked[-1].made == ("true_positives", "false_positives")


def test_values_of_a_users_class_are_looked_at():
    class Wrong(metrics.MeanAbsoluteError):
        def values(self, y_true, y_pred):
            return None

    with pytest.raises(TypeError, match="metric 'wrong' returns is missing"):
        evaluated(Wrong("wrong"))


def test_a_loss_of_the_users_own_is_a_metric_whatever_its_arguments():
    class Scaled(losses.MeanAbsoluteError):
        def __init__(self, factor):
            super().__init__(reduction="sum")
            self.factor = factor

        def call(self, y_true, y_pred):
            return self.factor * super().call(y_true, y_pred)

        def derivative(self, y_true, y_pred):
            return self.factor * super().derivative(y_true, y_pred)

    loss = Scaled(10)
    assert evaluated(loss)["scaled"] == pytest.approx(10 * MEAN, rel=1e-6)
    assert loss.reduction == "sum"


def test_get_of_none_is_none_and_compile_takes_no_none():
    assert metrics.get(None) is None
    with pytest.raises(TypeError, match=r"metric.*Received: None"):
        compiled(None)

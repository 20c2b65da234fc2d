"""The metrics that compile makes beside Keras's: their names and values in evaluate."""

import keras
import numpy as np
import pytest
from keras.src.trainers.compile_utils import CompileLoss, CompileMetrics

import nnlite
from nnlite.layers import Dense
from nnlite.metrics.compiled import MetricsOfOutputs
from nnlite.training.heads import Heads, loss_weights_by_output, losses_by_output

# Keras's variables do not take NumPy 2's argument of __array__.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X = np.random.default_rng(5).standard_normal((16, 4))
LABELS = np.arange(16) % 3
WEIGHT = np.random.default_rng(6).choice([0.5, 1.0, 2.0], 16)
TASKS = {
    "binary": (1, "sigmoid", "binary_crossentropy", (LABELS == 1).astype(float)),
    "sparse": (3, "softmax", "sparse_categorical_crossentropy", LABELS),
    "one hot": (3, "softmax", "categorical_crossentropy", np.eye(3)[LABELS]),
    "numbers": (2, None, "mse", X[:, :2]),
}


def evaluations(task, make, weighted=None, weight=None):
    """Return what evaluate gives on both sides, for metrics made of either module."""
    keras.utils.clear_session()  # which numbers names over the whole process
    units, activation, loss, y = TASKS[task]
    there = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, activation=activation)])
    here = nnlite.Sequential([Dense(units, activation)])
    here.build((None, 4))
    here.set_weights(there.get_weights())
    results = []
    for model, module in [(here, nnlite), (there, keras)]:
        chosen = weighted and weighted(module)
        model.compile("sgd", loss, metrics=make(module), weighted_metrics=chosen)
        logs = model.evaluate(X, y, batch_size=8, verbose=0, sample_weight=weight, return_dict=True)
        results.append({name: np.asarray(value) for name, value in logs.items()})
    return results


@pytest.mark.parametrize(
    ("task", "make"),
    [
        ("binary", lambda k: ["accuracy", "acc", "mse", "AUC", k.metrics.Precision()]),
        ("binary", lambda k: [["accuracy"]]),
        ("binary", lambda k: [k.metrics.Precision(thresholds=[0.2, 0.4]), k.metrics.Recall]),
        ("binary", lambda k: {"out": ["mse", "mae"]}),
        ("binary", lambda k: {"b": "mse", "a": "mae"}),
        ("binary", lambda k: (k.metrics.BinaryAccuracy(), k.metrics.BinaryAccuracy(threshold=0.3))),
        ("sparse", lambda k: ["Accuracy", "sparse_categorical_accuracy"]),
        (
            "sparse",
            lambda k: ["sparse_top_k_categorical_accuracy", "SparseCategoricalCrossentropy"],
        ),
        ("one hot", lambda k: ["accuracy", k.metrics.F1Score(), k.metrics.F1Score("macro")]),
        ("one hot", lambda k: [k.metrics.AUC(multi_label=True), "kl_divergence"]),
        (
            "numbers",
            lambda k: ["mse", "MAE", "mape", "cosine_similarity", "msle", "MeanSquaredError"],
        ),
        ("numbers", lambda k: [k.metrics.mean_squared_error, k.metrics.R2Score()]),
        ("numbers", lambda k: [k.metrics.R2Score(None), k.metrics.RootMeanSquaredError(name="r")]),
    ],
)
def test_compile_names_and_computes_metrics_as_keras(task, make):
    mine, theirs = evaluations(task, make)
    assert mine.keys() == theirs.keys()
    for name in mine:
        np.testing.assert_allclose(mine[name], theirs[name], rtol=2e-5, atol=1e-6, err_msg=name)


def test_weighted_metrics_are_those_of_keras():
    asked = lambda k: ["mse", "mae", "mae", k.metrics.RootMeanSquaredError()]  # noqa: E731
    mine, theirs = evaluations("numbers", asked, asked, WEIGHT)
    assert mine.keys() == theirs.keys()
    assert "weighted_mae" in mine
    for name in mine:
        np.testing.assert_allclose(mine[name], theirs[name], rtol=2e-5, err_msg=name)


@pytest.mark.parametrize("task", ["binary", "sparse", "one hot"])
@pytest.mark.parametrize("name", ["crossentropy", "CE"])
def test_the_cross_entropy_fits_the_data_as_in_keras(task, name, monkeypatch):
    monkeypatch.setitem(TASKS, task, (*TASKS[task][:2], name, TASKS[task][3]))
    mine, theirs = evaluations(task, lambda _: [])
    assert mine.keys() == theirs.keys()
    for key in mine:
        np.testing.assert_allclose(mine[key], theirs[key], rtol=2e-5, err_msg=key)


@pytest.mark.parametrize("weights", [0.5, [0.5], {"out": 0.5}, 0.0])
def test_the_weight_of_the_loss_is_kerass(weights):
    there = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, kernel_regularizer="l2")])
    here = nnlite.Sequential([Dense(2, kernel_regularizer="l2")])
    here.build((None, 4))
    here.set_weights(there.get_weights())
    logs = []
    for model in (here, there):
        model.compile("sgd", "mse", loss_weights=weights)
        history = model.fit(X, X[:, :2], 8, 3, 0, validation_data=(X, X[:, 2:]), shuffle=False)
        logs.append([history.history["loss"], history.history["val_loss"]])
    np.testing.assert_allclose(*logs, rtol=1e-5)
    for mine, theirs in zip(here.get_weights(), there.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


ARGUMENTS = [
    {"loss": {"z": "mse", "c": "sparse_categorical_crossentropy"}, "loss_weights": [0.3, 2.0]},
    {
        "loss": {"c": "sparse_categorical_crossentropy", "z": "mse"},
        "loss_weights": {"c": 0.5, "z": 1.5},
    },
    {"loss": {"z": "mae", "c": None}, "metrics": {"c": ["accuracy", "acc"]}},
    {"loss": "mse", "loss_weights": 0.5, "metrics": ["mae", ["mse", "mae"]]},
    {
        "loss": ["mse", "sparse_categorical_crossentropy"],
        "metrics": {"z": ["mse", "mae"], "c": "acc"},
        "weighted_metrics": {"z": ["mae", "mae"], "c": ["accuracy"]},
    },
]


@pytest.mark.parametrize("arguments", ARGUMENTS)
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_and_metrics_of_several_outputs(arguments, weighted):
    """Keras's own CompileLoss and CompileMetrics beside ours, on the same targets and outputs."""
    names, rng = ["z", "c"], np.random.default_rng(3)
    sparse = "sparse_categorical_crossentropy" in str(arguments)
    y = [X[:, :1], LABELS if sparse or "acc" in str(arguments) else X[:, :3]]
    outputs = [X[:, 1:2], rng.dirichlet(np.ones(3), 16)]
    weight = [WEIGHT, WEIGHT[::-1].copy()] if weighted else None

    loss = CompileLoss(arguments["loss"], arguments.get("loss_weights"), output_names=names)
    chosen = [arguments.get("metrics"), arguments.get("weighted_metrics")]
    metrics = CompileMetrics(*chosen, output_names=names)
    total = float(loss(y, outputs, weight))
    metrics.update_state(y, outputs, weight)
    expected = {one.name: float(one.result()) for one in loss.metrics}
    if any(chosen):
        expected |= {name: float(value) for name, value in metrics.result().items()}

    losses = [one and nnlite.losses.get(one) for one in losses_by_output(arguments["loss"], names)]
    given = arguments.get("loss_weights")
    heads = Heads(names, losses, loss_weights_by_output(given, names, losses))
    with_loss = [name for name in names if name not in heads.left_out]
    found = MetricsOfOutputs(*chosen, names, names, with_loss)
    y = heads.check_targets("y", y, [one.shape for one in outputs])
    value, _, values = heads.value_and_gradients(y, outputs, weight)
    found.add_losses(values, 16)
    found.update(y, outputs, weight)

    assert value == pytest.approx(total, rel=1e-5)
    assert found.results() == pytest.approx(expected, rel=1e-5)


def test_losses_that_keras_refuses():
    outputs = [X[:, :1], X[:, :3]]
    loss = {"z": "mse"}
    with pytest.raises(ValueError, match="Expected keys"):
        CompileLoss(loss, output_names=["z", "c"])(outputs, outputs)
    with pytest.raises(ValueError, match="lacks 'c'"):
        losses_by_output(loss, ["z", "c"])

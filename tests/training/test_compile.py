"""What compile makes of its loss, and what it warns of: parts that do not go together."""

import numpy as np
import pytest

from nnlite import Sequential, losses, metrics
from nnlite.layers import Dense
from nnlite.regularizers import L2

X = np.random.default_rng(0).standard_normal((10, 3))
Y = X[:, :2]
BINARY, CLASSES = (X[:, :1] > 0).astype(int), np.arange(10) % 3


@pytest.mark.parametrize("weights", [0.25, [0.25], (0.25,), {"dense": 0.25}])
@pytest.mark.parametrize("sample_weight", [None, np.arange(10.0)], ids=["even", "weighted"])
def test_loss_weights_multiply_the_loss_and_not_the_penalties(weights, sample_weight):
    def trained(loss_weights, l2, rate):
        model = Sequential([Dense(2, kernel_initializer="ones", kernel_regularizer=L2(l2))])
        model.compile("sgd", "mse", loss_weights, metrics=["mse"])
        model.optimizer.learning_rate = rate
        first = model.evaluate(X, Y, None, 0, sample_weight, return_dict=True)
        model.fit(X, Y, 5, 2, 0, shuffle=False, sample_weight=sample_weight)
        return first, model.get_weights()

    (plain, slow), (weighted, fast) = trained(None, 0.0, 0.1), trained(weights, 0.0, 0.4)
    assert weighted["loss"] == pytest.approx(0.25 * plain["loss"])
    assert weighted["mse"] == plain["mse"]
    for mine, other in zip(fast, slow, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5)
    penalized, _ = trained(weights, 0.5, 0.1)
    assert penalized["loss"] == pytest.approx(0.25 * plain["loss"] + 0.5 * 6)


def test_the_weight_of_a_loss_is_of_one_model_and_goes_with_its_configuration():
    loss = losses.MeanSquaredError()
    heavy, plain, chosen = Sequential([Dense(2)]), Sequential([Dense(2)]), Sequential([Dense(2)])
    heavy.compile("sgd", loss, loss_weights=3)
    plain.compile("sgd", loss)
    chosen.compile("sgd", loss_weights=[3])
    copied = Sequential([Dense(2)])
    copied.compile_from_config(heavy.get_compile_config())
    for model in (heavy, plain, chosen, copied):
        model.build((None, 3))
        model.set_weights([np.zeros((3, 2)), np.zeros(2)])
    expected = np.square(Y).mean()
    assert plain.evaluate(X, Y, verbose=0) == pytest.approx(expected)
    for model in (heavy, chosen, copied):
        assert model.evaluate(X, Y, verbose=0) == pytest.approx(3 * expected)
    heavy.compile("sgd", loss)
    assert heavy.evaluate(X, Y, verbose=0) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("last", "y", "form"),
    [
        (lambda: Dense(1, "sigmoid"), BINARY, "BinaryCrossEntropy"),
        (lambda: Dense(1, "sigmoid"), BINARY[:, 0], "BinaryCrossEntropy"),
        (lambda: Dense(3, "softmax"), CLASSES, "SparseCategoricalCrossEntropy"),
        (lambda: Dense(3, "softmax"), CLASSES[:, None], "SparseCategoricalCrossEntropy"),
        (lambda: Dense(3, "softmax"), np.eye(3)[CLASSES], "CategoricalCrossEntropy"),
        (lambda: Dense(3, "sigmoid"), np.eye(3)[CLASSES], "CategoricalCrossEntropy"),
    ],
)
def test_crossentropy_takes_the_form_that_fits_the_targets(last, y, form):
    for name in ("crossentropy", "ce", "CE"):
        model = Sequential([last()])
        model.compile("sgd", name)
        loss = model.evaluate(X, y, verbose=0)
        config = model.get_compile_config()
        assert config["loss"] == name
        model.compile("sgd", getattr(losses, form)())
        assert model.evaluate(X, y, verbose=0) == pytest.approx(loss)
        model.compile_from_config(config)
        assert model.train_on_batch(X, y) == pytest.approx(loss)
        assert type(model.loss).__name__ == form


def logits_of(units, loss, *asked):
    model = Sequential([Dense(units)])
    model.compile("sgd", loss(from_logits=True), metrics=list(asked))
    return model


BCE, CCE = losses.BinaryCrossEntropy, losses.CategoricalCrossEntropy


@pytest.mark.parametrize(
    ("activation", "loss", "y", "message"),
    [
        ("sigmoid", BCE(True), BINARY, "ends in a sigmoid, .* expects logits. Remove"),
        ("softmax", CCE(True), np.eye(3)[CLASSES], "ends in a softmax, .*Remove from_logits"),
        ("softmax", BCE(), BINARY, "softmax over a single output, which is always 1. Use activ"),
        ("softmax", "mse", BINARY, "softmax over a single output"),
    ],
)
def test_an_activation_and_a_loss_that_do_not_go_together_are_warned_of_once(
    activation, loss, y, message
):
    model = Sequential([Dense(y.shape[1], activation)])
    for _ in range(2):
        model.compile("sgd", loss)
        with pytest.warns(UserWarning, match=message) as told:
            model.fit(X, y, epochs=3, verbose=0, validation_data=(X, y))
        assert len(told) == 1
        model.evaluate(X, y, verbose=0)  # where a warning would be an error
        model.fit(X, y, verbose=0)


@pytest.mark.parametrize(
    ("metric", "remedy"),
    [
        ("accuracy", r"Give BinaryAccuracy\(threshold=0.0\) instead"),
        (metrics.BinaryIoU(), r"Give BinaryIoU\(threshold=0.0\) instead"),
        (metrics.Precision(), r"Give Precision\(thresholds=0.0\) instead"),
        (metrics.TruePositives([0.0, 0.3]), r"Give TruePositives\(thresholds=0.0\) instead"),
        ("AUC", r"Give AUC\(from_logits=True\) instead"),
        ("bce", r"Give BinaryCrossEntropy\(from_logits=True\) instead"),
        (metrics.F1Score(threshold=0.4), "End the model in a sigmoid, and omit from_log"),
        (metrics.RecallAtPrecision(0.5), "End the model in a sigmoid"),
    ],
)
def test_a_metric_of_probabilities_on_logits_is_warned_of_once(metric, remedy):
    model = logits_of(1, BCE, metric)
    with pytest.warns(UserWarning, match=f"takes probabilities, .*{remedy}") as told:
        model.fit(X, BINARY, epochs=2, verbose=0)
    assert len(told) == 1
    model.evaluate(X, BINARY, verbose=0)


def test_thresholds_on_logits_of_several_classes_want_a_softmax():
    with pytest.warns(UserWarning, match="End the model in a softmax"):
        logits_of(3, CCE, metrics.Precision()).evaluate(X, np.eye(3)[CLASSES], verbose=0)


def test_metrics_that_go_with_logits_are_not_warned_of():
    right = [
        metrics.BinaryAccuracy(threshold=0.0),
        metrics.Precision(thresholds=0),
        metrics.Recall(top_k=1),
        metrics.AUC(from_logits=True),
        metrics.BinaryCrossentropy(from_logits=True),
        metrics.F1Score(),
        "mse",
    ]
    logits_of(1, BCE, *right).evaluate(X, BINARY, verbose=0)
    logits_of(3, CCE, "accuracy").evaluate(X, np.eye(3)[CLASSES], verbose=0)
    model = Sequential([Dense(1, "sigmoid")])
    model.compile("sgd", "bce", metrics=["accuracy", "AUC", "bce"])
    model.evaluate(X, BINARY, verbose=0)

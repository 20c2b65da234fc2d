"""Keras's wrappers, and that what Keras's lose or lack is there."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nnlite
from nnlite import Input, Sequential, set_random_seed
from nnlite.layers import Dense
from nnlite.losses import BinaryCrossEntropy, CategoricalCrossEntropy
from nnlite.optimizers import Adam
from nnlite.wrappers import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
FIT = {"epochs": 30, "batch_size": 30}


def network(X, y, units=8, last="softmax", loss="categorical_crossentropy", outputs=None):
    set_random_seed(0)
    model = Sequential([Dense(units, "relu"), Dense(outputs or y.shape[1], last)])
    model.compile(Adam(0.05), loss)
    return model


def test_the_optional_modules_are_attributes_of_the_package():
    assert nnlite.wrappers.SKLearnClassifier is SKLearnClassifier
    assert nnlite.sklearn.MLPClassifier.__module__ == "nnlite.sklearn.mlp"


def test_a_clone_keeps_what_fit_is_given():
    estimator = SKLearnClassifier(network, fit_kwargs={"epochs": 3}, model_kwargs={"units": 2})
    copy = clone(estimator)
    assert copy.fit_kwargs == {"epochs": 3}
    history = copy.fit(X, Y, epochs=2).history_
    assert len(history.history["loss"]) == 2  # what fit is given goes first
    assert copy.fit_kwargs == {"epochs": 3}
    assert copy.model_.layers[0].units == 2


def test_fit_kwargs_are_searched_over():
    grid = {"model_kwargs": [{"units": 2}, {"units": 8}], "fit_kwargs": [FIT]}
    search = GridSearchCV(SKLearnClassifier(network), grid, cv=2).fit(X, Y)
    assert search.score(X, Y) > 0.9


@pytest.mark.parametrize(
    ("rows", "settings"),
    [
        (150, {}),
        (150, {"loss": "sparse_categorical_crossentropy"}),
        (150, {"last": None, "loss": CategoricalCrossEntropy(from_logits=True)}),
        (100, {}),
        (100, {"last": "sigmoid", "loss": "binary_crossentropy", "outputs": 1}),
        (100, {"last": None, "loss": BinaryCrossEntropy(from_logits=True), "outputs": 1}),
    ],
)
def test_outputs_become_probabilities_whatever_the_loss_takes(rows, settings):
    names = np.array(["a", "b", "c"])[Y[:rows]]
    estimator = SKLearnClassifier(network, model_kwargs=settings, fit_kwargs=FIT)
    p = estimator.fit(X[:rows], names).predict_proba(X[:rows])
    assert p.shape == (rows, len(estimator.classes_))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert estimator.score(X[:rows], names) > 0.9
    decision = estimator.decision_function(X[:rows])
    chosen = decision.argmax(axis=1) if rows == 150 else (decision > 0).astype(int)
    np.testing.assert_array_equal(estimator.classes_[chosen], estimator.predict(X[:rows]))


def test_a_model_is_copied_unless_the_start_is_warm():
    model = Sequential([Input((4,)), Dense(1)])
    model.compile(Adam(0.05), "mse")
    before = model.get_weights()
    SKLearnRegressor(model).fit(X, Y)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    estimator = SKLearnRegressor(model, warm_start=True, fit_kwargs={"epochs": 20}).fit(X, Y)
    assert estimator.model_ is model
    loss = estimator.history_.history["loss"][0]
    assert estimator.fit(X, Y).history_.history["loss"][0] < loss
    made = SKLearnRegressor(network, warm_start=True, model_kwargs={"last": None, "loss": "mse"})
    first = made.fit(X, Y).model_
    assert made.fit(X, Y).model_ is first


def test_a_regressor_gives_back_as_many_axes_as_it_was_given():
    settings = {"last": None, "loss": "mse"}
    for y in (Y, Y[:, None], np.stack([Y, -Y], axis=1)):
        predicted = SKLearnRegressor(network, model_kwargs=settings).fit(X, y).predict(X)
        assert predicted.shape == y.shape


def test_a_transformer_s_outputs_are_named_features():
    settings = {"last": None, "loss": "mse"}
    transformer = SKLearnTransformer(network, model_kwargs=settings)
    pipeline = make_pipeline(transformer, LogisticRegression()).set_output(transform="pandas")
    assert pipeline.fit(X, Y)[:-1].transform(X).columns.tolist() == ["sklearntransformer0"]


def test_sample_weights_reach_the_model():
    weight = (Y < 2).astype(float)
    estimator = SKLearnClassifier(network, fit_kwargs=FIT).fit(X, Y, sample_weight=weight)
    assert set(estimator.predict(X)) == {0, 1}


def test_what_cannot_be_used_is_refused():
    def bare(X, y):
        return Sequential([Dense(3)])

    with pytest.raises(RuntimeError, match="compiled"):
        SKLearnClassifier(bare).fit(X, Y)
    for made in (lambda X, y: None, None, "network"):
        with pytest.raises(TypeError, match="a function that returns one"):
            SKLearnClassifier(made).fit(X, Y)
    with pytest.raises(ValueError, match="Only binary and multiclass"):
        SKLearnClassifier(network).fit(X, np.eye(3, dtype=int)[Y] | [1, 0, 0])
    with pytest.raises(ValueError, match="only one class"):
        SKLearnClassifier(network).fit(X, np.zeros(len(X)))

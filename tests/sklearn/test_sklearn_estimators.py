"""`MLPClassifier` and `MLPRegressor` within scikit-learn, and what they add to it."""

import warnings

import joblib
import numpy as np
import pytest
from scipy.sparse import csc_array, csr_array
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.metadata_routing import get_routing_for_object

from nnlite import Sequential, losses, models, optimizers
from nnlite.callbacks import Callback, EarlyStopping, History
from nnlite.layers import BatchNormalization, Dense, Dropout, LayerNormalization
from nnlite.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
QUICK = {"hidden_layer_sizes": 8, "learning_rate_init": 0.05, "max_iter": 30, "random_state": 0}


def classifier(**settings):
    return MLPClassifier(**{**QUICK, **settings})


# ---- within scikit-learn ------------------------------------------------------------------


def test_a_pipeline_is_searched_over_a_grid_in_two_processes():
    pipeline = make_pipeline(StandardScaler(), classifier())
    grid = {
        "mlpclassifier__dropout": [0.0, 0.3],
        "mlpclassifier__normalization": [None, "batch"],
    }
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(X, Y)
    assert len(search.cv_results_["params"]) == 4
    assert search.score(X, Y) > 0.9


other = LogisticRegression


@pytest.mark.parametrize(
    "build",
    [
        lambda own: StackingClassifier([("own", own), ("other", other())], cv=2),
        lambda own: BaggingClassifier(own, n_estimators=2),
        lambda own: CalibratedClassifierCV(own, cv=2),
        lambda own: VotingClassifier(
            [("own", own), ("other", LogisticRegression())], voting="soft"
        ),
    ],
    ids=["stacking", "bagging", "calibration", "voting"],
)
def test_ensembles_take_it(build):
    ensemble = build(classifier()).fit(X, Y)
    assert ensemble.score(X, Y) > 0.9
    np.testing.assert_allclose(ensemble.predict_proba(X[:5]).sum(axis=1), 1)


def test_permutation_importance_finds_what_matters():
    importance = permutation_importance(classifier().fit(X, Y), X, Y, n_repeats=2, random_state=0)
    assert importance.importances_mean[2:].sum() > importance.importances_mean[:2].sum()


def test_a_frame_s_columns_are_remembered_and_set_output_reaches_the_steps_before():
    frame = load_iris(as_frame=True).data
    pipeline = make_pipeline(StandardScaler(), classifier()).set_output(transform="pandas")
    last = pipeline.fit(frame, Y)[-1]
    assert list(last.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        last.predict(frame[frame.columns[::-1]])


def test_sample_weights_are_routed():
    weight = np.where(Y == 1, 5.0, 1.0)
    with config_context(enable_metadata_routing=True):
        asked = classifier().set_fit_request(sample_weight=True)
        asked.set_score_request(sample_weight=True)
        assert get_routing_for_object(asked).fit.requests == {"sample_weight": True}
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, asked)
        result = cross_validate(pipeline, X, Y, cv=2, params={"sample_weight": weight})
    assert result["test_score"].mean() > 0.8


def test_joblib_brings_back_what_predicts_and_trains_alike(tmp_path):
    estimator = classifier().fit(X, Y)
    joblib.dump(estimator, tmp_path / "estimator")
    loaded = joblib.load(tmp_path / "estimator")
    np.testing.assert_array_equal(loaded.predict_proba(X), estimator.predict_proba(X))
    for one in (estimator, loaded):
        one.partial_fit(X, Y)
    np.testing.assert_array_equal(loaded.coefs_[0], estimator.coefs_[0])


def test_the_html_and_the_text_show_what_was_set():
    estimator = classifier(dropout=0.25)
    assert "dropout" in estimator._repr_html_()
    assert "dropout=0.25" in repr(estimator)
    assert clone(estimator).get_params() == estimator.get_params()


def test_scikit_learn_s_callbacks_see_each_epoch_and_can_stop():
    monitor = ScoringMonitor(scoring="accuracy")
    estimator = classifier(max_iter=4).set_callbacks(monitor).fit(X, Y)
    assert estimator.n_iter_ == 4

    class Stop:
        tasks = 0

        def setup(self, estimator, context):
            self.scores = []

        def teardown(self, estimator, context):
            self.tasks = -self.tasks

        def on_fit_task_begin(self, estimator, context):
            self.tasks += 1

        def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
            self.scores.append(fitted_estimator.score(X, y))
            return len(self.scores) == 3

    stop = Stop()
    estimator = classifier().set_callbacks(stop).fit(X, Y)
    assert (estimator.n_iter_, stop.tasks, len(stop.scores)) == (3, -4, 4)  # epochs and the fit
    assert stop.scores[-1] == stop.scores[-2] == estimator.score(X, Y)


@pytest.mark.parametrize("container", [csr_array, csc_array])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_samples_train_and_predict_as_dense_ones(container, solver):
    x = np.where(X > 0, X, 0)
    sparse, dense = [classifier(solver=solver).fit(x, Y) for x in (container(x), x)]
    np.testing.assert_allclose(sparse.coefs_[0], dense.coefs_[0], rtol=1e-9)
    np.testing.assert_allclose(sparse.predict_proba(container(x)), dense.predict_proba(x))


# ---- what it computes ---------------------------------------------------------------------


def test_float32_stays_and_all_else_is_float64():
    for given, kept in [(np.float32, "float32"), (np.float64, "float64"), (int, "float64")]:
        estimator = MLPRegressor(hidden_layer_sizes=3, max_iter=2).fit(X.astype(given), Y)
        assert (estimator.coefs_[0].dtype, estimator.model_.dtype) == (kept, kept)


def test_coefs_are_views_and_what_a_user_puts_there_counts():
    estimator = MLPRegressor(hidden_layer_sizes=3, max_iter=2, random_state=0).fit(X, Y)
    estimator.intercepts_[-1][:] = 7
    estimator.coefs_[1] = np.zeros((3, 1))
    np.testing.assert_array_equal(estimator.predict(X), np.full(len(X), 7.0))


def test_a_callback_can_predict_with_the_estimator_while_it_is_fitted():
    class Watch(Callback):
        def __init__(self):
            self.outputs = []

        def on_epoch_end(self, epoch, logs=None):
            self.outputs.append(estimator.predict(X[:1]).item())

    watch = Watch()
    estimator = MLPRegressor(hidden_layer_sizes=3, max_iter=3, callbacks=watch)
    estimator.fit(X, Y)
    assert len(set(watch.outputs)) == 3
    assert watch.outputs[-1] == estimator.predict(X[:1]).item()


def test_the_model_is_one_of_nnlite_that_can_be_saved(tmp_path):
    for estimator in (classifier(), MLPRegressor(hidden_layer_sizes=3, max_iter=2)):
        estimator.fit(X, Y).model_.save(tmp_path / "model.keras")
        loaded = models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(loaded.predict(X), estimator.model_.predict(X))


def test_a_fit_that_diverges_says_so_and_with_early_stopping_keeps_the_best():
    wild = {"solver": "sgd", "activation": "identity", "learning_rate_init": 1e3, "random_state": 0}
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        MLPRegressor(**wild).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        estimator = MLPRegressor(**wild, early_stopping=True).fit(X, Y)
    assert np.isnan(estimator.validation_scores_[-1])
    assert np.isfinite(estimator.predict(X)).all()


def test_an_interrupted_fit_keeps_what_it_has():
    class Interrupt(Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted"):
        assert classifier(callbacks=Interrupt()).fit(X, Y).n_iter_ == 3


def test_a_fit_can_go_on_with_another_solver_and_with_early_stopping():
    estimator = classifier(solver="lbfgs", warm_start=True, max_iter=5).fit(X, Y)
    before = estimator.coefs_[0].copy()
    estimator.set_params(solver="adam").partial_fit(X, Y)
    assert (len(estimator.loss_curve_), np.array_equal(estimator.coefs_[0], before)) == (1, False)
    estimator.set_params(early_stopping=True).fit(X, Y)
    assert len(estimator.validation_scores_) == estimator.n_iter_ > 0


def test_lbfgs_prints_each_iteration(capsys):
    classifier(solver="lbfgs", max_iter=3, verbose=True).fit(X, Y)
    assert capsys.readouterr().out.count("Loss = ") == 3


# ---- what is added ------------------------------------------------------------------------


def test_dropout_and_normalization_come_after_each_hidden_layer():
    settings = {"hidden_layer_sizes": (4, 3), "dropout": 0.5}
    estimator = classifier(**settings, normalization="batch").fit(X, Y)
    kinds = [type(layer) for layer in estimator.model_.layers]
    assert kinds.count(Dropout) == kinds.count(BatchNormalization) == 2
    assert kinds[-1] is Dense
    again = classifier(**settings, normalization="batch").fit(X, Y)
    np.testing.assert_array_equal(again.coefs_[0], estimator.coefs_[0])
    assert LayerNormalization in map(
        type, classifier(normalization="layer").fit(X, Y).model_.layers
    )


@pytest.mark.parametrize(
    "loss",
    [
        "categorical_focal_crossentropy",
        "sparse_categorical_crossentropy",
        losses.CategoricalCrossEntropy(label_smoothing=0.1),
    ],
)
def test_a_loss_of_nnlite_trains(loss):
    assert classifier(loss=loss).fit(X, Y).score(X, Y) > 0.9
    assert classifier(loss="sparse_categorical_crossentropy").fit(X, Y).loss_ == pytest.approx(
        classifier().fit(X, Y).loss_
    )


def test_a_named_loss_of_nnlite_weighs_samples_as_scikit_learn_s_do():
    weight = np.arange(len(X)) % 3
    kept = np.repeat(np.arange(len(X)), weight)
    settings = {"loss": "huber", "hidden_layer_sizes": 3, "max_iter": 5, "random_state": 0}
    settings |= {"batch_size": 150, "shuffle": False, "alpha": 0.1}
    weighted = MLPRegressor(**settings).fit(X, Y, weight)
    repeated = MLPRegressor(**settings).fit(X[kept], Y[kept])
    np.testing.assert_allclose(weighted.coefs_[0], repeated.coefs_[0], rtol=1e-9)


def test_an_optimizer_is_taken_by_name_or_copied():
    named = classifier(optimizer="sgd", solver="adam").fit(X, Y).model_.optimizer
    assert (type(named), named.learning_rate) == (optimizers.SGD, 0.05)
    own = optimizers.RMSprop(0.01)
    used = classifier(optimizer=own).fit(X, Y).model_.optimizer
    assert (type(used), used.learning_rate, own.built) == (optimizers.RMSprop, 0.01, False)


def test_callbacks_of_nnlite_are_called_and_can_stop():
    history = History()
    estimator = classifier(callbacks=[EarlyStopping("loss", min_delta=9, patience=1), history])
    assert estimator.fit(X, Y).n_iter_ == 2
    assert history.history["loss"] == estimator.loss_curve_


def test_class_weights_are_by_label_and_multiply_sample_weights():
    names = np.array(["a", "b", "c"])[Y]
    weight = np.linspace(0.5, 2, len(X))
    by_class = np.where(names == "b", 4.0, 1.0)
    settings = {"max_iter": 3, "hidden_layer_sizes": 3}
    one = classifier(class_weight={"b": 4.0}, **settings).fit(X, names, weight)
    other = classifier(**settings).fit(X, names, weight * by_class)
    np.testing.assert_array_equal(one.coefs_[0], other.coefs_[0])
    balanced = classifier(class_weight="balanced", **settings).fit(X[:120], names[:120])
    counts = np.array([50, 50, 20])
    other = classifier(**settings).fit(X[:120], names[:120], (120 / 3 / counts)[Y[:120]])
    np.testing.assert_allclose(balanced.coefs_[0], other.coefs_[0])
    part = classifier(class_weight={"b": 4.0}, **settings)
    part.partial_fit(X[:20], names[:20], classes=["a", "b", "c"])  # all of class "a"


def build(n_features, n_outputs):
    return Sequential([Dense(6, "tanh"), Dropout(0.2), Dense(n_outputs, "softmax")])


def test_a_function_makes_the_model_and_repeats_with_the_random_state():
    state = np.random.get_state()[1].copy()  # noqa: NPY002  it is left alone
    one, other = [MLPClassifier(model=build, random_state=1, max_iter=90).fit(X, Y) for _ in "ab"]
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert one.score(X, Y) > 0.6
    assert (one.n_layers_, one.coefs_[0].shape) == (3, (4, 6))


def compiled(n_features, n_outputs):
    model = build(n_features, n_outputs)
    model.compile("adam", "categorical_crossentropy")
    return model


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dropout": 0.5, "solver": "lbfgs"}, "dropout cannot be used with solver='lbfgs'"),
        ({"normalization": "batch", "solver": "lbfgs"}, "normalization cannot be used"),
        ({"optimizer": "adam", "solver": "lbfgs"}, "optimizer cannot be used"),
        ({"callbacks": [History()], "solver": "lbfgs"}, "callbacks cannot be used"),
        ({"model": build, "dropout": 0.5}, "dropout cannot be used with model="),
        ({"model": build, "hidden_layer_sizes": 5}, "hidden_layer_sizes cannot be used"),
        ({"model": compiled}, "not compiled"),
        ({"model": lambda n_features, n_outputs: Sequential([Dense(2)])}, r"\(None, 3\)"),
        ({"model": lambda n_features, n_outputs: Sequential([Dense(3)])}, "ends in a softmax"),
        ({"loss": losses.CategoricalCrossEntropy(from_logits=True)}, "not logits"),
        ({"loss": "log"}, "Unknown loss"),
        ({"activation": "relo"}, "Did you mean 'relu'"),
        ({"solver": "newton"}, "The 'solver' parameter"),
        ({"alpha": -1}, "The 'alpha' parameter"),
        ({"momentum": 1.5}, "The 'momentum' parameter"),
        ({"batch_size": 0}, "The 'batch_size' parameter"),
        ({"dropout": 1.0}, "dropout must"),
        ({"normalization": "group"}, "normalization must be None, 'batch' or 'layer'"),
        ({"hidden_layer_sizes": (5, 0)}, "hidden_layer_sizes must be > 0"),
    ],
)
def test_what_cannot_be_used_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**settings).fit(X, Y)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_iter": 2.5}, "The 'max_iter' parameter"),
        ({"dropout": "some"}, "dropout must be a number"),
        ({"activation": None}, "activation must be a name"),
        ({"model": 1}, "model must be a function"),
        ({"model": lambda n_features, n_outputs: 1}, "model must return an nnlite model"),
    ],
)
def test_what_is_of_another_kind_is_refused(settings, message):
    with pytest.raises(TypeError, match=message):
        MLPClassifier(**settings).fit(X, Y)


def test_what_the_data_cannot_be_used_for_is_refused():
    with pytest.raises(ValueError, match="three classes or more"):
        classifier(loss="sparse_categorical_crossentropy").fit(X[:100], Y[:100])
    with pytest.raises(ValueError, match="at least 0"):
        MLPRegressor(loss="poisson").fit(X, Y - 1)
    with pytest.raises(ValueError, match="balanced"):
        classifier(class_weight="balanced").partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="first call, "):
        classifier().partial_fit(X, Y, classes=[0, 1, 2]).partial_fit(X, Y, classes=[0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="is cut to it"):
            classifier(batch_size=1000).fit(X, Y)

"""What versions of Keras wrote of training: optimizers, losses, metrics, and optimizers' states."""

import math
import warnings

import numpy as np
import pytest

from nnlite import losses, metrics, optimizers
from nnlite.models import load_model
from nnlite.optimizers import schedules
from nnlite.saving import CustomObjectScope

from .old_files import CHAIN, TWO_GROUPS, X, write_h5, write_keras

Y = np.random.default_rng(3).normal(size=(7, 2)).astype("float32")


def compiled(tmp_path, optimizer="adam", loss="mse", metrics=None, state=(), **more):
    """Return the model of an ``.h5`` file that is compiled so."""
    training = {"optimizer_config": optimizer, "loss": loss, "metrics": metrics, **more}
    return load_model(write_h5(tmp_path / "m.h5", training=training, state=state))


def kept_quiet(tmp_path, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compiled(tmp_path, **settings)


# ---- optimizers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("adam", optimizers.Adam()),
        ("RMSprop", optimizers.RMSprop()),
        (
            {"class_name": "SGD", "config": {"lr": 0.5, "momentum": 0.0, "nesterov": False}},
            optimizers.SGD(0.5),
        ),
        (
            {
                "class_name": "Custom>Adam",
                "config": {
                    "name": "Adam",
                    "learning_rate": 0.5,
                    "is_legacy_optimizer": False,
                    "jit_compile": True,
                    "weight_decay": None,
                    "ema_overwrite_frequency": None,
                },
            },
            optimizers.Adam(0.5, name="Adam"),
        ),
        (
            {
                "module": "keras.optimizers",
                "class_name": "Adam",
                "registered_name": None,
                "config": {"learning_rate": 0.5, "epsilon": None},
            },
            optimizers.Adam(0.5),
        ),
        (
            {
                "class_name": "LossScaleOptimizer",
                "config": {
                    "dynamic": True,
                    "inner_optimizer": {"class_name": "Adam", "config": {"learning_rate": 0.5}},
                },
            },
            optimizers.Adam(0.5),
        ),
        (
            {"class_name": "Nadam", "config": {"learning_rate": 0.5, "decay": 0.004}},
            optimizers.Nadam(0.5),
        ),
        (
            {"class_name": "Nadam", "config": {"lr": 0.5, "schedule_decay": 0.004}},
            optimizers.Nadam(0.5),
        ),
    ],
)
def test_optimizers_in_all_their_forms(tmp_path, written, meant):
    found = compiled(tmp_path, written).optimizer
    assert type(found) is type(meant)
    assert found.get_config() == meant.get_config()


def test_decay_divides_the_rate_by_the_steps(tmp_path):
    config = {"lr": 0.5, "decay": 0.1, "momentum": 0.0, "nesterov": False}
    model = compiled(tmp_path, {"class_name": "SGD", "config": config})
    assert model.optimizer.learning_rate == 0.5
    model.optimizer.iterations = 5
    assert model.optimizer.learning_rate == pytest.approx(0.5 / 1.5)


SCHEDULE = {"initial_learning_rate": 0.5, "decay_steps": 10, "decay_rate": 0.5, "staircase": False}


def test_schedules(tmp_path):
    rate = {"class_name": "ExponentialDecay", "config": SCHEDULE}
    model = compiled(tmp_path, {"class_name": "Adam", "config": {"learning_rate": rate}})
    assert isinstance(model.optimizer._learning_rate, schedules.ExponentialDecay)
    model.optimizer.iterations = 10
    assert model.optimizer.learning_rate == 0.25


def test_an_unknown_schedule_leaves_its_first_rate(tmp_path):
    rate = {"class_name": "NoamDecay", "config": {"initial_learning_rate": 0.25}}
    with pytest.warns(UserWarning, match="the learning rate schedule NoamDecay"):
        model = compiled(tmp_path, {"class_name": "Adam", "config": {"learning_rate": rate}})
    assert model.optimizer.learning_rate == 0.25


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ({"class_name": "Ftrl", "config": {"learning_rate": 0.5}}, "the optimizer Ftrl"),
        ({"class_name": "Adam", "config": {"learning_rate": -1.0}}, "the optimizer Adam"),
        ({"class_name": "Adam", "config": {"learning_rate": float("nan")}}, "the optimizer Adam"),
        ({"class_name": "Adam", "config": {"beta_1": "x" * 500}}, "the optimizer Adam"),
        ({"config": {}}, "the optimizer"),
        ([1, 2], "the optimizer"),
    ],
)
def test_an_optimizer_that_cannot_be_is_left_out_with_a_warning(tmp_path, written, what):
    with pytest.warns(UserWarning, match=what):
        model = compiled(tmp_path, written)
    assert np.isfinite(model.evaluate(X, Y, verbose=0))
    for train in (model.fit, model.train_on_batch):
        with pytest.raises(ValueError, match=r"has the optimizer .*Call compile\(...\) first"):
            train(X, Y)
    model.compile("sgd", "mse")
    assert np.isfinite(model.train_on_batch(X, Y))


def test_settings_that_are_unknown_are_said(tmp_path):
    config = {"learning_rate": 0.5, "rectify": True, "lookahead": None}
    with pytest.warns(UserWarning, match="rectify=True of the optimizer Adam"):
        model = compiled(tmp_path, {"class_name": "Adam", "config": config})
    assert model.optimizer.learning_rate == 0.5


# ---- losses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("mse", losses.MeanSquaredError()),
        ("mean_absolute_error", losses.MeanAbsoluteError()),
        ("MeanSquaredError", losses.MeanSquaredError()),
        (["mae"], losses.MeanAbsoluteError()),
        ({"dense_1": "mae"}, losses.MeanAbsoluteError()),
        (
            {"class_name": "Huber", "config": {"reduction": "auto", "name": "h", "delta": 2.0}},
            losses.Huber(delta=2.0, name="h"),
        ),
        (
            {
                "class_name": "MeanSquaredError",
                "config": {"reduction": "none", "name": "m", "fn": "mean_squared_error"},
            },
            losses.MeanSquaredError(name="m"),
        ),
        (
            {
                "module": "builtins",
                "class_name": "function",
                "config": "mean_squared_error",
                "registered_name": "function",
            },
            losses.MeanSquaredError(),
        ),
        (
            {"class_name": "LossFunctionWrapper", "config": {"fn": "mae", "reduction": "auto"}},
            losses.MeanAbsoluteError(),
        ),
    ],
)
def test_losses_in_all_their_forms(tmp_path, written, meant):
    found = compiled(tmp_path, loss=written).loss
    assert type(found) is type(meant)
    assert found.get_config() == meant.get_config()


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("my_loss", "the loss 'my_loss'"),
        ({"class_name": "MyLoss", "config": {}}, "the loss 'MyLoss'"),
        ({"class_name": "function", "config": "my_loss"}, "the loss 'my_loss'"),
        (["mse", "mae"], "the losses"),
        (3, "the loss 3"),
    ],
)
def test_a_loss_that_is_unknown_is_left_out_with_a_warning(tmp_path, written, what):
    with pytest.warns(UserWarning, match=what):
        model = compiled(tmp_path, loss=written)
    assert model.predict(X, verbose=0).shape == (7, 2)
    for use in (model.fit, model.train_on_batch, model.evaluate, model.test_on_batch):
        with pytest.raises(ValueError, match=r"has the loss .*Call compile\(...\) first"):
            use(X, Y)
    for name in ("again.keras", "again.h5"):  # with the file's loss, not without
        model.save(tmp_path / name)
        with pytest.warns(UserWarning, match=what):
            again = load_model(tmp_path / name)
        with pytest.raises(ValueError, match="has the loss"):
            again.fit(X, Y)
    model.compile("sgd", "mse")
    assert np.isfinite(model.train_on_batch(X, Y))


class Own(losses.Loss):
    def call(self, y_true, y_pred):
        return np.abs(y_true - y_pred).sum(axis=-1)

    def derivative(self, y_true, y_pred):
        return np.sign(y_pred - y_true)


def test_a_loss_of_the_programs_own(tmp_path):
    with CustomObjectScope({"Own": Own}):
        model = compiled(tmp_path, loss={"class_name": "Own", "config": {"name": "own"}})
    assert isinstance(model.loss, Own)


def test_the_weight_of_the_one_loss_is_read(tmp_path):
    for weights in (None, [1.0], {"dense_1": 1}, []):
        compiled(tmp_path, loss_weights=weights)
    assert compiled(tmp_path, loss_weights=[0.5]).compile_arguments["loss_weights"] == 0.5
    for weights in ([0.5, 2.0], [float("nan")], [10**390]):
        with pytest.warns(UserWarning, match="loss_weights"):
            compiled(tmp_path, loss_weights=weights)


def test_the_cross_entropy_that_fits_the_data_is_read(tmp_path):
    assert compiled(tmp_path, loss="ce").compile_arguments["loss"] == "ce"


# ---- metrics -------------------------------------------------------------------------------


def wrapper(name, function):
    return {
        "class_name": "MeanMetricWrapper",
        "config": {"name": name, "dtype": "float32", "fn": function},
    }


@pytest.mark.parametrize(
    ("written", "names"),
    [
        (None, []),
        ([], []),
        (["accuracy"], ["accuracy"]),
        (["acc", "mae"], ["acc", "mae"]),
        ([["mae"]], ["mae"]),
        ({"dense_1": ["mae", "mse"]}, ["mae", "mse"]),
        ([None, "mae"], ["mae"]),
        ([[wrapper("accuracy", "categorical_accuracy")]], ["accuracy"]),
        ([wrapper("mse", {"class_name": "function", "config": "mean_squared_error"})], ["mse"]),
        (
            [
                {
                    "class_name": "Precision",
                    "config": {
                        "name": "precision_1",
                        "dtype": "float32",
                        "thresholds": None,
                        "top_k": None,
                        "class_id": None,
                    },
                }
            ],
            ["precision_1"],
        ),
        (
            [
                {
                    "module": "keras.metrics",
                    "class_name": "AUC",
                    "registered_name": None,
                    "config": {
                        "name": "auc",
                        "dtype": {"class_name": "DTypePolicy", "config": {"name": "float32"}},
                        "num_thresholds": 50,
                        "new": None,
                    },
                }
            ],
            ["auc"],
        ),
    ],
)
def test_metrics_in_all_their_forms(tmp_path, written, names):
    model = compiled(tmp_path, metrics=written)
    y = np.eye(2, dtype="float32")[[0, 1, 1, 0, 1, 0, 1]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.layers[-1].bias.assign([9.0, 9.0])
    found = model.evaluate(np.abs(X), y, verbose=0, return_dict=True)
    assert list(found) == ["loss", *names]


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("rmse", "the metric 'rmse'"),
        ({"class_name": "F1", "config": {}}, "the metric 'F1'"),
        (wrapper("r2", "coeff"), "the metric 'MeanMetricWrapper'"),
        ({"class_name": "AUC", "config": {"num_thresholds": 10**12}}, "the metric 'AUC'"),
        ({"class_name": "AUC", "config": {"num_thresholds": float("nan")}}, "the metric 'AUC'"),
        ({"class_name": "Precision", "config": {"top_k": "many"}}, "the metric 'Precision'"),
        (7, "the metric 7"),
    ],
)
def test_a_metric_that_is_unknown_is_left_out_with_a_warning(tmp_path, written, what):
    with pytest.warns(UserWarning, match=what):
        model = compiled(tmp_path, metrics=[written, "mae"])
    assert list(model.evaluate(X, Y, verbose=0, return_dict=True)) == ["loss", "mae"]


def test_of_many_metrics_the_first_hundred_are_read_and_fifty_named(tmp_path):
    with pytest.warns(UserWarning, match="19900 of 20000 metrics.*; and 51 more") as caught:
        compiled(tmp_path, metrics=[f"m{number}" for number in range(20_000)])
    assert len(str(caught[0].message)) < 100_000


def test_a_metric_function_of_the_programs_own(tmp_path):
    def rmse(y_true, y_pred):
        return np.sqrt(np.mean((y_true - y_pred) ** 2, axis=-1))

    with CustomObjectScope({"rmse": rmse}):
        model = compiled(tmp_path, metrics=["rmse"])
    assert list(model.evaluate(X, Y, verbose=0, return_dict=True)) == ["loss", "rmse"]
    assert metrics.get(rmse).name == "rmse"


# ---- what is compiled at all ---------------------------------------------------------------


@pytest.mark.parametrize("settings", [None, {}])
def test_a_model_that_was_not_compiled_is_not(tmp_path, settings):
    assert load_model(write_keras(tmp_path / "m.keras", compiled=settings)).optimizer is None


def test_compile_false_leaves_it_all(tmp_path):
    path = write_h5(tmp_path / "m.h5", training={"optimizer_config": "junk", "loss": "junk"})
    assert load_model(path, compile=False).optimizer is None


def test_all_that_is_left_out_is_said_at_once(tmp_path):
    with pytest.warns(UserWarning, match="left out") as caught:
        compiled(tmp_path, optimizer="Ftrl", loss="junk", metrics=["rmse", "rmse"])
    (warning,) = caught
    text = str(warning.message)
    assert text.startswith(str(tmp_path / "m.h5"))
    assert text.count("rmse") == 2  # its name, and that it is unknown
    assert "Ftrl" in text
    assert "junk" in text
    assert warning.filename == __file__


# ---- optimizers' states --------------------------------------------------------------------

WEIGHTS = [array for pair in CHAIN for array in pair]
RNG = np.random.default_rng(4)
M = [RNG.normal(size=w.shape).astype("float32") for w in WEIGHTS]
V = [RNG.uniform(0.1, 1, w.shape).astype("float32") for w in WEIGHTS]
NAMES = ["dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias"]
COUNT = np.array(7, "int64")
RATE = np.array(0.25, "float32")
ADAM = {"class_name": "Adam", "config": {"learning_rate": 0.25}}


def interleaved():
    return [array for pair in zip(M, V, strict=True) for array in pair]


def named(arrays, names):
    return list(zip(names, arrays, strict=True))


def by_numbers(arrays, first):
    return [
        (f"training/Adam/Variable{f'_{i}' if i else ''}:0", a) for i, a in enumerate(arrays, first)
    ]


def sorted_by_name(arrays):
    return [arrays[i] for i in (1, 0, 3, 2)]  # dense/bias before dense/kernel


STATES = {
    "2.4 to 2.10": [
        ("Adam/iter:0", COUNT),
        *named(M, [f"Adam/{n}/m:0" for n in NAMES]),
        *named(V, [f"Adam/{n}/v:0" for n in NAMES]),
    ],
    "tf 1": [
        ("training/Adam/iter:0", COUNT),
        ("training/Adam/beta_1:0", np.float32(0.9)),
        *named(M, [f"training/Adam/{n}/m:0" for n in NAMES]),
        *named(V, [f"training/Adam/{n}/v:0" for n in NAMES]),
    ],
    "2.1 to 2.3": [
        ("Adam/iterations:0", COUNT),
        *by_numbers(M, 0),
        *by_numbers(V, 4),
        *by_numbers([np.zeros(1, "float32")] * 4, 8),
    ],
    "2.0": [
        ("iterations_7:0", COUNT.astype("float32")),
        *by_numbers(sorted_by_name(M), 0),
        *by_numbers(sorted_by_name(V), 4),
    ],
    "2.12": [
        ("iteration:0", COUNT),
        ("current_learning_rate:0", RATE),
        *named(interleaved(), [f"Adam/{k}/{n}:0" for n in NAMES for k in "mv"]),
    ],
    "2.11 to 2.15": [
        ("iteration:0", COUNT),
        *named(interleaved(), [f"Adam/{k}/{n}:0" for n in NAMES for k in "mv"]),
    ],
    "3": [
        ("adam/iteration", COUNT),
        ("adam/learning_rate", RATE),
        *named(
            interleaved(),
            [f"adam/{n.replace('/', '_')}_{k}" for n in NAMES for k in ("momentum", "velocity")],
        ),
    ],
}


def assert_has_state(optimizer):
    assert optimizer.iterations == 7
    assert optimizer.learning_rate == 0.25
    kept = [array for _, array in optimizer.state_arrays()][2:]
    for has, want in zip(kept, interleaved(), strict=True):
        np.testing.assert_allclose(has, want, rtol=1e-6)


@pytest.mark.parametrize("version", STATES)
def test_states_of_adam_of_all_years(tmp_path, version):
    groups = [
        (n, [(f"{n}/kernel:0", W), (f"{n}/bias:0", b)])
        for n, (W, b) in zip(("dense", "dense_1"), CHAIN, strict=True)
    ]
    assert groups[0][0] == TWO_GROUPS[0][0]
    assert_has_state(compiled(tmp_path, ADAM, state=STATES[version]).optimizer)


@pytest.mark.parametrize("rate", [[], [RATE]], ids=["2.14", "3"])
def test_states_in_nested_groups(tmp_path, rate):
    groups = {
        "layers/dense": CHAIN[0],
        "layers/dense_1": CHAIN[1],
        "optimizer": [COUNT, *rate, *interleaved()],
    }
    path = write_keras(tmp_path / "m.keras", None, groups, {"optimizer": ADAM, "loss": "mse"})
    assert_has_state(load_model(path).optimizer)


def test_the_state_within_a_loss_scale_optimizer(tmp_path):
    groups = {
        "layers/dense": CHAIN[0],
        "layers/dense_1": CHAIN[1],
        "optimizer": [np.array(3), np.array(4.0)],
        "optimizer/inner_optimizer": [COUNT, RATE, *interleaved()],
    }
    scaled = {"class_name": "LossScaleOptimizer", "config": {"inner_optimizer": ADAM}}
    path = write_keras(tmp_path / "m.keras", None, groups, {"optimizer": scaled, "loss": "mse"})
    assert_has_state(load_model(path).optimizer)


def test_variables_of_an_optimizer_that_the_settings_do_not_name(tmp_path):
    groups = {
        "layers/dense": CHAIN[0],
        "layers/dense_1": CHAIN[1],
        "optimizer": [COUNT, RATE, *interleaved()],
    }
    for name, expected in [("adam", "Adam"), ("mine", "RMSprop")]:
        path = write_keras(
            tmp_path / "m.keras", None, groups, {"loss": "mse"}, names={"optimizer": name}
        )
        with pytest.warns(
            UserWarning, match="settings of the optimizer|the state of the optimizer"
        ):
            model = load_model(path)
        assert type(model.optimizer).__name__ == expected
    assert np.isfinite(model.train_on_batch(X, Y))


def test_momenta_that_no_momentum_needs_are_left(tmp_path):
    sgd = {"class_name": "SGD", "config": {"lr": 0.25, "momentum": 0.0, "decay": 0.0}}
    for count in ("SGD/iterations:0", "iteration:0"):
        state = [(count, COUNT), *by_numbers(M, 0)]
        assert compiled(tmp_path, sgd, state=state).optimizer.iterations == 7


def test_an_optimizer_that_did_not_count(tmp_path):
    rms = {"class_name": "RMSprop", "config": {"lr": 0.25, "rho": 0.9, "epsilon": 1e-08}}
    optimizer = compiled(tmp_path, rms, state=by_numbers(V, 0)).optimizer
    assert optimizer.iterations == 0
    np.testing.assert_allclose(dict(optimizer.state_arrays())["kernel_velocity"], V[0])


def test_a_state_of_no_steps(tmp_path):
    state = [("adam/iteration", np.array(0)), ("adam/learning_rate", np.float32(0.125))]
    model = compiled(tmp_path, ADAM, state=state)
    assert model.optimizer.learning_rate == 0.125
    assert np.isfinite(model.train_on_batch(X, Y))


@pytest.mark.parametrize(
    "state",
    [
        STATES["3"][:-1],
        [("adam/iteration", np.array(-3)), *STATES["3"][1:]],
        [("adam/iteration", np.array(np.nan)), *STATES["3"][1:]],
        [*STATES["3"][:-1], ("adam/x", np.zeros((9, 9), "float32"))],
    ],
)
def test_a_state_that_does_not_fit_is_left_out_with_a_warning(tmp_path, state):
    with pytest.warns(UserWarning, match="the state of the optimizer"):
        model = compiled(tmp_path, ADAM, state=state)
    assert model.optimizer.iterations == 0
    assert np.isfinite(model.train_on_batch(X, Y))


def test_load_weights_takes_a_state_that_fits(tmp_path):
    groups = {
        "layers/dense": CHAIN[0],
        "layers/dense_1": CHAIN[1],
        "optimizer": [COUNT, RATE, *interleaved()],
    }
    model = kept_quiet(tmp_path, optimizer=ADAM)
    model.load_weights(write_keras(tmp_path / "m.keras", None, groups))
    assert_has_state(model.optimizer)


NADAM = {"class_name": "Nadam", "config": {"learning_rate": 0.25}}


@pytest.mark.parametrize("version", ["3", "2.11 to 2.15", "2.4 to 2.10", "2.0"])
def test_the_product_that_a_state_of_nadam_leaves_out_follows_from_the_count(tmp_path, version):
    """By hand: the product of 0.9 (1 - 0.96^s / 2) over the steps s = 1, ..., 7."""
    product = 0.9**7 * math.prod(1 - 0.96**step / 2 for step in range(1, 8))
    assert product == pytest.approx(0.478297 * 0.020243, rel=1e-4)
    optimizer = compiled(tmp_path, NADAM, state=STATES[version]).optimizer
    assert optimizer.u_product == pytest.approx(product, rel=1e-12)
    assert optimizer.iterations == 7
    assert optimizer.learning_rate == 0.25
    kept = [array for _, array in optimizer.state_arrays()][2:-1]
    for has, want in zip(kept, interleaved(), strict=True):
        np.testing.assert_allclose(has, want, rtol=1e-6)


def test_that_product_of_a_great_count_takes_no_time(tmp_path):
    state = [("nadam/iteration", np.array(10**15)), *STATES["3"][1:]]
    assert compiled(tmp_path, NADAM, state=state).optimizer.u_product == 0


def test_that_product_counts_updates_and_not_batches(tmp_path):
    sums = [(f"nadam/sum_{i}", array) for i, array in enumerate(M)]
    config = {"gradient_accumulation_steps": 2, "learning_rate": 0.25}
    state = [*STATES["3"][:2], *sums, *STATES["3"][2:]]  # 7 batches are 3 updates
    optimizer = compiled(tmp_path, {**NADAM, "config": config}, state=state).optimizer
    product = 0.9**3 * (1 - 0.96 / 2) * (1 - 0.96**2 / 2) * (1 - 0.96**3 / 2)
    assert optimizer.u_product == pytest.approx(product, rel=1e-12)

"""Wrong arguments of the parts, and models asked for what they do not have yet."""

import functools
import re

import numpy as np
import pytest
from helpers import (
    X,
    a_model,
    refuses,
)

from nnlite import (
    Input,
    Sequential,
    callbacks,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    utils,
)
from nnlite.layers import Activation, Dense, Dropout, Flatten, LeakyReLU, ReLU, Rescaling, Softmax

BAD_COMPILE = [
    ({"loss": "binary_crossentrop"}, ValueError, "Unknown loss.*mean 'binary_crossentropy'"),
    ({"loss": "MSe"}, ValueError, "Unknown loss: 'MSe'.*'(MSE|mse)'"),
    ({"loss": "no such thing"}, ValueError, "Unknown loss: 'no such thing'.*Known names: bce, "),
    ({"loss": 5}, TypeError, "loss.*Received: 5"),
    ({"loss": losses.MeanSquaredError(reduction="none")}, ValueError, "reduction.*'none'"),
    ({"optimizer": "addam"}, ValueError, "Unknown optimizer: 'addam'. Did you mean 'adam'"),
    ({"optimizer": "Sdg"}, ValueError, "Unknown optimizer: 'Sdg'. Did you mean '(SGD|sgd)'"),
    ({"optimizer": None}, TypeError, "optimizer.*Received: None"),
    ({"optimizer": 0.01}, TypeError, "optimizer.*Received: 0.01"),
    ({"optimizer": losses.Huber()}, TypeError, "optimizer.*Received: Huber"),
    ({"metrics": ["binary_acuracy"]}, ValueError, "Unknown metric.*mean 'binary_accuracy'"),
    ({"metrics": ["acuracy"]}, ValueError, "Unknown metric: 'acuracy'.*ccuracy"),
    ({"metrics": "accuracy"}, TypeError, r"metrics must be a list.*Received: 'accuracy'"),
    ({"metrics": [5]}, TypeError, "metric.*Received: 5"),
    ({"metrics": [None]}, TypeError, "metric.*Received: None"),
    ({"weighted_metrics": "mse"}, TypeError, "weighted_metrics must be a list.*'mse'"),
    ({"loss_weights": [1.0, 2.0]}, ValueError, r"loss_weights.*Received: loss_weights=\[1.0, 2"),
    ({"loss_weights": ["half"]}, TypeError, "loss_weights must be a number"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD_COMPILE)
def test_a_refused_compile_changes_nothing(options, error, message):
    model = a_model()
    optimizer, loss = model.optimizer, model.loss
    refuses(lambda: model.compile(**options), error, message, model)
    assert model.optimizer is optimizer
    assert model.loss is loss
    assert [metric.name for metric in model.metrics] == ["loss", "accuracy"]


NUMBER = "must be a number. Received: {0}="
FINITE = "{0} must be a finite number .*Received: "
BAD_PARTS = [
    # initializers and constraints
    (lambda: initializers.RandomNormal("0"), TypeError, NUMBER.format("mean")),
    (lambda: initializers.RandomNormal(stddev=None), TypeError, NUMBER.format("stddev")),
    (lambda: initializers.RandomUniform("a"), TypeError, NUMBER.format("minval")),
    (lambda: initializers.RandomUniform(0, [1]), TypeError, NUMBER.format("maxval")),
    (lambda: initializers.VarianceScaling("2"), TypeError, NUMBER.format("scale")),
    (lambda: initializers.Orthogonal(None), TypeError, NUMBER.format("gain")),
    (lambda: initializers.Identity("1"), TypeError, NUMBER.format("gain")),
    (lambda: constraints.MaxNorm("2"), TypeError, NUMBER.format("max_value")),
    (lambda: constraints.MinMaxNorm(min_value=None), TypeError, NUMBER.format("min_value")),
    (lambda: constraints.MinMaxNorm(rate="1"), TypeError, NUMBER.format("rate")),
    (lambda: constraints.UnitNorm(0.5), TypeError, "axis must be an integer.*axis=0.5"),
    (lambda: constraints.UnitNorm([0, "1"]), TypeError, "axis must be an integer.*axis='1'"),
    # names
    (lambda: losses.Huber(name=5), TypeError, "name must be a string. Received: name=5"),
    (lambda: metrics.Mean(True), TypeError, "name must be a string. Received: name=True"),
    (lambda: optimizers.Adam(name=[]), TypeError, r"name must be a string. Received: name=\[\]"),
    # paths, texts and utilities
    (lambda: a_model().save(5), TypeError, "filepath must be a path. Received: filepath=5"),
    (lambda: a_model().save_weights(None), TypeError, "filepath must be a path.*filepath=None"),
    (lambda: a_model().load_weights([]), TypeError, r"filepath must be a path.*filepath=\[\]"),
    (lambda: models.load_model(5), TypeError, "filepath must be a path. Received: filepath=5"),
    (lambda: models.model_from_json({}), TypeError, "json_string must be.*of type dict"),
    (lambda: utils.normalize([1.0], order="2"), TypeError, NUMBER.format("order")),
    # other arguments of the wrong type
    (lambda: layers.PReLU(shared_axes=1.5), TypeError, "axis must be an integer.*axis=1.5"),
    (lambda: layers.EinsumDense(5, 2), ValueError, "equation must have the form.*equation=5"),
    (lambda: layers.EinsumDense("ab,bc->ac", 2, bias_axes=1), ValueError, "must name.*axes=1"),
    (lambda: layers.CategoryEncoding(3, []), ValueError, r"one of .*Received: output_mode=\[\]"),
    (
        lambda: optimizers.schedules.PiecewiseConstantDecay(10, [0.1, 0.01]),
        ValueError,
        "one more than boundaries.*boundaries=10",
    ),
    (lambda: callbacks.ModelCheckpoint(5), TypeError, "filepath must be a path.*filepath=5"),
    (lambda: callbacks.CSVLogger(None), TypeError, "filename must be a path.*filename=None"),
    (lambda: callbacks.BackupAndRestore(5), TypeError, "backup_dir must be a path.*dir=5"),
    (lambda: callbacks.TensorBoard(None), TypeError, "log_dir must be a path.*log_dir=None"),
    # shapes without sizes
    (lambda: Input(batch_shape=()), ValueError, r"batch_shape must hold.*batch_shape=\(\)"),
    (lambda: Input(np.array(4)), ValueError, r"shape must hold.*shape=array\(4\)"),
    (lambda: Flatten().build(()), ValueError, r"input_shape must hold.*input_shape=\(\)"),
    (lambda: layers.Layer().build(()), ValueError, r"input_shape must hold.*input_shape=\(\)"),
    (lambda: Dense(2).build(np.array(4)), ValueError, r"input_shape must hold.*=array\(4\)"),
    (lambda: Sequential([Dense(2)]).build(()), ValueError, r"input_shape must hold.*=\(\)"),
    (lambda: Dropout(0.5, np.array(4)), TypeError, r"noise_shape must be.*shape=array\(4\)"),
    # models
    (lambda: models.clone_model(a_model(), None, 5), TypeError, "clone_function must be.*=5"),
    (lambda: models.clone_model(a_model(), call_function=5), TypeError, "call_function must.*=5"),
    (lambda: models.model_from_config(5), TypeError, "config must be .*Received: config=5"),
    (lambda: models.save_model(5, "a.keras"), TypeError, "takes a model. Received: model=5"),
    (lambda: a_model().summary(positions=5), ValueError, "positions must hold 3.*positions=5"),
    (lambda: a_model().summary(positions="abc"), ValueError, "positions must hold 3.*'abc'"),
    (lambda: a_model().summary(positions=[None] * 3), TypeError, NUMBER.format("positions")),
    (lambda: a_model().summary(layer_range=5), ValueError, "layer_range must name two.*: 5"),
    (lambda: a_model().summary(layer_range=[1, 2]), ValueError, r"layer_range must.*: \[1, 2\]"),
    (lambda: utils.pad_sequences(5), TypeError, "sequences must be a list.*sequences=5"),
    (lambda: layers.IntegerLookup(mask_token=[1]), TypeError, r"mask_token must be one.*=\[1\]"),
    (lambda: layers.StringLookup(oov_token=["a"]), TypeError, r"oov_token must be one.*=\['a'\]"),
    # Dense
    (lambda: Dense(0), ValueError, "units must be at least 1. Received: units=0"),
    (lambda: Dense(-3), ValueError, "units must be at least 1. Received: units=-3"),
    (lambda: Dense(2.5), TypeError, "units must be an integer. Received: units=2.5"),
    (lambda: Dense(2.0), TypeError, "units must be an integer. Received: units=2.0"),
    (lambda: Dense(True), TypeError, "units must be an integer. Received: units=True"),
    (lambda: Dense("3"), TypeError, "units must be an integer. Received: units='3'"),
    (lambda: Dense(None), TypeError, "units must be an integer. Received: units=None"),
    (lambda: Dense(1, unit=2), TypeError, "Dense got an unexpected argument 'unit'.*units"),
    (lambda: Dense(1, "rellu"), ValueError, "Unknown activation: 'rellu'. Did you mean 'relu'"),
    (lambda: Dense(1, 5), TypeError, "activation must be .*Received: activation=5"),
    (lambda: Dense(1, np.tanh), TypeError, "activation must be .*Received: .*tanh"),
    (lambda: Dense(3, Dense(4)), (TypeError, ValueError), "activation.*Dense"),
    (lambda: Dense(3, Dense), (TypeError, ValueError), "activation.*Dense"),
    (
        lambda: Dense(1, kernel_initializer="glorot_unifrom"),
        ValueError,
        "Unknown initializer: 'glorot_unifrom'. Did you mean 'glorot_uniform'",
    ),
    (lambda: Dense(1, bias_initializer="zeross"), ValueError, "initializer.*mean 'zeros'"),
    (lambda: Dense(1, bias_initializer=0), TypeError, "initializer.*Received: 0"),
    (lambda: Dense(1, kernel_regularizer="l3"), ValueError, "Unknown regularizer: 'l3'.*'l"),
    (lambda: Dense(1, bias_regularizer=0.01), TypeError, "regularizer.*Received: 0.01"),
    (lambda: Dense(1, activity_regularizer="L3"), ValueError, "Unknown regularizer: 'L3'"),
    (lambda: Dense(1, kernel_constraint="max_nrom"), ValueError, "constraint.*mean 'max_norm'"),
    (lambda: Dense(1, dtype="float16"), ValueError, "dtype must be.*Received: dtype='float16'"),
    (lambda: Dense(1, dtype=int), ValueError, "dtype must be 'float32' or 'float64'.*int"),
    (lambda: Dense(1, name=5), TypeError, "name must be a string. Received: name=5"),
    (lambda: Dense(1, input_shape="4"), ValueError, "input_shape must hold .*='4'"),
    (lambda: Dense(1, input_dim=0), ValueError, r"input_shape must hold positive.*\(0,\)"),
    # other layers
    (lambda: Input(), ValueError, r"Input takes either shape=.*Received: shape=None"),
    (lambda: Input((4,), batch_shape=(None, 4)), ValueError, "Input takes either shape"),
    (lambda: Input((2.5,)), ValueError, r"shape must hold positive integers.*\(2.5,\)"),
    (lambda: Input((-1,)), ValueError, r"shape must hold positive integers.*\(-1,\)"),
    (lambda: Input((True,)), ValueError, r"shape must hold positive integers.*\(True,\)"),
    (lambda: Input((4,), batch_size=0), ValueError, "batch_size must be at least 1"),
    (lambda: Dropout(1.5), ValueError, r"rate must lie in \[0, 1.*rate=1.5"),
    (lambda: Dropout(-0.1), ValueError, r"rate must lie in \[0, 1.*rate=-0.1"),
    (lambda: Dropout(np.nan), ValueError, r"rate must lie in \[0, 1.*rate=nan"),
    (lambda: Dropout("0.5"), TypeError, "rate " + NUMBER.format("rate") + "'0.5'"),
    (lambda: Dropout(True), TypeError, "rate " + NUMBER.format("rate") + "True"),
    (lambda: Dropout(None), TypeError, "rate " + NUMBER.format("rate") + "None"),
    (lambda: Dropout(0.5, seed="a"), (TypeError, ValueError), "seed.*'a'"),
    (lambda: Dropout(0.5, seed=-1), ValueError, "seed.*-1"),
    (lambda: Flatten("channels_middle"), ValueError, "data_format .*'channels_middle'"),
    (lambda: Activation("tanhh"), ValueError, "Unknown activation: 'tanhh'.*'tanh'"),
    (lambda: Activation(3), TypeError, "activation.*Received: activation=3"),
    (lambda: ReLU(max_value=-1), ValueError, "max_value .*Received: -1"),
    (lambda: ReLU(threshold="a"), (TypeError, ValueError), "threshold .*'a'"),
    (lambda: LeakyReLU(-0.1), ValueError, "negative_slope .*Received: -0.1"),
    (lambda: LeakyReLU(None), (TypeError, ValueError), "negative_slope .*None"),
    (lambda: Softmax(axis=1.5), TypeError, "axis.*1.5"),
    (lambda: Softmax(axis="a"), TypeError, "axis.*'a'"),
    # optimizers
    (lambda: optimizers.SGD(-0.1), ValueError, FINITE.format("learning_rate") + "-0.1"),
    (lambda: optimizers.SGD(np.inf), ValueError, FINITE.format("learning_rate") + "inf"),
    (lambda: optimizers.SGD(np.nan), ValueError, FINITE.format("learning_rate") + "nan"),
    (lambda: optimizers.SGD("0.1"), TypeError, "learning_rate " + NUMBER.format("learning_rate")),
    (lambda: optimizers.SGD(None), TypeError, "learning_rate " + NUMBER.format("learning_rate")),
    (lambda: optimizers.SGD(True), TypeError, "learning_rate " + NUMBER.format("learning_rate")),
    (lambda: optimizers.SGD(np.ones(2)), TypeError, "learning_rate must be a number"),
    (lambda: optimizers.SGD(momentum=1.5), ValueError, r"momentum must lie in \[0, 1.*1.5"),
    (lambda: optimizers.SGD(momentum=-1), ValueError, r"momentum must lie in \[0, 1.*-1"),
    (lambda: optimizers.SGD(momentum="1"), TypeError, "momentum " + NUMBER.format("momentum")),
    (lambda: optimizers.SGD(momentum=True), TypeError, "momentum " + NUMBER.format("momentum")),
    (lambda: optimizers.SGD(clipnorm=-1), ValueError, FINITE.format("clipnorm") + "-1"),
    (lambda: optimizers.SGD(clipvalue="1"), TypeError, "clipvalue " + NUMBER.format("clipvalue")),
    (lambda: optimizers.SGD(global_clipnorm=np.nan), ValueError, "global_clipnorm .*nan"),
    (lambda: optimizers.SGD(weight_decay=-1), ValueError, FINITE.format("weight_decay") + "-1"),
    (
        lambda: optimizers.SGD(clipnorm=1.0, clipvalue=2.0),
        ValueError,
        "Only one of clipnorm, clipvalue, global_clipnorm .*clipnorm=1.0, clipvalue=2.0",
    ),
    (lambda: optimizers.SGD(rate=1), TypeError, "'rate'"),
    (lambda: optimizers.Adam(beta_1=1.0), ValueError, r"beta_1 must lie in \[0, 1\).*1.0"),
    (lambda: optimizers.Adam(beta_2=-0.1), ValueError, r"beta_2 must lie in \[0, 1\).*-0.1"),
    (lambda: optimizers.Adam(epsilon=-1), ValueError, FINITE.format("epsilon") + "-1"),
    (lambda: optimizers.RMSprop(rho=2), ValueError, r"rho must lie in \[0, 1\).*=2"),
    (lambda: optimizers.RMSprop(momentum=1), ValueError, r"momentum must lie in \[0, 1\).*=1"),
    # losses
    (lambda: losses.MeanSquaredError("average"), ValueError, "reduction must be .*'average'"),
    (lambda: losses.MeanSquaredError(dtype="int32"), ValueError, "dtype must be .*'int32'"),
    (lambda: losses.Huber(0), ValueError, "delta must be .*0"),
    (lambda: losses.Huber(np.nan), ValueError, "delta must be .*nan"),
    (lambda: losses.Huber("1"), TypeError, "delta must be .*'1'"),
    (lambda: losses.BinaryCrossEntropy(label_smoothing=1.5), ValueError, "label_smoothing .*1.5"),
    (lambda: losses.BinaryCrossEntropy(label_smoothing="a"), TypeError, "label_smoothing .*'a'"),
    (lambda: losses.SparseCategoricalCrossEntropy(ignore_class="a"), TypeError, "ignore_class"),
    (lambda: losses.get("hubber"), ValueError, "Unknown loss: 'hubber'.*'huber'"),
    (lambda: metrics.get("maee"), ValueError, "Unknown metric: 'maee'.*'mae'"),
    # callbacks
    (lambda: callbacks.EarlyStopping(mode="up"), ValueError, "mode must be .*mode='up'"),
    (lambda: callbacks.EarlyStopping(patience=-1), ValueError, "patience must be at least 0"),
    (lambda: callbacks.EarlyStopping(patience=1.5), TypeError, "patience must be an integer"),
    (lambda: callbacks.EarlyStopping(min_delta="a"), TypeError, "min_delta .*'a'"),
    (lambda: callbacks.EarlyStopping(start_from_epoch=-1), ValueError, "start_from_epoch"),
    # the chain
    (lambda: Sequential([Dense]), TypeError, "Sequential takes layers.*<class .*Dense"),
    (lambda: Sequential(["dense"]), TypeError, "Sequential takes layers.*'dense'"),
    (lambda: Sequential([None]), TypeError, "Sequential takes layers.*None"),
    (lambda: Sequential([np.tanh]), TypeError, "Sequential takes layers.*tanh"),
    (lambda: Sequential([Dense(2), "relu"]), TypeError, "Sequential takes layers.*'relu'"),
    (lambda: Sequential(Dense(2)), TypeError, "Sequential takes a list of layers.*Dense"),
    (lambda: Sequential(5), TypeError, "Sequential takes a list of layers.*5"),
    (lambda: Sequential(name=5), TypeError, "name must be a string. Received: name=5"),
    (lambda: Sequential([Dense(2), Input((4,))]), ValueError, "Input comes first.*InputLayer"),
    (lambda: Sequential([Input((4,)), Input((4,))]), ValueError, "Input comes first, and once"),
    (
        lambda: Sequential([Dense(2, name="a"), Dense(2, name="a")]),
        ValueError,
        "a layer named 'a' already",
    ),
    (lambda: Sequential([DENSE, DENSE]), ValueError, "'dense' is in the model already"),
    (
        lambda: Sequential([Sequential([DENSE]), DENSE]),
        ValueError,
        "'dense' is in the model already",
    ),
    (
        lambda: Sequential([Dense(2), Dense(2, dtype="float64")]),
        ValueError,
        "One model has one dtype.*'dense.*float64.*float32",
    ),
    (
        lambda: Dense(2, activation=ReLU(dtype="float64")),
        ValueError,
        "activation ReLU.*float64.*float32",
    ),
    (
        lambda: Dense(2, bias_initializer=lambda shape, dtype: np.zeros((8, 2), dtype))(X),
        ValueError,
        r"bias.*\(2,\).*\(8, 2\)",
    ),
]
DENSE = Dense(2)


@pytest.mark.parametrize(("make", "error", "message"), BAD_PARTS)
def test_parts_refuse_wrong_arguments(make, error, message):
    with pytest.raises(error) as raised:
        make()
    assert re.search(message, str(raised.value)), str(raised.value)


FLAG = "{0} must be True or False. Received: {0}={1!r}"
WRONG_FLAGS = [
    (layers.Conv2D, (2, 3), "use_bias"),
    (layers.BatchNormalization, (), "center"),
    (layers.GRU, (2,), "reset_after"),  # an argument of the cell
    (layers.LSTM, (2,), "return_sequences"),
    (optimizers.SGD, (0.1,), "nesterov"),
    (optimizers.schedules.ExponentialDecay, (0.1, 5, 0.9), "staircase"),
    (losses.BinaryCrossEntropy, (), "from_logits"),
    (metrics.AUC, (), "multi_label"),
    (callbacks.EarlyStopping, (), "restore_best_weights"),
]


@pytest.mark.parametrize("value", ["False", 2, 1.0, []])
@pytest.mark.parametrize(("kind", "arguments", "name"), WRONG_FLAGS)
def test_flags_are_true_or_false(kind, arguments, name, value):
    with pytest.raises(TypeError, match=re.escape(FLAG.format(name, value))):
        kind(*arguments, **{name: value})
    for fine in (np.True_, np.int64(0), 1, None):
        kind(*arguments, **{name: fine})


def test_flags_are_checked_by_position_and_in_subclasses():
    class Mine(Dense):
        def __init__(self, units, use_bias=False, **kwargs):  # a meaning of its own
            super().__init__(units, use_bias=use_bias == "yes", **kwargs)

    class Other(layers.SimpleRNNCell):
        pass

    assert Mine(2, "yes").use_bias
    assert not Mine(2, use_bias="no").use_bias
    for make in (lambda: Mine(2, trainable="no"), lambda: Other(2, "tanh", "no")):
        with pytest.raises(TypeError, match=r"must be True or False. Received: .*'no'"):
            make()


def test_decorated_constructors_have_arguments_of_their_own():
    def logged(init):
        @functools.wraps(init)
        def wrapper(*args, **kwargs):
            return init(*args, **kwargs)

        return wrapper

    class Mine(Dense):
        @logged
        def __init__(self, units, use_bias="no", **kwargs):
            super().__init__(units, use_bias=use_bias == "yes", **kwargs)

    assert Mine(2, use_bias="yes").use_bias
    with pytest.raises(TypeError, match=r"trainable must be True or False. Received: .*'no'"):
        Mine(2, trainable="no")


def test_the_arguments_reach_another_base_that_creates_the_object():
    class Tag(callbacks.Callback, str):
        def __init__(self, text):
            super().__init__()

    assert str(Tag("red")) == "red"


def test_a_class_without_a_constructor_takes_no_arguments():
    with pytest.raises(TypeError, match=r"Callback\(\) takes no arguments"):
        callbacks.Callback(3)


def test_a_refused_layer_is_not_added():
    model = a_model()
    names = [layer.name for layer in model.layers]
    wrong = [None, Dense, "relu", Dense(2, dtype="float64"), model.layers[0], Input((2,)), model]
    for layer in wrong:
        refuses(lambda layer=layer: model.add(layer), *_kind(layer), model)
        assert [layer.name for layer in model.layers] == names


def _kind(layer):
    not_a_layer = layer is None or isinstance(layer, (str, type))
    return (TypeError, "takes layers") if not_a_layer else (ValueError, "model|Input")


def test_a_built_layer_that_does_not_fit_is_refused():
    layer = Dense(2, name="late")
    layer(X)
    message = r"'late'.*\(None, 4\).*(\(None, 3\)|3)"
    with pytest.raises(ValueError, match=message):
        Sequential([Input((4,)), Dense(3), layer])
    model = Sequential([Dense(3), layer])
    with pytest.raises(ValueError, match=message):
        model.build((None, 4))
    assert not model.built
    assert not model.layers[0].built
    assert layer.built


# ---- a model that is not there yet ----------------------------------------------------------

UNBUILT = {
    "weights": lambda model: model.weights,
    "trainable_weights": lambda model: model.trainable_weights,
    "non_trainable_weights": lambda model: model.non_trainable_weights,
    "get_weights": lambda model: model.get_weights(),
    "set_weights": lambda model: model.set_weights([np.zeros((4, 2)), np.zeros(2)]),
    "count_params": lambda model: model.count_params(),
}


@pytest.mark.parametrize("ask", UNBUILT)
def test_an_unbuilt_model_has_no_weights_to_ask_for(ask):
    for layer in [Sequential([Dense(2)], name="thing"), Dense(2, name="thing")]:
        with pytest.raises(ValueError, match=r"'thing' has no .* before it is built"):
            UNBUILT[ask](layer)
        assert not layer.built


def test_an_unbuilt_model_shows_its_summary(capsys):
    Sequential([Dense(2)]).summary()
    shown = capsys.readouterr().out
    assert "dense (Dense)" in shown
    assert "Not built yet" in shown


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (None, "The input shape is unknown"),
        ("4", "input_shape must hold positive integers.*Received: input_shape='4'"),
        ((None, 0), r"input_shape must hold positive integers.*\(None, 0\)"),
        ((None, 2.5), r"input_shape must hold positive integers.*\(None, 2.5\)"),
        ((None, None), "'dense' cannot make weight 'kernel'.*every size must be known"),
        ((4,), r"'dense' expects an input of shape .*Received: input_shape=\(4,\)"),
    ],
)
def test_a_build_that_fails_leaves_the_model_unbuilt(shape, message):
    model = Sequential([Dense(2), Dense(1)])
    with pytest.raises(ValueError, match=message):
        model.build(shape)
    assert not model.built
    assert not any(layer.built for layer in model.layers)
    model.fit(X, X[:, 0], verbose=0)


EMPTY_MODEL = {
    **UNBUILT,
    "fit": lambda model: model.fit(X, X, verbose=0),
    "evaluate": lambda model: model.evaluate(X, X, verbose=0),
    "predict": lambda model: model.predict(X),
    "predict_on_batch": lambda model: model.predict_on_batch(X),
    "train_on_batch": lambda model: model.train_on_batch(X, X),
    "test_on_batch": lambda model: model.test_on_batch(X, X),
    "build": lambda model: model.build((None, 4)),
    "call": lambda model: model(X),
    "pop": lambda model: model.pop(),
    "get_layer": lambda model: model.get_layer("dense"),
    "get_layer by index": lambda model: model.get_layer(index=0),
}


@pytest.mark.parametrize("ask", EMPTY_MODEL)
@pytest.mark.parametrize("layers", [[], [Input((4,))]], ids=["nothing", "an Input"])
def test_an_empty_model_says_so(ask, layers):
    model = Sequential(layers)
    with pytest.raises(
        ValueError, match=r"is empty|before it is built|0 layers|No layer is named 'dense'"
    ):
        EMPTY_MODEL[ask](model)
    assert not model.built


@pytest.mark.parametrize("way", ["fit", "evaluate", "predict", "build"])
def test_an_empty_model_within_a_model_is_found(way):
    model = Sequential([Sequential(name="inner"), Dense(1)])
    with pytest.raises(ValueError, match="empty"):
        EMPTY_MODEL[way](model)
    assert not model.built


def test_an_empty_model_has_an_empty_summary_and_repr(capsys):
    model = Sequential()
    model.summary()
    assert "Layer (type)" in capsys.readouterr().out
    assert repr(model) == "Sequential([])"
    assert model.layers == []


def test_a_summary_needs_a_position_for_each_column():
    for positions in ([], [0.5, 1.0]):
        with pytest.raises(ValueError, match=r"positions must hold 3 fractions.*positions=\["):
            Sequential([Dense(2)]).summary(positions=positions)


def test_an_empty_scale_is_refused_when_it_meets_a_sample():
    with pytest.raises(
        ValueError, match=r"scale must be a number.*Received: scale of shape \(0,\)"
    ):
        Sequential([Input((3,)), Rescaling([])])


@pytest.mark.parametrize("config", [None, [], {}, {"layers": None}, {"layers": "dense"}])
def test_a_config_without_layers_is_refused(config):
    with pytest.raises(ValueError, match=r"config has a list of 'layers'\. Received: "):
        Sequential.from_config(config)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Give a name or an index. Received: name=None, index=None"),
        ({"name": "dense", "index": 0}, "Give a name or an index. Received: name='dense', index=0"),
        ({"name": "dens"}, "No layer is named 'dens'.*'dense', 'dense_1'"),
        ({"index": 2}, "has 2 layers. Received: index=2"),
        ({"index": -3}, "has 2 layers. Received: index=-3"),
    ],
)
def test_get_layer_finds_or_says(given, message):
    with pytest.raises(ValueError, match=message):
        Sequential([Dense(2), Dense(1)]).get_layer(**given)


# ---- set_weights ----------------------------------------------------------------------------

KERNEL, BIAS = np.ones((4, 2)), np.ones(2)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([], ValueError, "'net' has 2 weights .kernel, bias.. Received: 0 arrays"),
        ([KERNEL], ValueError, "2 weights .*Received: 1 arrays"),
        ([KERNEL, BIAS, BIAS], ValueError, "2 weights .*Received: 3 arrays"),
        (KERNEL, ValueError, "2 weights .*Received: 4 arrays"),
        ([KERNEL.T, BIAS], ValueError, r"'kernel' has shape \(4, 2\).*shape \(2, 4\)"),
        ([KERNEL, BIAS[None]], ValueError, r"'bias' has shape \(2,\).*shape \(1, 2\)"),
        ([KERNEL, 1.0], ValueError, r"'bias' has shape \(2,\).*shape \(\)"),
        ([BIAS, KERNEL], ValueError, "'kernel' has shape"),
        ([KERNEL, BIAS * 1j], TypeError, "'bias'.*real numbers.*complex128"),
        ([KERNEL, ["a", "b"]], TypeError, "'bias'.*real numbers.*<U1"),
        ([KERNEL, None], TypeError, "'bias'.*(object|None)"),
        ([KERNEL, [[1], [2, 3]]], (TypeError, ValueError), "'bias'"),
        ([KERNEL, BIAS * 1e300], ValueError, "'bias'"),
        (None, TypeError, "set_weights takes a list of arrays.*Received: None"),
        (5, TypeError, "set_weights takes a list of arrays.*Received: 5"),
        ("weights", TypeError, "set_weights takes a list of arrays.*'weights'"),
        ((w for w in [KERNEL, BIAS]), TypeError, "set_weights takes a list of arrays.*generator"),
    ],
)
def test_set_weights_takes_all_or_nothing(weights, error, message):
    model = Sequential([Input((4,)), Dense(2)], name="net")
    before = [weight.tobytes() for weight in model.get_weights()]
    with pytest.raises(error) as raised:
        model.set_weights(weights)
    assert re.search(message, str(raised.value)), str(raised.value)
    assert [weight.tobytes() for weight in model.get_weights()] == before
    model.set_weights([KERNEL.tolist(), BIAS.astype(int)])
    np.testing.assert_array_equal(model.get_weights()[0], KERNEL)


# ---- by hand --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ("abc", TypeError, "x must hold real numbers"),
        (None, TypeError, "x is missing"),
        (X[0], ValueError, r"'inner' expects .*\(None, 4\).*\(4,\)"),
        (X[0, 0], ValueError, r"x must hold samples.*shape \(\)"),
        (X[:0], ValueError, r"x must hold samples.*\(0, 4\)"),
        (X[:, :3], ValueError, r"'inner' expects .*\(None, 4\).*\(6, 3\)"),
    ],
)
def test_a_layer_called_by_hand_checks_its_input(x, error, message):
    layer = Dense(2, name="inner")
    layer(X)
    with pytest.raises(error, match=message):
        layer(x)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "weight", "error", "message"),
    [
        ([1.0, 2.0], [1.0, 2.0, 3.0], None, ValueError, r"y_true .*\(3,\).*\(2,\)"),
        ([[1.0]], 1.0, None, ValueError, r"y_pred .*shape \(\)"),
        ([[1.0]], np.ones((0, 1)), None, ValueError, r"y_pred .*\(0, 1\)"),
        ([[1.0]], [["a"]], None, TypeError, "y_pred must hold real numbers"),
        (None, [[1.0]], None, TypeError, "y_true is missing"),
        ([["a"]], [[1.0]], None, TypeError, "y_true must hold real numbers"),
        ([[np.nan]], [[1.0]], None, ValueError, "y_true .*nan"),
        ([[1.0]], [[1.0]], [1.0, 2.0], ValueError, r"sample_weight .*\(1,\).*\(2,\)"),
        ([[1.0]], [[1.0]], "a", TypeError, "sample_weight must hold real numbers"),
    ],
)
def test_a_loss_called_by_hand_checks_its_arguments(y_true, y_pred, weight, error, message):
    loss = losses.MeanSquaredError()
    for call in (loss, loss.gradient):
        with pytest.raises(error, match=message):
            call(y_true, y_pred, weight)


@pytest.mark.parametrize("metric", ["binary_accuracy", "sparse_categorical_accuracy", "mse"])
@pytest.mark.parametrize(
    ("y_true", "y_pred", "error", "message"),
    [
        (None, [[1.0, 2.0]], TypeError, "y_true is missing"),
        ([["a", "b"]], [[1.0, 2.0]], TypeError, "y_true must hold real numbers"),
        ([[1, 0]], [[1j, 2.0]], TypeError, "y_pred must hold real numbers"),
        ([1, 2, 3], [[1.0, 2.0]], ValueError, "y_true.*3"),
    ],
)
def test_a_metric_called_by_hand_checks_its_arguments(metric, y_true, y_pred, error, message):
    metric = metrics.get(metric)
    with pytest.raises(error, match=message):
        metric(y_true, y_pred)
    assert metric.result() == 0.0

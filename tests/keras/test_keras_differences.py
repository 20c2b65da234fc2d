"""Every row of the tables in docs/keras.md: what nnlite does, and what Keras does instead.

The row ``nan-is-never-best`` is shown by ``test_nan_is_never_best``; tests/test_docs.py sees to it
that there is a test for each row, and a row for each test.
"""

import json
import os
import zipfile

import h5py
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import nnlite
from nnlite import activations, layers, losses, metrics, optimizers
from nnlite.backend.variables import Variable
from nnlite.callbacks import ModelCheckpoint
from nnlite.models import load_model

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BOTH = (nnlite, keras)
X = np.array([[1.0, 2.0], [3.0, 4.0]], "float32")
Y = np.array([[1.0], [0.0]], "float32")
NAN = float("nan")


def net(k, last="linear", units=1, optimizer="sgd", loss="mse", **options):
    """Return a compiled model of library ``k``; all its weights are 1, its biases 0."""
    dense = k.layers.Dense(units, last, kernel_initializer="ones")
    model = k.Sequential([k.layers.Input((2,)), dense])
    model.compile(optimizer, loss, **options)
    return model


def weight(k, value=(1.0, 2.0), name="w"):
    value = np.array(value, "float32")
    return Variable(value, name) if k is nnlite else keras.Variable(value, name=name)


def slope(loss, y, p):
    """Return the gradient of a loss of Keras's by the predictions."""
    return np.asarray(jax.jit(jax.grad(lambda p: loss(jnp.asarray(y), p)))(jnp.asarray(p)))


def backward(layer, x):
    """Return the gradient of the sum of a layer's outputs, by its input."""
    layer.ensure_built((None, *x.shape[1:]))
    return layer.backward(np.ones_like(layer.forward(x, training=True)))


def backward_in_keras(layer, x):
    layer.build((None, *x.shape[1:]))
    return np.asarray(jax.jit(jax.grad(lambda x: jnp.sum(layer(x))))(jnp.asarray(x)))


def values(weights):
    return [np.array(weight) for weight in weights]


# ---- models and training -----------------------------------------------------------------------


def test_training_without_compile():
    ours, theirs = (k.Sequential([k.layers.Dense(1)]) for k in BOTH)
    ours.fit(X, Y, verbose=0)
    assert isinstance(ours.optimizer, optimizers.SGD)
    assert isinstance(ours.loss, losses.MeanSquaredError)
    with pytest.raises(ValueError, match="must call `compile"):
        theirs.fit(X, Y, verbose=0)
    with pytest.raises(TypeError, match="optimizer must be a name or an object"):
        ours.compile(optimizer=None, loss="mse")
    theirs.compile(optimizer=None, loss="mse")
    assert theirs.optimizer is None


def test_loss_from_logits():
    x, y = np.array([[100.0, 100.0]], "float32"), np.zeros((1, 1))
    ours, theirs = (net(k, "sigmoid", loss="binary_crossentropy") for k in BOTH)
    assert ours.evaluate(x, y, verbose=0) == 200
    assert theirs.evaluate(x, y, verbose=0) == pytest.approx(15.942385)  # -log(2 ** -23)
    by_hand = [k.losses.binary_crossentropy(y, y + 1)[0] for k in BOTH]
    assert by_hand == pytest.approx([16.118096, 16.118096])


def test_data_are_finite_real_numbers():
    with pytest.raises(ValueError, match="must be finite"):
        net(nnlite).predict(X * np.nan)
    assert np.isnan(net(keras).predict(X * np.nan, verbose=0)).all()
    with pytest.raises(ValueError, match="must be finite"):
        metrics.MeanSquaredError()(Y * np.nan, Y)
    assert np.isnan(keras.metrics.MeanSquaredError()(Y * np.nan, Y))
    with pytest.raises(TypeError, match="real numbers"):
        net(nnlite).predict(X * 1j)
    with pytest.warns(np.exceptions.ComplexWarning):
        np.testing.assert_array_equal(net(keras).predict(X * 1j, verbose=0), 0)


@pytest.mark.parametrize(
    ("labels", "error", "message", "lost"),
    [([0, 5], ValueError, "from 0 to 2", 0.0), ([0.0, 1.5], TypeError, "integers", 1.3862944)],
)
def test_targets_are_classes_or_probabilities(labels, error, message, lost):
    y, p = np.array(labels), np.array([[0.5, 0.25, 0.25]] * 2)
    with pytest.raises(error, match=message):
        losses.SparseCategoricalCrossentropy()(y, p)
    theirs = jax.jit(keras.losses.SparseCategoricalCrossentropy(reduction=None))(y, p)
    assert theirs[1] == pytest.approx(lost)  # none at all; that of class 1
    with pytest.raises(ValueError, match=r"expects y_true in \[0, 1\]"):
        losses.BinaryCrossentropy()([[2.0]], [[0.8]])
    theirs = keras.losses.BinaryCrossentropy()(np.array([[2.0]]), np.array([[0.8]]))
    assert theirs == pytest.approx(np.log(0.2) - 2 * np.log(0.8))  # a loss below 0


def test_targets_have_the_shape_of_outputs():
    y, p = np.zeros((2, 1)), np.ones((2, 3))
    for module in (losses, metrics):
        with pytest.raises(ValueError, match=r"of the output's shape, \(2, 3\)"):
            module.MeanSquaredError()(y, p)
    assert keras.losses.MeanSquaredError()(y, p) == 1
    assert keras.metrics.MeanSquaredError()(y, p) == 1


def test_non_finite_loss_ends_the_run():
    ours, theirs = (net(k) for k in BOTH)
    with pytest.raises(FloatingPointError, match="the loss is inf"):
        ours.train_on_batch(X, Y * 1e30)
    np.testing.assert_array_equal(ours.get_weights()[0], 1)
    assert theirs.train_on_batch(X, Y * 1e30) == np.inf
    assert (np.abs(theirs.get_weights()[0]) > 1e27).all()


def test_one_float_type():
    def build(k):
        dense = k.layers.Dense
        model = k.Sequential([dense(1, dtype="float32"), dense(1, dtype="float64")])
        model.build((None, 2))
        return model

    with pytest.raises(ValueError, match="One model has one dtype"):
        build(nnlite)
    assert [str(w.dtype) for w in build(keras).weights[::2]] == ["float32", "float64"]
    for dtype in ("float16", "mixed_float16"):
        with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64'"):
            layers.Dense(1, dtype=dtype)
        assert keras.layers.Dense(1, dtype=dtype).compute_dtype == "float16"


def test_double_precision_in_full():
    y, p = np.array([[0.1]]), np.array([[0.2]])
    assert losses.MeanSquaredError()(y, p) == (0.2 - 0.1) ** 2
    assert keras.losses.MeanSquaredError()(y, p).dtype == "float32"
    x = np.array([0.1])
    assert activations.tanh(x) == np.tanh(0.1)
    assert 1e-9 < abs(keras.activations.tanh(x) - np.tanh(0.1)) < 1e-7


def test_names_are_not_numbered_over_the_process():
    keras.utils.clear_session()
    for k, numbered in [(nnlite, ""), (keras, "_1")]:
        names = []
        for _ in range(2):
            model = k.Sequential([k.layers.Input((2,)), k.layers.Dense(1)])
            made = (model.layers[0], k.metrics.Precision(), k.optimizers.Adam())
            names.append([each.name for each in made])
        assert names[0] == ["dense", "precision", "adam"]
        assert names[1] == [name + numbered for name in names[0]]


def test_weights_need_a_shape():
    with pytest.raises(ValueError, match="has no weights before it is built"):
        _ = layers.Dense(1).weights
    assert keras.layers.Dense(1).weights == []


@pytest.mark.parametrize("base", ["layers.Dense", "layers.Layer", "Sequential"])
def test_layers_go_forward_and_back(base):
    def subclass(k):
        for part in base.split("."):
            k = getattr(k, part)
        return type("Mine", (k,), {"call": lambda self, x: x + 1})

    with pytest.raises(TypeError, match="Mine overrides call, which nnlite does not call"):
        subclass(nnlite)
    mine = subclass(keras)(**{"units": 1} if base == "layers.Dense" else {})
    np.testing.assert_array_equal(mine.call(X), X + 1)
    layer = layers.Dense(1, kernel_initializer="ones")
    np.testing.assert_array_equal(backward(layer, X), [[1, 1], [1, 1]])
    np.testing.assert_array_equal(layer.kernel.gradient, [[4], [6]])
    theirs = keras.layers.Dense(1)
    theirs.build((None, 2))
    assert not hasattr(theirs, "backward")
    assert not hasattr(theirs.kernel, "gradient")


@pytest.mark.parametrize("shape", [(1, 2), (2, 2)])
def test_results_of_your_own_are_checked(shape):
    class Ours(layers.Layer):
        def forward(self, x, training=False):
            return np.ones(shape, "float64")

        def backward(self, gradient):
            return gradient

    class Theirs(keras.layers.Layer):
        def call(self, x):
            return jnp.ones(shape, "float64")

    theirs = keras.Sequential([Theirs()]).predict(X, verbose=0)
    assert (theirs.shape, theirs.dtype) == (shape, "float64")
    model = nnlite.Sequential([Ours()])
    if shape == X.shape:
        assert model.predict(X).dtype == "float32"
    else:
        with pytest.raises(ValueError, match=r"forward of layer 'ours' must return .* \(2, 2\)"):
            model.predict(X)


def test_inputs_are_read_only():
    class Ours(layers.Layer):
        def forward(self, x, training=False):
            x *= 2
            return x

        def backward(self, gradient):
            return gradient

    class Theirs(keras.layers.Layer):
        def call(self, x):
            x *= 2
            return x

    with pytest.raises(ValueError, match="writes into an argument"):
        Ours()(X)
    np.testing.assert_array_equal(Theirs()(X), 2 * X)  # an array of JAX's cannot be written to


def test_weights_change_in_place():
    ours, theirs = weight(nnlite), weight(keras)
    assert ours.assign([3.0, 4.0]) is None
    np.testing.assert_array_equal(theirs.assign([3.0, 4.0]), [3, 4])
    mine, other = ours, theirs
    mine -= 1
    other -= 1
    assert mine is ours
    assert not isinstance(other, keras.Variable)
    np.testing.assert_array_equal(ours.value, [2, 3])
    np.testing.assert_array_equal(theirs.value, [3, 4])
    ours.value = [5, 6]
    np.testing.assert_array_equal(ours.value, [5, 6])
    with pytest.raises(AttributeError):
        theirs.value = [5, 6]
    for variable, now in ((ours, 7), (theirs, [3, 4])):
        array = variable.value
        variable.assign(np.full(2, 7.0))
        np.testing.assert_array_equal(array, np.broadcast_to(now, 2))


def test_weights_are_compared_as_things():
    (one, other), (theirs, twin) = ([weight(k), weight(k)] for k in BOTH)
    assert one == one
    assert one != other
    assert {one: "kernel"}[one] == "kernel"
    np.testing.assert_array_equal(theirs == twin, [True, True])
    with pytest.raises(TypeError, match="unhashable"):
        hash(theirs)


def test_paths_name_layer_and_weight():
    def paths(k):
        model = k.Sequential([k.layers.Input((2,)), k.layers.Dense(1, name="d")], name="net")
        model.compile(k.optimizers.SGD(momentum=0.9, name="sgd"))
        model.optimizer.build(model.trainable_weights)
        return model.weights[0].path, model.optimizer.variables[2].path

    assert paths(nnlite) == ("d/kernel", "kernel_momentum")
    assert paths(keras) == ("net/d/kernel", "sgd/net_d_kernel_momentum")


def test_numpy_results():
    for k, array, number in [(nnlite, np.ndarray, float), (keras, jax.Array, jax.Array)]:
        assert isinstance(net(k)(X), array)
        assert isinstance(k.losses.MeanSquaredError()(Y, Y), number)
        assert isinstance(k.metrics.MeanSquaredError()(Y, Y), number)


def test_random_numbers():
    drawn = [np.array(k.initializers.RandomUniform(0, 1, seed=1)((3,))) for k in BOTH]
    again = [np.array(k.initializers.RandomUniform(0, 1, seed=1)((3,))) for k in BOTH]
    np.testing.assert_array_equal(drawn, again)
    assert (np.abs(drawn[0] - drawn[1]) > 1e-3).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda k: k.optimizers.SGD(-0.1), "learning_rate must be a finite number >= 0"),
        (lambda k: k.optimizers.Adam(beta_1=1.5), r"beta_1 must lie in \[0, 1\)"),
        (lambda k: k.layers.BatchNormalization(momentum=2.0), r"momentum must lie in \[0, 1\]"),
        (lambda k: k.layers.BatchNormalization(epsilon=0), "epsilon must be positive"),
        (lambda k: k.layers.Reshape((None, -1)), "at most one -1"),
        (lambda k: k.layers.ELU(alpha=-1.0), "alpha must be a finite number >= 0"),
        (
            lambda k: k.activations.leaky_relu(np.array([-1.0]), negative_slope=-2),
            "negative_slope must be a finite number >= 0",
        ),
        (lambda k: k.layers.Normalization(mean=0.0, variance=-1.0), "variance must not be neg"),
        (lambda k: k.initializers.RandomNormal(stddev=-1), "stddev must be at least 0"),
        (lambda k: k.callbacks.EarlyStopping(patience=-1), "patience must be at least 0"),
        (lambda k: k.callbacks.ModelCheckpoint("a.keras", save_freq=0), "at least 1"),
        (lambda k: k.callbacks.BackupAndRestore("a", save_freq=0), "at least 1"),
        (lambda k: k.layers.GRU(2, reset_after="no"), "reset_after must be True or False"),
    ],
)
def test_settings_in_range(make, message):
    with pytest.raises(ValueError, match=message):
        make(nnlite)
    make(keras)


def test_one_layer_one_place():
    def twice(k):
        dense = k.layers.Dense(2)
        model = k.Sequential([k.layers.Input((2,)), dense])
        model.add(dense)
        return model

    with pytest.raises(ValueError, match="in the model already"):
        twice(nnlite)
    assert twice(keras).count_params() == 6


def test_lists_and_vectors_are_data():
    ours, theirs = (k.Sequential([k.layers.Dense(1)]) for k in BOTH)
    with pytest.raises(ValueError, match="Unrecognized data type"):
        theirs.predict(X.tolist(), verbose=0)
    with pytest.raises(ValueError, match="expected min_ndim=2"):
        theirs.predict(X[0], verbose=0)
    assert ours.predict(X[0]).shape == (2, 1)  # two samples of one feature
    assert ours.predict(X[:, :1].tolist()).shape == (2, 1)


def test_batch_size_beside_batches():
    def run(k):
        return net(k).evaluate(((X, Y) for _ in range(1)), batch_size=2, steps=1, verbose=0)

    with pytest.raises(ValueError, match="gives its own batches: do not pass batch_size"):
        run(nnlite)
    assert run(keras) == 26.5


def test_predict_chooses_its_batches():
    def batches(k):
        seen = []

        class Note(k.callbacks.Callback):
            def on_predict_batch_end(self, batch, logs=None):
                seen.append(batch)

        net(k).predict(np.ones((100, 2)), verbose=0, callbacks=[Note()])
        return seen

    assert batches(nnlite) == [0]
    assert batches(keras) == [0, 1, 2, 3]  # of 32


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_validation_data_that_have_ended():
    def run(k):
        once = ((X, Y) for _ in range(1))
        return net(k).fit(X, Y, epochs=2, validation_data=once, verbose=0).history["val_loss"]

    with pytest.warns(UserWarning, match="gives its batches only once"):
        assert len(run(nnlite)) == 1
    assert len(run(keras)) == 2  # of the batch that it has looked at beforehand


def test_class_weights_need_classes():
    ours, theirs = (net(k) for k in BOTH)
    given = {"class_weight": {0: 1.0, 1: 5.0}}
    with pytest.raises(ValueError, match="class_weight needs one class per sample"):
        ours.train_on_batch(X, [[0.5], [1.7]], **given)
    loss = theirs.train_on_batch(X, np.array([[0.5], [1.7]]), **given)
    assert float(loss) == pytest.approx((2.5**2 + 5.3**2) / 2)  # neither has a weight


def test_class_weights_for_batches():
    def batches():
        yield X, Y

    weighted = {0: 3.0, 1: 1.0}
    once = net(nnlite).fit(X, Y, class_weight=weighted, verbose=0, shuffle=False).history
    assert net(nnlite).fit(batches(), class_weight=weighted, verbose=0).history == once
    with pytest.raises(ValueError, match="class_weight"):
        net(keras).fit(batches(), class_weight=weighted, verbose=0)


def test_shuffle_is_yes_or_no():
    with pytest.raises(ValueError, match="shuffle must be True or False"):
        net(nnlite).fit(X, Y, shuffle="batch", verbose=0)
    assert net(keras).fit(X, Y, shuffle="batch", verbose=0).history["loss"] == [26.5]


def test_clones_keep_their_class():
    for k in BOTH:
        mine = type("Mine", (k.Sequential,), {})
        copy = k.models.clone_model(mine([k.layers.Input((2,)), k.layers.Dense(1)]))
        assert type(copy) is (mine if k is nnlite else keras.Sequential)


def test_integer_inputs_take_integers():
    for k in BOTH:
        x = k.Input((1,), dtype="int32")
        model = k.Model(x, k.layers.Embedding(4, 1, embeddings_initializer="ones")(x))
        if k is nnlite:
            with pytest.raises(ValueError, match="must hold integers"):
                model.predict(np.array([[2.5]]), verbose=0)
        else:
            assert model.predict(np.array([[2.5]]), verbose=0).item() == 1


def test_training_false_holds_in_fit():
    for k in BOTH:
        x = k.Input((2,))
        model = k.Model(x, k.layers.Dropout(0.999, seed=1)(x, training=False))
        model.compile("sgd", "mse")
        loss = model.fit(X, X, verbose=0).history["loss"][0]
        assert (loss == 0) == (k is nnlite)


def test_model_metrics():
    for k, names, classes in [
        (nnlite, ["loss", "mae"], ["MeanLoss", "MeanAbsoluteError"]),
        (keras, ["loss", "compile_metrics"], ["Mean", "CompileMetrics"]),
    ]:
        model = net(k, metrics=["mae"])
        model.evaluate(X, Y, verbose=0)
        assert model.metrics_names == names
        assert [type(metric).__name__ for metric in model.metrics] == classes


def test_metrics_of_masked_steps():
    x = np.array([[[1], [2], [0]], [[3], [0], [0]]], "float32")  # steps of 0 are masked
    y = np.array([[[0], [0], [9]], [[0], [9], [9]]], "float32")
    for k, in_fit in [(nnlite, (1 + 2 + 3) / 3), (keras, (1 + 2 + 3 + 9 + 9 + 9) / 6)]:
        dense = k.layers.Dense(1, kernel_initializer="ones")
        model = k.Sequential([k.Input((3, 1)), k.layers.Masking(), dense])
        model.compile(k.optimizers.SGD(1e-30), "mse", metrics=["mae"])
        assert model.fit(x, y, verbose=0).history["mae"] == [in_fit]
        assert model.evaluate(x, y, verbose=0)[1] == 2


def test_settings_can_be_assigned():
    for k, loss, taken in [(nnlite, 4.5, True), (keras, 26.5, False)]:
        model, layer = net(k), k.layers.Dense(1)
        model.loss = "mae"
        assert model.evaluate(X, Y, verbose=0) == loss
        model.optimizer = "adam"
        layer.activation = "relu"
        assert isinstance(model.optimizer, k.optimizers.Adam) == taken
        assert callable(layer.activation) == taken


def test_losses_of_your_own_have_derivatives():
    class Ours(losses.Loss):
        def call(self, y_true, y_pred):
            return y_pred.mean()

        def derivative(self, y_true, y_pred):
            return np.ones_like(y_pred)

    class Theirs(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return jnp.mean(y_pred)

    with pytest.raises(ValueError, match="must return one loss per sample"):
        Ours()(Y, Y)
    assert Theirs()(Y, Y) == 0.5

    def mine(y_true, y_pred):
        return (y_true - y_pred) ** 2

    with pytest.raises(TypeError, match="A function has no derivative here"):
        net(nnlite, loss=mine)
    assert net(keras, loss=mine).loss is mine


def test_evaluate_is_not_called_by_fit():
    def validations(k):
        calls = []

        class Mine(k.Sequential):
            def evaluate(self, *given, **options):
                calls.append("evaluate")
                return super().evaluate(*given, **options)

        model = Mine([k.layers.Input((2,)), k.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(X, Y, validation_data=(X, Y), verbose=0)
        return calls

    assert validations(nnlite) == []
    assert validations(keras) == ["evaluate"]


def test_pieces_of_a_step():
    ours, theirs = (net(k) for k in BOTH)
    for name in ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics"):
        assert hasattr(ours, name)
        assert hasattr(theirs, name)
    for name in ("compute_loss_gradient", "backward", "update_weights"):
        assert hasattr(ours, name)
        assert not hasattr(theirs, name)


def test_outputs_fit_loss_and_metrics(recwarn):
    def evaluate(k):
        loss = k.losses.BinaryCrossentropy(from_logits=True)
        net(k, loss=loss, metrics=[k.metrics.Precision()]).evaluate(X, Y, verbose=0)

    with pytest.warns(UserWarning, match="'precision' takes probabilities"):
        evaluate(nnlite)
    evaluate(keras)
    assert not recwarn


def test_run_eagerly_changes_nothing():
    def seen(k, eager):
        kinds = set()

        def metric(y_true, y_pred):
            kinds.add(isinstance(y_pred, jax.core.Tracer))
            return y_pred

        net(k, metrics=[metric], run_eagerly=eager).evaluate(X, Y, verbose=0)
        return kinds

    assert seen(nnlite, eager=True) == seen(nnlite, eager=False) == {False}
    assert seen(keras, eager=False) == {True}
    assert not hasattr(net(nnlite), "run_eagerly")
    assert net(keras, run_eagerly=True).run_eagerly


def test_progress_is_brief(capsys):
    for k, prints in [(nnlite, False), (keras, True)]:
        net(k).evaluate(X, Y)
        assert bool(capsys.readouterr().out) == prints
    net(nnlite).fit(X, Y, epochs=100)
    assert 10 <= len(capsys.readouterr().out.splitlines()) <= 25
    for k, bar in [(nnlite, False), (keras, True)]:
        net(k).fit(X, Y, verbose=1)
        assert ("━" in capsys.readouterr().out) == bar


def test_summary():
    def lines(k, **options):
        model = net(k)
        model.layers[-1].name = "dense_a"
        model.optimizer.build(model.trainable_weights)
        shown = []
        model.summary(print_fn=lambda line, **_: shown.append(line), **options)
        return "\n".join(shown)

    assert "Optimizer params: 2 (12.00 B)" in lines(nnlite)
    assert "Optimizer params: 2 (8.00 B)" in lines(keras)
    with pytest.raises(ValueError, match="layer_range must name two layers"):
        lines(nnlite, layer_range=("dense", "dense"))
    assert "dense" in lines(keras, layer_range=("dense", "dense"))


# ---- layers and activations --------------------------------------------------------------------


def test_dropout_rates_are_rounded():
    def kept(k):
        return np.max(k.layers.Dropout(0.3, seed=1)(np.ones((50, 2), "float32"), training=True))

    assert kept(nnlite) == np.float32(1 / (1 - round(0.3 * 65536) / 65536))
    assert kept(keras) == np.float32(1 / (1 - 0.3))


@pytest.mark.parametrize("name", ["GaussianDropout", "AlphaDropout"])
def test_amounts_of_noise(name):
    with pytest.raises(ValueError, match=r"rate must lie in \[0, 1\)"):
        getattr(layers, name)(1.0)
    with pytest.raises(ZeroDivisionError):
        getattr(keras.layers, name)(1.0)(X, training=True)
    assert layers.GaussianNoise(1.5).stddev == 1.5
    with pytest.raises(ValueError, match="between 0 and 1"):
        keras.layers.GaussianNoise(1.5)


@pytest.mark.parametrize("name", ["LayerNormalization", "RMSNormalization"])
def test_normalized_axes(name):
    x = np.arange(1.0, 7.0, dtype="float32").reshape(1, 3, 2)
    ours, theirs = (getattr(k.layers, name)(axis=1) for k in BOTH)
    ours(x)
    theirs.build(x.shape)
    assert ours.get_config()["axis"] == 1
    assert theirs.get_config()["axis"] == [1]
    if name == "RMSNormalization":
        wanted = x / np.sqrt((x**2).mean(axis=1, keepdims=True))
        np.testing.assert_allclose(ours(x), wanted, rtol=1e-6)
        with pytest.raises(ValueError, match="Incompatible shapes"):
            theirs(x)


def test_unit_normalization_of_zeros():
    x = np.zeros((1, 2), "float32")
    assert np.isfinite(backward(layers.UnitNormalization(), x)).all()
    assert np.isnan(backward_in_keras(keras.layers.UnitNormalization(), x)).all()


@pytest.mark.parametrize(
    ("name", "output"),
    [("BatchNormalization", [3.0, 4.0]), ("UnitNormalization", [0.6, 0.8])],
)
def test_inputs_are_batches(name, output):
    x = np.array([3.0, 4.0], "float32")
    ours, theirs = (getattr(k.layers, name)() for k in BOTH)
    with pytest.raises(ValueError, match=r"\(None,\)"):
        ours(x)
    np.testing.assert_allclose(theirs(x), output, rtol=1e-3)
    with pytest.raises(ValueError, match="must hold samples"):
        layers.Dense(1)(X[:0])
    assert keras.layers.Dense(1)(X[:0]).shape == (0, 1)


def test_rms_scaling_does_not_warn():
    assert layers.LayerNormalization(rms_scaling=True).rms_scaling
    with pytest.warns(UserWarning, match="deprecated"):
        keras.layers.LayerNormalization(rms_scaling=True)


def test_adapted_values_count_at_once():
    data = np.array([[1.0], [2.0], [3.0]])
    for k, count, output in [(nnlite, 3, 1), (keras, 0, 7)]:
        layer = k.layers.Normalization()
        layer.adapt(data)
        assert int(np.array(layer.weights[2])) == count
        layer = k.layers.Normalization()
        layer.build((None, 1))
        layer.set_weights([np.array([5.0]), np.array([4.0]), np.array(3)])
        assert layer(np.array([[7.0]])) == output  # Keras's needs finalize_state()


def test_adapt_takes_vectors_and_batches():
    ours, theirs = (k.layers.Normalization() for k in BOTH)
    ours.adapt(np.array([1.0, 2.0, 3.0]))
    theirs.adapt(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(ours.mean, [[2]])
    np.testing.assert_array_equal(theirs.mean, [1, 2, 3])
    batches = [np.array([[1.0], [2.0]]), np.array([[6.0]])]
    ours, theirs = (k.layers.Normalization() for k in BOTH)
    ours.adapt(batches)
    np.testing.assert_array_equal(ours.mean, [[3]])
    with pytest.raises(ImportError, match="tensorflow"):
        theirs.adapt(batches)


def test_adapt_warns_of_coarse_floats(recwarn):
    times = np.array([[1.7e9], [1.7e9 + 1], [1.7e9 + 2]])
    with pytest.warns(UserWarning, match="float32"):
        layers.Normalization().adapt(times)
    keras.layers.Normalization().adapt(times)
    assert not recwarn


@pytest.mark.parametrize(
    ("given", "x", "ours", "theirs"),
    [
        ({"max_value": 5.0}, 5.0, 0, 0.5),
        ({"negative_slope": 0.2, "threshold": 0.5}, 0.5, 1, 0),
    ],
)
def test_rectifiers_at_kinks(given, x, ours, theirs):
    x = np.array([[x]], "float32")
    assert backward(layers.ReLU(**given), x) == ours
    assert backward_in_keras(keras.layers.ReLU(**given), x) == theirs
    x, given = np.zeros((1, 1), "float32"), {"alpha_initializer": "ones"}
    assert backward(layers.PReLU(**given), x) == 1
    assert backward_in_keras(keras.layers.PReLU(**given), x) == 0


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("BatchNormalization", {"renorm": True}),
        ("Dense", {"units": 2, "lora_rank": 1}),
        ("Dense", {"units": 2, "quantization_config": "int8"}),
        ("InputLayer", {"shape": (2,), "sparse": True}),
        ("MultiHeadAttention", {"num_heads": 1, "key_dim": 2, "sliding_window": 3}),
        ("MultiHeadAttention", {"num_heads": 1, "key_dim": 2, "use_gate": True}),
    ],
)
def test_arguments_of_what_is_not_there(name, given):
    with pytest.raises((TypeError, ValueError), match=f"{list(given)[-1]}"):
        getattr(layers, name)(**given)
    getattr(keras.layers, name)(**given)
    mask = np.array([[True, False]])
    with pytest.raises(TypeError, match="mask"):
        layers.Softmax()(X[:1], mask=mask)
    np.testing.assert_array_equal(keras.layers.Softmax()(X[:1], mask=mask), [[1, 0]])


def test_sparsemax():
    x = np.array([[1.0, 0.9, 0.1]])
    np.testing.assert_allclose(activations.sparsemax(x), [[0.55, 0.45, 0]])
    np.testing.assert_allclose(keras.activations.sparsemax(x), [[0.05, 0, 0]], atol=1e-12)


def test_glu_halves_the_shape():
    ours, theirs = (k.layers.Activation("glu") for k in BOTH)
    assert ours.compute_output_shape((None, 4)) == (None, 2)
    assert theirs.compute_output_shape((None, 4)) == (None, 4)
    with pytest.raises(ValueError, match="must have an even size"):
        ours(np.ones((1, 3)))
    with pytest.raises(AssertionError):
        keras.activations.glu(np.ones((1, 3)))


def test_words_are_in_range():
    with pytest.raises(ValueError, match="takes indices from 0 to 2"):
        layers.Embedding(3, 2)(np.array([[5]]))
    assert keras.layers.Embedding(3, 2)(np.array([[5]])).shape == (1, 1, 2)


def test_ties_go_to_the_first():
    a, b = nnlite.Input((1,)), nnlite.Input((1,))
    model = nnlite.Model([a, b], layers.Maximum()([a, b]))
    one = np.ones((1, 1), "float32")
    model([one, one], training=True)
    assert [dx.item() for dx in model.backward(one)] == [1, 0]
    slopes = jax.grad(lambda a, b: keras.layers.Maximum()([a, b]).sum(), (0, 1))
    assert [dx.item() for dx in slopes(jnp.ones((1, 1)), jnp.ones((1, 1)))] == [0.5, 0.5]


def test_samples_are_not_joined():
    with pytest.raises(ValueError, match="not samples"):
        layers.Concatenate(axis=0)([X, X])
    assert keras.layers.Concatenate(axis=0)([X, X]).shape == (4, 2)


def test_slope_of_abs_at_zero():
    x = nnlite.Input((1,))
    model = nnlite.Model(x, abs(x))
    model(np.zeros((1, 1)), training=True)
    assert model.backward(np.ones((1, 1), "float32")).item() == 0
    assert jax.grad(keras.ops.abs)(0.0) == 1


def test_activations_far_out():
    x = np.array([1000.0])
    assert 1e308 < activations.exponential(x) < np.inf
    assert keras.activations.exponential(x) == np.inf
    x = np.array([-1e9])  # (x + sqrt(x^2 + 4)) / 2 -> 1 / |x|
    assert activations.squareplus(x) == pytest.approx(1e-9)
    assert keras.activations.squareplus(x) == 0


def test_l1_at_zero():
    assert nnlite.regularizers.L1(1.0).gradient(np.zeros(1)) == 0
    assert jax.grad(keras.regularizers.L1(1.0))(jnp.zeros(())) == 1


def test_constraints_have_call():
    misnamed = {"project": lambda self, w: w * 0}
    with pytest.raises(NotImplementedError, match=r"Mine must define __call__"):
        type("Mine", (nnlite.constraints.Constraint,), misnamed)()(np.ones(2))
    theirs = type("Mine", (keras.constraints.Constraint,), misnamed)()
    np.testing.assert_array_equal(theirs(np.ones(2)), 1)


def test_initial_weights_are_finite():
    def build(k):
        layer = k.layers.Dense(1, kernel_initializer=k.initializers.Constant(NAN))
        layer.build((None, 2))
        return layer

    with pytest.raises(ValueError, match=r"of weight 'kernel' of layer 'dense' .* must be finite"):
        build(nnlite)
    assert np.isnan(np.array(build(keras).kernel)).all()


def test_add_weight_takes_the_name_first():
    ours = layers.Layer().add_weight("scale", (2,))
    theirs = keras.layers.Layer().add_weight((2,), name="scale")
    assert (ours.name, ours.shape) == (theirs.name, theirs.shape) == ("scale", (2,))
    with pytest.raises(TypeError, match="name"):
        layers.Layer().add_weight((2,), name="scale")


def test_masks_of_the_first_axes():
    x, mask = np.arange(6.0).reshape(1, 3, 2, 1), np.array([[True, True, False]])
    ours, theirs = (k.layers.BatchNormalization(momentum=0.0) for k in BOTH)
    ours(x, training=True, mask=mask)
    assert ours.moving_mean.numpy() == 1.5
    with pytest.raises(ValueError, match="one dimension less"):
        theirs(x, training=True, mask=mask)


def test_softmax_has_no_mask():
    x = np.array([[[1.0, 1.0], [0.0, 0.0]]] * 2, "float32")  # as many samples as steps and classes
    ours, theirs = (k.layers.Softmax()(k.layers.Masking()(x)) for k in BOTH)
    np.testing.assert_array_equal(ours, 0.5)
    np.testing.assert_array_equal(theirs, [[[1, 0], [1, 0]]] * 2)


def test_means_of_no_steps():
    mask = np.array([[False, False]])
    ours, theirs = (k.layers.GlobalAveragePooling1D()(X[None], mask=mask) for k in BOTH)
    np.testing.assert_array_equal(ours, 0)
    assert np.isnan(theirs).all()


def test_averages_of_two():
    for rank in (1, 2, 3):
        assert getattr(layers, f"AveragePooling{rank}D")().pool_size == (2,) * rank
        with pytest.raises(TypeError, match="missing 1 required"):
            getattr(keras.layers, f"AveragePooling{rank}D")()
    assert keras.layers.MaxPooling2D().pool_size == (2, 2)


def test_transposed_convolutions_are_alike():
    ours, theirs = (k.layers.Conv2DTranspose(1, 2, 2, "valid", 1) for k in BOTH)
    assert ours.output_padding == theirs.output_padding == (1, 1)
    assert layers.Conv3DTranspose(1, 2, 2, "valid", 1).output_padding == (1, 1, 1)
    with pytest.raises(ValueError, match="data_format"):
        keras.layers.Conv3DTranspose(1, 2, 2, "valid", 1)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda k, name: k.layers.UpSampling2D(interpolation=name), "bicubic"),
        (lambda k, name: k.layers.Resizing(2, 2, interpolation=name), "lanczos3"),
    ],
)
def test_nearest_and_bilinear(make, name):
    for known in ("nearest", "bilinear"):
        assert make(nnlite, known).interpolation == make(keras, known).interpolation
    with pytest.raises(ValueError, match="interpolation must be"):
        make(nnlite, name)
    assert make(keras, name).interpolation == name


def test_resized_images_are_floats():
    image = np.array([0, 3, 0, 3], "int32").reshape(1, 1, 4, 1)
    ours, theirs = (np.asarray(k.layers.Resizing(1, 2)(image)) for k in BOTH)
    assert (ours.dtype, theirs.dtype) == ("float32", "int32")
    np.testing.assert_array_equal(ours.ravel(), 1.5)
    np.testing.assert_array_equal(theirs.ravel(), 2)


def scores(k, **options):
    """Return what each step of X reads of each, by attention whose weights are all 1."""
    layer = k.layers.MultiHeadAttention(1, 1, kernel_initializer="ones")
    return np.asarray(layer(X[None], X[None], return_attention_scores=True, **options)[1])[0, 0]


def test_masks_given_to_attention():
    plain, mask = scores(nnlite), np.array([[True, False]])
    ours, theirs = (scores(k, query_mask=mask) for k in BOTH)
    np.testing.assert_allclose(ours, [plain[0], [0.5, 0.5]])
    np.testing.assert_allclose(theirs, plain, rtol=1e-4)


def test_queries_that_read_nothing():
    nothing = np.zeros((1, 2, 2), bool)
    ours, theirs = (scores(k, attention_mask=nothing) for k in BOTH)
    np.testing.assert_array_equal(ours, 0.5)
    np.testing.assert_array_equal(theirs, 0)


def test_lambdas_have_derivatives():
    def model(k, **options):
        square = k.layers.Lambda(lambda x: x**2, **options)
        dense = k.layers.Dense(1, kernel_initializer="ones")
        made = k.Sequential([k.Input((2,)), dense, square])
        made.compile("sgd", "mse")
        return made

    with pytest.raises(ValueError, match=r"has no derivative.* Give derivative="):
        model(nnlite).train_on_batch(X, Y)
    ours, theirs = model(nnlite, derivative=lambda x, y, dy: 2 * x * dy), model(keras)
    for each in (ours, theirs):
        each.train_on_batch(X, Y)
    np.testing.assert_allclose(ours.get_weights()[0], values(theirs.weights)[0], rtol=1e-5)


def test_one_way_to_compute_gates():
    for implementation in (1, 2):
        keras.layers.LSTM(2, implementation=implementation)
        assert "implementation" not in layers.LSTM(2, implementation=implementation).get_config()
    ours, theirs = (k.layers.LSTM(2, dropout=0.5, implementation=1) for k in BOTH)
    assert theirs.cell.dropout_mask_count == 4
    ours(np.ones((1, 3, 2)), training=True)


def test_weights_of_a_bidirectional():
    weights = [np.full((2, 1), 7.0), np.ones((1, 1)), np.ones(1)] * 2

    def kernel(k):
        layer = k.layers.Bidirectional(k.layers.SimpleRNN(1), weights=weights)
        layer.build((None, 2, 2))
        return values(layer.weights)[0]

    np.testing.assert_array_equal(kernel(nnlite), 7)
    assert (kernel(keras) < 7).all()


def test_stateful_layers_go_on():
    x, y = np.ones((3, 1, 1), "float32"), np.zeros((3, 1), "float32")

    def model(k):
        ones = dict.fromkeys(["kernel_initializer", "recurrent_initializer"], "ones")
        layer = k.layers.SimpleRNN(1, "linear", stateful=True, **ones)
        model = k.Sequential([k.Input(batch_shape=(1, 1, 1)), layer])
        model.compile(k.optimizers.SGD(1e-30), "mse")
        return model

    for k, outputs in [(nnlite, [1, 2, 3]), (keras, [1, 1, 1])]:
        predicted = model(k).predict(x, batch_size=1, verbose=0)
        np.testing.assert_array_equal(predicted.ravel(), outputs)
        loss = pytest.approx(np.square(outputs).mean())
        assert model(k).evaluate(x, y, batch_size=1, verbose=0) == loss
        assert model(k).fit(x, y, batch_size=1, verbose=0).history["loss"] == [loss]


def test_seeds_in_configurations():
    ours, theirs = (k.layers.SimpleRNN(1, seed=3).get_config() for k in BOTH)
    assert ours["seed"] == 3
    assert "seed" not in theirs


def test_moments_of_every_step():
    ours, theirs = (
        k.layers.TimeDistributed(k.layers.BatchNormalization(momentum=0.0)) for k in BOTH
    )
    for layer in (ours, theirs):
        layer(X[None], training=True)
    np.testing.assert_array_equal(ours.layer.moving_mean.numpy(), X.mean(axis=0))
    np.testing.assert_array_equal(values(theirs.layer.weights)[2], X[1])  # of the last step


def test_time_comes_second():
    assert layers.LSTM(2, time_major=False).get_config() == layers.LSTM(2, name="lstm").get_config()
    with pytest.raises(ValueError, match="time_major"):
        layers.LSTM(2, time_major=True)
    with pytest.raises(ValueError, match="Unrecognized keyword"):
        keras.layers.LSTM(2, time_major=False)


def test_cells_of_your_own():
    class Step(layers.Layer):
        state_size = 2

        def forward(self, x, training=False):
            return x

        def backward(self, gradient):
            return gradient

    class TheirStep(keras.layers.Layer):
        state_size = 2

        def call(self, inputs, states):
            return inputs, states

    with pytest.raises(ValueError, match="your own cells do not have a derivative"):
        layers.RNN(Step())
    assert keras.layers.RNN(TheirStep())(X[None], initial_state=[X[:1]]).shape == (1, 2)


def test_stacked_states_are_flat():
    def states(k):
        cells = [k.layers.LSTMCell(1), k.layers.LSTMCell(2)]
        return k.layers.RNN(cells, return_state=True)(k.Input((2, 2)))[1:]

    assert [state.shape for state in states(nnlite)] == [(None, 1)] * 2 + [(None, 2)] * 2
    assert [len(of_cell) for of_cell in states(keras)] == [2, 2]


# ---- losses ------------------------------------------------------------------------------------


def test_names_give_loss_objects():
    assert isinstance(losses.get("mse"), losses.MeanSquaredError)
    assert keras.losses.get("mse") is keras.losses.mean_squared_error


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("Huber", {"delta": 2.0}),
        ("CosineSimilarity", {"axis": 1}),
        ("SparseCategoricalCrossentropy", {"axis": 1}),
    ],
)
def test_configurations_are_complete(name, given):
    ours, theirs = (getattr(k.losses, name)(**given).get_config() for k in BOTH)
    assert given.items() <= ours.items()
    assert not given.keys() & theirs.keys()


def test_predictions_out_of_range():
    y, p = np.array([[0.0]]), np.array([[1.5]])
    ours, theirs = (k.losses.BinaryFocalCrossentropy() for k in BOTH)
    assert ours.gradient(y, p) == 0
    assert slope(theirs, y, p) == pytest.approx(47.827, rel=1e-3)
    y, p = np.array([0]), np.array([[0.0, 1.0]])
    ours, theirs = (k.losses.CategoricalGeneralizedCrossEntropy() for k in BOTH)
    np.testing.assert_array_equal(ours.gradient(y, p), 0)
    assert slope(theirs, y, p)[0, 0] == -np.inf
    y, p = np.array([[1.0]]), np.array([[-0.5]])
    # -0.5 - log(1e-7), and from 0 the tangent's 0.5 / 1e-7
    assert losses.Poisson()(y, p) == pytest.approx(-0.5 + 16.118096 + 0.5e7)
    assert np.isnan(keras.losses.Poisson()(y, p))


def test_circle_counts_labels():
    y = np.array([0, 0, 1, 1, 2, 2])
    x = np.array([[1, 0], [1, 0], [-1, 0], [-1, 0], [0.6, 0.8], [0.6, -0.8]], "float32")
    ours, theirs = (k.losses.Circle(gamma=1000.0) for k in BOTH)
    each = ours.call(y, x)
    assert (each[2:4] < 1e-37).all()  # which JAX computes as 0
    assert ours(y, x) == pytest.approx(each.sum() / 6)
    assert jax.jit(theirs)(y, x) == pytest.approx(each.sum() / 4)


def test_tversky_weighs_false_positives_by_alpha():
    y, p = np.array([[1.0, 1.0]]), np.array([[0.5, 0.5]])  # 1 hit, 1 false negative
    ours, theirs = (k.losses.Tversky(alpha=0.2, beta=0.8)(y, p) for k in BOTH)
    assert ours == pytest.approx(1 - 1 / (1 + 0.8))
    assert theirs == pytest.approx(1 - 1 / (1 + 0.2))


def test_weights_are_of_samples():
    y, p, weights = np.zeros((2, 3, 1)), np.ones((2, 3, 1)), np.array([1.0, 0.0])
    ours, theirs = (k.losses.MeanSquaredError(reduction=None) for k in BOTH)
    np.testing.assert_array_equal(ours(y, p, weights), [[1, 1, 1], [0, 0, 0]])
    with pytest.raises(ValueError, match="Incompatible shapes"):
        theirs(y, p, weights)


def test_one_weight_for_all():
    for k, expected in [(nnlite, 1.0), (keras, 2.0)]:
        mean = k.losses.MeanSquaredError(reduction="mean_with_sample_weight")
        assert float(mean(Y, Y + 1, sample_weight=2.0)) == expected


@pytest.mark.parametrize(
    ("name", "ours", "theirs"), [("Hinge", 0, -0.5), ("MeanAbsoluteError", 0, -1)]
)
def test_losses_at_kinks(name, ours, theirs):
    one = np.ones((1, 1))
    assert getattr(losses, name)().gradient(one, one) == ours
    assert slope(getattr(keras.losses, name)(), one, one) == theirs


# ---- metrics -----------------------------------------------------------------------------------


def test_sums_in_double_precision():
    ours, theirs = (k.metrics.Sum() for k in BOTH)
    for number in (2.0**24, 1.0, 1.0):
        ours.update_state(number)
        theirs.update_state(number)
    assert ours.result() == 2**24 + 2
    assert theirs.result() == 2**24
    means = [k.metrics.Mean(dtype="int32")(np.array([1.7, 2.7])) for k in BOTH]
    assert means == pytest.approx([2.2, 1.5])


def test_subnormal_numbers_are_above_zero():
    tiny = np.array([1e-40], "float32")
    ours, theirs = (k.metrics.BinaryAccuracy(threshold=0.0) for k in BOTH)
    assert ours([1.0], tiny) == 1
    assert theirs(np.array([1.0]), tiny) == 0


def test_classes_in_range():
    y, p = np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]])
    with pytest.raises(ValueError, match="class_id=5"):
        metrics.Precision(class_id=5)(y, p)
    assert keras.metrics.Precision(class_id=5)(y, p) == 0


@pytest.mark.filterwarnings("ignore:You are passing weight as `float`")
def test_iou_counts_fractions():
    y, p, weights = np.array([0, 0]), np.array([0, 1]), np.array([0.5, 0.25])
    ours, theirs = (k.metrics.IoU(2, [0])(y, p, sample_weight=weights) for k in BOTH)
    assert ours == pytest.approx(0.5 / 0.75, rel=1e-5)
    assert theirs == 0


def test_ignored_samples_do_not_count():
    y, p = np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]])
    ours, theirs = (k.metrics.SparseCategoricalCrossentropy(ignore_class=1)(y, p) for k in BOTH)
    assert ours == pytest.approx(np.log(2))
    assert theirs == pytest.approx(np.log(2) / 2)


def test_constants_have_no_correlation():
    y, p = np.array([[1.0], [1.0]]), np.array([[1.0], [1.0]])
    for name, given in [("R2Score", {}), ("PearsonCorrelation", {"axis": 0})]:
        ours, theirs = (getattr(k.metrics, name)(**given)(y, p) for k in BOTH)
        assert ours == 0
        assert np.isnan(theirs)


def test_thresholds_as_given():
    ours, theirs = ([k.metrics.Precision(t).thresholds for t in (None, 0.3)] for k in BOTH)
    assert ours == [None, 0.3]
    assert theirs == [[0.5], [0.3]]


def test_losses_as_metrics_average_samples():
    x, y = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]), np.zeros((3, 1))
    for k, value in [(nnlite, 4 / 3), (keras, (0 + 4) / 2)]:  # in batches of 2 and 1
        model = net(k, metrics=[k.losses.MeanSquaredError(name="loss_object")])
        assert model.evaluate(x, y, batch_size=2, verbose=0)[1] == pytest.approx(value)


def test_r2_of_several_regressors():
    y = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
    p = np.array([[1.1, 2.0], [3.0, 4.5], [5.0, 6.0]])
    r2 = (1 - ((y - p) ** 2).sum(axis=0) / ((y - y.mean(axis=0)) ** 2).sum(axis=0)).mean()
    adjusted = 1 - (1 - r2) * (3 - 1) / (3 - 1 - 1)
    for k in BOTH:
        metric = k.metrics.R2Score(num_regressors=1)
        metric.update_state(y, p)
        found = float(metric.result())
        assert (abs(found - adjusted) < 1e-4) == (k is nnlite)


def test_vectors_in_r2():
    y, p = np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0])
    metric = metrics.R2Score()
    metric.update_state(y, p)
    assert metric.result() == pytest.approx(1 - 1 / ((y - y.mean()) ** 2).sum())
    with pytest.raises(ValueError, match="2D"):
        keras.metrics.R2Score().update_state(y, p)


# ---- optimizers --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["apply", "apply_gradients"])
def test_apply_is_not_overridden(method):
    hooks = {method: lambda self, *given: None}
    with pytest.raises(TypeError, match=f"overrides {method}, .* define update_step"):
        type("Mine", (optimizers.SGD,), hooks)
    type("Mine", (keras.optimizers.SGD,), hooks)


def test_build_is_called_again():
    def after(k):
        weights = [weight(k, name=name) for name in "ab"]
        optimizer = k.optimizers.SGD(0.1, momentum=0.9)
        optimizer.build(weights)
        optimizer.apply([np.ones(2, "float32")] * 2, weights)
        optimizer.build(weights[1:])  # the first is frozen
        named = {variable.name: np.array(variable) for variable in optimizer.variables[2:]}
        return list(named), named["b_momentum"]

    names, momentum = after(nnlite)
    assert names == ["b_momentum"]
    np.testing.assert_allclose(momentum, -0.1)
    assert after(keras)[0] == ["a_momentum", "b_momentum"]


def test_learning_rates_are_numbers():
    ours, theirs = (k.optimizers.SGD(0.1) for k in BOTH)
    assert ours.get_config()["learning_rate"] == ours.learning_rate.numpy() == 0.1
    assert theirs.get_config()["learning_rate"] == float(np.float32(0.1))
    kept, variable = ours.learning_rate, theirs.learning_rate
    ours.learning_rate = theirs.learning_rate = 0.5
    assert (kept, kept.value) == (0.1, 0.5)
    assert variable.numpy() == 0.5


def test_rates_may_be_integers():
    assert optimizers.SGD(1).learning_rate == 1
    with pytest.raises(ValueError, match="should be float"):
        keras.optimizers.SGD(1)
    for k, rate in [(nnlite, 0.5**0.6), (keras, 0)]:
        assert float(k.optimizers.schedules.ExponentialDecay(1, 5, 0.5)(3)) == pytest.approx(rate)


def test_apply_takes_a_weight_once():
    def twice(k):
        w = weight(k)
        k.optimizers.SGD(1.0).apply([np.ones(2, "float32")] * 2, [w, w])
        return np.array(w)

    with pytest.raises(ValueError, match="SGD takes each variable once"):
        twice(nnlite)
    np.testing.assert_array_equal(twice(keras), [-1, 0])


def test_an_optimizer_has_one_model():
    def share(k):
        optimizer = k.optimizers.SGD(0.1)
        for _ in range(2):
            model = net(k, optimizer=optimizer)
            model.train_on_batch(X, Y)
        return optimizer

    with pytest.raises(ValueError, match="belongs to another model already"):
        share(nnlite)
    assert int(share(keras).iterations) == 2


def test_adam_has_a_scale_of_its_own():
    w = weight(nnlite)
    ours = optimizers.Adam(0.1)
    ours.apply([[1.0, 1.0]], [w])
    np.testing.assert_allclose(ours.state["momentum"], 1)  # m / (1 - beta_1)
    theirs = keras.optimizers.Adam(0.1)
    theirs.apply([np.ones(2, "float32")], [weight(keras)])
    for optimizer in (ours, theirs):
        m = next(v for v in optimizer.variables if v.name == "w_momentum")
        np.testing.assert_allclose(np.array(m), 0.1, rtol=1e-6)


def test_averages_begin_as_the_weights():
    for k, begin in [(nnlite, [1, 2]), (keras, [0, 0])]:
        optimizer = k.optimizers.SGD(0.1, use_ema=True)
        optimizer.build([weight(k)])
        np.testing.assert_array_equal(np.array(optimizer.variables[2]), begin)


@pytest.mark.parametrize("name", ["Adam", "RMSprop", "Adadelta", "Adamax", "Nadam"])
def test_epsilon_of_zero(name):
    for k, value in [(nnlite, [1, 2]), (keras, NAN)]:
        w = weight(k)
        getattr(k.optimizers, name)(0.1, epsilon=0.0).apply([np.zeros(2, "float32")], [w])
        np.testing.assert_array_equal(np.array(w), np.broadcast_to(value, 2))


def test_centered_variance_is_not_negative():
    def train(k):
        w, g = weight(k, [1.0]), np.array([1000.1], "float32")
        optimizer = k.optimizers.RMSprop(1e-3, rho=0.5, centered=True, epsilon=1e-12)
        for _ in range(50):  # the mean of the squares becomes that of the gradient, squared
            optimizer.apply([g], [w])
        return np.array(w)

    assert np.isfinite(train(nnlite)).all()
    assert np.isnan(train(keras)).all()


def test_polynomial_decay_ends_at_a_number():
    ours, theirs = (k.optimizers.schedules.PolynomialDecay(0.1, 10, 0.0, 0.5) for k in BOTH)
    assert ours(11) == 0
    assert np.isnan(jax.jit(theirs)(11))


def test_schedules_give_rates():
    def step(k):
        class Negative(k.optimizers.schedules.LearningRateSchedule):
            def __call__(self, step):
                return -1.0

        w = weight(k)
        k.optimizers.SGD(Negative()).apply([np.ones(2, "float32")], [w])
        return np.array(w)

    with pytest.raises(ValueError, match="What Negative returned is not a learning rate"):
        step(nnlite)
    np.testing.assert_array_equal(step(keras), [2, 3])


# ---- callbacks ---------------------------------------------------------------------------------


def begun(k, callback):
    """Return the callback in the first epoch of a run that nobody trains."""
    model = net(k)
    model.stop_training = False
    callback.set_model(model)
    callback.set_params({"epochs": 9, "steps": 3})
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    return callback


def played(k, callback, *losses, name="loss"):
    begun(k, callback)
    for epoch, loss in enumerate(losses):
        callback.on_epoch_end(epoch, {"loss": 1.0, name: loss})
    return callback


@pytest.mark.filterwarnings("ignore:.*that is never the best")
def test_nan_is_never_best(tmp_path):
    for k, best, reduced in [(nnlite, 1.0, False), (keras, NAN, True)]:
        stop = played(k, k.callbacks.EarlyStopping("loss", patience=9), NAN, 2.0, 1.0)
        np.testing.assert_equal(stop.best, best)
        reduce = played(k, k.callbacks.ReduceLROnPlateau("loss", patience=2), NAN, 2.0, 1.0)
        np.testing.assert_equal(reduce.best, best)
        assert (float(reduce.model.optimizer.learning_rate) < 0.005) == reduced
        path = tmp_path / f"{k.__name__}.keras"
        save = k.callbacks.ModelCheckpoint(path, "loss", save_best_only=True)
        np.testing.assert_equal(played(k, save, NAN, 2.0, 1.0).best, best)


def test_names_are_looked_up_before_training(tmp_path):
    def epochs(k, callback, error):
        seen = []

        class Note(k.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                seen.append(epoch)

        with pytest.raises(error):
            net(k).fit(X, Y, verbose=0, callbacks=[Note(), callback(k.callbacks)])
        return seen

    def direction(module):
        return module.EarlyStopping("odd")

    def placeholder(module):
        return module.ModelCheckpoint(tmp_path / "{odd}.keras")

    for callback, error in [(direction, ValueError), (placeholder, KeyError)]:
        assert epochs(nnlite, callback, error) == []
        assert epochs(keras, callback, error) == [0]


@pytest.mark.parametrize("name", ["EarlyStopping", "ReduceLROnPlateau"])
def test_callback_arguments_are_known(name):
    with pytest.raises(ValueError, match="mode must be 'auto', 'min' or 'max'"):
        getattr(nnlite.callbacks, name)("loss", mode="down")
    with pytest.warns(UserWarning, match="fallback to auto"):
        assert getattr(keras.callbacks, name)("loss", mode="down").mode == "auto"
    misspelt = {"on_epoch_ended": lambda epoch, logs: None}
    with pytest.raises(TypeError, match="'on_epoch_ended' is not a callback method"):
        nnlite.callbacks.LambdaCallback(**misspelt)
    assert hasattr(keras.callbacks.LambdaCallback(**misspelt), "on_epoch_ended")
    with pytest.raises(TypeError, match="unexpected keyword argument 'waiting'"):
        nnlite.callbacks.ReduceLROnPlateau(waiting=3)
    assert keras.callbacks.ReduceLROnPlateau(waiting=3).patience == 10


def test_missing_values_are_told_once():
    for k, times in [(nnlite, 1), (keras, 3)]:
        with pytest.warns(UserWarning, match="val_loss") as told:
            played(k, k.callbacks.EarlyStopping("val_loss"), 1.0, 1.0, 1.0)
        assert len(told) == times


def test_checkpoints_compare_where_needed(tmp_path):
    def best(k, folder):
        path = folder / "{batch}.weights.h5"
        save = k.callbacks.ModelCheckpoint(path, "loss", 0, True, True, "min", save_freq=1)
        begun(k, save)
        for batch, loss in enumerate([3.0, 4.0, 2.0]):
            save.on_train_batch_end(batch, {"loss": loss})

    def each(k, folder):
        path = folder / "{epoch}.weights.h5"
        played(k, k.callbacks.ModelCheckpoint(path, "odd", save_weights_only=True), 2.0, name="odd")

    for save, batches, error in [(best, "13", TypeError), (each, "1", ValueError)]:
        folder = tmp_path / save.__name__
        save(nnlite, folder)
        assert sorted(os.listdir(folder)) == [f"{batch}.weights.h5" for batch in batches]
        with pytest.raises(error, match=r"'NoneType' object is not callable|isn't able to"):
            save(keras, folder)


def test_saving_may_fail(tmp_path, monkeypatch):
    with pytest.raises(TypeError, match="on_error"):
        keras.callbacks.ModelCheckpoint("a.keras", on_error="warn")
    save = ModelCheckpoint(tmp_path / "a.keras", on_error="warn")
    begun(nnlite, save)

    def full(*given, **options):
        raise OSError("No space left on device")

    monkeypatch.setattr(save.model, "save", full)
    with pytest.warns(UserWarning, match="No space left"):
        save.on_epoch_end(0, {"loss": 1.0})


def test_backups_come_last_and_leave_other_files(tmp_path):
    def order(k):
        calls = []

        class Backup(k.callbacks.BackupAndRestore):
            def on_train_begin(self, logs=None):
                calls.append("backup")

        class Other(k.callbacks.Callback):
            def on_train_begin(self, logs=None):
                calls.append("other")
                self.model.stop_training = True

        callbacks = [Backup(tmp_path / k.__name__), Other()]
        net(k).fit(X, Y, epochs=1, verbose=0, callbacks=callbacks)
        return calls

    assert order(nnlite) == ["other", "backup"]
    assert order(keras) == ["backup", "other"]
    for k in BOTH:
        folder = tmp_path / k.__name__
        folder.mkdir()
        (folder / "notes.txt").touch()
        begun(k, k.callbacks.BackupAndRestore(folder)).on_train_end()
    assert os.listdir(tmp_path / "nnlite") == ["notes.txt"]
    assert not (tmp_path / "keras").exists()


def test_a_resumed_run_is_whole(tmp_path):
    def run(k, at=None):
        """Train for three epochs of two batches, unless it ends at batch ``at`` of all."""
        batches = []

        class Stop(k.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                batches.append(batch)
                if len(batches) == at:
                    raise KeyboardInterrupt

        backup = k.callbacks.BackupAndRestore(tmp_path / k.__name__, save_freq=1)
        options = {"epochs": 3, "batch_size": 1, "shuffle": False, "verbose": 0}
        return net(k).fit(X, Y, callbacks=[backup, Stop()], **options), batches

    for k in BOTH:
        with pytest.raises(KeyboardInterrupt):
            run(k, at=4)
    history, batches = run(nnlite)
    whole = net(nnlite)
    whole.fit(X, Y, epochs=3, batch_size=1, shuffle=False, verbose=0)
    np.testing.assert_array_equal(history.model.get_weights()[0], whole.get_weights()[0])
    assert history.epoch == [0, 1, 2]
    assert batches == [1, 0, 1]
    history, batches = run(keras)
    assert history.epoch == [1, 2]
    assert batches == [0, 1, 0, 1]


def test_swapped_weights_come_back():
    for k, back in [(nnlite, True), (keras, False)]:
        model = net(k, optimizer=k.optimizers.SGD(0.1, use_ema=True))
        model.optimizer.build(model.trainable_weights)
        if k is nnlite:
            model.train_on_batch(X, Y)
        before = values(model.weights)
        swap = k.callbacks.SwapEMAWeights()
        swap.set_model(model)
        swap.on_predict_begin()
        swap.on_predict_end()
        assert np.array_equal(before[0], values(model.weights)[0]) == back
    for k in BOTH:
        swap = k.callbacks.SwapEMAWeights()
        swap.set_model(net(k))
        if k is keras:
            swap.on_train_begin()
            continue
        with pytest.raises(ValueError, match="needs an optimizer that averages"):
            swap.on_train_begin()


def test_log_files_are_closed(tmp_path):
    path = str(tmp_path / "log.csv")
    ours = played(nnlite, nnlite.callbacks.CSVLogger(path), 1.0)
    assert not any(hasattr(value, "fileno") for value in vars(ours).values())
    theirs = played(keras, keras.callbacks.CSVLogger(path), 1.0)
    assert not theirs.csv_file.closed
    theirs.on_train_end()


def test_tensorboard_has_numbers_only(tmp_path):
    ours, theirs = (net(k) for k in BOTH)
    ours.fit(X, Y, verbose=0, callbacks=[nnlite.callbacks.TensorBoard(tmp_path / "logs")])
    assert os.listdir(tmp_path / "logs") == ["train"]
    with pytest.raises(ImportError, match="tensorflow"):
        theirs.fit(X, Y, verbose=0, callbacks=[keras.callbacks.TensorBoard(tmp_path / "theirs")])
    for unknown in ("histogram_freq", "write_images", "embeddings_freq"):
        with pytest.raises(ValueError, match=f"needs {unknown}=0"):
            nnlite.callbacks.TensorBoard(**{unknown: 1})
        keras.callbacks.TensorBoard(**{unknown: 1})


# ---- files -------------------------------------------------------------------------------------


def rewritten(source, target, member="config.json", change=lambda data: data):
    """Write a copy of a .keras file with other data in a member."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, change(data) if name == member else data)
    return target


def saved(model, path):
    model.save(path)
    return path


def test_unknown_loss_in_a_file(tmp_path):
    path = rewritten(
        saved(net(keras, loss=keras.losses.MeanSquaredError()), tmp_path / "known.keras"),
        tmp_path / "unknown.keras",
        change=lambda data: data.replace(b'"MeanSquaredError"', b'"Gone"'),
    )
    with pytest.warns(UserWarning, match="left out: the loss 'Gone'"):
        ours = load_model(path)
    np.testing.assert_array_equal(ours.predict(X), [[3], [7]])
    with pytest.raises(ValueError, match=r"Call compile\(\.\.\.\) first"):
        ours.fit(X, Y)
    with pytest.raises(ValueError, match=r"Could not deserialize 'keras\.losses\.Gone'"):
        keras.saving.load_model(path)


def test_lambdas_are_no_data(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: 2 * x)])
    path = saved(model, tmp_path / "lambda.keras")
    with pytest.raises(ValueError, match="of class Lambda"):
        load_model(path, safe_mode=False)
    np.testing.assert_array_equal(keras.saving.load_model(path, safe_mode=False)(X), 2 * X)

    def rate(k):
        return k.optimizers.SGD(lambda: 0.25).get_config()["learning_rate"]

    with pytest.raises(TypeError, match="cannot be serialized"):
        rate(nnlite)
    with pytest.warns(UserWarning, match="unsafe"):
        assert rate(keras)["class_name"] == "__lambda__"


def test_half_precision_in_a_file(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, dtype="float16")])
    path = saved(model, tmp_path / "half.keras")
    with pytest.warns(UserWarning, match="the precision float16"):
        assert load_model(path).weights[0].dtype == "float32"
    assert keras.saving.load_model(path).weights[0].dtype == "float16"


def test_kind_of_a_file_by_its_content(tmp_path):
    path = tmp_path / "model.bin"
    saved(net(nnlite), tmp_path / "model.keras").rename(path)
    np.testing.assert_array_equal(load_model(path).predict(X), [[3], [7]])
    with pytest.raises(ValueError, match="File format not supported"):
        keras.saving.load_model(path)


@pytest.mark.filterwarnings("ignore:Do not pass an `input_shape`:UserWarning")
@pytest.mark.parametrize("bare", [True, False])
def test_old_files(bare, tmp_path):
    """A configuration as Keras 1 and 2.0 wrote it: a list, or no layer for the input."""
    path = saved(net(nnlite), tmp_path / "old.h5")
    dense = {"name": "dense", "units": 1, "activation": "linear", "batch_input_shape": [None, 2]}
    listed = [{"class_name": "Dense", "config": dense}]
    config = listed if bare else {"name": "old", "layers": listed}
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": config})
        file.attrs["keras_version"] = "2.1.0"
        del file.attrs["training_config"]
    np.testing.assert_array_equal(load_model(path).predict(X), [[3], [7]])
    with pytest.raises((TypeError, ValueError), match=r"pop expected|Invalid input shape"):
        keras.saving.load_model(path)(X)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_optimizer_state_in_h5_files(tmp_path):
    def loaded(k, load):
        given = {"optimizer": k.optimizers.SGD(0.1, 0.9), "loss": k.losses.MeanSquaredError()}
        model = net(k, **given)
        model.train_on_batch(X, Y)
        return [v.name for v in load(saved(model, tmp_path / "model.h5")).optimizer.variables]

    names = ["iteration", "learning_rate", "kernel_momentum", "bias_momentum"]
    assert loaded(nnlite, load_model) == names
    assert loaded(keras, keras.saving.load_model) == names[:2]


def test_saving_makes_folders_and_spares_files(tmp_path):
    for k, spared in [(nnlite, True), (keras, False)]:

        class Unwritable(k.layers.Dense):
            def get_config(self):
                return {"units": object()}

        path = saved(net(k), tmp_path / f"{k.__name__}.keras")
        before = path.read_bytes()
        with pytest.raises(TypeError):
            saved(k.Sequential([k.layers.Input((2,)), Unwritable(1)]), path)
        assert (path.read_bytes() == before) == spared
    net(nnlite).save(tmp_path / "new" / "model.keras")
    with pytest.raises(FileNotFoundError):
        net(keras).save(tmp_path / "other" / "model.keras")


def test_what_is_saved_can_be_loaded(tmp_path):
    def without_options(k, **methods):
        def init(self, units):
            super(mine, self).__init__()
            self.units = units

        mine = type("Mine", (k.layers.Layer,), {"__init__": init, **methods})
        return mine

    path = tmp_path / "mine.keras"
    pair = {
        "forward": lambda self, x, training=False: x,
        "backward": lambda self, gradient: gradient,
    }
    ours, theirs = without_options(nnlite, **pair), without_options(keras, call=lambda self, x: x)
    with pytest.raises(TypeError, match="'mine' could not be loaded again"):
        nnlite.Sequential([layers.Input((2,)), ours(3)]).save(path)
    keras.Sequential([keras.Input((2,)), theirs(3)]).save(path)
    with pytest.raises(TypeError, match="could not be deserialized properly"):
        keras.saving.load_model(path, custom_objects={"Mine": theirs})


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_archives_within_limits(tmp_path):
    source = saved(net(nnlite), tmp_path / "model.keras")
    deep = b'{"unused": ' + b"[" * 150 + b"]" * 150 + b","
    for change, message in [
        (lambda data: deep + data[1:], "nested 151 deep"),
        (lambda data: data + b" " * 9 * 2**20, "at most 8388608 are read"),
    ]:
        path = rewritten(source, tmp_path / "changed.keras", change=change)
        with pytest.raises(ValueError, match=message):
            load_model(path)
        np.testing.assert_array_equal(keras.saving.load_model(path)(X), [[3], [7]])
    with zipfile.ZipFile(source, "a") as file:
        file.writestr("config.json", file.read("config.json").replace(b"linear", b"relu"))
    with pytest.raises(ValueError, match=r"'config\.json' is there twice"):
        load_model(source)
    theirs = keras.saving.load_model(source)
    assert theirs.layers[0].activation is keras.activations.relu


def chain(k, *names):
    return k.Sequential([k.Input((2,)), *(k.layers.Dense(2, name=name) for name in names)])


def test_layers_that_only_the_file_has(tmp_path):
    path = str(tmp_path / "more.weights.h5")
    chain(keras, "first", "second").save_weights(path)
    with pytest.raises(ValueError, match="not in the model"):
        chain(nnlite, "first").load_weights(path)
    chain(keras, "first").load_weights(path)


def test_by_name_needs_a_common_name(tmp_path):
    path = saved(chain(nnlite, "first"), tmp_path / "names.h5")
    with pytest.raises(ValueError, match="no layer with weights of the same name"):
        chain(nnlite, "other").load_weights(path, by_name=True)
    theirs = chain(keras, "other")
    before = values(theirs.weights)
    theirs.load_weights(path, by_name=True)
    np.testing.assert_array_equal(values(theirs.weights)[0], before[0])


@pytest.mark.filterwarnings("ignore:Weights that do not fit", "ignore:Skipping loading")
def test_mismatched_layers_are_left_out_whole(tmp_path):
    path = saved(net(nnlite), tmp_path / "two.h5")  # a kernel of (2, 1) and a bias, which is 0

    def load(k, size, **options):
        dense = k.layers.Dense(1, bias_initializer="ones", name="dense", **options)
        model = k.Sequential([k.Input((size,)), dense])
        model.load_weights(path, skip_mismatch=True)
        return values(model.weights)

    assert [load(k, 3)[1] for k in BOTH] == [1, 0]
    assert len(load(nnlite, 2, use_bias=False)) == 1
    with pytest.raises(ValueError, match="Weight count mismatch"):
        load(keras, 2, use_bias=False)


def test_hard_sigmoid_of_its_time(tmp_path):
    path = saved(net(nnlite, "hard_sigmoid"), tmp_path / "old.h5")
    with h5py.File(path, "a") as file:
        file.attrs["keras_version"] = "2.4.0"
    x = np.array([[0.5, 0.5]], "float32")
    assert load_model(path, compile=False).predict(x) == pytest.approx(0.2 + 0.5)
    theirs = keras.saving.load_model(path, compile=False).predict(x, verbose=0)
    assert theirs == pytest.approx(1 / 6 + 0.5)


def test_exports_are_onnx(tmp_path, capsys):
    net(nnlite).export(tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").stat().st_size > 100
    with pytest.raises(ImportError, match="tensorflow"):  # for its default, "tf_saved_model"
        net(keras).export(tmp_path / "model")


# ---- utilities ---------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [[-1, 0], [0.5, 1.5]])
def test_categories_are_indices(labels):
    with pytest.raises(ValueError, match="must hold class indices"):
        nnlite.utils.to_categorical(labels, 2)
    assert keras.utils.to_categorical(labels, 2).sum() == 2  # -1 is the last class, 0.5 is 0


def test_normalize_the_first_axis():
    x = np.array([[3.0, 1.0], [4.0, 0.0]])
    np.testing.assert_allclose(nnlite.utils.normalize(x, axis=0), [[0.6, 1], [0.8, 0]])
    np.testing.assert_allclose(keras.utils.normalize(x, axis=0), [[0.6, 0.2], [4, 0]])


def test_split_into_arrays():
    left, right = nnlite.utils.split_dataset(np.arange(4), 0.5)
    assert isinstance(left, np.ndarray)
    assert isinstance(right, np.ndarray)
    with pytest.raises(ImportError, match="tensorflow"):
        keras.utils.split_dataset(np.arange(4), 0.5)


def test_layers_are_built_with_their_model():
    for k, built in [(nnlite, False), (keras, True)]:
        data = k.layers.serialize(k.layers.Dense(1))
        data = {**data, "build_config": {"input_shape": (None, 2)}}
        assert k.layers.deserialize(data).built == built


@pytest.mark.parametrize("module", ["initializers", "regularizers", "constraints"])
def test_one_way_to_write_data(module):
    for name in ("serialize", "deserialize"):
        assert not hasattr(getattr(nnlite, module), name)
        assert hasattr(getattr(keras, module), name)
    zeros = nnlite.saving.serialize_keras_object(nnlite.initializers.Zeros())
    assert zeros["class_name"] == "Zeros"


def test_drawings_are_svg(tmp_path):
    drawing = nnlite.utils.plot_model(net(nnlite), tmp_path / "model.svg")
    assert str(drawing).startswith("<svg")
    with pytest.raises(ValueError, match=r"to_file must end in \.svg"):
        nnlite.utils.plot_model(net(nnlite), "model.png")
    with pytest.raises(ImportError, match="pydot"):
        keras.utils.plot_model(net(keras), tmp_path / "model.png")


# ---- tables and text ---------------------------------------------------------------------------


def test_tables_need_no_tensorflow():
    lookup = layers.StringLookup(vocabulary=["a", "b"])
    np.testing.assert_array_equal(lookup(np.array([["b"], ["c"]])), [[2], [0]])
    with pytest.raises(RuntimeError, match=r"no vocabulary yet: call adapt\(data\)"):
        layers.StringLookup()(np.array([["a"]]))
    with pytest.raises(TypeError, match=r"must hold text.*None"):
        lookup(np.array([["a"], [None]], object))
    with pytest.raises(ValueError, match="supports ragged=False only"):
        layers.TextVectorization(ragged=True)
    with pytest.raises(ValueError, match="needs an output_sequence_length in a model"):
        layers.TextVectorization(vocabulary=["a"])(nnlite.Input((1,), dtype="string"))
    for name in ("StringLookup", "IntegerLookup", "TextVectorization"):
        with pytest.raises(ImportError, match="requires TensorFlow"):
            getattr(keras.layers, name)()


def test_categories_in_range():
    ours, theirs = (k.layers.CategoryEncoding(num_tokens=3, output_mode="one_hot") for k in BOTH)
    with pytest.raises(ValueError, match="takes integers from 0 to 2"):
        ours(np.array([5]))
    np.testing.assert_array_equal(theirs(np.array([5])), 0)


def test_several_categories_of_a_sample():
    ours, theirs = (k.layers.CategoryEncoding(num_tokens=3, output_mode="multi_hot") for k in BOTH)
    with pytest.raises(ValueError, match=r"of shape \(samples, entries\)"):
        ours(np.array([[[1, 2]]]))
    assert theirs(np.array([[[1, 2]]])).shape == (1, 2, 3)


# ---- several processes -------------------------------------------------------------------------


def test_devices_are_processes():
    ours, theirs = nnlite.distribution, keras.distribution
    assert ours.list_devices() == ["cpu:0"]
    for argument in ({"device_mesh": 1}, {"auto_shard_dataset": False}):
        with pytest.raises(ValueError, match=next(iter(argument))):
            ours.DataParallel(**argument)
    assert theirs.DataParallel(auto_shard_dataset=False).device_mesh.shape == (1,)
    assert not hasattr(ours, "ModelParallel")
    assert theirs.ModelParallel

"""Every loss beside Keras's: values, each sample's value, gradients, configurations and names."""

import inspect

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras.src import backend
from keras.src.losses import ALL_OBJECTS_DICT

from nnlite import losses

REDUCTIONS = ["sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None]
SHAPES = [(5, 3), (4, 1), (3, 4, 2)]


@pytest.fixture(autouse=True)
def _means_are_of_their_own_type(monkeypatch):
    """Keras's mean on JAX computes in float32, of float64 too: 1e-8 is then all that can be had."""
    monkeypatch.setattr(backend.numpy, "mean", jnp.mean)


def _numbers(g, shape):
    return 2 * g.standard_normal(shape), 2 * g.standard_normal(shape)


def _counts(g, shape):
    return g.poisson(2.0, shape).astype(float), g.uniform(0.1, 5, shape)


def _signs(g, shape):
    labels = g.integers(0, 2, shape)
    return labels * 2 - 1 if g.random() < 0.5 else labels, 2 * g.standard_normal(shape)


def _probabilities(g, shape):
    return g.uniform(0.02, 0.98, shape)


def _regions(g, shape):
    return g.integers(0, 2, shape), _probabilities(g, shape)


def _distributions(g, shape):
    return g.dirichlet(np.ones(shape[-1]), shape[:-1]), _probabilities(g, shape)


def _one_hot(g, shape):
    return np.eye(shape[-1])[g.integers(0, shape[-1], shape[:-1])], g.standard_normal(shape)


def _chosen(g, **arguments):
    return {name: g.choice(np.array(values, object)) for name, values in arguments.items()}


def _plain(draw, shapes=SHAPES, **choices):
    """Return a case: the arguments that are drawn from, the data, and the shapes of them."""

    def case(g, shape):
        return (_chosen(g, **choices), *draw(g, shape))

    return case, shapes


def _binary(g, shape, **choices):
    arguments = _chosen(
        g, from_logits=[False, True], label_smoothing=[0.0, 0.2], axis=[-1, 1], **choices
    )
    y = g.integers(0, 2, shape) if g.random() < 0.5 else g.random(shape)
    return arguments, y, _prediction(g, shape, arguments)


def _categorical(g, shape, **choices):
    arguments = _chosen(g, from_logits=[False, True], label_smoothing=[0.0, 0.2], **choices)
    return arguments, _distributions(g, shape)[0], _prediction(g, shape, arguments)


def _sparse(g, shape):
    arguments = _chosen(g, from_logits=[False, True], ignore_class=[None, 1, -1])
    low = -1 if arguments["ignore_class"] == -1 else 0
    return arguments, g.integers(low, shape[-1], shape[:-1]), _prediction(g, shape, arguments)


def _prediction(g, shape, arguments):
    return 3 * g.standard_normal(shape) if arguments["from_logits"] else _probabilities(g, shape)


def _balanced(g, shape):
    choices = {"apply_class_balancing": [False, True], "alpha": [0.25, 0.6]}
    return _binary(g, shape, gamma=[0.0, 0.5, 2.0], **choices)


def _focal(g, shape):
    return _categorical(g, shape, alpha=[0.25, 1.0, list(range(shape[-1]))], gamma=[0.0, 0.5, 2.0])


def _embeddings(g, shape):
    x = g.standard_normal(shape)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    choices = {"gamma": [80.0, 3.0], "margin": [0.4, 0.2], "remove_diagonal": [True, False]}
    # A label of its own has no positive pair, and counts for nothing in the mean.
    return _chosen(g, **choices), np.append(g.integers(0, 2, shape[0] - 1), 7), x


MANY = [shape for shape in SHAPES if shape[-1] > 1]
AXES = [None, -1, 1, (1, 2), (0, 1)]

# For each class of this package: a maker of arguments, targets and predictions, and their shapes.
CASES = {
    "BinaryCrossEntropy": (_binary, SHAPES),
    "BinaryFocalCrossEntropy": (_balanced, SHAPES),
    "CategoricalCrossEntropy": (_categorical, MANY),
    "CategoricalFocalCrossEntropy": (_focal, MANY),
    "CategoricalGeneralizedCrossEntropy": _plain(
        lambda g, shape: (g.integers(0, shape[-1], shape[:-1]), _probabilities(g, shape)),
        MANY,
        q=[0.2, 0.5, 0.9],
    ),
    "CategoricalHinge": _plain(_one_hot, MANY),
    "Circle": (_embeddings, [(7, 3), (6, 2)]),
    "CosineSimilarity": _plain(_numbers, axis=[-1, 1]),
    "Dice": _plain(_regions, [(3, 4, 2)], axis=AXES),
    "Hinge": _plain(_signs),
    "Huber": _plain(_numbers, delta=[1.0, 0.3, 20.0]),
    "KLDivergence": _plain(_distributions),
    "LogCosh": _plain(_numbers),
    "MeanAbsoluteError": _plain(_numbers),
    "MeanAbsolutePercentageError": _plain(_numbers),
    "MeanSquaredError": _plain(_numbers),
    "MeanSquaredLogarithmicError": _plain(_counts),
    "Poisson": _plain(_counts),
    "SparseCategoricalCrossEntropy": (_sparse, MANY),
    "SquaredHinge": _plain(_signs),
    "Tversky": _plain(_regions, [(3, 4, 2)], alpha=[0.5, 0.3], beta=[0.5, 0.9], axis=AXES),
}

# What Keras's own configurations leave out, so that it is lost in its files.
FORGOTTEN = {
    "CosineSimilarity": ["axis"],
    "Huber": ["delta"],
    "SparseCategoricalCrossEntropy": ["axis"],
}

# Names of Keras's that are not here.
ABSENT = {"CTC", "ctc"}  # a loss of sequences
BASES = {"Loss", "LossFunctionWrapper"}  # neither Keras nor this package makes one from its name

every_loss = pytest.mark.parametrize("name", CASES)
both_types = pytest.mark.parametrize("dtype", ["float32", "float64"])


def spelled(name):
    return getattr(losses, name).keras_name or name.replace("CrossEntropy", "Crossentropy")


def both(cls, arguments, /, **more):
    theirs = getattr(keras.losses, spelled(cls))
    return getattr(losses, cls)(**arguments, **more), theirs(**swapped(arguments), **more)


def swapped(arguments):
    """Return Tversky's arguments for Keras 3.15, where alpha weighs what is left out."""
    if "beta" not in arguments:
        return arguments
    return {**arguments, "alpha": arguments["beta"], "beta": arguments["alpha"]}


def agree(ours, theirs, dtype):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    bound = {"float32": 1e-5, "float64": 1e-10}[dtype]
    scale = max(1.0, float(np.abs(theirs).max(initial=0)))
    np.testing.assert_allclose(ours, theirs, rtol=bound, atol=bound * scale)


def typed(y, p, dtype):
    return (y if y.dtype.kind == "i" else y.astype(dtype)), p.astype(dtype)


def drawn(name, seed):
    case, shapes = CASES[name]
    g = np.random.default_rng([seed, *name.encode()])
    return (*case(g, shapes[seed % len(shapes)]), g)


def weights(loss, y, p, g):
    """Return None or weights, as each takes them: Keras wants them in the shape of the losses."""
    shape = loss.samples_shape(p.shape)
    if g.random() < 0.4:
        return None
    return g.choice([0.0, 0.5, 1.0, 3.0], shape)


def evaluated(loss, y, p, weight=None):
    """Return what a loss of Keras's says, and the derivative of its sum."""

    def total(p):
        values = loss(jnp.asarray(y), p, weight)
        return jnp.sum(values), values

    (_, values), slope = jax.jit(jax.value_and_grad(total, has_aux=True))(jnp.asarray(p))
    return values, slope


@every_loss
@both_types
@pytest.mark.parametrize("seed", range(3))
def test_values_and_gradients_are_kerass(name, dtype, seed):
    arguments, y, p, g = drawn(name, seed)
    y, p = typed(y, p, dtype)
    reduction = REDUCTIONS[g.integers(len(REDUCTIONS))]
    ours, theirs = both(name, arguments, reduction=reduction, dtype=dtype)
    weight = weights(ours, y, p, g)
    values, slope = evaluated(theirs, y, p, weight)
    agree(ours(y, p, weight), values, dtype)
    agree(ours.gradient(y, p, weight), slope, dtype)
    assert ours.gradient(y, p, weight).dtype == dtype


@every_loss
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_each_reduction_is_kerass_with_weights_and_without(name, reduction):
    arguments, y, p, g = drawn(name, 0)
    ours, theirs = both(name, arguments, reduction=reduction, dtype="float64")
    weight = g.uniform(0, 2, ours.samples_shape(p.shape))
    agree(ours(y, p), theirs(y, p), "float64")
    agree(ours(y, p, weight), theirs(y, p, weight), "float64")
    if reduction != "mean_with_sample_weight":  # Keras divides by the one weight, not by all
        agree(ours(y, p, 0.3), theirs(y, p, 0.3), "float64")


@pytest.mark.parametrize("name", [name for name in CASES if name != "Circle"])
def test_weights_in_a_column_are_weights_of_the_samples(name):
    arguments, y, p, g = drawn(name, 0)
    if "axis" in arguments:
        arguments["axis"] = -1
    ours, theirs = both(name, arguments, dtype="float64")
    weight = g.uniform(0, 2, (len(p), 1))
    agree(ours(y, p, weight), theirs(y, p, weight), "float64")
    if p.ndim == 2:
        agree(ours(y, p, weight[:, 0]), theirs(y, p, weight), "float64")


ONE_OUTPUT = [name for name in CASES if (4, 1) in CASES[name][1]]


@pytest.mark.parametrize("name", ONE_OUTPUT)
def test_targets_without_the_axis_of_one_output_are_kerass(name):
    arguments, y, p, _ = drawn(name, 1)
    ours, theirs = both(name, arguments, reduction=None, dtype="float64")
    agree(ours(y[:, 0], p), theirs(y[:, 0], p), "float64")


@every_loss
def test_the_functions_are_kerass(name):
    arguments, y, p, _ = drawn(name, 0)
    ours = getattr(losses, function_name(name))(y, p, **arguments)
    theirs = getattr(keras.losses, function_name(name))
    theirs = theirs(jnp.asarray(y), jnp.asarray(p), **swapped(arguments))
    agree(ours, theirs, "float64")


def function_name(name):
    cls = getattr(losses, name)
    return "huber" if name == "Huber" else cls.default_name()


def test_the_arguments_of_the_functions_are_kerass():
    for name in CASES:
        ours = inspect.signature(getattr(losses, function_name(name))).parameters
        theirs = inspect.signature(getattr(keras.losses, function_name(name))).parameters
        assert list(ours) == list(theirs)
        for key, parameter in theirs.items():
            if key != "q":
                assert ours[key].default == parameter.default


@every_loss
def test_the_arguments_of_the_classes_are_kerass(name):
    ours = inspect.signature(getattr(losses, name)).parameters
    theirs = inspect.signature(getattr(keras.losses, spelled(name))).parameters
    assert list(ours) == list(theirs)
    made, reference = both(name, {})
    assert made.name == reference.name
    for key, parameter in theirs.items():
        if key not in ("name", "dtype"):
            assert ours[key].default == parameter.default


def test_circle_compares_with_references_as_kerass_does():
    g = np.random.default_rng(3)
    _, y, x = _embeddings(g, (6, 3))
    _, labels, references = _embeddings(g, (4, 3))
    for kept in (True, False):
        given = (y, x, labels, references, kept, 5.0, 0.3)
        agree(losses.circle(*given), keras.losses.circle(*given), "float64")
        given = (y, x, None, references[[0, 1, 2, 3, 0, 1]], kept)
        agree(losses.circle(*given), keras.losses.circle(*given), "float64")


@pytest.mark.parametrize(
    ("name", "y", "p"),
    [
        ("MeanAbsolutePercentageError", [[0.0, 1e-9, -2.0]], [[1.0, 0.5, 3.0]]),
        ("MeanSquaredLogarithmicError", [[-3.0, 0.0, 2.0]], [[1.0, -2.0, 0.0]]),
        ("LogCosh", [[0.0, 0.0, 1e-4]], [[1e5, -700.0, 0.0]]),
        ("CosineSimilarity", [[0.0, 0.0], [1.0, 2.0]], [[1.0, 2.0], [1e-9, 2e-9]]),
        ("KLDivergence", [[0.0, 1.0], [2.0, -1.0]], [[1.5, 0.0], [0.3, 0.4]]),
        ("Poisson", [[0.0, 3.0, 2.0]], [[0.0, 0.0, 1e-8]]),
        ("BinaryCrossEntropy", [[0.0, 1.0, 1.0]], [[1.0, 0.0, 1.0]]),
        ("BinaryFocalCrossEntropy", [[0.0, 1.0, 0.0]], [[1.0, 0.0, 1e-9]]),
        ("CategoricalCrossEntropy", [[0.0, 1.0, 0.0]], [[1.0, 0.0, 1e-9]]),
        ("CategoricalFocalCrossEntropy", [[0.0, 1.0, 0.0]], [[1.0, 0.0, 1e-9]]),
        ("Hinge", [[0.0, 1.0, 2.0]], [[0.5, -2.0, 0.3]]),
        ("SquaredHinge", [[0.5, 1.0, 0.0]], [[0.5, -2.0, 0.3]]),
        ("CategoricalHinge", [[0.0, 0.3, 0.0]], [[-0.5, -2.0, -0.3]]),
        ("Dice", [[0.0, 0.0]], [[0.0, 0.0]]),
        ("Tversky", [[0.0, 0.0]], [[0.0, 0.0]]),
    ],
)
def test_at_the_edges_of_the_domain_values_and_gradients_are_kerass(name, y, p):
    y, p = np.array(y), np.array(p)
    ours, theirs = both(name, {}, reduction="sum", dtype="float64")
    bound = 1e-9  # log(1 - (1 - 1e-7)) is itself only so exact
    value, slope = evaluated(theirs, y, p)
    np.testing.assert_allclose(ours(y, p), value, rtol=bound, atol=bound)
    np.testing.assert_allclose(ours.gradient(y, p), slope, rtol=1e-8, atol=bound)


@every_loss
def test_configurations_go_both_ways(name):
    arguments = drawn(name, 1)[0]
    if "beta" in arguments:  # see `swapped`
        arguments["alpha"] = arguments["beta"]
    ours, theirs = both(name, arguments, reduction="sum", name="mine")
    config = ours.get_config()
    kept = {key: config[key] for key in config if key not in FORGOTTEN.get(name, [])}
    assert kept == theirs.get_config()
    cls = type(ours)
    assert cls.from_config(config).get_config() == config
    assert cls.from_config(theirs.get_config()).name == "mine"
    back = type(theirs).from_config(config)
    assert back.get_config() == theirs.get_config()
    written, reference = losses.serialize(ours), keras.losses.serialize(theirs)
    assert written["config"].items() >= reference["config"].items()
    assert {**written, "config": reference["config"]} == reference
    assert losses.serialize(losses.deserialize(written)) == written
    assert type(losses.get(reference)) is cls
    if name != "CategoricalGeneralizedCrossEntropy":  # which Keras itself does not find again
        assert type(keras.losses.deserialize(written)) is type(theirs)


def test_every_name_that_keras_takes_is_taken():
    for name, thing in ALL_OBJECTS_DICT.items():
        if name in ABSENT | BASES:
            continue
        found = type(losses.get(name)).__name__
        assert thing.__name__ in (spelled(found), function_name(found))


def test_what_keras_writes_of_a_function_is_read():
    for name in CASES:
        data = keras.losses.serialize(getattr(keras.losses, function_name(name)))
        assert type(losses.deserialize(data)) is getattr(losses, name)
        assert losses.serialize(getattr(losses, function_name(name))) == data


def test_every_loss_has_a_case():
    classes = {
        cls.__name__
        for name in losses.__all__
        if inspect.isclass(cls := getattr(losses, name)) and cls is not losses.Loss
    }
    assert classes == set(CASES)


def test_every_public_name_of_kerass_is_there():
    names = {name for name in dir(keras.losses) if not name.startswith("_")}
    assert names - set(losses.__all__) == ABSENT

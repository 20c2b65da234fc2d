"""Every public method of every public class is overridden once: it is used, or refused by name.

For each class there is a scene that puts an object of it through all that nnlite does with one:
training, evaluating, predicting, describing, saving. An override that passes everything on to the
class it overrides must be called in it, or be refused when the class is defined; and it must
change no number.
"""

import inspect
import re
import warnings

import numpy as np
import pytest
from samples import part

import nnlite
from nnlite import (
    Sequential,
    constraints,
    initializers,
    layers,
    losses,
    models,
    regularizers,
)

X = np.random.default_rng(3).uniform(0.1, 0.9, (8, 4)).astype("float32")
BITS = np.array([[0.0], [1.0]] * 4, "float32")

# What only a user calls: nothing that nnlite does by itself stands in for one of these.
BY_HAND = {
    *(
        "rate",
        "get_weights",
        "set_weights",
        "count_params",
        "adapt",
        "beta",
        "gamma",
        "scale",
    ),
    *(
        "fit",
        "evaluate",
        "predict",
        "compile",
        "get_layer",
        "pop",
        "load_weights",
        "to_json",
        "export",
    ),
    *("train_on_batch", "test_on_batch", "predict_on_batch", "metrics_names", "compiled"),
    *(
        "input",
        "output",
        "output_shape",
        "inputs",
        "outputs",
        "input_names",
        "output_names",
        "input_dtypes",
    ),
    *("reset_states", "save", "save_weights", "summary", "reset_metrics", "compile_from_config"),
}

# What nnlite calls only of a class that needs it: where the class itself is not asked, neither is
# the override.
WHERE_NEEDED = {
    *("add_weight", "get_build_config", "build_from_config"),
    *("weight_shape", "default_name", "finalize_state", "reset_state", "update_state"),
    "state_size",
}


def public_classes(module, base):
    """Return the classes of a module, once each, that are a ``base`` one can make objects of."""
    found = {
        value
        for value in (getattr(module, name) for name in dir(module))
        if isinstance(value, type)
        and issubclass(value, base)
        and value is not base
        and value.__name__[0] != "_"
    }
    return sorted(found, key=lambda cls: cls.__name__)


def public_methods(cls):
    """Return the names of the methods and properties that a subclass may want to override."""
    names = {
        name
        for base in cls.__mro__
        if base.__module__.startswith("nnlite.")
        for name, value in vars(base).items()
        if not name.startswith("_") or name == "__call__"
        if inspect.isfunction(value) or isinstance(value, (property, classmethod, staticmethod))
    }
    return sorted(names)


def passing_on(cls, names, seen):
    """Return a subclass that overrides ``names`` and passes everything on, noting each call."""

    def override(name, found):
        if isinstance(found, property):

            def get(self):
                seen.add(name)
                return getattr(super(sub, self), name)

            def put(self, value):
                seen.add(name)
                found.fset(self, value)

            return property(get, put if found.fset else None)
        if isinstance(found, (classmethod, staticmethod)):

            def on_class(cls, *args, **kwargs):
                seen.add(name)
                return getattr(super(sub, cls), name)(*args, **kwargs)

            return classmethod(on_class)

        def method(self, *args, **kwargs):
            seen.add(name)
            return getattr(super(sub, self), name)(*args, **kwargs)

        if name == "forward":

            def forward(self, x, training=False):
                return method(self, x, training)

            return forward
        return method

    found = {name: inspect.getattr_static(cls, name) for name in names}
    methods = {name: override(name, f) for name, f in found.items()}
    sub = type(f"My{cls.__name__}", (cls,), methods)
    return sub


#: Methods that are overridden together or not at all.
TOGETHER = [
    {"forward", "backward"},
    {"call", "derivative"},
    {"apply", "chain"},
    {"__call__", "gradient"},
    {"compute_loss", "compute_loss_gradient"},
]


def with_partners(cls, name):
    """Return ``name`` and what has to be overridden beside it."""
    for pair in TOGETHER:
        if name in pair and all(hasattr(cls, one) for one in pair):
            return sorted(pair)
    return [name]


def numbers(model, history):
    """Return all that training has led to."""
    return [*history.history["loss"], *(weight.ravel() for weight in model.get_weights())]


def trained(stack, tmp_path, loss="mse", optimizer="sgd", y=BITS, cls=Sequential, **options):
    """Put a model through all that nnlite does with one, and return the numbers it ends with."""
    nnlite.set_random_seed(4)
    model = cls(stack())
    model.compile(optimizer, loss, **options.pop("compile", {}))
    model.build((None, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        history = model.fit(X, y, 4, 2, 0, shuffle=False, validation_data=(X, y), **options)
        model.evaluate(X, y, verbose=0)
        model.predict(X)
        model(X, training=True)
        model.trainable = False
        model.summary(print_fn=lambda text: None, expand_nested=True)
        repr(model)
        model.get_compile_config()
        model.save(tmp_path / "model.keras")
        custom = {
            layer.__class__.__name__: layer.__class__
            for layer in model.all_layers()
            if not layer.__class__.__module__.startswith("nnlite.")
        }
        with nnlite.saving.custom_object_scope(custom):
            models.load_model(tmp_path / "model.keras", compile=False)
    return numbers(model, history)


def check(cls, scene):
    """Check every override of a class: ``scene(subclass)`` calls it, or it is refused."""
    expected, accepted = scene(cls), []
    for name in public_methods(cls):
        names, seen = with_partners(cls, name), set()
        try:
            sub = passing_on(cls, names, seen)
        except TypeError as error:
            assert f"My{cls.__name__} overrides" in str(error)  # noqa: PT017
            assert any(one in str(error) for one in names)  # noqa: PT017
            continue
        accepted += names
        assert_equal(scene(sub), expected)
        ignored = {*names} - seen - BY_HAND
        if ignored & WHERE_NEEDED:
            ignored -= WHERE_NEEDED - called(cls, ignored & WHERE_NEEDED, scene)
        assert not ignored, f"{cls.__name__}: an override of {ignored} is never called"
    assert_equal(scene(passing_on(cls, accepted, set())), expected)  # all at once


def called(cls, names, scene):
    """Return which of the methods are called of the class as it is."""
    seen = set()
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            function = getattr(cls, name)

            def noted(*args, name=name, function=function, **kwargs):
                seen.add(name)
                return function(*args, **kwargs)

            patch.setattr(cls, name, noted)
        scene(cls)
    return seen


def known(cls):
    """Return the context in which a subclass made here can be read from a file."""
    return nnlite.saving.custom_object_scope({f"My{cls.__name__.removeprefix('My')}": cls})


def assert_equal(numbers, expected):
    for mine, usual in zip(numbers, expected, strict=True):
        np.testing.assert_allclose(mine, usual, 1e-4, 1e-6)


# ---- layers -----------------------------------------------------------------------------------

FILTERING = ("Conv", "SeparableConv")
OVER_IMAGES = ("AveragePooling", "DepthwiseConv", "MaxPooling", "UpSampling", "ZeroPadding")
MADE = {
    "ActivityRegularization": lambda cls: cls(l2=0.1),
    "Activation": lambda cls: cls("tanh"),
    "Bidirectional": lambda cls: cls(layers.GRU(2, return_sequences=True)),
    "AlphaDropout": lambda cls: cls(0.3, seed=1),
    "Dense": lambda cls: cls(4),
    "Dropout": lambda cls: cls(0.3, seed=1),
    "EinsumDense": lambda cls: cls("ab,bc->ac", 4, "tanh", "c"),
    "GaussianDropout": lambda cls: cls(0.3, seed=1),
    "GaussianNoise": lambda cls: cls(0.3, seed=1),
    "LSTM": lambda cls: cls(2),
    "GroupNormalization": lambda cls: cls(2),
    "Normalization": lambda cls: cls(mean=0.5, variance=2.0),
    "Permute": lambda cls: cls((1,)),
    "RNN": lambda cls: cls([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True),
    "RepeatVector": lambda cls: cls(3),
    "Rescaling": lambda cls: cls(0.5),
    "Reshape": lambda cls: cls((2, 2)),
    "Resizing": lambda cls: cls(3, 1),
    "CenterCrop": lambda cls: cls(1, 1),
    "Threshold": lambda cls: cls(0.1, 0.0),
    "TimeDistributed": lambda cls: cls(layers.Dense(2)),
    **{f"SpatialDropout{n}D": lambda cls, n=n: cls(0.3, seed=1) for n in (1, 2, 3)},
    **{f"{name}{n}D": lambda cls: cls(2, 1) for name in FILTERING for n in (1, 2, 3)},
    **{f"Conv{n}DTranspose": lambda cls: cls(2, 1) for n in (1, 2, 3)},
    **{f"{name}{n}D": lambda cls: cls(1) for name in OVER_IMAGES for n in (1, 2, 3)},
    **{f"Cropping{n}D": lambda cls: cls(0) for n in (1, 2, 3)},
}
SHAPES = {
    **dict.fromkeys(("Bidirectional", "LSTM", "RNN", "TimeDistributed"), (2, 2)),
    **dict.fromkeys(("CenterCrop", "Resizing"), (2, 2, 1)),
    **{
        cls.__name__: {1: (2, 2), 2: (2, 1, 2), 3: (1, 2, 1, 2)}[int(at[1])]
        for cls in public_classes(layers, layers.Layer)
        if (at := re.search(r"([123])D", cls.__name__))
    },
}
LAYERS = [
    cls
    for cls in public_classes(layers, layers.Layer)
    if cls.__name__ not in ("InputLayer", "ActivationLayer", "StackedRNNCells")
    and not cls.__name__.endswith("Cell")  # cells stand in recurrent layers
    and (cls.__name__ in MADE or not (cls.takes_several or cls.takes_integers))
]
_OVER_IMAGES = [cls for cls in LAYERS if hasattr(cls, "rank")]
LAYERS = [cls for cls in LAYERS if cls not in _OVER_IMAGES] + part(_OVER_IMAGES)


def layer_scene(tmp_path):
    def scene(cls):
        name = cls.__name__.removeprefix("My")
        make = MADE.get(name, lambda cls: cls())

        def stack():
            middle = [make(cls)]
            if name in SHAPES:
                middle.insert(0, layers.Reshape(SHAPES[name]))
            return [layers.Dense(4, "tanh"), *middle, layers.Flatten(), layers.Dense(1)]

        return trained(stack, tmp_path)

    return scene


@pytest.mark.parametrize("cls", LAYERS, ids=lambda cls: cls.__name__)
def test_an_override_of_a_layer_is_used_or_refused(cls, tmp_path):
    check(cls, layer_scene(tmp_path))


# ---- losses and penalties ---------------------------------------------------------------------

CLASSES = np.array([0, 1, 2, 2, 1, 0, 1, 2])


@pytest.mark.parametrize("cls", public_classes(losses, losses.Loss), ids=lambda cls: cls.__name__)
def test_an_override_of_a_loss_is_used_or_refused(cls, tmp_path):
    def scene(cls):
        y = CLASSES if cls.takes_indices else np.eye(3)[CLASSES]
        loss = cls()
        by_hand = loss(y, np.full((8, 3), 1 / 3), np.arange(8.0))
        slope = loss.gradient(y, np.full((8, 3), 0.3), np.arange(8.0))
        repr(loss)
        again = losses.deserialize(losses.serialize(loss), {cls.__name__: cls})
        assert type(again) is cls
        stack = lambda: [layers.Dense(3, "softmax")]  # noqa: E731
        return [by_hand, slope, *trained(stack, tmp_path, loss, y=y)]

    check(cls, scene)


@pytest.mark.parametrize(
    "cls", public_classes(regularizers, regularizers.Regularizer), ids=lambda cls: cls.__name__
)
def test_an_override_of_a_regularizer_is_used_or_refused(cls, tmp_path):
    def scene(cls):
        penalty = cls(0.1)
        repr(penalty)
        stack = lambda: [  # noqa: E731
            layers.Dense(4, kernel_regularizer=penalty, activity_regularizer=penalty),
            layers.Dense(1),
        ]
        with known(cls):
            return trained(stack, tmp_path)

    check(cls, scene)


@pytest.mark.parametrize(
    "cls", public_classes(constraints, constraints.Constraint), ids=lambda cls: cls.__name__
)
def test_an_override_of_a_constraint_is_used_or_refused(cls, tmp_path):
    def scene(cls):
        constraint = cls()
        repr(constraint)
        stack = lambda: [layers.Dense(4, kernel_constraint=constraint), layers.Dense(1)]  # noqa: E731
        with known(cls):
            return trained(stack, tmp_path)

    check(cls, scene)


@pytest.mark.parametrize(
    "cls", public_classes(initializers, initializers.Initializer), ids=lambda cls: cls.__name__
)
def test_an_override_of_an_initializer_is_used_or_refused(cls, tmp_path):
    def scene(cls):
        nnlite.set_random_seed(1)
        initializer = cls()
        repr(initializer)
        stack = lambda: [layers.Dense(4, kernel_initializer=initializer), layers.Dense(1)]  # noqa: E731
        with known(cls):
            return trained(stack, tmp_path)

    check(cls, scene)


# ---- models -----------------------------------------------------------------------------------


def test_an_override_of_a_model_is_used_or_refused(tmp_path):
    def scene(cls):
        stack = lambda: [layers.Dense(4, "tanh"), layers.BatchNormalization(), layers.Dense(1)]  # noqa: E731
        with known(cls):
            alone = trained(stack, tmp_path, cls=cls, optimizer="adam")
            nested = trained(lambda: [cls(stack()), layers.Dense(1)], tmp_path)
        return [*alone, *nested]

    check(Sequential, scene)

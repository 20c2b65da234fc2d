"""Objects as data and back: what the program registers, what files name, whose class is meant."""

import json
import subprocess
import sys

import numpy as np
import pytest

import nnlite
from nnlite import (
    activations,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
)
from nnlite.saving import (
    CustomObjectScope,
    deserialize_keras_object,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from nnlite.serialization.objects import knowing_all


@register_keras_serializable("tests")
class Interval:
    """A class that has nothing of nnlite's."""

    def __init__(self, low, high=None):
        self.low, self.high = low, high

    def get_config(self):
        return {"low": self.low, "high": self.high}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@register_keras_serializable("tests")
def twice(x):
    return 2 * x


def there_and_back(thing, **options):
    return deserialize_keras_object(
        json.loads(json.dumps(serialize_keras_object(thing))), **options
    )


# ---- any class -------------------------------------------------------------------------------


def test_a_foreign_class_that_is_registered_comes_back():
    data = serialize_keras_object(Interval(1, np.float32(2.5)))
    assert data == {
        "module": Interval.__module__,
        "class_name": "Interval",
        "config": {"low": 1, "high": 2.5},
        "registered_name": "tests>Interval",
    }
    assert vars(there_and_back(Interval(1, 2.5))) == {"low": 1, "high": 2.5}


def test_a_foreign_class_that_is_not_registered_comes_back_by_its_name():
    class Mine(Interval):
        pass

    back = there_and_back([Mine(3)], custom_objects={"Mine": Mine})
    assert type(back[0]) is Mine
    assert back[0].low == 3
    with pytest.raises(TypeError, match="yours if you pass custom_objects"):
        there_and_back(Mine(3))


def test_what_has_no_configuration_is_refused():
    class NoWayBack:
        def get_config(self):
            return {}

    class NoDict(Interval):
        def get_config(self):
            return [self.low]

    with pytest.raises(TypeError, match="a class with get_config and from_config"):
        serialize_keras_object(NoWayBack())
    with pytest.raises(TypeError, match=r"NoDict.get_config\(\) must return a dict. Received: \[1"):
        serialize_keras_object(NoDict(1))
    with pytest.raises(TypeError, match=r"NoWayBack has no from_config\(config\)"):
        deserialize_keras_object(
            {"class_name": "NoWayBack", "config": {}}, {"NoWayBack": NoWayBack}
        )


def test_a_class_without_get_config_cannot_be_registered():
    class Bare:
        pass

    with pytest.raises(ValueError, match="must have a get_config"):
        register_keras_serializable("tests")(Bare)
    assert get_registered_name(Bare) == "Bare"
    assert get_registered_object("tests>Bare") is None


@pytest.mark.parametrize(
    "thing",
    [
        b"bytes",
        ...,
        slice(None, 20, 2),
        {"range": [slice(1, np.int64(3))], "name": b"x"},
        (1, None, True, "text"),
    ],
)
def test_values_come_back(thing):
    expected = list(thing) if isinstance(thing, tuple) else thing  # JSON has no tuples
    assert there_and_back(thing) == expected


@pytest.mark.parametrize(
    "function",
    [losses.kl_divergence, metrics.binary_accuracy, activations.relu, twice],
    ids=lambda function: function.__name__,
)
def test_functions_come_back_as_themselves(function):
    assert there_and_back(function) is function


def test_a_registered_function_is_known_without_its_package_as_until_keras_3_6():
    data = {"module": "builtins", "class_name": "function", "registered_name": "function"}
    assert deserialize_keras_object({**data, "config": "twice"}) is twice
    assert deserialize_keras_object({**data, "config": "tests>twice"}) is twice
    with pytest.raises(ValueError, match="Unknown activation: 'thrice'"):
        deserialize_keras_object({**data, "config": "thrice"})


def test_the_name_of_an_activation_layer_is_kept():
    dense = there_and_back(layers.Dense(4, activation=layers.LeakyReLU(0.25, name="mine")))
    assert dense.activation.name == "mine"
    assert dense.activation.negative_slope == 0.25
    assert layers.Dense(4, activation=layers.ReLU()).get_config()["activation"] == "relu"


# ---- whose class is meant --------------------------------------------------------------------

DENSE = {"class_name": "Dense", "module": "keras.layers", "config": {"units": 1}}
RELU = {"class_name": "function", "module": "builtins", "config": "relu"}


@pytest.mark.parametrize("name", [None, "", "Dense"])
def test_keras_own_class_has_no_registered_name_or_its_own(name):
    assert isinstance(deserialize_keras_object({**DENSE, "registered_name": name}), layers.Dense)


@pytest.mark.parametrize("data", [DENSE, RELU], ids=["class", "function"])
@pytest.mark.parametrize("name", ["builtins.eval", "subprocess.Popen", "mine>Dense"])
def test_a_class_of_the_programs_own_is_not_taken_for_keras_of_that_name(data, name):
    with pytest.raises(ValueError, match=f"the registered_name {name!r}"):
        deserialize_keras_object({**data, "registered_name": name})


def test_a_model_file_does_not_take_a_foreign_dense_for_keras():
    """A Dense of the user's that is not registered: computing Keras's would be wrong in silence."""
    model = nnlite.Sequential([layers.Input((2,)), layers.Dense(1)])
    config = {"class_name": "Sequential", "config": model.get_config()}
    for foreign in ({"module": "mine.layers"}, {"module": None}, {"registered_name": "mine>Dense"}):
        config["config"]["layers"][1].update(DENSE, config={"units": 1, "name": "dense"}, **foreign)
        with pytest.raises(
            ValueError, match=r"does not have these.*: layer 'dense' of class Dense"
        ):
            nnlite.models.model_from_config(config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"class_name": "Dense", "config": [1, 2]}, "config of 'Dense' must be a dict"),
        ({"class_name": "function", "config": ["relu"]}, "must be the function's name"),
        ({"class_name": "__bytes__", "config": {}}, "has a string 'value'"),
        ({"class_name": "__slice__", "config": 3}, "'__slice__' must be a dict"),
        ({**DENSE, "config": {"unit": 1}}, "config of 'Dense' does not fit"),
        ({**DENSE, "class_name": "Dance", "module": "mine"}, "'Dance' of module 'mine'"),
    ],
)
def test_what_does_not_fit_is_kerass_type_error_and_our_value_error(config, message):
    for error in (TypeError, ValueError):
        with pytest.raises(error, match=message):
            deserialize_keras_object(config)


def test_what_stands_within_another_is_told_once():
    inner = {**DENSE, "registered_name": None, "config": {"unit": 1}}
    with pytest.raises(ValueError, match=r"missing .* 'units'") as raised:
        deserialize_keras_object({**DENSE, "config": {"units": inner}})
    assert str(raised.value).count("does not fit") == 1


# ---- scopes ------------------------------------------------------------------------------------


def test_a_scope_ends_with_its_own_names_and_no_others():
    outer, inner = CustomObjectScope({}), CustomObjectScope({})
    with outer:
        with inner:
            pass
        outer.custom_objects["Mine"] = Interval
        assert get_registered_object("Mine") is Interval
    assert get_registered_object("Mine") is None


def test_whatever_is_serialized_there_is_known_there():
    class Mine(Interval):
        pass

    with knowing_all():
        assert type(there_and_back({"of": [Mine(2)]})["of"][0]) is Mine
    assert get_registered_object("Mine") is None


# ---- names and arguments -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "module", [constraints, initializers, losses, metrics, optimizers, regularizers]
)
def test_get_of_none_is_none(module):
    assert module.get(None) is None
    assert activations.get(None) is activations.linear


def test_the_first_parameter_may_have_any_name():
    class Scaled(layers.Layer):
        def __init__(this, factor, **kwargs):  # noqa: N805
            super().__init__(**kwargs)
            this.factor = factor

    layer = Scaled(3, name="scaled")
    assert layer.get_config()["factor"] == 3
    assert "this" not in layer.get_config()
    assert Scaled.from_config(layer.get_config()).factor == 3
    assert repr(layer) == "Scaled(factor=3)"


def test_gradcheck_is_there_without_an_import_of_its_own():
    code = (
        "import sys, nnlite; assert 'nnlite.gradcheck' not in sys.modules\n"
        "print(nnlite.gradcheck.check_layer.__name__)\n"
        "try: nnlite.nothing\n"
        "except AttributeError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == [
        "check_layer",
        "module 'nnlite' has no attribute 'nothing'",
    ]

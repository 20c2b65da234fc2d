"""Configurations and weights that ask for more than their file bears out."""

import io

import h5py
import numpy as np
import pytest

from nnlite import layers
from nnlite.models import load_model, model_from_config
from nnlite.saving import deserialize_keras_object

from .harm import (
    CODE_LAYERS,
    SLOTS,
    a_model,
    changed_dense,
    function,
    layer,
    nothing_happens,
    outcome,
)
from .harm import ready as ready  # for every test here
from .limits import refuses
from .old_files import (
    CHAIN,
    NEW_GROUPS,
    X,
    dense,
    expected,
    input_layer,
    sequential,
    two_layers,
    weights_h5,
    write_h5,
    write_keras,
)


def big_model(width=20_000):
    """Return, as data, a model of 1.6 GB: in the place of a number, and not borne out by a file."""
    chain = [input_layer((None, width)), dense("big", width)]
    return {"module": "keras", "registered_name": None, **sequential(chain)}


def test_a_model_in_the_place_of_a_setting_is_not_made(tmp_path):
    big = big_model()
    for settings in (
        {"optimizer": {"class_name": "Adam", "config": {"weight_decay": big}}, "loss": "mse"},
        {"loss": {"class_name": "Huber", "config": {"delta": big}}},
        {"loss": "mse", "metrics": [{"class_name": "AUC", "config": {"num_thresholds": big}}]},
        {"optimizer": {"class_name": "SGD", "config": {"learning_rate": {
            "class_name": "CosineDecay", "config": {"initial_learning_rate": big}}}}},
    ):  # fmt: skip
        path = write_keras(tmp_path / "m.keras", compiled=settings)

        def call(path=path):
            raise ValueError(outcome(lambda: load_model(path), path))

        refuses(call, "left out: .*more than the file holds")
    for config in (
        sequential(two_layers(kernel_initializer={"class_name": "RandomNormal",
                                                  "config": {"mean": big}})),
        sequential(two_layers(kernel_regularizer={"class_name": "L2", "config": {"l2": big}})),
    ):  # fmt: skip
        path = write_keras(tmp_path / "m.keras", config)

        def call(path=path):
            raise ValueError(outcome(lambda: load_model(path), path))

        refuses(call, "left out: .*more than the file holds")
    for config in (
        sequential([input_layer(), dense("dense", big)]),
        sequential(two_layers({"class_name": "LeakyReLU", "config": {"negative_slope": big}})),
    ):
        refuses(
            lambda config=config: load_model(write_keras(tmp_path / "m.keras", config)),
            "more than the file holds",
        )


def test_thresholds_without_number_are_left_out(tmp_path):
    aucs = [{"class_name": "AUC", "config": {"num_thresholds": 5_000_000}}] * 100
    path = write_keras(tmp_path / "m.keras", compiled={"loss": "mse", "metrics": aucs})

    def call():
        raise ValueError(outcome(lambda: load_model(path), path))

    refuses(call, "num_thresholds=5000000; at most 20000 are read")


@pytest.mark.parametrize(
    "dtype", ["(100000000,)f4", "V1000000000", "S1000000000", "U250000000", "O", "f4,f4", None,
              {"names": ["a"], "formats": ["V1000000000"]}, ["f4"]], ids=str
)  # fmt: skip
def test_an_array_in_a_config_is_of_a_type_of_numbers(dtype):
    array = {"class_name": "__numpy__", "config": {"value": [0], "dtype": dtype}}
    given = {"class_name": "Normalization", "config": {"mean": array, "variance": [1.0]}}
    for call in (lambda: deserialize_keras_object(array), lambda: layers.deserialize(given)):
        refuses(call, "dtype is one of bool, int8, .*float64. Received")
    for config in (None, {"dtype": "float32"}, {"dtype": "int8", "value": [1000]}):
        with pytest.raises(ValueError, match=r"array's (dtype|config)"):
            deserialize_keras_object({"class_name": "__numpy__", "config": config})


def test_one_number_for_a_width_of_any_size_takes_no_memory(tmp_path):
    chain = [
        input_layer((None, 10**12)),
        {"class_name": "Normalization", "config": {"name": "n", "mean": 1.0, "variance": 4.0}},
        {"class_name": "Reshape", "config": {"name": "r", "target_shape": [1] * 65}},
    ]
    path = write_keras(tmp_path / "m.keras", sequential(chain))
    refuses(lambda: load_model(path), "target_shape must have at most 64 sizes")
    path = write_keras(tmp_path / "m.keras", sequential(chain[:2]))
    assert load_model(path).output_shape == (None, 10**12)


def test_shapes_of_more_axes_than_arrays_have_are_refused(tmp_path):
    path = write_keras(tmp_path / "m.keras", sequential([input_layer((None, *[1] * 100_000))]))
    refuses(lambda: load_model(path), "at most 64 sizes, like NumPy arrays. Received: 100001")


def test_long_names_make_no_long_messages(tmp_path):
    name = "x" * 1_000_000
    for config in (
        sequential([input_layer(), {"class_name": name, "config": {"name": name}}]),
        sequential(two_layers(name)),
        sequential(two_layers(kernel_initializer=name)),
        sequential([input_layer(), dense("dense", name)]),
        sequential(two_layers(zzz=name)),
        {**sequential(two_layers()), "compile_config": {"optimizer": name, "metrics": [name] * 3}},
    ):
        path = write_keras(tmp_path / "m.keras", config)
        said = outcome(lambda path=path: load_model(path), path)
        assert 100 < len(said) < 25_000
    longest = {"class_name": "x" * 4_000_000, "config": {}}  # to compare all of it would take long
    refuses(lambda: layers.deserialize(longest), r"^Unknown layer: 'x{199}\. Known")


def test_metadata_of_more_than_a_few_lines_are_refused(tmp_path):
    path = write_keras(tmp_path / "m.keras", version="3" * 70_000)
    refuses(lambda: load_model(path), "metadata.json: it declares 700.. bytes; at most 65536 are")


def test_a_config_that_holds_itself_is_refused():
    own = {"module": "keras", "registered_name": None, **sequential([])}
    own["config"]["layers"].append(own)
    wrapped = {
        "module": "keras.layers",
        "class_name": "Dense",
        "registered_name": None,
        "config": {},
    }
    wrapped["config"]["units"] = wrapped
    for config in (own, wrapped):
        for call in (deserialize_keras_object, layers.deserialize, model_from_config):
            refuses(
                lambda call=call, config=config: call(config), "recursion|no(t| valid)|needs what"
            )


def test_groups_nested_by_backslashes_are_refused(tmp_path):
    stream = io.BytesIO(weights_h5(NEW_GROUPS))
    with h5py.File(stream, "a") as file:
        for number in range(300):
            file.create_group(f"{number}" + "\\" * 900)
    path = tmp_path / "m.weights.h5"
    path.write_bytes(stream.getvalue())
    refuses(lambda: a_model().load_weights(str(path)), "is deeper than 64|more structure")


def test_weights_stay_as_they_are_where_the_state_of_the_optimizer_is_no_numbers(tmp_path):
    stream = io.BytesIO(weights_h5(NEW_GROUPS))
    with h5py.File(stream, "a") as file:
        file["optimizer/vars/0"] = np.array([b"text"])
    path = tmp_path / "m.weights.h5"
    path.write_bytes(stream.getvalue())
    model = a_model()
    model.compile("adam", "mse")
    before = model.get_weights()
    with pytest.raises(ValueError, match="optimizer/vars/0: it does not hold numbers"):
        model.load_weights(str(path))
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


def test_what_stands_in_the_config_of_a_file_of_weights_is_not_read(tmp_path):
    for make in CODE_LAYERS.values():
        config = sequential([*two_layers(), make()])
        for path in (
            write_keras(tmp_path / "m.keras", config),
            write_h5(tmp_path / "m.h5", config),
        ):
            model = a_model()
            with nothing_happens(path):
                model.load_weights(path)
            np.testing.assert_allclose(model.predict(X), expected(), rtol=1e-5)


def test_a_name_of_the_program_s_own_is_used_for_no_more_than_it_is(tmp_path):
    """What the program registered may be named in any place: it is looked up, and not called."""
    called = []

    def harmful(*arguments):
        called.append(arguments)

    for slot in SLOTS:
        for thing in ("harmful", function(None, "harmful"), layer("harmful")):
            config = sequential([input_layer(), changed_dense(slot, thing)])
            path = write_keras(tmp_path / "m.keras", config, {"layers/dense": CHAIN[0]})
            outcome(lambda path=path: load_model(path, custom_objects={"harmful": harmful}), path)
    assert called == []

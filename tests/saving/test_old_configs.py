"""What versions of Keras wrote of models and layers, each thing read as it was meant."""

import json

import numpy as np
import pytest

from nnlite import layers
from nnlite.models import Functional, load_model, model_from_json
from nnlite.saving import register_keras_serializable

from .old_files import (
    CHAIN,
    TWO_GROUPS,
    X,
    dense,
    expected,
    input_layer,
    kernel_and_bias,
    sequential,
    two_layers,
    write_h5,
    write_keras,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.h5"


def assert_reads(path, y=None, **options):
    """Assert that the file's model predicts ``y``, and return it."""
    model = load_model(path, **options)
    y = expected() if y is None else y
    np.testing.assert_allclose(model.predict(X, verbose=0), y, rtol=1e-5, atol=1e-6)
    return model


def assert_reads_config(path, config, y=None, **options):
    return assert_reads(write_h5(path, config, **options), y)


# ---- the input's shape ---------------------------------------------------------------------


def test_a_bare_list_of_layers_without_an_input_layer(path):
    first = dense("dense", 3, "tanh", batch_input_shape=[None, 4], dtype="float32")
    bare = {"class_name": "Sequential", "config": [first, dense("dense_1", 2)]}
    assert assert_reads_config(path, bare, version="2.0.4").input_shape == (None, 4)


def test_batch_input_shape_on_the_first_layer(path):
    first = dense("dense", 3, "tanh", batch_input_shape=[None, 4])
    assert_reads_config(path, sequential([first, dense("dense_1", 2)]))


def test_batch_input_shape_on_a_flatten_layer(path):
    flatten = {
        "class_name": "Flatten",
        "config": {"name": "f", "batch_input_shape": [None, 2, 2], "data_format": "channels_last"},
    }
    groups = [("f", []), *TWO_GROUPS]
    config = sequential([flatten, *two_layers()[1:]])
    model = load_model(write_h5(path, config, groups))
    assert model.input_shape == (None, 2, 2)
    y = model.predict(X.reshape(7, 2, 2), verbose=0)
    np.testing.assert_allclose(y, expected(), rtol=1e-5, atol=1e-6)


def test_batch_input_shape_repeated_on_later_layers(path):
    shape = [None, 4]
    chain = [
        input_layer(key="batch_input_shape", ragged=False),
        dense("dense", 3, "tanh", batch_input_shape=shape),
        dense("dense_1", 2, batch_input_shape=shape),
    ]
    assert_reads_config(path, sequential(chain))


@pytest.mark.parametrize("key", ["batch_shape", "batch_input_shape"])
def test_either_key_on_the_input_layer(path, key):
    chain = [input_layer(key=key), *two_layers()[1:]]
    assert assert_reads_config(path, sequential(chain)).input_shape == (None, 4)


@pytest.mark.parametrize("shape", [[None, 4], {"class_name": "TensorShape", "items": [32, 4]}])
def test_a_shape_of_the_build_alone(path, shape):
    config = sequential(two_layers()[1:], build_input_shape=shape)
    assert assert_reads_config(path, config).input_shape == (None, 4)


def test_a_shape_in_the_build_config_alone(tmp_path):
    config = {**sequential(two_layers()[1:]), "build_config": {"input_shape": [314, 4]}}
    assert assert_reads(write_keras(tmp_path / "m.keras", config)).input_shape == (None, 4)


def test_a_shape_that_only_the_first_kernel_tells(path):
    assert assert_reads_config(path, sequential(two_layers()[1:])).input_shape == (None, 4)


def test_no_shape_at_all_is_refused(path):
    softmax = {"class_name": "Softmax", "config": {"name": "s", "axis": -1}}
    config = sequential([softmax, *two_layers()[1:]])
    with pytest.raises(ValueError, match="does not have the shape of the model's input"):
        load_model(write_h5(path, config, [("s", []), *TWO_GROUPS]))


# ---- types ---------------------------------------------------------------------------------


POLICY = {
    "module": "keras",
    "class_name": "DTypePolicy",
    "config": {"name": "float32"},
    "registered_name": None,
    "shared_object_id": 139661511310848,
}


@pytest.mark.parametrize("dtype", ["float32", POLICY, {**POLICY, "class_name": "Policy"}])
def test_types_as_names_and_as_policies(path, dtype):
    assert assert_reads_config(path, sequential(two_layers(dtype=dtype))).dtype == "float32"


@pytest.mark.parametrize("name", ["float16", "mixed_float16", "bfloat16", "mixed_bfloat16"])
def test_half_precision_is_computed_in_float32_and_said(path, name):
    policy = {"class_name": "Policy", "config": {"name": name, "loss_scale": None}}
    with pytest.warns(UserWarning, match=f"the precision {name} .computed in float32."):
        model = assert_reads_config(path, sequential(two_layers(dtype=policy)))
    assert model.dtype == "float32"


def test_a_quantized_type_is_refused(path):
    config = sequential(
        two_layers(
            dtype={"class_name": "QuantizedDTypePolicy", "config": {"name": "int8_from_float32"}}
        )
    )
    with pytest.raises(ValueError, match="the quantized type int8_from_float32 of layer 'dense'"):
        load_model(write_h5(path, config))


def test_an_input_of_float64_or_integers_does_not_make_the_model_so(path):
    for dtype in ("float64", "int32", "uint8"):
        chain = [input_layer(dtype=dtype), *two_layers(dtype="float32")[1:]]
        model = load_model(write_h5(path, sequential(chain)))
        assert model.dtype == "float32"
        x = np.abs(X * 10).round()
        np.testing.assert_allclose(model.predict(x, verbose=0), expected(x=x), rtol=1e-5)


def test_the_only_type_that_is_told_is_the_models(path):
    first = dense("dense", 3, "tanh", batch_input_shape=[None, 4], dtype="float64")
    model = assert_reads_config(path, sequential([first, dense("dense_1", 2)]), version="2.2.4")
    assert model.dtype == "float64"


def test_layers_of_different_types_are_all_computed_in_the_wider(path):
    chain = [
        input_layer(),
        dense("dense", 3, "tanh", dtype="float64"),
        dense("dense_1", 2, dtype="float32"),
    ]
    with pytest.warns(UserWarning, match="different float types .all are computed in float64."):
        assert assert_reads_config(path, sequential(chain)).dtype == "float64"


# ---- layers --------------------------------------------------------------------------------


def after_dense(path, layer, *weights, groups=()):
    """Return the output of ``layer`` behind a Dense(3), and the layer."""
    name = layer["config"]["name"]
    arrays = [(f"{name}/{number}:0", array) for number, array in enumerate(weights)]
    config = sequential([input_layer(), dense("dense", 3), layer])
    model = load_model(write_h5(path, config, [TWO_GROUPS[0], (name, arrays)]))
    return model.predict(X, verbose=0), model.layers[-1]


Z = X @ CHAIN[0][0] + CHAIN[0][1]


@pytest.mark.parametrize("alpha", [0.25, {"type": "ndarray", "value": 0.25}])
def test_alpha_is_the_negative_slope(path, alpha):
    y, layer = after_dense(
        path, {"class_name": "LeakyReLU", "config": {"name": "r", "alpha": alpha}}
    )
    np.testing.assert_allclose(y, np.where(Z > 0, Z, 0.25 * Z), rtol=1e-5)
    assert layer.negative_slope == 0.25


def test_a_leaky_activation_inside_of_a_layer(path):
    leaky = {"class_name": "LeakyReLU", "config": {"name": "l", "dtype": "float32", "alpha": 0.1}}
    assert_reads_config(
        path, sequential(two_layers(leaky)), expected(lambda z: np.where(z > 0, z, 0.1 * z))
    )


def test_thresholded_relu(path):
    layer = {"class_name": "ThresholdedReLU", "config": {"name": "t", "theta": 0.5}}
    y, _ = after_dense(path, layer)
    np.testing.assert_allclose(y, np.where(Z > 0.5, Z, 0), rtol=1e-5)


BN = {
    "name": "bn",
    "axis": [1],
    "momentum": 0.99,
    "epsilon": 0.001,
    "center": True,
    "scale": True,
    "beta_initializer": {"class_name": "Zeros", "config": {"dtype": "float32"}},
    "gamma_initializer": {"class_name": "Ones", "config": {"dtype": "float32"}},
    "moving_mean_initializer": {"class_name": "Zeros", "config": {}},
    "moving_variance_initializer": {"class_name": "Ones", "config": {}},
    "beta_regularizer": None,
    "gamma_regularizer": None,
    "beta_constraint": None,
    "gamma_constraint": None,
}


@pytest.mark.parametrize(
    "name", ["BatchNormalization", "BatchNormalizationV1", "SyncBatchNormalization"]
)
@pytest.mark.parametrize("axis", [[1], -1, 1])
def test_batch_normalization_by_all_its_names_and_axes(path, name, axis):
    config = {
        **BN,
        "axis": axis,
        "renorm": False,
        "renorm_clipping": {},
        "fused": True,
        "synchronized": True,
        "virtual_batch_size": None,
    }
    gamma, beta, mean, variance = np.arange(12, dtype="float32").reshape(4, 3) + 1
    y, _ = after_dense(path, {"class_name": name, "config": config}, gamma, beta, mean, variance)
    np.testing.assert_allclose(y, gamma * (Z - mean) / np.sqrt(variance + 1e-3) + beta, rtol=1e-4)


@pytest.mark.parametrize("name", ["DepthwiseConv1D", "SeparableConv1D"])
def test_convolutions_with_what_keras_2_wrote_for_all_of_them(path, name):
    own = {"strides": [1], "padding": "valid", "dilation_rate": [1], "depth_multiplier": 1}
    rest = {"groups": 1, "kernel_regularizer": None, "kernel_constraint": None}
    inner = {"class_name": "GlorotUniform", "config": {"seed": None}}
    config = {"name": "conv", "kernel_size": [2], **own, **rest, "kernel_initializer": inner}
    config["depthwise_initializer"] = inner
    arrays = [np.array([[[2.0]], [[1.0]]], "float32")]  # of two entries
    if name == "SeparableConv1D":
        config["filters"] = 1
        arrays.append(np.array([[[10.0]]], "float32"))
    chain = [
        {"class_name": "Reshape", "config": {"name": "steps", "target_shape": [3, 1]}},
        {"class_name": name, "config": config},
        {"class_name": "Flatten", "config": {"name": "flat"}},
    ]
    arrays.append(np.array([5.0], "float32"))
    named = [(f"conv/{number}:0", array) for number, array in enumerate(arrays)]
    config = sequential([input_layer(), dense("dense", 3), *chain])
    y = load_model(write_h5(path, config, [TWO_GROUPS[0], ("conv", named)])).predict(X, verbose=0)
    factor = 10 if name == "SeparableConv1D" else 1
    np.testing.assert_allclose(y, factor * (2 * Z[:, :-1] + Z[:, 1:]) + 5, rtol=1e-5)


def test_renorm_is_refused(path):
    with pytest.raises(ValueError, match=r"supports renorm=False only. Received: True"):
        after_dense(
            path,
            {"class_name": "BatchNormalization", "config": {**BN, "renorm": True}},
            *np.ones((4, 3), "float32"),
        )


def test_normalization_with_a_count(path):
    config = {"name": "n", "axis": [-1], "mean": None, "variance": None}
    mean, variance = np.array([1, 2, 3], "float32"), np.array([4, 9, 16], "float32")
    for count in (np.array(314, "int64"), np.array(314.0, "float32")):
        y, _ = after_dense(
            path, {"class_name": "Normalization", "config": config}, mean, variance, count
        )
        np.testing.assert_allclose(y, (Z - mean) / [2, 3, 4], rtol=1e-5)


def test_normalization_with_its_numbers_in_the_config(path):
    array = {"class_name": "__numpy__", "config": {"value": [4.0, 9.0, 16.0], "dtype": "float32"}}
    config = {"name": "n", "axis": [-1], "mean": [[1.0, 2.0, 3.0]], "variance": array}
    y, _ = after_dense(path, {"class_name": "Normalization", "config": config})
    np.testing.assert_allclose(y, (Z - [1, 2, 3]) / [2, 3, 4], rtol=1e-4)


def test_shapes_as_tuples_of_tensorflow(path):
    shape = {"class_name": "__tuple__", "items": [3, 1]}
    y, _ = after_dense(
        path, {"class_name": "Reshape", "config": {"name": "r", "target_shape": shape}}
    )
    assert y.shape == (7, 3, 1)


@pytest.mark.parametrize(
    ("written", "function"),
    [
        ("softmax_v2", lambda z: np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)),
        ("swish", lambda z: z / (1 + np.exp(-z))),
        ("relu6", lambda z: np.clip(z, 0, 6)),
        ({"class_name": "function", "config": "tanh", "registered_name": "tanh"}, np.tanh),
        ({"class_name": "Activation", "config": {"name": "a", "activation": "tanh"}}, np.tanh),
        (None, lambda z: z),
    ],
)
def test_activations_in_all_their_forms(path, written, function):
    assert_reads_config(path, sequential(two_layers(written)), expected(function))


def hard_sigmoid_of_keras_2(z):
    return np.clip(0.2 * z + 0.5, 0, 1)


@pytest.mark.parametrize(
    "written",
    ["hard_sigmoid", {"class_name": "Activation", "config": {"activation": "hard_sigmoid"}}],
)
def test_hard_sigmoid_is_that_of_the_keras_that_wrote_the_file(path, tmp_path, written):
    config = sequential(two_layers(written))
    y = expected(hard_sigmoid_of_keras_2)
    model = load_model(write_h5(path, config, version="2.15.0"))
    assert model.predict(X, verbose=0) == pytest.approx(y, abs=1e-6)
    for name in ("again.keras", "again.h5"):
        model.save(tmp_path / name)
        assert load_model(tmp_path / name).predict(X, verbose=0) == pytest.approx(y, abs=1e-6)
    newer = load_model(write_h5(path, config, version="3.5.0")).predict(X, verbose=0)
    assert newer == pytest.approx(expected(lambda z: np.clip(z / 6 + 0.5, 0, 1)), abs=1e-6)


def test_hard_sigmoid_of_a_text_of_keras_2():
    layers = [input_layer((None, 1)), activation_layer("hard_sigmoid")]
    text = {**sequential(layers), "keras_version": "2.4.0"}
    for given, slope in [(text, 0.2), (sequential(layers), 1 / 6)]:
        y = model_from_json(json.dumps(given)).predict(np.ones((1, 1)), verbose=0)
        assert y == pytest.approx(0.5 + slope)


def activation_layer(name):
    return {"class_name": "Activation", "config": {"name": "activation", "activation": name}}


@pytest.mark.parametrize(
    "initializer",
    [
        {
            "class_name": "VarianceScaling",
            "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None},
        },
        {
            "class_name": "VarianceScaling",
            "config": {"scale": 2.0, "mode": "fan_in", "distribution": "normal", "seed": 3},
        },
        {"class_name": "GlorotUniformV2", "config": {"seed": None, "dtype": "float32"}},
        "glorot_uniform",
        {
            "module": "keras.initializers",
            "class_name": "HeNormal",
            "registered_name": None,
            "config": {"seed": {"class_name": "SeedGenerator", "config": {"seed": 1337}}},
        },
    ],
)
def test_initializers_of_all_years(path, initializer):
    assert_reads_config(path, sequential(two_layers(kernel_initializer=initializer)))


def test_objects_of_training_that_are_unknown_are_left_out_with_one_warning(path):
    own = {"class_name": "Mine", "config": {"rate": 1}}
    with pytest.warns(UserWarning, match="left out") as caught:
        model = assert_reads_config(
            path,
            sequential(
                two_layers(
                    kernel_initializer=own, kernel_regularizer=own, bias_constraint=own, extra=None
                )
            ),
        )
    (warning,) = caught
    for what in ("initializer 'Mine'", "regularizer 'Mine'", "constraint 'Mine'", "extra=None"):
        assert what in str(warning.message)
    assert model.layers[0].kernel_regularizer is None


def test_an_unknown_setting_that_may_change_the_result_is_refused(path):
    with pytest.raises(ValueError, match="layer 'dense' has twice=True, which Dense does not take"):
        load_model(write_h5(path, sequential(two_layers(twice=True))))


def test_what_changes_nothing_is_not_warned_of(path):
    quiet = {"quantization_config": None, "lora_rank": 4, "lora_alpha": 4, "input_dtype": "float32"}
    assert_reads_config(path, sequential(two_layers(**quiet)))


def test_frozen_layers_stay_frozen(path):
    model = assert_reads_config(path, sequential(two_layers(trainable=False)))
    assert [weight.name for weight in model.trainable_weights] == ["kernel", "bias"]
    assert len(model.weights) == 4


# ---- Keras 1 -------------------------------------------------------------------------------


def test_keras_1(path):
    first = {
        "class_name": "Dense",
        "config": {
            "name": "dense_1",
            "output_dim": 3,
            "init": "glorot_uniform",
            "activation": "tanh",
            "W_regularizer": {"name": "WeightRegularizer", "l1": 0.0, "l2": 0.01},
            "b_regularizer": None,
            "activity_regularizer": None,
            "W_constraint": None,
            "b_constraint": None,
            "bias": True,
            "input_dim": 4,
            "batch_input_shape": [None, 4],
            "trainable": True,
        },
    }
    rest = [
        {"class_name": "Dropout", "config": {"name": "dropout_1", "p": 0.5, "trainable": True}},
        {"class_name": "Dense", "config": {"name": "dense_2", "output_dim": 2, "init": "uniform"}},
    ]
    (W, b), (V, c) = CHAIN
    groups = [
        ("dense_1", [("dense_1_W", W), ("dense_1_b", b)]),
        ("dropout_1", []),
        ("dense_2", [("dense_2_W", V), ("dense_2_b", c)]),
    ]
    config = {"class_name": "Sequential", "config": [first, *rest]}
    model = assert_reads_config(path, config, groups=groups, version="1.2.2")
    assert model.layers[0].kernel_regularizer.l2 == 0.01
    assert model.layers[1].rate == 0.5


# ---- functional models ---------------------------------------------------------------------


def old_node(name):
    return [[[name, 0, 0, {}]]]


def new_node(name):
    tensor = {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None, 4], "dtype": "float32", "keras_history": [name, 0, 0]},
    }
    return [{"args": [tensor], "kwargs": {"mask": None, "training": False}}]


def functional(node=old_node, name="Functional", ends=lambda name: [[name, 0, 0]], **nodes):
    """Return the chain as a functional model; ``nodes`` replaces what comes into a layer."""
    before = {"input_1": [], "dense": node("input_1"), "dense_1": node("dense"), **nodes}
    layers = [
        {**layer, "name": layer["config"]["name"], "inbound_nodes": before[layer["config"]["name"]]}
        for layer in two_layers()
    ]
    config = {
        "name": "model",
        "layers": layers,
        "input_layers": ends("input_1"),
        "output_layers": ends("dense_1"),
    }
    return {"class_name": name, "config": config}


INPUT_GROUP = [("input_1", []), *TWO_GROUPS]


@pytest.mark.parametrize("node", [old_node, new_node])
@pytest.mark.parametrize("name", ["Functional", "Model"])
@pytest.mark.parametrize("ends", [lambda n: [[n, 0, 0]], lambda n: [n, 0, 0]])
def test_functional_models(path, node, name, ends):
    model = assert_reads_config(path, functional(node, name, ends), groups=INPUT_GROUP)
    assert [layer.name for layer in model.layers] == ["input_1", "dense", "dense_1"]
    assert isinstance(model, Functional)


def dropping(node):
    dropout = {"class_name": "Dropout", "config": {"name": "drop", "rate": 0.5}, "name": "drop"}
    config = functional(node, dense_1=node("drop"))
    config["config"]["layers"].insert(2, {**dropout, "inbound_nodes": node("dense")})
    return config


def of_dropout(model):
    (options,) = (node.options for node in model._nodes(True) if node.layer.name == "drop")
    return options


def test_training_false_holds_where_fit_does_not_override_it(path, tmp_path):
    """Keras 3 writes it of itself; Keras 2 and nnlite, where the program says so."""

    def kept(name):
        return [[[name, 0, 0, {"training": False}]]]

    assert of_dropout(load_model(write_h5(path, dropping(new_node), version="3.8.0"))) == {}
    assert of_dropout(model_from_json(json.dumps(dropping(new_node)))) == {}
    model = load_model(write_h5(path, dropping(kept), version="2.15.0"))
    assert of_dropout(model) == {"training": False}
    for name in ("own.keras", "own.h5"):
        model.save(tmp_path / name)
        assert of_dropout(load_model(tmp_path / name)) == {"training": False}
    assert of_dropout(model_from_json(model.to_json())) == {"training": False}


def test_ends_in_a_dict_keep_their_names(path):
    config = functional(ends=lambda name: {"z" if name == "dense_1" else "x": [name, 0, 0]})
    model = load_model(write_h5(path, config, INPUT_GROUP))
    np.testing.assert_allclose(model.predict({"x": X})["z"], expected(), rtol=1e-5, atol=1e-6)


def test_functional_layers_may_stand_in_any_order(path):
    config = functional()
    config["config"]["layers"].reverse()
    assert_reads_config(path, config, groups=INPUT_GROUP)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dense_1": old_node("nowhere")}, "'dense_1' of .* reads 'nowhere', which is no layer"),
        ({"dense": old_node("dense_1")}, "a cycle: .* 'dense', 'dense_1'"),
        ({"dense_1": [*old_node("dense"), *old_node("dense_1")]}, "shape"),
        ({"dense_1": [[["dense", 1, 0, {}]]]}, "reads 'dense', which is not called 2 times"),
        ({"dense_1": []}, r"reads \['dense_1', 0, 0\], but there is no such output"),
        ({"dense": [[["input_1", 0, 1, {}]]]}, "call 0 of layer 'input_1' has 1"),
        ({"dense": [[["input_1", 0, -1, {}]]]}, r"\[layer, call, output\]"),
        ({"dense": [[["input_1", 0, 10**30, {}]]]}, "there is no such output"),
        ({"dense": [[]]}, "'dense' takes no input"),
        ({"dense": {}}, "reads 'dense', which is not called 1 times"),
        ({"dense": 7}, "the calls of layer 'dense' are not a list"),
        ({"dense": [7]}, "a call of layer 'dense' is"),
        ({"input_1": old_node("dense")}, "input 'input_1' of the functional model takes an input"),
        ({"dense": [[["input_1", 0, 0, {"mask": ["input_1", 0, 0]}]]]}, "mask= in a call of layer"),
        ({"dense": [[["input_1", 0, 0, {"scale": 3}]]]}, "scale= in a call of layer 'dense'"),
        ({"dense": [[["input_1", 0, 0, {}], ["input_1", 0, 0, {}]]]}, "dense"),
    ],
)
def test_calls_that_cannot_be_are_refused(path, change, message):
    with pytest.raises(ValueError, match=message):
        load_model(write_h5(path, functional(**change), INPUT_GROUP))


@pytest.mark.parametrize("end", ["input_layers", "output_layers"])
@pytest.mark.parametrize(
    "value", [None, 3, [], {}, [["nowhere", 0, 0]], [["dense", 0]], [[0, 0, 0]], [["dense", 7, 0]]]
)
def test_ends_that_cannot_be_are_refused(path, end, value):
    config = functional()
    config["config"][end] = value
    with pytest.raises(ValueError, match=r"functional model|Model takes"):
        load_model(write_h5(path, config, INPUT_GROUP))


def test_a_call_in_training_stays_one(path):
    config = functional(dense=[[["input_1", 0, 0, {"training": True}]]])
    model = assert_reads_config(path, config, groups=INPUT_GROUP)
    assert model.get_layer("dense").nodes[0].options == {"training": True}


def test_several_outputs(path):
    config = functional()
    config["config"]["output_layers"] = [["dense", 0, 0], ["dense_1", 0, 0]]
    model = load_model(write_h5(path, config, INPUT_GROUP))
    hidden, y = model.predict(X)
    np.testing.assert_allclose(y, expected(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(hidden, np.tanh(X @ CHAIN[0][0] + CHAIN[0][1]), rtol=1e-5)


def test_inputs_that_nothing_reads_stay_inputs(path):
    config = functional()
    config["config"]["layers"].append({**input_layer(name="more"), "name": "more"})
    config["config"]["input_layers"] = [["input_1", 0, 0], ["more", 0, 0]]
    model = load_model(write_h5(path, config, INPUT_GROUP))
    np.testing.assert_allclose(model.predict([X, X]), expected(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("inner", "first"), [("Functional", 1), ("Sequential", 1), ("Sequential", 0)]
)
def test_keras_2_counts_a_models_own_way_as_its_first_call(path, inner, first):
    """Of two calls of a nested model, the first is the second's input."""
    nest = {
        "class_name": inner,
        "name": "twice",
        "inbound_nodes": [[["input_1", 0, 0, {}]], [["twice", first, 0, {}]]],
    }
    square = dense("square", 4, "tanh")
    square = {**square, "name": "square", "inbound_nodes": [[["i", 0, 0, {}]]]}
    entry = {**input_layer(name="i"), "name": "i", "inbound_nodes": []}
    layers = [entry, square] if inner == "Functional" or first else [square]
    nest["config"] = {
        "name": "twice",
        "layers": layers,
        "input_layers": [["i", 0, 0]],
        "output_layers": [["square", 0, 0]],
    }
    if inner == "Sequential":
        del nest["config"]["input_layers"]
    model = {
        "class_name": "Functional",
        "config": {
            "name": "model",
            "layers": [{**input_layer(), "name": "input_1"}, nest],
            "input_layers": [["input_1", 0, 0]],
            "output_layers": [["twice", first, 0], ["twice", first + 1, 0]],
        },
    }
    W, b = np.random.default_rng(1).normal(size=(5, 4)).astype("float32")[:4], np.ones(4, "float32")
    group = ("twice", [("square/kernel:0", W), ("square/bias:0", b)])
    once, twice = load_model(write_h5(path, model, [group])).predict(X)
    np.testing.assert_allclose(once, np.tanh(X @ W + b), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(twice, np.tanh(np.tanh(X @ W + b) @ W + b), rtol=1e-5, atol=1e-6)


def lambda_of(name, function, node, kind="TFOpLambda"):
    """Return a function of TensorFlow's as Keras 2.4 to 2.15 wrote it."""
    config = {"name": name, "trainable": True, "dtype": "float32", "function": function}
    return {"class_name": kind, "config": config, "name": name, "inbound_nodes": [node]}


def test_functions_of_tensorflow_are_operations(path):
    config = functional()
    config["config"]["layers"] += [
        lambda_of("times", "math.multiply", ["dense_1", 0, 0, {"y": 3.0, "name": None}]),
        lambda_of("plus", "__operators__.add", ["times", 0, 0, {"y": ["dense_1", 0, 0]}]),
        lambda_of("half", "math.multiply", ["_CONSTANT_VALUE", -1, 0.5, {"y": ["plus", 0, 0]}]),
        lambda_of("cut", "__operators__.getitem", ["half", 0, 0, {"slice_spec": {
            "start": None, "stop": None, "step": None}}], "SlicingOpLambda"),
    ]  # fmt: skip
    config["config"]["output_layers"] = [["cut", 0, 0]]
    assert_reads_config(path, config, 2 * expected(), groups=INPUT_GROUP)
    config["config"]["layers"][3]["config"]["function"] = "linalg.inv"
    config["config"]["layers"][1]["class_name"] = "HashedCrossing"
    with pytest.raises(
        ValueError, match=r"'dense' of class HashedCrossing; .*'linalg.inv' of .*'times'"
    ):
        load_model(write_h5(path, config, INPUT_GROUP))


def test_models_nest_in_models(path):
    inner = functional(node=new_node)
    inner["config"]["name"] = "inner"
    (W, b), (V, c) = CHAIN
    group = (
        "inner",
        [
            ("dense/kernel:0", W),
            ("dense/bias:0", b),
            ("dense_1/kernel:0", V),
            ("dense_1/bias:0", c),
        ],
    )
    model = assert_reads_config(path, sequential([input_layer(), inner]), groups=[group])
    assert model.layers[0].name == "inner"


# ---- what is missing -----------------------------------------------------------------------


def test_all_layers_outside_of_reach_are_named_at_once(path):
    chain = [
        *two_layers("own_function"),
        {"class_name": "ConvLSTM2D", "config": {"name": "conv", "filters": 3}},
        {"class_name": "Lambda", "config": {"name": "code", "function": ["4wEA", None, None]}},
        {
            "class_name": "Sequential",
            "config": {
                "name": "in",
                "layers": [{"class_name": "ConvLSTM2D", "config": {"name": "lstm"}}],
            },
        },
    ]
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is looked at below
        load_model(write_h5(path, sequential(chain)))
    for what in (
        "activation 'own_function' of layer 'dense'",
        "layer 'conv' of class ConvLSTM2D",
        "layer 'code' of class Lambda",
        "layer 'in/lstm' of class ConvLSTM2D",
        "custom_objects",
        str(path),
    ):
        assert what in str(caught.value)


def test_layers_and_calls_outside_of_reach_are_named_at_once(path):
    config = functional(dense=[[["input_1", 0, 0, {"mask": ["input_1", 0, 0]}]]])
    config["config"]["layers"][2]["class_name"] = "HashedCrossing"
    message = "mask= in a call of layer 'dense'; layer 'dense_1' of class HashedCrossing"
    with pytest.raises(ValueError, match=message):
        load_model(write_h5(path, config, INPUT_GROUP))


def test_a_model_of_the_programs_own_class_is_refused_by_name(path):
    config = {"class_name": "MyModel", "config": {"layers": []}}
    with pytest.raises(ValueError, match="a model of class 'MyModel'"):
        load_model(write_h5(path, config))


class Doubled(layers.Layer):
    def __init__(self, by=2, **kwargs):
        super().__init__(**kwargs)
        self.by = by

    def forward(self, x, training=False):
        return x * self.by


def test_custom_layers_by_custom_objects_or_registration(path):
    chain = [*two_layers(), {"class_name": "Doubled", "config": {"name": "d", "by": 3}}]
    write_h5(path, sequential(chain), [*TWO_GROUPS, ("d", [])])
    with pytest.raises(ValueError, match="layer 'd' of class Doubled"):
        load_model(path)
    assert_reads(path, 3 * expected(), custom_objects={"Doubled": Doubled})
    register_keras_serializable("tests_old_configs")(Doubled)
    chain[-1]["class_name"] = "tests_old_configs>Doubled"
    write_h5(path, sequential(chain), [*TWO_GROUPS, ("d", [])])
    assert_reads(path, 3 * expected())


def test_names_with_a_suffix_of_any_kind_go_by_their_order(path):
    groups = [kernel_and_bias("dense", 0, "_57"), kernel_and_bias("dense_1", 1, "")]
    assert_reads_config(path, None, groups=groups)


def ones_of_ours(shape, dtype=None):
    return np.ones(shape, dtype)


class Squared(layers.ActivationLayer):
    needs_input = True

    def apply(self, x, out):
        return np.square(x, out=out)

    def chain(self, gradient, x, y, out):
        return np.multiply(gradient, 2 * x, out=out)


@pytest.mark.parametrize("registered", [True, False])
def test_functions_and_activations_of_the_programs_own(path, registered):
    function = {"class_name": "function", "config": "ones_of_ours", "registered_name": "function"}
    square = {"class_name": "function", "config": "squared", "registered_name": "squared"}
    if registered:
        register_keras_serializable("tests_old_configs")(ones_of_ours)
        register_keras_serializable("tests_old_configs", "squared")(Squared)
        function["registered_name"] = "tests_old_configs>ones_of_ours"
        square["registered_name"] = "tests_old_configs>squared"
    config = sequential(two_layers(square, kernel_initializer=function))
    own = {} if registered else {"ones_of_ours": ones_of_ours, "squared": Squared}
    model = load_model(write_h5(path, config), custom_objects=own)
    np.testing.assert_allclose(model.predict(X), expected(np.square), rtol=1e-5, atol=1e-5)
    assert model.layers[0].kernel_initializer is ones_of_ours


def test_settings_of_initializers_that_cannot_be_are_left_out(path):
    for initializer, what in [
        (
            {"class_name": "RandomNormal", "config": {"stddev": "wide"}},
            "initializer 'RandomNormal'",
        ),
        (3, "kernel_initializer=3"),
        ({"class_name": ["a"], "config": {}}, "kernel_initializer="),
    ]:
        with pytest.warns(UserWarning, match=what):
            assert_reads_config(path, sequential(two_layers(kernel_initializer=initializer)))


def test_batch_normalization_of_keras_1(path):
    config = {"name": "bn", "mode": 0, "axis": -1, "epsilon": 1e-3, "momentum": 0.9,
              "beta_init": "zero", "gamma_init": "one"}  # fmt: skip
    gamma, beta, mean, variance = np.arange(12, dtype="float32").reshape(4, 3) + 1
    layer = {"class_name": "BatchNormalization", "config": config}
    y, _ = after_dense(path, layer, gamma, beta, mean, variance)
    np.testing.assert_allclose(y, gamma * (Z - mean) / np.sqrt(variance + 1e-3) + beta, rtol=1e-4)
    config["mode"] = 2
    with pytest.raises(ValueError, match="layer 'bn' has mode=2"):
        after_dense(path, layer, gamma, beta, mean, variance)


def test_two_layers_of_one_name_are_refused(path):
    config = functional()
    config["config"]["layers"].append(config["config"]["layers"][1])
    with pytest.raises(ValueError, match="two layers of the functional model are named 'dense'"):
        load_model(write_h5(path, config, INPUT_GROUP))

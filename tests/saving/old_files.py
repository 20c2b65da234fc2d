"""Files as Keras wrote them over the years, put together by hand, and what their models predict."""

import io
import json
import zipfile

import h5py
import numpy as np

RNG = np.random.default_rng(11)
X = RNG.normal(size=(7, 4)).astype("float32")

#: The weights of a chain of Dense layers from 4 to 3 to 2 numbers.
CHAIN = [
    (RNG.normal(size=sizes).astype("float32"), RNG.normal(size=sizes[-1]).astype("float32"))
    for sizes in [(4, 3), (3, 2)]
]


def expected(activation=np.tanh, x=X, chain=CHAIN):
    """Return what the chain predicts, its first layer with an activation."""
    (W, b), (V, c) = chain
    return activation(x @ W + b) @ V + c


def dense(name, units, activation="linear", **config):
    """Return a Dense layer as the versions from 2.0 on have it in common."""
    return {
        "class_name": "Dense",
        "config": {
            "name": name,
            "trainable": True,
            "units": units,
            "activation": activation,
            "use_bias": True,
            "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}},
            "bias_initializer": {"class_name": "Zeros", "config": {}},
            "kernel_regularizer": None,
            "bias_regularizer": None,
            "activity_regularizer": None,
            "kernel_constraint": None,
            "bias_constraint": None,
            **config,
        },
    }


def input_layer(shape=(None, 4), key="batch_shape", **config):
    values = {key: list(shape), "dtype": "float32", "sparse": False, "name": "input_1", **config}
    return {"class_name": "InputLayer", "config": values}


def two_layers(activation="tanh", **first):
    """Return the layers of the chain; ``first`` goes to the first one's configuration."""
    return [
        input_layer(),
        dense("dense", 3, activation, **first),
        dense("dense_1", 2),
    ]


def sequential(layers, **config):
    return {
        "class_name": "Sequential",
        "config": {"name": "sequential", "layers": layers, **config},
    }


def kernel_and_bias(name, number, suffix=":0"):
    W, b = CHAIN[number]
    return name, [(f"{name}/kernel{suffix}", W), (f"{name}/bias{suffix}", b)]


TWO_GROUPS = [kernel_and_bias("dense", 0), kernel_and_bias("dense_1", 1)]


def write_names(group, key, names):
    group.attrs[key] = [name.encode() for name in names] if names else np.zeros(0)


def write_h5(
    path, config=None, groups=TWO_GROUPS, training=None, state=(), version="2.9.0", whole=True
):
    """Write a whole-model ``.h5`` file, or one of weights alone.

    Args:
        path: The file.
        config: The ``model_config``.
        groups: Names of layers, each with the names and arrays of its weights.
        training: The ``training_config``.
        state: Names and arrays of the optimizer's weights.
        version: The version of Keras.
        whole: False for weights alone.
    """
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = version
        file.attrs["backend"] = "tensorflow"
        if whole:
            file.attrs["model_config"] = json.dumps(config or sequential(two_layers()))
        if training is not None:
            file.attrs["training_config"] = json.dumps(training).encode()
        weights = file.create_group("model_weights") if whole else file
        write_names(weights, "layer_names", [name for name, _ in groups])
        for name, arrays in groups:
            group = weights.create_group(name)
            write_names(group, "weight_names", [key for key, _ in arrays])
            for key, array in arrays:
                group[key] = array
        if state:
            group = file.create_group("optimizer_weights")
            write_names(group, "weight_names", [key for key, _ in state])
            for key, array in state:
                group[key] = array
    return str(path)


NEW_GROUPS = {"layers/dense": CHAIN[0], "layers/dense_1": CHAIN[1]}


def weights_h5(groups, names=None):
    """Return the bytes of a file of nested groups: ``{"layers/dense": arrays}``."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_group("vars")
        for path, arrays in groups.items():
            group = file.create_group(f"{path}/vars")
            if names and path in names:
                group.attrs["name"] = names[path]
            for number, array in enumerate(arrays):
                group[str(number)] = array
    return stream.getvalue()


def write_keras(path, config=None, groups=NEW_GROUPS, compiled=None, version="3.5.0", names=None):
    """Write a ``.keras`` file; ``compiled`` is its ``compile_config``."""
    config = dict(config or sequential(two_layers()))
    if compiled is not None:
        config["compile_config"] = compiled
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights_h5(groups, names))
    return str(path)

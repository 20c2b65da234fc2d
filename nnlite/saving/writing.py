"""Models and weights into Keras's files, as Keras 3.15 lays them out."""

from __future__ import annotations

import datetime
import io
import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nnlite.layers import activations
from nnlite.layers.core import Activation
from nnlite.layers.layer import Layer
from nnlite.saving.atomic import atomic_write
from nnlite.saving.compiling import built_optimizer, compile_config
from nnlite.saving.weights import (
    attributes,
    class_name,
    in_legacy_order,
    numbered,
    own_variables,
)
from nnlite.sequential import Sequential
from nnlite.serialization import PUBLIC, serialize_keras_object

__all__ = ["KERAS_VERSION", "model_data", "model_json", "save_model", "save_weights"]

Array = NDArray[Any]

#: The version of Keras whose files these are.
KERAS_VERSION = "3.15.1"

_ATTRIBUTE_LIMIT = 64_512  # bytes; what one attribute of an HDF5 group can hold


def model_data(model: Sequential) -> dict[str, Any]:
    """Return a model as plain data in Keras's form, how it is compiled included.

    Raises:
        TypeError: If a part of it cannot be written as data.
    """
    data = _serialized(model)
    if model.column_names is not None:  # Keras passes over it
        data["config"]["column_names"] = list(model.column_names)
    if model.optimizer is not None:
        data["compile_config"] = compile_config(model)
    return data


def _serialized(layer: Layer) -> dict[str, Any]:
    """Return a layer as plain data, an activation that is no layer in Keras as an `Activation`."""
    data = layer.serialized()
    if isinstance(layer, Sequential):
        entries = data["config"]["layers"]
        entries[len(entries) - len(layer.layers) :] = map(_serialized, layer.layers)
    elif written_class(layer) == "Activation" and not isinstance(layer, Activation):
        kept = {key: data["config"][key] for key in ("name", "trainable", "dtype")}
        name = activations.function_name(layer)
        data.update(class_name="Activation", config={**kept, "activation": name})
    return data


#: The activations that are layers in Keras too; the others are functions there.
_LAYERS = ("ELU", "Identity", "LeakyReLU", "ReLU", "Softmax")


def written_class(layer: Layer) -> str:
    """Return the name of the class that a layer has in files."""
    name = class_name(layer)
    own = PUBLIC.get(type(layer)) is not None and name in activations.registry
    if own and name not in _LAYERS and activations.function_name(layer) is not None:
        return "Activation"
    return name


def model_json(model: Sequential, **options: Any) -> str:
    """Return a model as JSON; ``options`` are those of ``json.dumps``."""
    import json

    return json.dumps(model_data(model), **options)


# ---- files --------------------------------------------------------------------------------


def save_model(
    model: Sequential,
    filepath: str | os.PathLike[str],
    overwrite: bool = True,
    zipped: bool | None = None,
    include_optimizer: bool = True,
) -> None:
    """Write a model to a file that Keras 3 opens: layers, weights, and all that training needs.

    The file is replaced as a whole or not at all, see `atomic_write`.

    Args:
        model: The model.
        filepath: Where to: a name that ends in ``.keras``, or in ``.h5`` or ``.hdf5`` for Keras's
            older format.
        overwrite: Whether the file may exist.
        zipped: As in Keras, where False means a directory, which is not supported.
        include_optimizer: For ``.h5``: whether to write how the model is compiled.

    Raises:
        ValueError: If the name ends otherwise, the file exists and ``overwrite`` is False, or the
            model is not built.
        TypeError: If a part of the model cannot be written as data, such as a lambda.
        OSError: If the file cannot be written.

    >>> import tempfile
    >>> from nnlite.layers import Dense, Input
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(Sequential([Input((2,)), Dense(1)]), f"{folder}/model.keras")
    ...     os.listdir(folder)
    ['model.keras']
    """
    path = os.fspath(filepath)
    if zipped is False:
        raise ValueError("zipped=False means a directory; nnlite writes single files.")
    if not path.endswith((".keras", ".h5", ".hdf5")):
        raise ValueError(
            f"filepath must end in .keras, or in .h5 for Keras's older format. Received: {path!r}"
        )
    _check_built(model)
    with atomic_write(path, overwrite) as file:
        if path.endswith(".keras"):
            _write_archive(model, file)
        else:
            _write_hdf5(model, file, include_optimizer)


def save_weights(
    model: Sequential,
    filepath: str | os.PathLike[str],
    overwrite: bool = True,
    objects_to_skip: Collection[Layer] = (),
) -> None:
    """Write a model's weights, and its optimizer's state, to a ``.weights.h5`` file.

    Args:
        model: The model.
        filepath: Where to: a name that ends in ``.weights.h5``.
        overwrite: Whether the file may exist.
        objects_to_skip: Layers to leave out.

    Raises:
        ValueError: If the name ends otherwise, the file exists and ``overwrite`` is False, or the
            model is not built.
        OSError: If the file cannot be written.

    >>> import tempfile
    >>> from nnlite.layers import Dense, Input
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_weights(Sequential([Input((2,)), Dense(1)]), f"{folder}/one.weights.h5")
    ...     os.listdir(folder)
    ['one.weights.h5']
    """
    path = os.fspath(filepath)
    if not path.endswith(".weights.h5"):
        raise ValueError(f"filepath must end in .weights.h5. Received: {path!r}")
    _check_built(model)
    with atomic_write(path, overwrite) as file:
        _write_weights(model, file, objects_to_skip)


def _check_built(model: Sequential) -> None:
    if not model.built:
        raise ValueError(
            f"Model {model.name!r} has no weights to save yet. Give the input shape "
            "(Input((features,)) as the first layer), call build((None, features)), or fit."
        )


def _write_archive(model: Sequential, file: BinaryIO) -> None:
    import json
    import zipfile

    import nnlite

    saved = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    versions = {"keras_version": KERAS_VERSION, "nnlite_version": nnlite.__version__}
    weights = io.BytesIO()
    _write_weights(model, weights)
    with zipfile.ZipFile(file, "w") as archive:  # stored, not compressed: weights do not shrink
        archive.writestr("metadata.json", json.dumps({**versions, "date_saved": saved}))
        archive.writestr("config.json", model_json(model))
        archive.writestr("model.weights.h5", weights.getbuffer())


# ---- groups by class ----------------------------------------------------------------------


def _write_weights(model: Sequential, file: BinaryIO, skip: Collection[Layer] = ()) -> None:
    import h5py

    with h5py.File(file, "w") as root:
        _write_layer(root, model, set(skip))
        if model.optimizer is not None:
            optimizer = built_optimizer(model)
            own = _variables(root.create_group("optimizer"), optimizer.name)
            for number, (_, array) in enumerate(optimizer.state_arrays()):
                own[str(number)] = array


def _variables(group: Any, name: str) -> Any:
    own = group.create_group("vars")
    own.attrs["name"] = name
    return own


def _write_layer(group: Any, layer: Layer, skip: set[Layer]) -> None:
    """Write a layer's own weights by number, and the layers within it below."""
    own = _variables(group, layer.name)
    for number, variable in enumerate(own_variables(layer)):
        own[str(number)] = variable.value
    if isinstance(layer, Sequential):
        below = group.create_group("layers")
        for name, part in numbered(layer.layers, written_class):
            if part not in skip:
                _write_layer(below.create_group(name), part, skip)
        return
    for attribute, part in attributes(layer):
        if part.all_variables():
            _write_layer(group.create_group(attribute), part, skip)


# ---- the older format ---------------------------------------------------------------------


def _write_hdf5(model: Sequential, file: BinaryIO, include_optimizer: bool) -> None:
    import json

    import h5py

    data = model_data(model)
    compiled = data.get("compile_config") if include_optimizer else None
    with h5py.File(file, "w") as root:
        root.attrs["keras_version"] = KERAS_VERSION
        root.attrs["backend"] = "numpy"
        root.attrs["model_config"] = json.dumps(_legacy(data))
        weights = root.create_group("model_weights")
        weights.attrs["keras_version"] = KERAS_VERSION
        weights.attrs["backend"] = "numpy"
        _write_names(weights, "layer_names", [layer.name for layer in model.layers])
        for layer in model.layers:
            paths = dict(_paths(layer, f"{model.name}/"))
            variables = in_legacy_order(layer)
            group = weights.create_group(layer.name)
            _write_arrays(group, [(paths[one], one.value) for one in variables])
        _write_arrays(weights.create_group("top_level_model_weights"), [])
        if not compiled:
            return
        training = {key: _legacy(value) for key, value in compiled.items() if key != "optimizer"}
        training["optimizer_config"] = _legacy(compiled["optimizer"])
        if model.loss is not None:  # Keras 3 does not read short names such as "mse" here
            training["loss"] = _legacy(serialize_keras_object(model.loss))
        root.attrs["training_config"] = json.dumps(training)
        optimizer = built_optimizer(model)
        state = [(f"{optimizer.name}/{name}", array) for name, array in optimizer.state_arrays()]
        _write_arrays(root.create_group("optimizer_weights"), state)


def _legacy(value: Any) -> Any:
    """Return serialized layers and objects of training as the older format has them.

    There, classes are told by name alone; what stands within their configurations stays.
    """
    if isinstance(value, (list, tuple)):
        return [_legacy(part) for part in value]
    if not isinstance(value, Mapping) or "class_name" not in value:
        return value
    if value["class_name"] == "function":
        return value["config"]
    config = value["config"]
    if isinstance(config, Mapping) and "layers" in config:
        config = {**config, "layers": _legacy(config["layers"])}
    return {"class_name": value.get("registered_name") or value["class_name"], "config": config}


def _paths(layer: Layer, place: str) -> Iterator[tuple[Any, str]]:
    """Yield each weight with its name: those of the layers that it is in, and its own."""
    for variable in own_variables(layer):
        yield variable, f"{place}{layer.name}/{variable.name}"
    for part in layer.sublayers():
        yield from _paths(part, f"{place}{layer.name}/")


def _write_arrays(group: Any, arrays: list[tuple[str, Array]]) -> None:
    """Write arrays by name; of those with one name, which layers in a layer may have, all."""
    named: dict[str, Array] = {}
    for name, array in arrays:
        while name in named:
            name += "_"
        named[name] = array
    _write_names(group, "weight_names", list(named))
    for name, array in named.items():
        group[name] = array


def _write_names(group: Any, key: str, names: list[str]) -> None:
    """Write a list of names as an attribute, in parts where it is too long for one."""
    data = np.array([name.encode() for name in names]) if names else np.zeros(0)
    parts = max(1, -(-data.nbytes // _ATTRIBUTE_LIMIT))
    for number, part in enumerate(np.array_split(data, parts)):
        group.attrs[f"{key}{number}" if parts > 1 else key] = part

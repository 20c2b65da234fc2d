"""Writing models and weights to files in the layout of Keras 3.15."""

from __future__ import annotations

import copy
import datetime
import io
import os
import warnings
from collections.abc import Collection, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from nnlite import random
from nnlite.execution.abstract_model import AbstractModel
from nnlite.layers import activations
from nnlite.layers.core import Activation
from nnlite.layers.layer import Layer
from nnlite.ops.operation import Operation
from nnlite.saving.compile_config import built_optimizer, compile_config
from nnlite.saving.weight_layouts import (
    attributes,
    class_name,
    in_files,
    in_legacy_order,
    lists_layers,
    numbered,
    vocabularies,
)
from nnlite.serialization.objects import PUBLIC, ConfigError, knowing_all, serialize_keras_object
from nnlite.utils.atomic_write import atomic_write
from nnlite.utils.typing import Array
from nnlite.utils.validation import as_numeric, check_path
from nnlite.version import __version__

#: The version of Keras whose layout is written.
KERAS_VERSION = "3.15.1"

#: The format for each ending of a name.
_FORMATS = {".keras": "keras", ".h5": "h5", ".hdf5": "h5"}

_ATTRIBUTE_LIMIT = 64_512  # bytes that one attribute of an HDF5 group can hold


def model_data(model: AbstractModel) -> dict[str, Any]:
    """Return a model and its compile settings as plain data in Keras's form."""
    data = {**_serialized(model), "nnlite_version": __version__}  # Keras ignores it
    if model.column_names is not None:  # Keras ignores it
        data["config"]["column_names"] = list(model.column_names)
    if model.compiled or model.unread:
        data["compile_config"] = serialize_keras_object(model.get_compile_config())
    return data


def _serialized(layer: Layer) -> dict[str, Any]:
    """Return a layer as plain data: an `Activation` for an activation without a layer in Keras."""
    data = layer.serialized()
    if isinstance(layer, AbstractModel):
        named = {part.name: part for part in layer.layers}
        entries = data["config"].get("layers")
        for entry in entries if isinstance(entries, list) else ():
            name = entry["config"].get("name")
            if name in named and entry["class_name"] == class_name(named[name]):
                entry.update(_serialized(named[name]))
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


def model_json(model: AbstractModel, **options: Any) -> str:
    """Return a model as JSON; ``options`` are those of ``json.dumps``."""
    import json

    return json.dumps(model_data(model), **options)


# ---- files --------------------------------------------------------------------------------


def save_model(
    model: AbstractModel,
    filepath: str | os.PathLike[str],
    overwrite: bool = True,
    zipped: bool | None = None,
    include_optimizer: bool = True,
    **options: Any,
) -> None:
    """Write a model to a file that Keras 3 opens: layers, weights and the state of training.

    The file is replaced as a whole or not at all (see `atomic_write`). Missing folders are created.
    A model that is not built yet is written without weights, with a warning.

    Args:
        model: The model.
        filepath: A name that ends in ``.keras``, or in ``.h5`` or ``.hdf5`` for Keras's older
            format.
        overwrite: Whether the file may exist.
        zipped: False writes the content of a ``.keras`` file to a folder whose name does not end in
            ``.keras``; each of its three files is replaced on its own.
        include_optimizer: For ``.h5``: whether to write the compile settings.
        **options: Keras 2's ``save_format``, which must agree with the name.

    Raises:
        ValueError: If the name has another ending, the file exists and ``overwrite`` is False, an
            option is unknown, or the model for an ``.h5`` file is not built.
        TypeError: If a part of the model, such as a lambda, cannot be written as data, or a layer
            cannot be created from its configuration.
        OSError: If the file cannot be written.

    >>> import tempfile
    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense, Input
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(Sequential([Input((2,)), Dense(1)]), f"{folder}/model.keras")
    ...     os.listdir(folder)
    ['model.keras']
    """
    path = check_path("filepath", filepath)
    ending = next((ending for ending in _FORMATS if path.endswith(ending)), "")
    form = options.pop("save_format", None) or _FORMATS.get(ending)
    if options:
        raise ValueError(f"save_model does not take {', '.join(options)}.")
    if zipped is False and ending == ".keras":
        raise ValueError(
            f"zipped=False writes a folder, which must not end in .keras. Received: {path!r}"
        )
    if zipped is not False and (not ending or form != _FORMATS[ending]):
        raise ValueError(
            "filepath must end in .keras, or in .h5 for Keras's older format, and agree with "
            f"save_format. Received: {path!r}, save_format={form!r}"
        )
    _check_loadable(model)
    if zipped is False:
        _write_folder(model, path, overwrite)
        return
    if ending != ".keras":
        _check_built(model)
        for _, layer in vocabularies(model):
            if layer.vocabulary is None:
                raise ValueError(
                    f"Layer {layer.name!r} has a vocabulary from adapt, which an .h5 file cannot "
                    f"hold: save the model as .keras. Received: {path!r}"
                )
    with atomic_write(path, overwrite) as file:
        if ending == ".keras":
            _write_archive(model, file)
        else:
            _write_hdf5(model, file, include_optimizer)


def _check_loadable(model: AbstractModel) -> None:
    """Raise a TypeError if a user's layer cannot be created from its configuration.

    Each is created once, without weights; the random states are then put back.
    """
    drawn = random.states()
    try:
        with knowing_all():
            for layer in model.all_layers():
                if type(layer) not in PUBLIC:
                    _check_made_again(layer)
    finally:
        random.set_states(drawn)


def _check_made_again(layer: Layer) -> None:
    cls, config = type(layer), copy.deepcopy(layer.serialized()["config"])
    if layer.is_model and isinstance(config.get("layers"), list):  # each is checked itself
        if "input_layers" in config:
            return
        config = {key: config[key] for key in config if key != "build_input_shape"} | {"layers": []}
    try:
        cls.from_config(config)
    except ConfigError:  # names a class that may be registered when the file is read
        return
    except (TypeError, KeyError, AttributeError) as error:
        raise TypeError(
            f"Layer {layer.name!r} could not be loaded again: {cls.__name__}.from_config does not "
            f"take what get_config returns ({type(error).__name__}: {error}). Let __init__ take "
            "**kwargs, pass them to super().__init__(**kwargs), and keep each other argument in an "
            "attribute of the same name; or define a get_config and a from_config that match."
        ) from error
    for name in ("save_assets", "load_assets"):
        if hasattr(layer, name):
            raise TypeError(
                f"Layer {layer.name!r} defines {name}, but nnlite's files do not hold assets. "
                "Return the data from get_config, or keep it in weights."
            )


def save_weights(
    model: AbstractModel,
    filepath: str | os.PathLike[str],
    overwrite: bool = True,
    max_shard_size: None = None,
    objects_to_skip: Collection[Layer] | None = None,
) -> None:
    """Write a model's weights, and its optimizer's state, to a ``.weights.h5`` file.

    Args:
        model: The model.
        filepath: A name that ends in ``.weights.h5``.
        overwrite: Whether the file may exist.
        max_shard_size: Not supported; Keras uses it to divide the weights among files.
        objects_to_skip: Layers to leave out.

    Raises:
        ValueError: If the name has another ending, the file exists and ``overwrite`` is False,
            ``max_shard_size`` is given, or the model is not built.
        OSError: If the file cannot be written.

    >>> import tempfile
    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense, Input
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_weights(Sequential([Input((2,)), Dense(1)]), f"{folder}/one.weights.h5")
    ...     os.listdir(folder)
    ['one.weights.h5']
    """
    path = check_path("filepath", filepath)
    if max_shard_size is not None:
        raise ValueError(
            f"nnlite writes all weights to one file. Received: max_shard_size={max_shard_size!r}"
        )
    if not path.endswith(".weights.h5"):
        raise ValueError(f"filepath must end in .weights.h5. Received: {path!r}")
    _check_built(model)
    with atomic_write(path, overwrite) as file:
        _write_weights(model, file, objects_to_skip or ())


def _check_built(model: AbstractModel) -> None:
    if not model.built:
        raise ValueError(
            f"Model {model.name!r} has no weights to save yet. Give the input shape "
            "(Input((features,)) as the first layer), call build((None, features)), or fit."
        )


def _write_archive(model: AbstractModel, file: BinaryIO) -> None:
    import zipfile

    parts = _parts(model)
    with zipfile.ZipFile(file, "w") as archive:  # stored, not compressed: weights do not shrink
        for name, data in parts:
            archive.writestr(name, data)


def _write_folder(model: AbstractModel, path: str, overwrite: bool) -> None:
    if not overwrite and os.path.exists(path):
        raise ValueError(f"{path} exists already. Pass overwrite=True to replace its files.")
    for name, data in _parts(model):
        with atomic_write(os.path.join(path, name)) as file:
            file.write(data)


def _parts(model: AbstractModel) -> list[tuple[str, Any]]:
    """Return the names and contents of the members of a ``.keras`` file."""
    import json

    if not model.built:
        warnings.warn(
            f"Model {model.name!r} is not built yet: it is saved without weights.", stacklevel=5
        )
    saved = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    versions = {"keras_version": KERAS_VERSION, "nnlite_version": __version__}
    weights = io.BytesIO()
    _write_weights(model, weights)
    return [
        ("metadata.json", json.dumps({**versions, "date_saved": saved}).encode()),
        ("config.json", model_json(model).encode()),
        ("model.weights.h5", weights.getbuffer()),
        *_vocabularies(model),
    ]


def _vocabularies(model: AbstractModel) -> Iterator[tuple[str, bytes]]:
    from nnlite.saving.formats.keras_archive import MAX_VOCABULARY

    for place, layer in vocabularies(model):
        text = layer.vocabulary_text()
        if text is None:
            continue
        data = text.encode()
        if len(data) > MAX_VOCABULARY:
            raise ValueError(
                f"The vocabulary of layer {layer.name!r} has {len(data)} bytes; a file holds at "
                f"most {MAX_VOCABULARY}. Give the layer max_tokens."
            )
        yield f"assets/{place}/vocabulary.txt", data


# ---- groups by class ----------------------------------------------------------------------


def _write_weights(model: AbstractModel, file: BinaryIO, skip: Collection[Layer] = ()) -> None:
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
    """Write a layer's own weights by number, and its inner layers to groups below."""
    own = _variables(group, layer.name)
    store: dict[str, Any] = {}
    layer.save_own_variables(store)
    for key, array in store.items():
        own[key] = as_numeric(f"{key!r} of save_own_variables of layer {layer.name!r}", array)
    if lists_layers(layer):
        below = group.create_group("layers")
        layers = [one for one in layer.layers if not isinstance(one, Operation)]
        for name, part in numbered(layers, written_class):
            if part not in skip:
                _write_layer(below.create_group(name), part, skip)
        return
    kept = attributes(layer)
    for part in layer.sublayers():
        if in_files(part) and not any(part is one for _, one in kept):
            raise ValueError(
                f"Layer {layer.name!r} must keep its layer {part.name!r} in an attribute, or in a "
                "list, tuple or dict there: a file names the layer after the attribute."
            )
    for attribute, part in kept:
        if in_files(part):
            _write_layer(group.create_group(attribute), part, skip)


# ---- the older format ---------------------------------------------------------------------


def _write_hdf5(model: AbstractModel, file: BinaryIO, include_optimizer: bool) -> None:
    import json

    import h5py

    data = model_data(model)
    compiled = compile_config(model) if include_optimizer else None
    with h5py.File(file, "w") as root:
        root.attrs["keras_version"] = KERAS_VERSION
        root.attrs["backend"] = "numpy"
        root.attrs["model_config"] = json.dumps(_legacy(data))
        weights = root.create_group("model_weights")
        weights.attrs["keras_version"] = KERAS_VERSION
        weights.attrs["backend"] = "numpy"
        layers = [layer for layer in model.layers if not isinstance(layer, Operation)]
        _write_names(weights, "layer_names", [layer.name for layer in layers])
        for layer in layers:
            paths = dict(_paths(layer, f"{model.name}/"))
            variables = in_legacy_order(layer)
            group = weights.create_group(layer.name)
            _write_arrays(group, [(paths[one], one.value) for one in variables])
        _write_arrays(weights.create_group("top_level_model_weights"), [])
        if not compiled:
            return
        training = {key: _legacy(value) for key, value in compiled.items() if key != "optimizer"}
        if "optimizer" in compiled:
            training["optimizer_config"] = _legacy(compiled["optimizer"])
        if model.loss is not None:  # Keras 3 does not read short names such as "mse" here
            training["loss"] = _legacy(serialize_keras_object(model.loss))
        root.attrs["training_config"] = json.dumps(training)
        if model.optimizer is None:
            return
        optimizer = built_optimizer(model)
        state = [(f"{optimizer.name}/{name}", array) for name, array in optimizer.state_arrays()]
        _write_arrays(root.create_group("optimizer_weights"), state)


def _legacy(value: Any) -> Any:
    """Return serialized layers and training objects in the older format.

    It tells classes by name alone. Their configurations are unchanged.
    """
    if isinstance(value, (list, tuple)):
        return [_legacy(part) for part in value]
    if not isinstance(value, Mapping) or not {"class_name", "config"} <= set(value):
        return value
    if value["class_name"] == "function":
        return value["config"]
    config = value["config"]
    if isinstance(config, Mapping) and "layers" in config:
        config = {**config, "layers": _legacy(config["layers"])}
    kept = ("name", "inbound_nodes", "nnlite_version", "seed")
    calls = {key: value[key] for key in kept if key in value}
    name = value.get("registered_name") or value["class_name"]
    return {"class_name": name, "config": config, **calls}


def _paths(layer: Layer, place: str) -> Iterator[tuple[Any, str]]:
    """Yield each weight with its path: the names of the layers around it and its own."""
    for variable in layer.own_variables():
        yield variable, f"{place}{layer.name}/{variable.name}"
    for part in layer.sublayers():
        yield from _paths(part, f"{place}{layer.name}/")


def _write_arrays(group: Any, arrays: list[tuple[str, Array]]) -> None:
    """Write arrays by name; inner layers may have equal names, which get a ``_`` each."""
    named: dict[str, Array] = {}
    for name, array in arrays:
        while name in named:
            name += "_"
        named[name] = array
    _write_names(group, "weight_names", list(named))
    for name, array in named.items():
        group[name] = array


def _write_names(group: Any, key: str, names: list[str]) -> None:
    """Write a list of names as an attribute, or as several if it is too long for one."""
    data = np.array([name.encode() for name in names]) if names else np.zeros(0)
    parts = max(1, -(-data.nbytes // _ATTRIBUTE_LIMIT))
    for number, part in enumerate(np.array_split(data, parts)):
        group.attrs[f"{key}{number}" if parts > 1 else key] = part

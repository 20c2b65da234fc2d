"""Reading models and weights from Keras's files. A file is data: it can only choose among names."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from nnlite.backend.variables import weights_from_file
from nnlite.execution.abstract_model import AbstractModel
from nnlite.layers.layer import Layer, registry
from nnlite.saving.compile_config import compile_as_told, restore_state
from nnlite.saving.formats.hdf5 import Node, open_hdf5
from nnlite.saving.formats.json_text import parse_json
from nnlite.saving.formats.keras_archive import Archive, kind_of, read_archive
from nnlite.saving.legacy.configs import is_model, model_config, plain, settle_dtype
from nnlite.saving.load_report import LoadReport, naming_file
from nnlite.saving.weight_layouts import (
    Assignment,
    Tree,
    assign,
    by_class,
    by_name,
    by_order,
    holds_weights,
    is_legacy,
    legacy_root,
    vocabularies,
)
from nnlite.serialization.objects import CustomObjectScope
from nnlite.utils.validation import check_path


def load_model(
    filepath: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,  # noqa: A002  Keras's name
    safe_mode: bool = True,
) -> AbstractModel:
    """Return the model in a ``.keras`` file, a folder of its parts, or a whole-model ``.h5`` file.

    Keras 1.2 to 3.15 or tf.keras may have written it. Sequential, functional and nested models are
    read, and registered subclasses of `Model`. The content decides the format, not the name.
    Unknown parts that predicting does not need are left out, with one warning. A model whose loss
    or optimizer is unknown predicts; compile it again to train it.

    Args:
        filepath: The file.
        custom_objects: Your layers, losses, ... by their names in the file.
        compile: Whether to compile the model as it was and load the optimizer's state.
        safe_mode: Ignored: code in a file is never run.

    Raises:
        ValueError: If the file is missing, damaged or does not hold a model, or nnlite does not
            have some of its layers, which the message names.
        OSError: If the file cannot be opened.

    >>> import tempfile
    >>> import numpy as np
    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense, Input
    >>> model = Sequential([Input((2,)), Dense(3, activation="tanh"), Dense(1)])
    >>> x = np.array([[0.5, -1.0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/model.keras")
    ...     again = load_model(f"{folder}/model.keras")
    >>> bool((again.predict(x) == model.predict(x)).all())
    True
    """
    path = check_path("filepath", filepath)
    with naming_file(path), CustomObjectScope(custom_objects):
        if kind_of(path) == "keras":
            with read_archive(path) as archive:
                notes = LoadReport(archive.metadata.get("keras_version"))
                model = _from_archive(archive, notes, compile)
        else:
            with open_hdf5(path, path) as root:
                notes = LoadReport(root.attribute("keras_version"))
                model = _from_hdf5(root, path, notes, compile)
    notes.warn(path)
    return model


def _from_archive(archive: Archive, notes: LoadReport, compiled: bool) -> AbstractModel:
    """Return the model of a ``.keras`` file."""
    config, weights = archive.config, archive.weights
    translated, model = _model(config, weights, notes)
    legacy = is_legacy(weights)
    found = (
        by_order(model, legacy_root(weights), translated)
        if legacy
        else by_class(model, weights, translated)
    )
    assign(found)
    _check_all_filled(model, found)
    for place, layer in vocabularies(model, translated):
        text = archive.vocabulary(place)
        if text is not None:
            layer.take_vocabulary_text(text)
        elif layer.vocabulary is None and not layer.get_vocabulary(False):
            raise ValueError(f"the file has no vocabulary for layer {layer.name!r}")
    settings = config.get("compile_config") if compiled else None
    if isinstance(settings, dict):
        name, stored = _state(weights)
        if compile_as_told(model, settings, notes, name) and stored:
            restore_state(model, stored, notes)
    return model


def _from_hdf5(root: Node, path: str, notes: LoadReport, compiled: bool) -> AbstractModel:
    """Return the model of a whole-model ``.h5`` file."""
    text = root.attribute("model_config")
    if text is None:
        if is_legacy(root) or "layers" in root.groups():
            raise ValueError(
                "the file holds weights without a model. Make the model, and call "
                f"model.load_weights({path!r})"
            )
        raise ValueError("the file holds no model: it has no model_config")
    if not isinstance(text, str):
        raise ValueError("model_config is not text")  # noqa: TRY004  data, not a caller's mistake
    config = parse_json(text, "model_config")
    weights = root.group("model_weights") if "model_weights" in root.groups() else root
    translated, model = _model(config, weights, notes)
    found = by_order(model, weights, translated)
    assign(found)
    _check_all_filled(model, found)
    text = root.attribute("training_config")
    if compiled and isinstance(text, str):
        settings = parse_json(text, "training_config")
        if compile_as_told(model, settings, notes) and "optimizer_weights" in root.groups():
            group = root.group("optimizer_weights")
            stored = [(name, group.array(name)) for name in group.text_list("weight_names")]
            pairs = [zip(one.variables, one.keys, strict=True) for one in found]
            restore_state(model, stored, notes, dict(itertools.chain(*pairs)))
    return model


def _model(config: Any, weights: Node, notes: LoadReport) -> tuple[dict[str, Any], AbstractModel]:
    """Return the translated configuration of a model, and the model with weights of zero."""
    translated = translate(config, notes)
    with weights_from_file(weights.total_elements()):
        model = registry.deserialize(translated)
        assert isinstance(model, AbstractModel)  # translate checks it
        _build(model, config)
        if not model.built and holds_weights(weights):  # else it was not built either
            model.build(_input_shape(model, weights))
    model.column_names = _column_names(config["config"], model)
    return translated, model


def _build(model: AbstractModel, config: Any) -> None:
    """Build a model of a user's class for the shapes in its configuration."""
    built = config.get("build_config")
    if not model.built and isinstance(built, dict) and built.get("input_shape"):
        model.build_from_config(built)


def _column_names(config: Any, model: AbstractModel) -> tuple[str, ...] | None:
    """Return the names of the columns of the frame that the model was trained on, if any."""
    names = config.get("column_names") if isinstance(config, dict) else None
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("column_names is not a list of names")
    columns = (model.input_shape or (None,))[-1]
    if not len(set(names)) == len(names) == columns:
        raise ValueError(f"column_names has {len(names)} names for {columns} columns")
    return tuple(names)


def _check_all_filled(model: AbstractModel, found: Sequence[Assignment]) -> None:
    """Raise a ValueError if the file has no array for a weight of a layer."""
    filled = {variable for one in found for variable in one.variables}
    if left := [variable.name for variable in model.all_variables() if variable not in filled]:
        raise ValueError(f"the file does not have the weights {', '.join(map(repr, left))}")


def translate(config: Any, notes: LoadReport) -> dict[str, Any]:
    """Return a model's configuration in the form that a registry takes."""
    config = plain(config)
    if not isinstance(config, dict) or "class_name" not in config or "config" not in config:
        raise ValueError(f"expected the configuration of a model. Received: {config!r:.200}")
    if not is_model(config):
        notes.missing.append(f"a model of class {config['class_name']!r:.200}")
        notes.refuse()
    notes.own = "nnlite_version" in config
    translated = model_config(config, notes)
    notes.refuse()
    settle_dtype(translated, notes)
    return translated


def _input_shape(model: AbstractModel, weights: Node) -> tuple[int | None, ...]:
    """Return the input's shape by the first array, for files without it.

    TensorFlow 2.0 and 2.1 left it out for models that were built on their first data.
    """
    for layer in model.layers:
        kind = type(layer).__name__
        if kind in ("Dense", "BatchNormalization", "LayerNormalization"):
            shape = _first_array(weights, layer.name)
            if shape:
                return (None, shape[0])
        if kind not in ("Activation", "Dropout"):
            break
    raise ValueError("the file does not have the shape of the model's input")


def _first_array(weights: Node, layer: str) -> tuple[int, ...]:
    if layer not in weights.groups():
        return ()
    names = weights.group(layer).text_list("weight_names")
    return weights.group(layer).shape(names[0]) if names else ()


def _state(weights: Node) -> tuple[Any, list[tuple[str, Any]]]:
    """Return the optimizer's name and variables in a file of nested groups."""
    tree = Tree(weights).filled().children.get("optimizer")
    # An optimizer for mixed precision holds the real one.
    tree = tree.children.get("inner_optimizer", tree) if tree else None
    keys = tree.keys() if tree else []
    if tree is None or not keys:
        return None, []
    node = tree.children["vars"].node
    return node.attribute("name"), [(key, node.array(key)) for key in keys]


# ---- weights alone ------------------------------------------------------------------------


def load_weights(
    model: AbstractModel,
    filepath: str | os.PathLike[str],
    skip_mismatch: bool = False,
    by_name: bool | None = None,
    objects_to_skip: Collection[Layer] | None = None,
    **options: Any,
) -> None:
    """Copy weights from a file into a built model: all of them, or none on an error.

    Args:
        model: The model.
        filepath: A ``.weights.h5``, ``.keras`` or older ``.h5`` file.
        skip_mismatch: Whether to leave out, with a warning, the layers whose weights do not fit.
        by_name: For older ``.h5`` files: whether to match layers by name instead of by order;
            layers that the file does not have keep their weights.
        objects_to_skip: For ``.weights.h5`` files: layers that keep their weights.
        **options: Refused, for a clear message.

    Raises:
        ValueError: If the model is not built, the file is missing or damaged, its weights do not
            fit, or an argument is unknown or for another kind of file.
        OSError: If the file cannot be opened.

    >>> import tempfile
    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense, Input
    >>> one, other = (Sequential([Input((2,)), Dense(1)]) for _ in range(2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     one.save_weights(f"{folder}/one.weights.h5")
    ...     load_weights(other, f"{folder}/one.weights.h5")
    >>> bool((other.get_weights()[0] == one.get_weights()[0]).all())
    True
    """
    path = check_path("filepath", filepath)
    if options:
        raise ValueError(f"load_weights does not take {', '.join(options)}.")
    if not model.built:
        raise ValueError(
            f"Model {model.name!r} has no weights yet. Give the input shape (Input((features,)) as "
            "the first layer) or call build((None, features)) before load_weights."
        )
    notes = LoadReport()
    with naming_file(path):
        if kind_of(path) == "keras":
            if objects_to_skip is not None:
                raise ValueError("objects_to_skip is for .weights.h5 files")
            with read_archive(path) as archive:
                _load(model, archive.weights, notes, skip_mismatch, by_name, None)
        else:
            with open_hdf5(path, path) as root:
                _load(model, root, notes, skip_mismatch, by_name, objects_to_skip)
    notes.warn(path, stacklevel=3)


def _load(
    model: AbstractModel,
    root: Node,
    notes: LoadReport,
    skip_mismatch: bool,
    named: bool | None,
    skip: Collection[Layer] | None,
) -> None:
    if is_legacy(root):
        if skip is not None:
            raise ValueError("objects_to_skip is for .weights.h5 files of Keras 3")
        found: list[Assignment] = (by_name if named else by_order)(model, legacy_root(root))
        assign(found, skip_mismatch)
        return
    if named:
        raise ValueError("by_name is for .h5 files of Keras 2: this file does not hold names")
    found = by_class(model, root, None, skip or ())
    # Read before anything is changed: the file may be damaged.
    stored = [] if model.optimizer is None else _state(root)[1]
    assign(found, skip_mismatch)
    if stored:
        restore_state(model, stored, notes)


def model_from_data(config: Any, custom_objects: Mapping[str, Any] | None = None) -> AbstractModel:
    """Return a model with new weights from a configuration of any version of Keras.

    Args:
        config: The model's class name and configuration, as in its JSON.
        custom_objects: Your classes by their names there.

    Raises:
        ValueError: If it is not a model's, or nnlite does not have a part of the model.
    """
    notes = LoadReport(config.get("keras_version") if isinstance(config, dict) else None)
    with naming_file("the configuration"), CustomObjectScope(custom_objects):
        model = registry.deserialize(translate(config, notes))
        assert isinstance(model, AbstractModel)
        _build(model, config)
        settings = config.get("compile_config")
        if isinstance(settings, dict):
            compile_as_told(model, settings, notes)
    notes.warn("the configuration", stacklevel=3)
    return model

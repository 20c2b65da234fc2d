"""The command line: a look at the files of models, and their conversion. Nothing in them runs."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlite.execution.abstract_model import AbstractModel
from nnlite.saving.formats.hdf5 import Node, open_hdf5
from nnlite.saving.formats.json_text import parse_json
from nnlite.saving.formats.keras_archive import kind_of, read_archive
from nnlite.saving.reading import load_model
from nnlite.serialization.objects import is_foreign
from nnlite.version import __version__

__all__ = ["main"]

_DESCRIPTION = "Look at the files of models that Keras or nnlite wrote. Nothing in them is run."
_EXIT_CODES = """exit codes: 0 all is well; 1 it loads, with reservations; 2 the command line is
wrong; 3 the file cannot be read, loaded or written"""
_COMMANDS = {
    "summary": "print layers, shapes, loss, optimizer, and who wrote the file",
    "verify": "print what is damaged, dangerous, unknown, left out or not finite",
    "convert": "write the model to another format, told by TARGET's ending",
}
_FINE, _RESERVATIONS, _REFUSED = 0, 1, 3
_ENDINGS = ".keras, .h5, .weights.h5 or .onnx"
_MOST_LINES = 50  # of one kind that are printed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        arguments: The command line without the program's name; None takes the process's.

    >>> main(["summary", "missing.keras"])
    refused: missing.keras: No such file or directory
    3
    """
    parser = argparse.ArgumentParser("nnlite", description=_DESCRIPTION, epilog=_EXIT_CODES)
    parser.add_argument("--version", action="version", version=f"nnlite {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in _COMMANDS.items():
        description = f"{what[0].upper()}{what[1:]}."
        command = commands.add_parser(name, help=what, description=description, epilog=_EXIT_CODES)
        command.add_argument("file", metavar="FILE", help="a .keras, .h5 or .weights.h5 file")
        if name == "convert":
            command.add_argument("target", metavar="TARGET", help=f"a name that ends in {_ENDINGS}")
            command.add_argument(
                "--overwrite", action="store_true", help="replace TARGET where it exists"
            )
    given = parser.parse_args(arguments)
    try:
        if given.command == "convert":
            return _convert(given.file, given.target, given.overwrite)
        return (_summary if given.command == "summary" else _verify)(given.file)
    except BrokenPipeError:  # whoever read the output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FINE
    except (OSError, ValueError, TypeError, MemoryError) as error:
        what = str(error)
        if isinstance(error, OSError) and error.filename:
            what = f"{error.filename}: {error.strerror}"
        _say("refused: " + what.replace("\n  ", " "))  # lines of the message's own
        return _REFUSED


def _summary(path: str) -> int:
    with _opened(path) as file:
        _say(f"{os.path.basename(path)}: {file.what}{file.origin}")
        if file.config is None:
            shapes = (f"{path} {node.shape(key)}" for node, key, path in _arrays(file.weights))
            count = _print_lines("array", shapes)
            _say(f"{file.weights.total_elements():,} numbers in {count} arrays")
            return _FINE
        config = file.config
    try:
        with _noting(path) as left_out:
            model: AbstractModel = load_model(path)
    except (ValueError, MemoryError):
        _print_lines("layer", _layers(config))
        raise
    if all(layer.name.isprintable() for layer in (model, *model.all_layers())):
        model.summary(print_fn=lambda text: [*map(_say, text.split("\n"))])
    else:  # a line break in a name would forge lines of the table
        _print_lines("layer", _layers(config))
    if model.optimizer is None:
        _say("Not compiled")
    else:
        metrics = (model.compile_arguments or {}).get("metrics")
        _say(f"Loss: {model.loss!r}" + (f", metrics: {metrics!r}" if metrics else ""))
        _say(f"Optimizer: {model.optimizer!r}, after {model.optimizer.iterations} steps")
    _print_lines("left out", left_out)
    return _RESERVATIONS if left_out else _FINE


def _verify(path: str) -> int:
    with _opened(path) as file:
        _say(f"{os.path.basename(path)}: {file.what}{file.origin}")
        reservations = _print_lines("code", _dangers(file.config))
        reservations += _print_lines("not finite", _not_finite(file.weights))
        whole = file.config is not None
    if whole:
        with _noting(path) as left_out:
            load_model(path)
        reservations += _print_lines("left out", left_out)
    if not reservations:
        _say("Nothing is wrong with it.")
    return _RESERVATIONS if reservations else _FINE


def _convert(path: str, target: str, overwrite: bool) -> int:
    if not target.endswith((".keras", ".h5", ".hdf5", ".onnx")):
        raise ValueError(f"TARGET must end in {_ENDINGS}. Received: {target}")
    if os.path.exists(target) and not overwrite:
        raise ValueError(f"{target} exists already. Give --overwrite to replace it")
    with _noting(path) as left_out:
        model: AbstractModel = load_model(path)
        if target.endswith(".onnx"):
            model.export(target, verbose=False, format="onnx")
        elif target.endswith(".weights.h5"):
            model.save_weights(target)
        else:
            model.save(target)
    _print_lines("left out", left_out)
    _say(f"{target} is written.")
    return _RESERVATIONS if left_out else _FINE


# ---- what is in a file -------------------------------------------------------------------------


@dataclass(frozen=True)
class _File:
    """A file that is open: what it is, who wrote it, the model's configuration, and its arrays."""

    what: str
    origin: str
    config: Any
    weights: Node


@contextmanager
def _opened(path: str) -> Iterator[_File]:
    if kind_of(path) == "keras":
        with read_archive(path) as archive:
            told = archive.metadata
            origin = _origin(told.get("keras_version"), told.get("nnlite_version"))
            if isinstance(told.get("date_saved"), str):
                origin += f", saved {told['date_saved']}"
            yield _File("a model in a .keras file", origin, archive.config, archive.weights)
        return
    with open_hdf5(path, path) as root:
        text, origin = root.attribute("model_config"), _origin(root.attribute("keras_version"))
        if isinstance(text, str):
            config = parse_json(text, "model_config")
            yield _File("a model in an .h5 file", origin, config, root)
        else:
            yield _File("weights without a model", origin, None, root)


def _origin(keras: Any, nnlite: Any = None) -> str:
    if isinstance(nnlite, str):
        return f", by nnlite {nnlite}"
    return f", by Keras {keras}" if isinstance(keras, str) else ""


@contextmanager
def _noting(path: str) -> Iterator[list[str]]:
    """Collect the warnings inside as text: what is left out of a file's model."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield notes
    notes += [str(one.message).removeprefix(f"{path}: ") for one in caught]


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Yield the serialized objects in a configuration, each before those within it."""
    if isinstance(config, dict):
        if isinstance(config.get("class_name"), str) and "config" in config:
            yield config
        config = [*config.values()]
    for part in config if isinstance(config, list) else ():
        yield from _objects(part)


def _layers(config: Any) -> Iterator[str]:
    """Yield name and class of the layers in a model's configuration."""
    for one in _objects(config):
        inner = one["config"]
        layers = inner.get("layers") if isinstance(inner, dict) else inner
        for layer in layers if isinstance(layers, list) else ():
            if isinstance(layer, dict):
                config = layer.get("config")
                named = config if isinstance(config, dict) and "name" in config else layer
                yield f"{named.get('name')} ({layer.get('class_name')})"


def _dangers(config: Any) -> Iterator[str]:
    """Yield the places of a configuration where a reader other than nnlite may run something."""
    for one in _objects(config):
        inner = one["config"] if isinstance(one["config"], dict) else {}
        if one["class_name"] == "Lambda":
            yield f"layer {inner.get('name')!r} is a Lambda, whose function is never run"
        elif one["class_name"] == "__lambda__":
            yield "a function as compiled code (__lambda__), which is never run"
        elif is_foreign(one):
            place = f" of module {one['module']!r}" if one.get("module") else ""
            yield f"class {one['class_name']!r}{place} is not Keras's, and is never imported"


def _arrays(node: Node) -> Iterator[tuple[Node, str, str]]:
    """Yield the datasets below a group: the group, the name there, the path."""
    for key in node.datasets():
        yield node, key, f"{node.name.rstrip('/')}/{key}"
    for key in node.groups():
        yield from _arrays(node.group(key))


def _not_finite(weights: Node) -> Iterator[str]:
    for node, key, path in _arrays(weights):
        array = node.array(key)
        wrong = 0 if array.dtype.kind != "f" else array.size - int(np.isfinite(array).sum())
        if wrong:
            yield f"{wrong} of the {array.size} numbers of {path} are NaN or infinite"


# ---- what is printed ---------------------------------------------------------------------------


def _print_lines(kind: str, lines: Sequence[str] | Iterator[str]) -> int:
    """Print lines, each different one once, and return their number."""
    different = [*dict.fromkeys(lines)]
    for line in different[:_MOST_LINES]:
        _say(f"{kind}: {line}")
    if len(different) > _MOST_LINES:
        _say(f"{kind}: ... and {len(different) - _MOST_LINES} more")
    return len(different)


def _say(line: str) -> None:
    """Print a line; what a file says may hold neither line breaks nor a terminal's commands."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    encoding = sys.stdout.encoding or "utf-8"
    print(shown.encode(encoding, "backslashreplace").decode(encoding), flush=True)

"""Conversion of objects to plain data and back, in Keras's format of configurations.

Configurations are untrusted. A name in a configuration is a key into the registries of nnlite or
into the classes that the program has registered; nothing is imported or evaluated.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import numpy as np

from nnlite.utils.validation import ArgumentError

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "register_keras_serializable",
    "serialize_keras_object",
]

T = TypeVar("T")


class Kind(Protocol):
    """The interface of registries."""

    def deserialize(self, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Create an object from its configuration."""


class ConfigError(ArgumentError):
    """An invalid configuration."""


#: Functions of losses and metrics, which configurations name without a module.
FUNCTIONS: dict[str, Callable[..., Any]] = {}

#: The registry of each Keras module, such as ``"keras.losses"``.
KINDS: dict[str, Kind] = {}

#: Keras's module and name of each nnlite class that Keras has.
PUBLIC: dict[type, tuple[str, str]] = {}

_custom_objects: dict[str, Any] = {}
_custom_names: dict[Any, str] = {}
_scopes: list[Mapping[str, Any]] = []
_recorded: list[dict[str, Any]] = []


# ---- registration -------------------------------------------------------------------------


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[T], T]:
    """Return a decorator that registers a class or function for files and configurations.

    Args:
        package: The first part of the name in files, ``"package>name"``.
        name: The second part; by default the name of the class or function.

    Raises:
        TypeError: From the decorator, if the object is neither a class nor a function.
        ValueError: From the decorator, if a class does not have a ``get_config``.

    >>> from nnlite.layers import Layer
    >>> @register_keras_serializable("mine")
    ... class Halved(Layer):
    ...     def forward(self, x, training=False):
    ...         return x / 2
    ...
    ...     def backward(self, gradient):
    ...         return gradient / 2
    >>> get_registered_name(Halved)
    'mine>Halved'
    """

    def register(thing: T) -> T:
        if not (inspect.isclass(thing) or inspect.isfunction(thing)):
            raise TypeError(f"Only a class or a function can be registered. Received: {thing!r}")
        if inspect.isclass(thing) and not hasattr(thing, "get_config"):
            raise ValueError(
                "A class to register must have a get_config, which returns the arguments to make "
                f"it of. Received: {thing!r}"
            )
        key = f"{package}>{name or thing.__name__}"
        _custom_objects[key] = thing
        _custom_names[thing] = key
        return thing

    return register


class CustomObjectScope:
    """Context in which configurations may name the given classes and functions.

    Args:
        custom_objects: The classes and functions, by name.

    >>> from nnlite import layers
    >>> class Mine(layers.Dense):
    ...     pass
    >>> with CustomObjectScope({"Mine": Mine}):
    ...     layer = layers.deserialize({"class_name": "Mine", "config": {"units": 2}})
    >>> layer
    Mine(units=2)
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None) -> None:
        self.custom_objects = dict(custom_objects or {})

    def __enter__(self) -> CustomObjectScope:
        _scopes.append(self.custom_objects)
        return self

    def __exit__(self, *error: object) -> None:
        _scopes[:] = (scope for scope in _scopes if scope is not self.custom_objects)


custom_object_scope = CustomObjectScope


@contextmanager
def knowing_all() -> Iterator[None]:
    """Context in which serialized objects can be deserialized without registration."""
    with CustomObjectScope(None) as scope:
        _recorded.append(scope.custom_objects)
        try:
            yield
        finally:
            _recorded[:] = (known for known in _recorded if known is not scope.custom_objects)


def _record(thing: Any) -> str:
    """Return the name of a registered or custom class or function."""
    name = get_registered_name(thing)
    for known in _recorded:
        known[name] = thing
    return name


def get_custom_objects() -> dict[str, Any]:
    """Return the dict of registered objects, by names such as ``"package>name"``.

    >>> isinstance(get_custom_objects(), dict)
    True
    """
    return _custom_objects


def get_registered_name(thing: Any) -> str:
    """Return the registered name of a class or function, or its own name.

    >>> get_registered_name(dict)
    'dict'
    """
    return _custom_names.get(thing, thing.__name__)


def get_registered_object(
    name: Any,
    custom_objects: Mapping[str, Any] | None = None,
    module_objects: Mapping[str, Any] | None = None,
) -> Any:
    """Return the class or function with a name, or None.

    Args:
        name: The name.
        custom_objects: Searched first.
        module_objects: Searched last.

    >>> get_registered_object("Mine", {"Mine": dict})
    <class 'dict'>
    """
    for known in (*_places(custom_objects), module_objects or {}):
        if isinstance(name, str) and name in known:
            return known[name]
    return None


def _places(custom_objects: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """Yield the dicts of custom objects in the order of search."""
    yield from (custom_objects or {}, *reversed(_scopes), _custom_objects)


# ---- serialization ------------------------------------------------------------------------


def serialize_keras_object(thing: Any) -> Any:
    """Return ``thing`` as plain data: numbers, strings, lists, tuples and dicts.

    An object becomes ``{"module", "class_name", "config", "registered_name"}``, as in Keras. Its
    class needs ``get_config`` and ``from_config``.

    Raises:
        TypeError: If ``thing`` or a part of it has no configuration.

    >>> from nnlite.regularizers import L2
    >>> serialize_keras_object(L2(0.5))["config"]
    {'l2': 0.5}
    """
    if thing is None or isinstance(thing, (bool, int, float, str)):
        return thing
    if isinstance(thing, np.generic):
        return thing.item()
    if isinstance(thing, np.dtype):
        return thing.name
    if isinstance(thing, np.ndarray):
        value = {"value": thing.tolist(), "dtype": thing.dtype.name}
        return {"class_name": "__numpy__", "config": value}
    if isinstance(thing, bytes):
        return {"class_name": "__bytes__", "config": {"value": thing.decode()}}
    if isinstance(thing, slice):
        ends = {"start": thing.start, "stop": thing.stop, "step": thing.step}
        return {"class_name": "__slice__", "config": serialize_keras_object(ends)}
    if thing is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(thing, (list, tuple)):
        parts = [serialize_keras_object(part) for part in thing]
        return tuple(parts) if isinstance(thing, tuple) else parts
    if isinstance(thing, Mapping):
        return {key: serialize_keras_object(value) for key, value in thing.items()}
    if hasattr(thing, "serialized"):
        return thing.serialized()
    if (
        hasattr(thing, "get_config")
        and hasattr(thing, "from_config")
        and not inspect.isclass(thing)
    ):
        return serialized_object(thing)
    if inspect.isfunction(thing) and thing.__name__ != "<lambda>":
        return serialized_function(thing)
    raise TypeError(
        f"{thing!r} cannot be serialized. Expected a class with get_config and from_config, "
        "or a named function."
    )


def serialized_object(thing: Any) -> dict[str, Any]:
    """Return the configuration of an object with ``get_config``."""
    cls = type(thing)
    module, name = PUBLIC.get(cls, (cls.__module__, cls.__name__))
    config = thing.get_config()
    if not isinstance(config, Mapping):
        raise TypeError(f"{cls.__name__}.get_config() must return a dict. Received: {config!r}")
    return {
        "module": None if module == "__main__" else module,
        "class_name": name,
        "config": serialize_keras_object(config),
        "registered_name": None if cls in PUBLIC else _record(cls),
    }


def serialized_function(function: Any) -> dict[str, Any]:
    """Return the configuration of a function, its name."""
    ours = function.__module__.startswith("nnlite.")
    return {
        "module": "builtins" if ours else function.__module__,
        "class_name": "function",
        "config": function.__name__,
        "registered_name": "function" if ours else _record(function),
    }


# ---- deserialization ----------------------------------------------------------------------


def deserialize_keras_object(
    config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
) -> Any:
    """Create an object from the result of `serialize_keras_object`.

    Args:
        config: The serialized object.
        custom_objects: Your own classes and functions, by name.
        safe_mode: Accepted as in Keras; code in a configuration is always refused.

    Raises:
        ValueError: If a name is unknown, or a configuration does not fit its class; the error is a
            TypeError too where Keras raises one.

    >>> from nnlite.regularizers import L2
    >>> deserialize_keras_object(serialize_keras_object(L2(0.5)))
    L2(l2=0.5)
    """
    if isinstance(config, (list, tuple)):
        return [deserialize_keras_object(part, custom_objects, safe_mode) for part in config]
    if not isinstance(config, Mapping):
        return config
    if not {"class_name", "config"} <= set(config):
        return {
            key: deserialize_keras_object(value, custom_objects, safe_mode)
            for key, value in config.items()
        }
    name, inner = config["class_name"], config["config"]
    if name in ("__numpy__", "__tensor__"):
        return _array(inner)
    if name == "__ellipsis__":
        return ...
    if name == "__bytes__":
        return _entry(config, "value").encode()
    if name == "__slice__":
        ends = deserialize_keras_object(inner, custom_objects, safe_mode)
        if not isinstance(ends, dict):
            raise ConfigError(f"The config of '__slice__' must be a dict. Received: {inner!r:.200}")
        return slice(ends.get("start"), ends.get("stop"), ends.get("step"))
    if name == "DTypePolicy":
        return _entry(config, "name")
    if not isinstance(inner, str if name == "function" else (Mapping, type(None))):
        expected = "the function's name" if name == "function" else "a dict"
        raise ConfigError(
            f"The config of {name!r:.200} must be {expected}. Received: {inner!r:.200}"
        )
    custom = custom_object(config, custom_objects)
    if custom is not None:
        return made_from(custom, config, custom_objects)
    kind = kind_of(config)
    if is_foreign(config):
        raise ValueError(
            f"{name!r} of module {config['module']!r} is not registered by the program, but the "
            f"configuration gives it the registered_name {config['registered_name']!r:.200}: "
            "register your own class under that name, or take the entry out."
        )
    if name == "function" and config["module"] == "builtins":
        return _function(str(inner), kind, custom_objects)
    return kind.deserialize(config, custom_objects)


def _entry(config: Mapping[str, Any], key: str) -> str:
    """Return the string in the configuration of a special object."""
    inner = config["config"]
    if not isinstance(inner, Mapping) or not isinstance(inner.get(key), str):
        raise ConfigError(
            f"The config of {config['class_name']!r} has a string {key!r}. Received: {inner!r:.200}"
        )
    text: str = inner[key]
    return text


def _function(name: str, activations: Kind, custom_objects: Mapping[str, Any] | None) -> Any:
    """Return the nnlite or custom function that is named without a module."""
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    try:
        return activations.deserialize(name)
    except ValueError:
        for known in _places(custom_objects):  # Keras before 3.7 omitted the package
            for key in known:
                if key.endswith(f">{name}"):
                    return known[key]
        raise


def is_foreign(config: Mapping[str, Any]) -> bool:
    """Return whether the class of a serialized object is not a Keras class."""
    module, given = config.get("module", "keras"), config.get("registered_name")
    keras = isinstance(module, str) and module.split(".")[0] in _KERAS
    return not keras or given not in (None, "", config["class_name"], config["config"])


#: The packages of Keras and its predecessors.
_KERAS = ("keras", "keras_core", "tf_keras", "tensorflow", "builtins")


def kind_of(config: Mapping[str, Any]) -> Kind:
    """Return the registry that a serialized object's module and class name belong to."""
    module, name = config.get("module"), config["class_name"]
    if isinstance(module, str):
        place = module.replace("keras.src.", "keras.").replace("tf_keras.", "keras.")
        for known in sorted(KINDS, key=len, reverse=True):
            if place == known or place.startswith(f"{known}."):
                return KINDS[known]
        if name == "function" and module == "builtins":
            return KINDS["keras.activations"]
        if place in ("keras", "keras.models"):
            return KINDS["keras.layers"]
    shown = f"{name} {config['config']!r:.200}" if name == "function" else f"{name!r:.200}"
    raise ConfigError(
        f"Cannot make a {shown} of module {module!r:.200}: a configuration may name nnlite's own "
        "classes, or yours if you pass custom_objects={...} or register them with "
        "@nnlite.saving.register_keras_serializable()."
    )


def custom_object(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> Any:
    """Return the custom class or function that a serialized object names, or None."""
    names = [config.get("registered_name"), config["class_name"]]
    if names[1] == "function":
        names[1] = config["config"]
    for name in names:
        found = get_registered_object(name, custom_objects)
        if found is not None:
            return found
    return None


def made_from(cls: Any, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
    """Return the object that a class creates from a configuration; functions are returned."""
    if not inspect.isclass(cls) or config["class_name"] == "function":
        return cls
    inner, name = config["config"] or {}, config["class_name"]
    if "seed" in config and isinstance(inner, Mapping):  # of a functional model
        inner = {**inner, "seed": config["seed"]}
    if not isinstance(inner, Mapping):
        raise ConfigError(f"The config of {name!r} must be a dict. Received: {inner!r}")
    if not hasattr(cls, "from_config"):
        raise ConfigError(
            f"{cls.__name__} has no from_config(config) to make a {name!r} with: define it as a "
            "classmethod."
        )
    with CustomObjectScope(custom_objects):
        try:
            return cls.from_config(dict(inner))  # type: ignore[attr-defined]
        except ConfigError:  # of a nested object, with a complete message
            raise
        except (TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ConfigError(f"The config of {name!r} does not fit: {error}") from error


def revived(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with its nested objects deserialized."""
    marks = {"module", "class_name", "config", "registered_name"}
    return {
        key: deserialize_keras_object(value)
        if isinstance(value, Mapping)
        and (marks <= set(value) or value.get("class_name") == "__numpy__")
        else value
        for key, value in config.items()
    }


def _array(config: Any) -> np.ndarray[Any, Any]:
    dtype = config.get("dtype") if isinstance(config, Mapping) else None
    if dtype not in _NUMBERS:  # other strings could name types of any size
        known = ", ".join(_NUMBERS)
        raise ValueError(f"An array's dtype is one of {known}. Received: {dtype!r:.200}")
    try:
        return np.array(config["value"], dtype=dtype)
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise ValueError(f"An array's config does not fit: {error}") from error


#: The types of numbers that an array in a configuration can have.
_NUMBERS = (
    "bool",
    *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
    *("float16", "float32", "float64"),
)

"""Reading and writing Keras's files; reading one never runs code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnlite.serialization.objects import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)

if TYPE_CHECKING:
    from nnlite.saving.reading import load_model, load_weights
    from nnlite.saving.writing import save_model, save_weights

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]


def __getattr__(name: str) -> Any:
    # Programs that use no files import faster this way.
    if name in ("load_model", "load_weights"):
        from nnlite.saving import reading as room
    elif name in ("save_model", "save_weights"):
        from nnlite.saving import writing as room  # type: ignore[no-redef]
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(room, name)

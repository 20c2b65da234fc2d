"""Reading and writing Keras's files; reading one never runs code."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from nnlite.utils.lazy import on_first_use

if TYPE_CHECKING:
    from nnlite.saving.reading import load_model, load_weights
    from nnlite.saving.writing import save_model, save_weights
else:
    __getattr__, __dir__ = on_first_use(
        __name__,
        {
            "nnlite.saving.reading": "load_model load_weights",
            "nnlite.saving.writing": "save_model save_weights",
        },
    )

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

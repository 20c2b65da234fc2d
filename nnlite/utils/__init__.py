"""Utilities: labels, sequences, splits, seeds, progress bars and serialization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnlite.data.data_utils import (
        CustomObjectScope,
        Progbar,
        PyDataset,
        Sequence,
        clear_session,
        custom_object_scope,
        deserialize_keras_object,
        get_custom_objects,
        get_registered_name,
        get_registered_object,
        normalize,
        pack_x_y_sample_weight,
        pad_sequences,
        register_keras_serializable,
        serialize_keras_object,
        set_random_seed,
        split_dataset,
        to_categorical,
        unpack_x_y_sample_weight,
    )
    from nnlite.visualize.plot_model import plot_model

__all__ = [
    "CustomObjectScope",
    "Progbar",
    "PyDataset",
    "Sequence",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "to_categorical",
    "unpack_x_y_sample_weight",
]


def __getattr__(name: str) -> Any:
    # Imported on demand, because every module of nnlite imports this package.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "plot_model":
        from nnlite.visualize.plot_model import plot_model

        return plot_model
    from nnlite.data import data_utils

    return getattr(data_utils, name)

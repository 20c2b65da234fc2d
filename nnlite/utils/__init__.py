"""Utilities: labels, sequences, splits, seeds, progress bars and serialization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnlite.utils.lazy import on_first_use

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

if not TYPE_CHECKING:  # every module of nnlite imports this package
    __getattr__, __dir__ = on_first_use(
        __name__,
        {
            "nnlite.data.data_utils": " ".join({*__all__} - {"plot_model"}),
            "nnlite.visualize.plot_model": "plot_model",
        },
    )

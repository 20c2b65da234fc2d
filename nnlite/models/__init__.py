"""Models: `Model`, `Sequential`, cloning and deserialization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnlite.models.cloning import clone_model, model_from_config, model_from_json
from nnlite.models.functional import Functional
from nnlite.models.model import Model
from nnlite.models.sequential import Sequential
from nnlite.utils.lazy import on_first_use

if TYPE_CHECKING:
    from nnlite.saving.reading import load_model
    from nnlite.saving.writing import save_model
else:
    __getattr__, __dir__ = on_first_use(__name__, {"nnlite.saving": "load_model save_model"})

__all__ = [
    "Functional",
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_config",
    "model_from_json",
    "save_model",
]

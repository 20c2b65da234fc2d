"""Models: `Model`, `Sequential`, cloning and deserialization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnlite.models.cloning import clone_model, model_from_config, model_from_json
from nnlite.models.functional import Functional
from nnlite.models.model import Model
from nnlite.models.sequential import Sequential

if TYPE_CHECKING:
    from nnlite.saving.reading import load_model
    from nnlite.saving.writing import save_model

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


def __getattr__(name: str) -> Any:
    if name in ("load_model", "save_model"):
        from nnlite import saving

        return getattr(saving, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Functional: a model of the layers that lead from some tensors to others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from nnlite.models.model import Model

__all__ = ["Functional"]


class Functional(Model):
    """What ``Model(inputs, outputs)`` makes."""

    refused_overrides: ClassVar[Mapping[str, str]] = {
        **Model.refused_overrides,
        "call": "its outputs say what it computes: derive from nnlite.Model to define call.",
    }


Model.functional_class = Functional

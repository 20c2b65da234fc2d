"""Functional: a model of the layers that lead from some tensors to others."""

from __future__ import annotations

from nnlite.models.model import Model

__all__ = ["Functional"]


class Functional(Model):
    """What ``Model(inputs, outputs)`` makes."""


Model.functional_class = Functional

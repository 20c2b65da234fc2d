"""RandomLayer: the base class of layers that draw random numbers."""

from __future__ import annotations

import functools

import numpy as np

from nnlite.layers.layer import Layer
from nnlite.random import Seed, new_generator


class RandomLayer(Layer):
    """A layer that draws random numbers from ``generator``; its `__init__` calls `seed_with`."""

    def seed_with(self, seed: int | None) -> None:
        """Keep ``seed``; None draws one, from the model or from the root of `set_random_seed`."""
        self._seed = Seed(seed)
        self.seed = seed

    @functools.cached_property
    def generator(self) -> np.random.Generator:
        """The generator that the layer draws from."""
        return new_generator(self._seed.read())


def draw_from_model(layer: Layer, root: np.random.Generator) -> None:
    """Take the seeds of a layer and of those within from ``root``, unless they have their own.

    Called within ``drawing_from(root)``. Initializers that have made a weight stay as they are.
    """
    if layer._seed_root is not None:
        return
    if isinstance(layer, RandomLayer) and layer.seed is None:
        layer._seed.read()
        if layer._seed.root is not root:  # it has drawn before
            layer._seed = Seed()
            vars(layer).pop("generator", None)
    for value in vars(layer).values() if not layer.built else ():
        if isinstance(seed := getattr(value, "_seed", None), Seed):
            seed.read()
    for inner in (*layer.sublayers(), *layer.aside):
        draw_from_model(inner, root)

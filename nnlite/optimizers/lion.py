"""Lion: steps of constant size along the sign of the momentum."""

from __future__ import annotations

import numpy as np

from nnlite.optimizers.optimizer import Optimizer, registry
from nnlite.optimizers.state import Rate
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_fraction


@registry.register()
class Lion(Optimizer):
    """Lion: descent along the sign of an interpolation of gradient and momentum.

    w <- w - a sign(b1 m + (1 - b1) g), then m <- b2 m + (1 - b2) g.

    Source: Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023, algorithm 2.

    Args:
        learning_rate: a, as for `Optimizer`; three to ten times smaller than for Adam.
        beta_1: b1, in (0, 1].
        beta_2: b2, in [0, 1).
        weight_decay to name: As for `Optimizer`.

    Raises:
        ValueError: If ``beta_1`` is outside (0, 1] or ``beta_2`` outside [0, 1), or as for
            `Optimizer`.

    >>> Lion(0.0001, weight_decay=0.01)
    Lion(learning_rate=0.0001, weight_decay=0.01)
    """

    slots: tuple[str, ...] = ("momentum",)

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(**Optimizer._among(locals()))
        self.beta_1 = check_fraction("beta_1", beta_1, including_one=True)
        self.beta_2 = check_fraction("beta_2", beta_2)
        if not self.beta_1:
            raise ValueError(f"beta_1 must lie in (0, 1]. Received: beta_1={beta_1}")
        self.scales = {"momentum": 1 - self.beta_2}

    def rule(self, w: Array, g: Array, *state: Array, scratch: Array) -> None:
        """Take one step; the mean is stored as m / (1 - b2), which saves a pass."""
        (m,) = state
        np.multiply(m, self.beta_1 * (1 - self.beta_2), out=scratch)
        m *= self.beta_2
        m += g
        g *= 1 - self.beta_1
        scratch += g
        np.sign(scratch, out=scratch)
        scratch *= self.rate
        w -= scratch

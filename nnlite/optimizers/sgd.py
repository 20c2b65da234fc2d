"""SGD: gradient descent with optional momentum."""

from __future__ import annotations

from nnlite.backend.blas import add_scaled, scale
from nnlite.optimizers.optimizer import Optimizer, registry
from nnlite.optimizers.state import Rate
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_fraction


@registry.register()
class SGD(Optimizer):
    """Gradient descent: w <- w - a g, for learning rate a and gradient g.

    With momentum r, the velocity v <- r v - a g, and w <- w + v; with Nesterov momentum,
    w <- w + r v - a g instead.

    Source: Sutskever et al., "On the Importance of Initialization and Momentum in Deep
    Learning", 2013, section 2.

    Args:
        learning_rate: a, as for `Optimizer`.
        momentum: r, in [0, 1].
        nesterov: Whether to use Nesterov momentum.
        weight_decay to name: As for `Optimizer`.

    Raises:
        ValueError: If ``momentum`` is outside [0, 1], or as for `Optimizer`.

    >>> SGD(0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9)
    """

    slots: tuple[str, ...] = ("momentum",)
    by_blas = True

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
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
        self.momentum = check_fraction("momentum", momentum, including_one=True)
        self.nesterov = bool(nesterov)
        if not self.momentum:
            self.slots = ()

    def rule(self, w: Array, g: Array, *state: Array, scratch: Array) -> None:
        """Take one step."""
        for v in state:
            scale(v, self.momentum)
            add_scaled(v, -self.rate, g, scratch)
            add_scaled(w, self.momentum if self.nesterov else 1.0, v, scratch)
        if self.nesterov or not state:
            add_scaled(w, -self.rate, g, scratch)

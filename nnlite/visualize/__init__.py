"""Pictures of training: a model's predictions after each epoch, and its gradients."""

from nnlite.visualize.film import boundary
from nnlite.visualize.gradients import gradient_flow

__all__ = ["boundary", "gradient_flow"]

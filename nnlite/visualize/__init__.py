"""Pictures of training: what a model has learned after each epoch, and how its gradients flow."""

from nnlite.visualize.film import boundary
from nnlite.visualize.gradients import gradient_flow

__all__ = ["boundary", "gradient_flow"]

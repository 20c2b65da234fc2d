"""Global settings under their older Keras names, such as ``backend.clear_session()``."""

from nnlite.config import backend, epsilon, floatx, set_epsilon, set_floatx
from nnlite.utils import clear_session

__all__ = ["backend", "clear_session", "epsilon", "floatx", "set_epsilon", "set_floatx"]

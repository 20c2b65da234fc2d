"""Differential tests against Keras: they run where Keras and JAX are installed (extra ``[keras]``).

Keras chooses its backend and JAX its float types at import, so both are told here. This folder is
no package: as one it would stand in Keras's own place on the path.
"""

import importlib.util
import os
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # helpers, chains

collect_ignore_glob = []
if importlib.util.find_spec("jax") is None:
    collect_ignore_glob.append("test_*.py")
else:
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ["JAX_ENABLE_X64"] = "1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras

    assert keras.backend.backend() == "jax"

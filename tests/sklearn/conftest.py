"""Tests of `nnlite.sklearn` and `nnlite.wrappers`: they run where scikit-learn is (``[sklearn]``).

This folder is no package: as one it would stand in scikit-learn's own place on the path.
"""

import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # helpers

collect_ignore_glob = []
# A folder of this name without an __init__.py has a spec too, but no origin.
if getattr(importlib.util.find_spec("sklearn"), "origin", None) is None:
    collect_ignore_glob.append("test_*.py")

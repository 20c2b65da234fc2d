"""Tests of exported files by ONNX's checker and ONNX Runtime, where both are (extra ``[onnx]``).

This folder is no package: as one it would stand in ONNX's own place on the path.
"""

import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # gradients, samples

collect_ignore_glob = [] if importlib.util.find_spec("onnxruntime") else ["test_*.py"]

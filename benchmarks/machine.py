"""What the numbers of a run hang on: the machine and the versions, without names of hosts."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

import numpy as np

__all__ = ["machine", "versions"]

PACKAGES = ("nnlite", "numpy", "torch", "keras", "jax", "scikit-learn")


def machine() -> str:
    """Return the processor, its cores, the memory and the system."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = models[0].partition(":")[2].strip() if models else cpu
    parts = [cpu, f"{os.cpu_count()} cores"]
    if hasattr(os, "sysconf"):
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        parts.append(f"{size / 2**30:.0f} GiB")
    return ", ".join([*parts, f"{platform.system()} {platform.machine()}"])


def versions() -> str:
    """Return the versions of Python, of what is timed and of NumPy's matrix products."""
    installed = {d.name: d.version for d in importlib.metadata.distributions()}
    found = [f"Python {platform.python_version()}"]
    found += [f"{name} {installed[name]}" for name in PACKAGES if name in installed]
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return ", ".join([*found, f"{blas['name']} {blas['version']}"])

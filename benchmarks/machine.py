"""What the numbers of a run depend on: the machine and the versions, without names of hosts."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import platform
import re
from pathlib import Path

import numpy as np

import nnlite
from nnlite.backend.blas import _openblas

__all__ = ["blas_kernel", "machine", "processor", "slug", "thread_settings", "versions"]

PACKAGES = ("nnlite", "numpy", "torch", "keras", "jax", "scikit-learn")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "XLA_FLAGS")


def processor() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        if models:
            return models[0].partition(":")[2].strip()
    return platform.processor() or platform.machine()


def machine() -> str:
    """Return the processor, its cores, the memory and the system."""
    parts = [processor(), f"{os.cpu_count()} cores"]
    if hasattr(os, "sysconf"):
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        parts.append(f"{size / 2**30:.0f} GiB")
    return ", ".join([*parts, f"{platform.system()} {platform.machine()}"])


def blas_kernel() -> str:
    """Return for which processor OpenBLAS has chosen its kernels, or an empty string."""
    function = _openblas("openblas_get_corename")
    if function is None:
        return ""
    function.restype = ctypes.c_char_p
    return str(function().decode())


def thread_settings() -> str:
    """Return how many threads BLAS uses, and the environment variables that set such numbers."""
    getter = _openblas("openblas_get_num_threads")
    settings = [f"{name}={os.environ[name]}" for name in THREADS if name in os.environ]
    return ", ".join(
        [f"BLAS {getter() if getter else 'unknown'}", *(settings or ["no variable set"])]
    )


def versions() -> str:
    """Return the versions of Python, of what is timed and of NumPy's matrix products."""
    installed = {d.name: d.version for d in importlib.metadata.distributions()}
    installed["nnlite"] = nnlite.__version__
    found = [f"Python {platform.python_version()}"]
    found += [f"{name} {installed[name]}" for name in PACKAGES if name in installed]
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return ", ".join([*found, f"{blas['name']} {blas['version']}"])


def slug(text: str) -> str:
    """Return a text as a part of a file's name.

    >>> slug("Intel(R) Xeon(R) Processor, SkylakeX")
    'intel-xeon-processor-skylakex'
    """
    words = re.sub(r"\((R|TM)\)", "", text)
    return "-".join(re.findall(r"[a-z0-9]+", words.lower()))

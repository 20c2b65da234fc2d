"""Another version of nnlite beside this one: ``python -m benchmarks --vs VERSION``."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.runner import ROOT

__all__ = ["add_older"]

PLACES = ("lib/python*/site-packages", "Lib/site-packages", "src")


@contextmanager
def add_older(version: str) -> Iterator[None]:
    """Context in which the contender ``older`` is another version.

    Args:
        version: A folder with the package (a checkout or an environment in which it is installed),
            a wheel or a source archive, or a tag, branch or commit of this repository; ``0.2.0``
            also stands for the tag ``v0.2.0``.

    Raises:
        ValueError: If none of these is there, or it cannot be imported.
    """
    with tempfile.TemporaryDirectory() as scratch:
        place = _find(version, scratch)
        print_version = "import nnlite; print(nnlite.__version__)"
        asked = _run([sys.executable, "-c", print_version], cwd=place)
        if asked.returncode:
            reason = asked.stderr.decode().strip().splitlines()[-1]
            raise ValueError(f"The nnlite of {version!r} cannot be imported: {reason}")
        title = f"nnlite {asked.stdout.decode().strip()}"
        if not Path(version).exists() and version not in title:
            title += f" at {version}"
        before = CONTENDERS["older"]
        CONTENDERS["older"] = replace(before, title=title, path=str(place))
        try:
            yield
        finally:
            CONTENDERS["older"] = before


def _find(version: str, scratch: str) -> Path:
    """Return the folder that has the package of a version, unpacked to ``scratch`` if need be."""
    given = Path(version).resolve()
    if given.is_file():
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        done = _run([*install, scratch, str(given)])
        if done.returncode:
            raise ValueError(f"{version!r} cannot be installed: {done.stderr.decode().strip()}")
        return Path(scratch)
    if given.is_dir():
        installed = [folder for place in PLACES for folder in sorted(given.glob(place))]
        for folder in [given, *installed]:
            if (folder / "nnlite").is_dir():
                return folder
        raise ValueError(f"--vs must name a folder with the package nnlite. Received: {version!r}")
    for revision in (version, f"v{version}"):
        archive = _run(["git", "archive", revision, "nnlite"], cwd=ROOT)
        if archive.returncode == 0:
            with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
                packed.extractall(scratch, filter="data")
            return Path(scratch)
    raise ValueError(
        "--vs must name a folder, a wheel, a source archive, or a tag or commit of this "
        f"repository. Received: {version!r}"
    )


def _run(command: list[str], cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, cwd=cwd, capture_output=True, check=False)

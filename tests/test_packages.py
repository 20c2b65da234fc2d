"""The wheel and the sdist: what is in them, and that the wheel serves where the tree is not."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from samples import part

import nnlite

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
NAME = f"nnlite-{nnlite.__version__}"
BUILD = """
import sys
from setuptools import build_meta
folder = sys.argv[1]  # which setuptools replaces
build_meta.build_sdist(folder)
build_meta.build_wheel(folder)
"""
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def run(*command, cwd):
    done = subprocess.run(
        command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def in_git():
    """Return the names of the files that are, or would be, committed."""
    listed = ["git", "ls-files", "-co", "--exclude-standard"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("the files are those of a git checkout")
    return {name for name in done.stdout.splitlines() if (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return the folder of a wheel and an sdist that were built from a copy of the tree."""
    folder = tmp_path_factory.mktemp("packages")
    for name in in_git():
        target = folder / "tree" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    run(sys.executable, "-m", "venv", "builder", cwd=folder)
    python = folder / "builder" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "setuptools>=77", cwd=folder)
    run(python, "-c", BUILD, folder / "dist", cwd=folder / "tree")
    return folder


def members(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_sdist_is_the_tree(built):
    with tarfile.open(built / "dist" / f"{NAME}.tar.gz") as archive:
        names = {one.name.removeprefix(f"{NAME}/") for one in archive if one.isfile()}
    made = {name for name in names if name.startswith("nnlite.egg-info/")}
    tree = {name for name in in_git() if not name.startswith(".")}
    assert names - made - {"PKG-INFO", "setup.cfg"} == tree


def test_the_wheel_is_the_package(built):
    names = members(built / "dist" / f"{NAME}-py3-none-any.whl")
    about = {name for name in names if name.startswith(f"{NAME}.dist-info/")}
    assert names - about == {name for name in in_git() if name.startswith("nnlite/")}
    assert {"nnlite/py.typed", "nnlite/datasets/digits.npz"} <= names
    assert f"{NAME}.dist-info/licenses/LICENSE" in about


def test_the_sdist_makes_the_same_wheel(built, tmp_path):
    with tarfile.open(built / "dist" / f"{NAME}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    python = built / "builder" / "bin" / "python"
    run(python, "-c", BUILD, tmp_path / "again", cwd=tmp_path / NAME)
    wheel = f"{NAME}-py3-none-any.whl"
    assert members(tmp_path / "again" / wheel) == members(built / "dist" / wheel)


SCRIPT = """
import importlib.resources, sys
import nnlite
from nnlite.layers import Dense

assert sys.argv[1] not in nnlite.__file__, nnlite.__file__
assert importlib.resources.files(nnlite).joinpath("py.typed").is_file()
(x, y), _ = nnlite.datasets.digits.load_data()
x = x.reshape(len(x), -1)[:200] / 16
model = nnlite.Sequential([Dense(16, "relu"), Dense(10, "softmax")])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
losses = model.fit(x, y[:200], epochs=3, verbose=0).history["loss"]
assert losses[-1] < losses[0]
model.save("model.keras")
print(sys.version_info[1])
"""


def interpreter(minor):
    """Return a Python 3 of this minor version, from the path or from pyenv."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(f"python3.{minor}"), *root.glob(f"3.{minor}.*/bin/python3.{minor}")]
    for path in filter(None, found):
        if not subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode:
            return path
    return pytest.skip(f"there is no python3.{minor}")


@pytest.mark.parametrize("minor", sorted({sys.version_info.minor, *part(range(10, 15))}))
def test_the_wheel_serves_where_the_tree_is_not(built, tmp_path, minor):
    run(interpreter(minor), "-m", "venv", "venv", cwd=tmp_path)
    programs = tmp_path / "venv" / "bin"
    wheel = built / "dist" / f"{NAME}-py3-none-any.whl"
    run(programs / "python", "-m", "pip", "install", "-q", wheel, cwd=tmp_path)
    command = [programs / "python", "-I", "-W", "error", "-c", SCRIPT, ROOT]
    assert run(*command, cwd=tmp_path) == f"{minor}\n"
    said = run(programs / "nnlite", "verify", "model.keras", cwd=tmp_path)
    assert said.endswith("Nothing is wrong with it.\n")
    assert run(programs / "python", "-m", "nnlite", "--version", cwd=tmp_path) == (
        f"nnlite {nnlite.__version__}\n"
    )

"""Modules that are imported on first use."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import nnlite
from nnlite.utils.lazy import load

PACKAGE = Path(nnlite.__file__).parent

#: The packages that import some of their modules on first use.
PACKAGES = [
    ".".join(path.relative_to(PACKAGE.parent).parent.parts)
    for path in sorted(PACKAGE.rglob("__init__.py"))
    if "on_first_use(" in path.read_text()
]

#: Modules that `import nnlite` leaves out.
FAMILIES = [
    *("nnlite.datasets", "nnlite.gradcheck", "nnlite.tracing", "nnlite.visualize"),
    *("nnlite.callbacks.model_checkpoint", "nnlite.callbacks.tensorboard"),
    *("nnlite.layers.attention", "nnlite.layers.convolution", "nnlite.layers.merging"),
    *("nnlite.layers.normalization", "nnlite.layers.pooling", "nnlite.layers.preprocessing"),
    *("nnlite.layers.recurrent", "nnlite.layers.regularization", "nnlite.layers.reshaping"),
    *("nnlite.ops.functions", "nnlite.saving.reading", "nnlite.saving.writing"),
    *("dataclasses", "h5py", "json", "queue", "random", "signal", "tqdm"),
]


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_import_nnlite_leaves_the_families_out():
    code = "import numpy, sys; had = {*sys.modules}; import nnlite; print(*{*sys.modules} - had)"
    loaded = run(code)
    assert {*FAMILIES} & {*loaded} == set()
    assert "nnlite.layers.core.dense" in loaded
    assert len(loaded) < 150


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_found_and_then_kept(package):
    module = import_module(package)
    assert {*module.__all__} <= {*dir(module)}
    load(package)
    assert {*module.__all__} <= vars(module).keys()
    with pytest.raises(AttributeError, match=rf"module '{package}' has no attribute 'nothing'"):
        module.nothing  # noqa: B018


@pytest.mark.parametrize("package", PACKAGES)
def test_the_modules_are_constants_that_the_package_imports_for_type_checkers(package):
    tree = ast.parse((PACKAGE.parent / package.replace(".", "/") / "__init__.py").read_text())
    (call,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "on_first_use"
    )
    name, table = call.args
    assert ast.unparse(name) == "__name__"
    modules = {key.value for key in table.keys}  # an AttributeError if it is computed
    imported = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    }
    assert modules - imported <= {"nnlite.saving", "nnlite.sklearn", "nnlite.wrappers"}


def test_a_submodule_is_an_attribute_and_another_module_is_not():
    code = (
        "import nnlite; print(nnlite.layers.pooling.__name__, hasattr(nnlite.layers, 'nowhere'),"
        "nnlite.layers.recurrent.LSTM is nnlite.layers.LSTM, 'LSTM' in vars(nnlite.layers))"
    )
    assert run(code) == ["nnlite.layers.pooling", "False", "True", "True"]


def test_registries_know_the_classes_that_are_not_imported_yet():
    code = (
        "import nnlite\n"
        "layer = nnlite.layers.deserialize({'class_name': 'LSTM', 'config': {'units': 2}})\n"
        "print(type(layer).__module__)\n"
        "print('UpSampling2D' in nnlite.layers.layer.registry)\n"
    )
    assert run(code) == ["nnlite.layers.recurrent.rnn", "True"]


def test_operators_find_their_functions_on_first_use():
    assert run("import nnlite; print((nnlite.Input((3,)) + 1).shape)") == ["(None,", "3)"]


def test_threads_can_use_a_name_for_the_first_time_at_once():
    code = (
        "import nnlite, sys\n"
        "from threading import Barrier, Thread\n"
        "sys.setswitchinterval(1e-5)\n"
        "names = [*nnlite.layers.__all__]\n"
        "barrier, found = Barrier(4), []\n"
        "def look(order):\n"
        "    barrier.wait()\n"
        "    found.append({name: getattr(nnlite.layers, name) for name in order})\n"
        "orders = (names, names[::-1], names[50:] + names[:50], names)\n"
        "threads = [Thread(target=look, args=(order,)) for order in orders]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
        "print(len(found), all(one == found[0] for one in found))\n"
    )
    assert run(code) == ["4", "True"]


def test_a_star_import_has_every_layer():
    assert run("from nnlite.layers import *; print(LSTM.__name__, add.__name__)") == ["LSTM", "add"]


def test_a_known_name_imports_nothing_more():
    code = (
        "import sys, nnlite; from nnlite.layers import registry; "
        "found = 'Dense' in registry; early = 'nnlite.layers.recurrent' in sys.modules; "
        "print(found, early, 'LSTM' in registry, 'Nothing' in registry)"
    )
    assert run(code) == ["True", "False", "True", "False"]


def test_who_goes_through_all_names_finds_every_class():
    code = "from nnlite.layers import registry; print('LSTM' in list(registry))"
    assert run(code) == ["True"]

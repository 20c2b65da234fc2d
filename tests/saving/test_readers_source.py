"""What the source of the package may not hold, so that no file can steer what it runs."""

import ast
from pathlib import Path

import pytest

import nnlite

PACKAGE = Path(nnlite.__file__).parent

#: What reads a file or a configuration: where nothing may be steered by what it says.
READERS = [
    "serialization/objects.py", "serialization/registry.py", "models/__init__.py",
    "models/cloning.py", "models/functional.py", "saving/__init__.py",
    *(f"saving/{name}.py" for name in ("reading", "weight_layouts", "compile_config",
                                       "load_report")),
    *(str(path.relative_to(PACKAGE)) for folder in ("legacy", "formats")
      for path in (PACKAGE / "saving" / folder).rglob("*.py")),
]  # fmt: skip

#: The only look-ups of attributes by a name that is no constant of the source.
ALLOWED = {
    "getattr(self, name)",  # of the constructor's own arguments
    "getattr(self, name, default)",
    "hasattr(self, name)",
    "vars(owner)",  # of classes in this package
    "vars(cls)",
    "vars(layer)",  # to find the layers within a layer
}


def called(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = (
                node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            )
            yield name, node


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_nothing_in_the_package_can_run_what_a_file_says(path):
    tree = ast.parse(path.read_text())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not names & {"eval", "exec", "__import__", "globals", "__builtins__"}
    assert "locals()[" not in ast.unparse(tree)  # arguments may be passed on whole
    if path.name == "lazy.py":  # its modules are constants: see tests/utils/test_lazy.py
        return
    modules = {name.split(".")[0] for name in imported(tree)} - {"importlib"}
    assert not modules & {"pickle", "marshal", "dill", "shelve", "yaml", "runpy", "code", "codeop",
                          "subprocess", "socket", "urllib", "http", "tarfile", "pydoc"}  # fmt: skip
    assert {name for name in imported(tree) if "importlib" in name} <= {"importlib.resources"}
    calls = [name for name, _ in called(tree)]
    assert not set(calls) & {"extractall", "extract", "unpack_archive", "import_module", "popen",
                             "system", "attrgetter", "methodcaller", "literal_eval"}  # fmt: skip
    for name, node in called(tree):
        if name == "load" and ast.unparse(node.func) == "np.load":
            assert "allow_pickle=False" in ast.unparse(node)
        if name == "compile" and isinstance(node.func, ast.Name):
            pytest.fail(ast.unparse(node))


@pytest.mark.parametrize("name", READERS)
def test_readers_look_up_no_attribute_by_what_a_file_says(name):
    tree = ast.parse((PACKAGE / name).read_text())
    steered = {
        ast.unparse(node)
        for function, node in called(tree)
        if function in ("getattr", "setattr", "delattr", "hasattr", "vars", "__getattribute__")
        and not (len(node.args) > 1 and isinstance(node.args[1], ast.Constant))
    }
    assert steered <= ALLOWED
    written = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not written & {"__dict__", "__globals__", "__builtins__", "__subclasses__", "modules"}
    assert "h5py" not in set(imported(tree))  # libhdf5 never sees a file of a model

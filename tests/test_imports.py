"""Imports go one way, from the top of a list of rooms to its bottom, and models have a type."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent / "nnlite"

#: The rooms from top to bottom. A module imports from its own and from those below it only,
#: inside functions and for annotations too.
ROOMS = [
    *("__main__", "cli"),
    *("tracing", "gradcheck", "visualize", "wrappers", "sklearn"),
    *("models", "training", "saving", "callbacks", "execution", "metrics", "losses"),
    *("optimizers", "ops", "activations", "layers", "symbolic"),
    *("regularizers", "constraints", "initializers"),
    *(
        "data",
        "distribution",
        "backend",
        "random",
        "config",
        "serialization",
        "utils",
        "datasets",
        "version",
    ),
]

#: `nnlite.utils` has Keras's names for what lies higher. It passes them on when they are asked for.
PASSED_ON = {
    ("nnlite.utils", "nnlite.data.data_utils"),
    ("nnlite.utils", "nnlite.visualize.plot_model"),
}


def modules():
    """Return each module's name with its file; a package has the name of its folder."""
    named = {}
    for file in sorted(ROOT.rglob("*.py")):
        parts = file.relative_to(ROOT.parent).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return named


def imported(file, known):
    """Return the modules that a file imports anywhere in its text."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file} imports by a relative path"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in known else node.module)
    return {name for name in found if name in known}


def room(name):
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else None


def arrows():
    """Return the imports of each module but the package itself, which lies above all rooms."""
    known = modules()
    return {
        name: imported(file, known) - {name} for name, file in known.items() if name != ROOT.name
    }


def test_every_room_has_its_place():
    assert {room(name) for name in modules()} - {None} == set(ROOMS)


def test_imports_go_down():
    rank = {name: at for at, name in enumerate(ROOMS)}
    upward = [
        f"{name} imports {other}"
        for name, others in arrows().items()
        for other in sorted(others)
        if (room(other) is None or rank[room(other)] < rank[room(name)])
        and (name, other) not in PASSED_ON
    ]
    assert upward == []


def test_no_imports_go_in_a_circle():
    known = arrows()
    done, path = set(), []

    def visit(name):
        assert name not in path, f"a circle: {' -> '.join([*path[path.index(name) :], name])}"
        if name in done:
            return
        path.append(name)
        for other in sorted(known.get(name, ())):
            visit(other)
        path.pop()
        done.add(name)

    for name in known:
        visit(name)


def annotated_any(tree, name):
    """Yield the lines where a parameter, variable or attribute of a name is annotated ``Any``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            own = node.arg
        elif isinstance(node, ast.AnnAssign):
            own = getattr(node.target, "id", getattr(node.target, "attr", None))
        else:
            continue
        parts = ast.unparse(node.annotation).split(" | ") if node.annotation else []
        if own == name and {part.strip("'\"") for part in parts} & {"Any", "typing.Any"}:
            yield node.lineno


def test_annotations_with_any_are_found():
    text = (
        "class A:\n    model: Any = None\n"
        "    def f(self, model: Any | None, /): self.model: 'Any' = model\n"
        "def g(*, model: typing.Any, other: Any, names: list[Any]): pass\n"
        "def h(model: Model, models: Any): model.other: Any = [model]\n"
        "def k(model): pass"
    )
    assert sorted(annotated_any(ast.parse(text), "model")) == [2, 3, 3, 4]


def test_no_model_is_annotated_any():
    found = [
        f"{file.relative_to(ROOT.parent)}:{line} annotates model as Any: AbstractModel or Model"
        for file in sorted(ROOT.rglob("*.py"))
        for line in annotated_any(ast.parse(file.read_text()), "model")
    ]
    assert found == []

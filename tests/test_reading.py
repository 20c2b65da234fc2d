"""The reading list of docs/reading.md is the path that a step takes through the source."""

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path

import nnlite

PACKAGE = Path(nnlite.__file__).parent
PAGE = (Path(__file__).parent.parent / "docs" / "reading.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| \d \| `([\w/]+\.py)` \| (.+?) \| (\d+) \|", PAGE, re.MULTILINE)
PASSED_OVER = {"backend/reuse.py", "utils/structures.py"}
BY_HAND = {("optimizers/sgd.py", "SGD.rule")}  # the step on the page updates in one line


def named():
    """Return each function of the list, by its file and name."""
    return {(file, name) for file, names, _ in ROWS for name in re.findall(r"`([\w.]+)`", names)}


def source_of(file, name):
    found = import_module("nnlite." + file.removesuffix(".py").replace("/", "."))
    for part in name.split("."):
        found = inspect.getattr_static(found, part)
    return inspect.getsource(found.fget if isinstance(found, property) else found)


def run():
    """Return the functions of the package that the page's step runs, by file and name."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    scope = {}
    exec(code, scope)
    seen = set()

    def note(frame, event, argument):
        path, name = Path(frame.f_code.co_filename), getattr(frame.f_code, "co_qualname", None)
        if event == "call" and path.is_relative_to(PACKAGE):
            seen.add((path.relative_to(PACKAGE).as_posix(), name or frame.f_code.co_name))

    sys.setprofile(note)
    try:
        scope["step"](0.05)
    finally:
        sys.setprofile(None)
    return {one for one in seen if "<" not in one[1]}


def test_a_step_runs_what_the_list_names_and_nothing_else():
    ran = {one for one in run() if one[0] not in PASSED_OVER}
    expected = named() - BY_HAND
    if sys.version_info < (3, 11):  # functions had no qualified names, which tell inner functions
        ran = {one for one in ran if one[0] != "backend/structure_cache.py"}
        expected = {(file, name.split(".")[-1]) for file, name in expected}
    assert ran == expected


def test_the_list_is_an_evening():
    assert len(ROWS) <= 8
    total = 0
    for file, names, told in ROWS:
        lines = [
            len(source_of(file, name).splitlines()) for name in re.findall(r"`([\w.]+)`", names)
        ]
        assert sum(lines) == int(told), (file, sum(lines))
        total += sum(lines)
    assert total <= 600


def test_readme_tells_how_long_the_list_is():
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    total = sum(int(told) for *_, told in ROWS)
    assert f"{total} lines in {len(ROWS)} files" in " ".join(readme.split())

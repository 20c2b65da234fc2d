"""Every snippet of the README and of docs/ runs, and prints what the page says it prints."""

import doctest
import re
import shlex
import shutil
from pathlib import Path

import pytest
from saving.old_files import sequential, two_layers, write_keras

from nnlite.cli import main

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def blocks(page):
    """Return the page's fenced blocks as (language, text)."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snippets_print_what_the_page_says(page, capsys):
    names = {"__name__": "__main__"}
    code = [block for block in blocks(page) if block[0] in ("python", "text")]
    for (language, text), after in zip(code, [*code[1:], ("", "")], strict=False):
        if language != "python":
            continue
        if ">>>" in text:
            example = doctest.DocTestParser().get_doctest(text, names, page.name, str(page), 0)
            result = doctest.DocTestRunner().run(example, clear_globs=False)
            assert result.failed == 0, capsys.readouterr().out
            names.update(example.globs)
            continue
        exec(compile(text, str(page), "exec"), names)
        printed = capsys.readouterr().out
        if after[0] == "text":
            assert_alike(printed, after[1])


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Stand in a folder with the files that the commands of the pages are about."""
    shutil.copy(ROOT / "tests" / "fixtures" / "functional.keras", tmp_path / "model.keras")
    code = {"class_name": "__lambda__", "config": {"code": "4wAAAA=="}}
    surprise = {"class_name": "Lambda", "config": {"name": "surprise", "function": code}}
    write_keras(tmp_path / "downloaded.keras", sequential([*two_layers(), surprise]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


CONSOLES = [page for page in PAGES if "```console" in page.read_text()]


@pytest.mark.parametrize("page", CONSOLES, ids=lambda page: page.name)
def test_commands_print_what_the_page_says(page, models, capsys):
    """A console block has lines that begin with ``$ nnlite``, each before what it prints."""
    code = None
    for language, text in blocks(page):
        printed = []
        for line in text.splitlines() if language == "console" else ():
            if not line.startswith("$ "):
                continue
            printed.append(line)
            if line == "$ echo $?":
                printed.append(str(code))
                continue
            program, *arguments = shlex.split(line[2:])
            assert program == "nnlite"
            code = main(arguments)
            printed += capsys.readouterr().out.splitlines()
        if language == "console":
            assert printed == text.splitlines()


def assert_alike(printed, expected):
    """Compare word by word; numbers may differ as far as another BLAS may make them."""
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", expected), printed
    got, want = ([float(n) for n in NUMBER.findall(text)] for text in (printed, expected))
    assert got == pytest.approx(want, rel=0.05, abs=0.02), printed


def test_pages_link_to_files_that_exist():
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_every_difference_from_keras_has_a_test_and_every_test_a_row():
    """The tests import Keras, so that their names are read from the text."""
    page = (ROOT / "docs" / "keras.md").read_text()
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", page.partition("## What differs")[2], re.MULTILINE)
    file = ROOT / "tests" / "keras" / "test_keras_differences.py"
    tests = re.findall(r"^def test_(\w+)", file.read_text(), re.MULTILINE)
    assert [row.replace("-", "_") for row in rows] == tests

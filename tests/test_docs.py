"""Every snippet of the README and of docs/ runs, and prints what the page says; links lead on."""

import doctest
import importlib.util
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from saving.old_files import sequential, two_layers, write_keras

import nnlite
from nnlite.cli import main

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
#: Pages about optional packages.
NEEDS = {"sklearn.md": "sklearn"}
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def blocks(page):
    """Return the page's fenced blocks as (language, text)."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snippets_print_what_the_page_says(page, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    needed = importlib.util.find_spec(NEEDS.get(page.name, "nnlite"))
    if getattr(needed, "origin", None) is None:
        pytest.skip(f"needs {NEEDS[page.name]}")
    names = {"__name__": "__main__"}
    code = [block for block in blocks(page) if block[0] in ("python", "text")]
    for (language, text), after in zip(code, [*code[1:], ("", "")], strict=False):
        if language != "python":
            continue
        if page.name == "README.md":  # each of its snippets runs alone when it is pasted
            names = {"__name__": "__main__"}
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


@pytest.mark.slow  # a second or two each; the site's build runs them too, and shows what they print
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.name)
def test_tutorials_run(page, monkeypatch, tmp_path):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    cells = re.findall(r"^```\{code-cell\}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    assert len(cells) == page.read_text().count("{code-cell}")
    for cell in cells:
        exec(compile(cell, str(page), "exec"), names)
    pyplot.close("all")


@pytest.fixture(scope="module")
def reference():
    """Return the modules that write the site's reference, and need no Sphinx for it."""
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        import curves
        import public
    finally:
        del sys.path[0]
    return public, curves


def anchors(page):
    """Return what a link into the page may end in: its headings, as GitHub and Sphinx name them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_citation_is_of_this_version():
    assert f"version: {nnlite.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_contributing_lists_the_public_packages(reference):
    public = reference[0]
    page = (ROOT / "CONTRIBUTING.md").read_text()
    told = page.partition("## What is public")[2].partition("Modules inside")[0]
    parts = {*re.findall(r"`(nnlite\.\w+)`", told)}
    packages = {name for name in public.packages() if name.count(".") == 1}
    assert parts == packages | set(public.OPTIONAL)


def test_pages_link_to_files_and_headings_that_exist(reference):
    made = {DOCS / "api" / f"{name}.rst" for name in ["drawn", *reference[0].pages()]}
    for page in [*PAGES, *TUTORIALS]:
        for link in re.findall(r"\]\(([^):]+)\)", page.read_text()):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists() or target in made, f"{page.name} links to {link}"
            assert not anchor or anchor in anchors(target), f"{page.name} links to {link}"


def test_every_page_is_in_the_table_of_contents(reference):
    made = [DOCS / "api" / name for name in ["drawn", *reference[0].pages()]]
    pages = {*(page.with_suffix("") for page in [*PAGES[1:], *TUTORIALS]), *made}
    named = {DOCS / "index"}
    for page in [*PAGES, *TUTORIALS]:
        for table in re.findall(r"^```\{toctree\}\n(.*?)^```$", page.read_text(), re.M | re.S):
            patterns = re.findall(r"^[^:\s].*", table, re.M)
            named |= {p for p in pages for entry in patterns if p.match(str(page.parent / entry))}
    assert named == pages


def test_the_reference_has_an_entry_for_every_public_name(reference):
    public, _ = reference
    pages = public.pages()
    assert {"nnlite.layers", "nnlite.optimizers.schedules", "nnlite.gradcheck"} <= pages.keys()
    for package, text in pages.items():
        module = sys.modules[package]
        entries = re.findall(rf"^\.\. (?:auto\w+:: {package}|py:data:: )\.?(\w+)$", text, re.M)
        modules = {name for name in module.__all__ if f"{package}.{name}" in pages}
        assert sorted(entries) == sorted(set(module.__all__) - modules), package
    assert public.homes()["nnlite.losses", "mse"] == ("nnlite.losses", "mean_squared_error")
    assert public.homes()["nnlite", "Layer"] == ("nnlite.layers", "Layer")


def test_every_activation_loss_and_schedule_is_drawn(reference):
    _, curves = reference
    kinds = {
        "nnlite.layers": nnlite.layers.ActivationLayer,
        "nnlite.losses": nnlite.losses.Loss,
        "nnlite.optimizers.schedules": nnlite.optimizers.schedules.LearningRateSchedule,
    }
    public = {
        f"{package}.{thing.__name__}"
        for package, base in kinds.items()
        for name in sys.modules[package].__all__
        for thing in [getattr(sys.modules[package], name)]
        if isinstance(thing, type) and issubclass(thing, base) and thing is not base
    }
    assert public <= curves.DRAWN.keys()
    for path, (_, computed) in curves.DRAWN.items():
        x, _, lines = computed()
        assert {y.shape for y in lines.values()} == {x.shape}, path


def test_every_difference_from_keras_has_a_test_and_every_test_a_row():
    """The tests import Keras, so that their names are read from the text."""
    page = (ROOT / "docs" / "keras.md").read_text()
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", page.partition("## What differs")[2], re.MULTILINE)
    file = ROOT / "tests" / "keras" / "test_keras_differences.py"
    tests = re.findall(r"^def test_(\w+)", file.read_text(), re.MULTILINE)
    assert [row.replace("-", "_") for row in rows] == tests

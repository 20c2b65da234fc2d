"""The site builds without a warning, and a browser finds nothing wrong with any page of it."""

import functools
import http.server
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("sphinx")
pytest.importorskip("myst_nb")
pytestmark = pytest.mark.slow

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-d",
        folder / "doctrees",
    ]
    done = subprocess.run([*command, DOCS, folder / "html"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_every_page_is_built(site):
    for page in ("index", "api/nnlite.layers", "api/drawn", "tutorials/step-by-step"):
        assert (site / f"{page}.html").exists()


@pytest.fixture(scope="module")
def address(site):
    """Serve the site on this machine: a browser's search does not work from files."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    installed = shutil.which("chromium")
    with playwright.sync_playwright() as driver:
        if installed is None and not Path(driver.chromium.executable_path).exists():
            pytest.skip("there is no Chromium")
        chromium = driver.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        yield chromium
        chromium.close()


FAULTS = """() => [
    ...[...document.querySelectorAll(".math")].filter(math => !math.querySelector(".katex-html"))
        .map(math => "not rendered: " + math.textContent),
    ...[...document.querySelectorAll(".katex-error")].map(math => "wrong: " + math.textContent),
    ...[...document.images].filter(image => image.complete && !image.naturalWidth)
        .map(image => "no image: " + image.src),
    ...(document.documentElement.scrollWidth > innerWidth ? ["wider than the window"] : []),
]"""


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (375, "dark")])
def test_every_page_opens_whole_and_by_itself(site, address, browser, width, scheme):
    found = []
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.on("console", lambda said: said.type in ("error", "warning") and found.append(said.text))
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("response", lambda got: got.status >= 400 and found.append(f"{got.status} {got.url}"))
    page.on(
        "request",
        lambda sent: sent.url.startswith((address, "data:")) or found.append(f"asks {sent.url}"),
    )
    pages = sorted({*site.rglob("*.html")} - {*(site / "_static").rglob("*")})
    assert len(pages) > 40
    for file in pages:
        page.goto(address + file.relative_to(site).as_posix(), wait_until="load")
        found += page.evaluate(FAULTS)
        assert found == [], file
        assert page.locator("h1").count() > 0
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
    page.close()


def test_the_search_finds_a_class(address, browser):
    page = browser.new_page()
    page.goto(address + "search.html?q=BackupAndRestore")
    page.wait_for_selector("ul.search li a")
    links = page.locator("ul.search li a").evaluate_all("all => all.map(a => a.href)")
    assert any("api/nnlite.callbacks.html#nnlite.callbacks.BackupAndRestore" in to for to in links)
    page.close()

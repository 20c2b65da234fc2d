"""The reference: writes its pages, links the names in docstrings, finds what is missing."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from public import homes, pages, public_bases
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.nodes import make_refnode

from nnlite import Model

HOMES = homes()


def write(app: Sphinx) -> None:
    """Write a page for each public package, unless it stands there already."""
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    texts = {folder / f"{name}.rst": text for name, text in pages().items()}
    for page in {*folder.glob("nnlite*.rst")} - texts.keys():
        page.unlink()
    for page, text in texts.items():
        if not page.exists() or page.read_text() != text:
            page.write_text(text)


def find(target: str, module: str) -> str | None:
    """Return the public name that a docstring of ``module`` means by ``target``."""
    head, _, member = target.removeprefix("nnlite.").rpartition(".")
    best = None
    for wanted, rest in ((target, ""), (head, "." + member)):
        for (package, name), home in HOMES.items():
            if wanted and f".{package}.{name}".endswith("." + wanted):
                found = ".".join(home) + rest
                if package == module:
                    return found
                best = best or found
    return best


def link(app: Sphinx, env: Any, node: Any, content: nodes.Node) -> nodes.Node | None:
    """Link a name to where it is described: docstrings name a class without its package.

    A method alone is one of the class's, of a base class's, or else of a model's.
    """
    if node.get("refdomain") != "py":
        return None
    name, module = node["reftarget"], node.get("py:module") or "nnlite"
    cls = getattr(sys.modules[module], node.get("py:class") or "", Model)
    owners = [find(base.__name__, module) for base in [*public_bases(cls), Model]]
    objects = env.domains["py"].objects
    for target in [find(name, module), *(f"{owner}.{name}" for owner in owners)]:
        if target in objects:
            entry = objects[target]
            place = (entry.docname, entry.node_id)
            return make_refnode(app.builder, node["refdoc"], *place, content, target)
    return None


def name_bases(app: Sphinx, name: str, thing: type, options: Any, bases: list[Any]) -> None:
    """Name the nearest base class that has an entry, instead of those that have none."""
    bases[:] = [f":py:class:`{base.__name__}`" for base in public_bases(thing)[:1]]


def name_types(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, arguments: str, returned: str
) -> tuple[str, str]:
    """Name an alias such as ``Array`` in a signature, where Sphinx names its own class for it."""
    return tuple(
        text and re.sub(r"[\w.~]*TypeAliasForwardRef\('(\w+)'\)", r"\1", text)
        for text in (arguments, returned)
    )


def keep_colons(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Keep napoleon from taking what precedes a colon in an attribute's text for its type."""
    if what in ("attribute", "property", "data"):
        lines.insert(0, "\\")  # an escaped end of line, which is nothing


def keep_bars(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Take ``|x|`` in prose for an absolute value, which docstrings mean by it."""
    example = False
    for i, line in enumerate(lines):
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        if not example:
            parts = line.split("``")
            parts[::2] = (part.replace("|", r"\|") for part in parts[::2])
            lines[i] = "``".join(parts)


def follow(app: Sphinx, page: str, text: list[str]) -> None:
    """Let links out of docs/, which a reader of the repository follows, lead to pages here."""
    for file, here in {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md"}.items():
        text[0] = text[0].replace(f"](../{file}", f"]({here}")


def check(app: Sphinx, env: Any) -> None:
    """Refuse a reference that lacks a public name."""
    missing = [".".join(name) for name in HOMES if ".".join(name) not in env.domains["py"].objects]
    if missing:
        raise ExtensionError(f"the reference lacks {', '.join(missing)}")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the functions to Sphinx's events."""
    app.connect("builder-inited", write)
    app.connect("source-read", follow)
    app.connect("missing-reference", link)
    app.connect("autodoc-process-bases", name_bases)
    app.connect("autodoc-process-signature", name_types)
    app.connect("autodoc-process-docstring", keep_colons, priority=400)  # napoleon's is 500
    app.connect("autodoc-process-docstring", keep_bars)
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True}

"""What is public: the pages of the reference follow from each package's ``__all__``."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
from collections.abc import Iterator
from typing import Any

Name = tuple[str, str]
OPTIONAL = ("nnlite.sklearn", "nnlite.wrappers")  # which need scikit-learn


def packages(name: str = "nnlite") -> Iterator[str]:
    """Yield the public packages: ``nnlite``, and the modules that an ``__all__`` names."""
    yield name
    # A folder of that name, such as that of the tests, has no origin.
    if name == "nnlite" and getattr(importlib.util.find_spec("sklearn"), "origin", None):
        yield from OPTIONAL
    module = importlib.import_module(name)
    for child in module.__all__:
        if inspect.ismodule(getattr(module, child)):
            yield from packages(f"{name}.{child}")


def names(package: str) -> dict[str, Any]:
    """Return what a package makes public, without the packages in it."""
    module = importlib.import_module(package)
    things = {name: getattr(module, name) for name in sorted(module.__all__, key=str.lower)}
    return {name: thing for name, thing in things.items() if not inspect.ismodule(thing)}


def homes() -> dict[Name, Name]:
    """Return where each public name is described: at itself, or at the name it is an alias of.

    A class or function is described under its own name, in the package that its module is in.
    """
    everything = [
        (package, name, x) for package in packages() for name, x in names(package).items()
    ]
    best: dict[int, Name] = {}
    ranked = sorted(
        everything,
        key=lambda one: (
            getattr(one[2], "__name__", one[1]) != one[1],
            one[0] == "nnlite",
            not getattr(one[2], "__module__", one[0]).startswith(one[0]),
        ),
    )
    for package, name, thing in ranked:
        best.setdefault(id(thing), (package, name))
    return {(package, name): best[id(thing)] for package, name, thing in everything}


def pages() -> dict[str, str]:
    """Return the reference: the text of a page for each public package, in reStructuredText."""
    where = homes()
    return {package: "\n".join(_page(package, where)) for package in packages()}


def _page(package: str, where: dict[Name, Name]) -> Iterator[str]:
    yield from _title(package, "=")
    yield from (f".. automodule:: {package}", "")
    groups: dict[str, list[str]] = {}
    for name, thing in names(package).items():
        if where[package, name] == (package, name):
            groups.setdefault(_group(package, thing), []).append(name)
    for group in sorted(groups, key=lambda group: (group != "Classes", group)):
        if len(groups) > 1:
            yield from _title(group, "-")
        yield from (".. autosummary::", "   :nosignatures:", "")
        yield from (f"   {name}" for name in groups[group])
        yield ""
        for name in groups[group]:
            yield from _entry(f"{package}.{name}", names(package)[name])
    aliases = {name: where[package, name] for name in names(package)}
    aliases = {name: home for name, home in aliases.items() if home != (package, name)}
    if aliases:
        yield from _title("Other names", "-")
    for name, home in aliases.items():
        yield from (f".. py:data:: {name}", "", f"   The same as `{'.'.join(home)}`.", "")


def _title(text: str, line: str) -> tuple[str, ...]:
    return (text, line * len(text), "")


def _group(package: str, thing: Any) -> str:
    """Return the heading that a thing stands under: the package in ``package`` that it is from."""
    module = (getattr(thing, "__module__", None) or "").split(".")
    if ".".join(module[:-2]) == package:
        return module[-2].capitalize()
    return "Classes" if inspect.isclass(thing) else "Functions"


def public_bases(cls: type) -> list[type]:
    """Return the classes that ``cls`` inherits from and that have an entry of their own."""
    entries = {id(thing) for package in packages() for thing in names(package).values()}
    return [base for base in cls.__mro__[1:] if id(base) in entries]


def _foreign(cls: type, name: str) -> bool:
    """Return whether another package's class describes the attribute ``name`` of ``cls``."""
    owner = next((base for base in cls.__mro__ if name in vars(base)), object)
    by_decorator = name.startswith("set_") and name.endswith("_request")  # of scikit-learn
    return not owner.__module__.startswith("nnlite") or by_decorator


def _entry(path: str, thing: Any) -> Iterator[str]:
    kind = "class" if inspect.isclass(thing) else "function" if callable(thing) else "data"
    yield f".. auto{kind}:: {path}"
    if kind == "class":
        # What a base class with an entry has, is told there. An empty Layer.cache cannot be shown.
        bases = public_bases(thing)
        told = {"cache"}.union(
            *map(dir, bases), filter(functools.partial(_foreign, thing), dir(thing))
        )
        yield from ("   :members:", "   :inherited-members:", "   :special-members: __call__")
        yield from [f"   :exclude-members: {', '.join(sorted(told))}"]
        yield from ["   :show-inheritance:"] if bases else []
    yield ""

"""Mistakes in the package, one for each formula: the tests must notice every one.

Each module of this folder has a dict ``MUTANTS``: for a file of the package, pairs of a text that
stands there once and what it is replaced by.
"""

import importlib
import pkgutil

MUTANTS: dict = {}
for _module in pkgutil.iter_modules(__path__):
    for _path, _pairs in importlib.import_module(f"mutations.{_module.name}").MUTANTS.items():
        MUTANTS[_path] = [*MUTANTS.get(_path, ()), *_pairs]

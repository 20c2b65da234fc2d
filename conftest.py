"""Classes that a docstring's example defines count as a user's, although its module is nnlite's."""

import importlib.util
from typing import Any

import pytest

collect_ignore = []
if getattr(importlib.util.find_spec("sklearn"), "origin", None) is None:
    collect_ignore += ["nnlite/sklearn", "nnlite/wrappers.py"]


@pytest.fixture(autouse=True)
def _examples_are_by_a_user(doctest_namespace: dict[str, Any]) -> None:
    doctest_namespace["__name__"] = "__main__"

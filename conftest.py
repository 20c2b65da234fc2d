"""Classes that a docstring's example defines count as a user's, although its module is nnlite's."""

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _examples_are_by_a_user(doctest_namespace: dict[str, Any]) -> None:
    doctest_namespace["__name__"] = "__main__"

"""Classes that a docstring's example defines count as a user's, although its module is nnlite's."""

import pytest


@pytest.fixture(autouse=True)
def _examples_are_by_a_user(doctest_namespace):
    doctest_namespace["__name__"] = "__main__"

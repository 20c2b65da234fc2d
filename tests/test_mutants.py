import mutants
import pytest
from mutations import MUTANTS
from samples import part


def needs(file):
    """Return the marks of a file's mutants: those of an optional package need it."""
    optional = file.startswith(("sklearn/", "wrappers.py"))
    return [pytest.mark.skipif(optional and "sklearn" not in mutants.TESTS, reason="no sklearn")]


EVERY = [
    pytest.param(file, *change, id=f"{file}-{number}", marks=needs(file))
    for file, changes in MUTANTS.items()
    for number, change in enumerate(changes)
]


def test_every_mutant_changes_one_place_of_the_package():
    assert mutants.stale() == []


@pytest.mark.slow
def test_the_package_as_it_is_survives():
    assert mutants.outcome(None) == "SURVIVED"


@pytest.mark.slow
@pytest.mark.parametrize(("file", "old", "new"), part(EVERY))
def test_every_mutant_is_killed(file, old, new):
    assert mutants.outcome(file, old, new).startswith("killed by ")

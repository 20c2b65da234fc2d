import mutants
import pytest


def test_every_mutant_changes_one_place_of_the_package():
    assert mutants.stale() == []


@pytest.mark.slow
def test_every_mutant_is_killed():
    assert mutants.main() == 0

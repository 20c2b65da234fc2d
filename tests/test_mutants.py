import mutants
import pytest


@pytest.mark.slow
def test_every_mutant_is_killed():
    assert mutants.main() == 0

import pytest

from nnlite import set_random_seed


@pytest.fixture(autouse=True)
def _initial_weights_repeat():
    set_random_seed(1)

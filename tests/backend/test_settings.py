"""The float type and the seed of the whole process."""

import numpy as np
import pytest

from nnlite import config, random


@pytest.mark.parametrize("dtype", ["float16", "int32", "float80", 3.5])
def test_only_two_float_types(dtype):
    with pytest.raises(ValueError, match=f"dtype must be 'float32' or 'float64'.*{dtype}"):
        config.set_floatx(dtype)
    assert config.floatx() == "float32"


@pytest.mark.parametrize(("seed", "error"), [(1.5, TypeError), (True, TypeError), (-1, ValueError)])
def test_a_seed_is_an_integer_that_keras_takes_too(seed, error):
    with pytest.raises(error, match=f"seed must .*Received: seed={seed}"):
        random.set_random_seed(seed)


def test_a_seed_seeds_numpys_own_state_as_keras_does():
    random.set_random_seed(3)
    first = np.random.rand()  # noqa: NPY002
    random.set_random_seed(3)
    assert np.random.rand() == first  # noqa: NPY002

"""scikit-learn's own tests of its multi-layer perceptrons, run on ours: the import line changed."""

import importlib.util
from pathlib import Path

import pytest
import sklearn.neural_network

FILE = Path(sklearn.neural_network.__file__).parent / "tests" / "test_mlp.py"
IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor"

#: Tests that read what is private, or replace it.
EXCLUDED = {
    "test_gradient": "calls _loss_grad_lbfgs with arrays of its own",
    "test_learning_rate_warmstart": "reads _optimizer; ours is model_.optimizer",
    "test_adaptive_learning_rate": "reads _optimizer; ours is model_.optimizer",
}


def loaded():
    text = FILE.read_text()
    assert text.count(IMPORT) == 1
    spec = importlib.util.spec_from_loader("sklearn_test_mlp", loader=None)
    module = importlib.util.module_from_spec(spec)
    code = text.replace(IMPORT, IMPORT.replace("sklearn.neural_network", "nnlite.sklearn"))
    exec(compile(code, str(FILE), "exec"), vars(module))
    return module


THEIRS = {name: test for name, test in vars(loaded()).items() if name.startswith("test_")}

globals().update({name: test for name, test in THEIRS.items() if name not in EXCLUDED})

# As in scikit-learn's own run: a fit of theirs may end before it has converged.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def global_random_seed():
    return 42


def test_what_is_excluded_exists_there():
    assert EXCLUDED.keys() <= THEIRS.keys()

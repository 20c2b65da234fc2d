"""Tests depend on the package and the commit only: not on chance, speed or how they are started."""

import os
import signal
from importlib.util import find_spec
from pathlib import Path

# Two workers' threads of BLAS on as many cores would only wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from hypothesis import Phase, settings
from samples import examples, told

settings.register_profile(
    "repeatable", derandomize=True, deadline=None, database=None, max_examples=examples(100)
)
settings.register_profile(  # for tests/mutants.py, which asks only whether a test fails
    "first failure", settings.get_profile("repeatable"), phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("repeatable")

# A shell starts its background jobs with SIGINT ignored; the tests of Ctrl-C need Python's handler.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The processes that tests start are to import the nnlite that the tests import.
package = Path(find_spec("nnlite").origin).parents[1]
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
)

collect_ignore = ["fixtures/write.py"]  # it makes the files there, with Keras


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(told())

"""Hypothesis draws the same examples in every run, and no test fails for being slow."""

import signal

from hypothesis import Phase, settings

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.register_profile(  # for tests/mutants.py, which asks only whether a test fails
    "first failure", settings.get_profile("repeatable"), phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("repeatable")

# A shell starts its background jobs with SIGINT ignored; the tests of Ctrl-C need Python's handler.
signal.signal(signal.SIGINT, signal.default_int_handler)

collect_ignore = ["data/write.py"]  # it makes the files there, with Keras

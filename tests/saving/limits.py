"""What refusing a hostile file may cost."""

import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

MEMORY = 100_000_000


def refuses(call, message):
    """Check that a call ends in a ValueError of this message, at a peak of at most 100 MB."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message) as raised:
            call()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MEMORY
    assert len(str(raised.value)) < 2000
    assert not re.search("0x7f|object at", str(raised.value))


def limit_memory():
    """Let this process take 100 MB more than it has."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def supervised(module, argument, numbers):
    """Run a module of these tests in a process of its own, and return the sum of its counts.

    A crash, or ten minutes, is a failure of the test.
    """
    bounds = (numbers.start, numbers.stop, numbers.step)
    done = subprocess.run(
        [sys.executable, "-m", f"saving.{module}", argument, *map(str, bounds)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return sum(map(int, done.stdout.split()))

"""What refusing a hostile file may cost."""

import re
import tracemalloc

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

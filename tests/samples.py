"""How much of the long samples a run tries: a part that changes with the commit, or the whole.

The environment variable ``NNLITE_PART`` is the number of a part, or ``whole``.
"""

import os
import subprocess
from pathlib import Path

PARTS = 7  # a prime: samples that take kinds in turn have every kind in each part


def _part_of_the_commit():
    """Return the part that the hash of the commit chooses, 0 where there is no commit."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 0
    return int(done.stdout, 16) % PARTS


CHOSEN = os.environ.get("NNLITE_PART")
WHOLE = CHOSEN == "whole"
PART = 0 if WHOLE else range(PARTS)[int(CHOSEN)] if CHOSEN else _part_of_the_commit()


def part(sequence):
    """Return each seventh item, from the number of this run's part on, or all in a whole run."""
    return sequence if WHOLE else sequence[PART::PARTS]


def examples(number):
    """Return how many examples Hypothesis draws of a test that has ``number`` in a whole run."""
    return number if WHOLE else min(number, max(10, number // 3))


def told():
    """Return a line that says what this run tries."""
    if WHOLE:
        return "long samples: the whole"
    return f"long samples: part {PART} of {PARTS} (NNLITE_PART={PART}; NNLITE_PART=whole for all)"

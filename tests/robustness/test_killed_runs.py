"""Runs that are killed by SIGKILL at random moments and started again end in the same bits."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from samples import part

SCRIPT = Path(__file__).with_name("killed_run.py")
ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
CASES = [("arrays", "1"), ("steps", "3"), ("file", "1"), ("sequence", "epoch")]


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.split()[-1]


def killed_and_resumed(folder, kind, freq, kills, moments):
    """Return the digest of a run that was killed so often, and how many kills hit it at work."""
    hits = 0
    while True:
        began = time.perf_counter()
        process = start(folder, kind, freq)
        if hits < kills:
            # Once it has a backup to write, at a random moment of the work that follows.
            latest = Path(folder) / "latest.npz"
            known = latest.stat().st_mtime_ns if latest.exists() else 0
            while process.poll() is None and time.perf_counter() - began < 60:
                changed = latest.stat().st_mtime_ns if latest.exists() else 0
                if changed != known:
                    break
                time.sleep(0.001)
            time.sleep(moments.uniform(0, 0.03))
            process.send_signal(signal.SIGKILL)
            out, _ = process.communicate(timeout=60)
            if process.returncode == -signal.SIGKILL:
                hits += 1
                continue
            return out.split()[-1], hits
        return finished(process), hits


@pytest.mark.parametrize(("kind", "freq"), CASES)
def test_a_killed_run_ends_in_the_bits_of_one_that_was_not(tmp_path, kind, freq):
    expected = finished(start(tmp_path / "whole", kind, freq))
    digest, hits = killed_and_resumed(tmp_path / "cut", kind, freq, 2, random.Random(kind))
    assert hits == 2
    assert digest == expected
    assert list(tmp_path.glob("cut/*.npz")) == []


@pytest.mark.slow
def test_a_hundred_kills_lose_nothing(tmp_path):
    runs, total = part(range(35)), 0
    expected = {kind: finished(start(tmp_path / kind, kind, freq)) for kind, freq in CASES}
    for number in runs:
        kind, freq = CASES[number % len(CASES)]
        folder = tmp_path / f"cut {number}"
        digest, hits = killed_and_resumed(folder, kind, freq, 4, random.Random(number))
        total += hits
        assert digest == expected[kind], (kind, number)
    assert total >= 3 * len(runs)  # a run may end before its last kill

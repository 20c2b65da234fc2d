"""Several processes train as one does, and end together: each test starts them by ``mpiexec``."""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
MPIEXEC = shutil.which("mpiexec", path=sysconfig.get_path("scripts")) or shutil.which("mpiexec")
WITHIN = 60  # seconds: a run that takes longer hangs
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("PMI", "OMPI"))},
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONPATH": str(HERE.parent.parent),
}


def start(count, script, *arguments):
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    if count > 1:
        command = [MPIEXEC, "-n", str(count), *command]
    return subprocess.Popen(
        command,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(count, script, *arguments):
    """Return the exit code, what was printed, and the seconds that it took."""
    began = time.perf_counter()
    started = start(count, script, *arguments)
    try:
        printed, _ = started.communicate(timeout=WITHIN)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        raise
    return started.returncode, printed, time.perf_counter() - began


def results(count, script, path, *arguments):
    code, printed, _ = run(count, script, path, *arguments)
    assert code == 0, printed
    with np.load(path) as found:
        return {name: found[name] for name in found.files}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return results(1, "cases.py", tmp_path_factory.mktemp("alone") / "one.npz")


@pytest.mark.parametrize(
    ("count", "families"),
    [(2, ()), (3, ("data", "models", "callbacks")), (4, ("optimizers", "metrics"))],
    ids=str,
)
def test_every_family_equals_one_process_to_rounding(alone, count, families, tmp_path, capsys):
    together = results(count, "cases.py", tmp_path / "some.npz", *families)
    expects = {n: e for n, e in alone.items() if not families or n.startswith(families)}
    assert set(together) == set(expects)
    worst = {}
    for name, expected in expects.items():
        np.testing.assert_allclose(together[name], expected, rtol=1e-9, atol=1e-11, err_msg=name)
        difference = np.max(np.abs(together[name] - expected) / np.maximum(1, np.abs(expected)))
        family = name.split("|")[0]
        cases, largest = worst.get(family, (0, 0.0))
        worst[family] = cases + 1, max(largest, difference)
    with capsys.disabled():
        print(f"\n{count} processes, largest difference from one, of 1 or of the value if larger:")
        for family, (cases, difference) in worst.items():
            print(f"    {family:12} {cases:3} cases  {difference:.0e}")


def ends(what, count=2):
    code, printed, seconds = run(count, "faults.py", what)
    assert "Epoch 2/6" in printed  # so long it went well
    assert code != 0, printed
    assert seconds < 12, printed
    return printed


def test_a_process_that_is_killed_ends_the_others():
    ends("kill", 3)


def test_an_error_in_one_process_ends_all_with_its_traceback():
    printed = ends("error", 3)
    assert "Process 1 of 3 ends all" in printed
    assert "RuntimeError: the disk is broken" in printed


def test_an_error_in_a_callback_of_process_0_ends_all():
    printed = ends("callback")
    assert "Process 0 of 2 ends all" in printed
    assert "OSError: the disk is full" in printed


def test_a_nan_in_one_process_ends_all_and_says_in_which():
    printed = ends("nan")
    assert "In process 1, the loss is nan. Weight 'kernel' of layer 'dense'" in printed
    assert "In process 0," not in printed


def test_weights_that_differ_end_all_with_the_name_of_the_layer():
    assert "RuntimeError: Weight 'dense/kernel' of process 1 differs" in ends("diverge")


def test_batches_that_differ_are_refused():
    assert "of 2 was given another batch than the others" in ends("other data")


def test_a_process_that_does_not_come_is_named():
    printed = ends("late", 3)
    assert re.search(
        r"TimeoutError: Process [02] of 3 has waited 3 s for the others to add up the gradients: "
        r"process 1 has not come\.",
        printed,
    )


def test_a_process_that_leaves_is_named():
    assert "process 1 has not come" in ends("exit")


def test_ctrl_c_in_one_process_ends_all():
    assert "KeyboardInterrupt" in ends("interrupt")


def test_ctrl_c_in_the_terminal_ends_all():
    started = start(2, "faults.py", "none")
    for line in started.stdout:
        if "Epoch 2" in line:
            break
    began = time.perf_counter()
    os.killpg(started.pid, signal.SIGINT)
    started.communicate(timeout=WITHIN)
    assert started.returncode != 0
    assert time.perf_counter() - began < 10


def test_files_that_differ_are_refused(tmp_path):
    code, printed, _ = run(2, "faults.py", "files", tmp_path)
    assert code != 0
    assert (
        "must call fit, evaluate and predict on the same file alike. Process 0 has first" in printed
    )


def test_calls_that_differ_are_refused():
    code, printed, _ = run(2, "faults.py", "epochs")
    assert code != 0
    assert "All processes must call fit alike. Process 0 has epochs=(0, 6), process 1" in printed


def test_only_process_0_prints_and_calls_callbacks():
    code, printed, _ = run(2, "faults.py", "short")
    assert code == 0
    assert printed.count("Epoch 2/2") == printed.count("a callback at epoch 1") == 1
    assert printed.count("BLAS uses 1 thread in each.") == 1


def test_processes_that_train_apart_are_warned_of():
    code, printed, _ = run(2, "faults.py", "apart")
    assert code == 0
    assert "mpiexec started 2 processes, but each of them trains its own model" in printed


@pytest.mark.parametrize("frequency", ["epoch", 5])
def test_a_backup_resumes_to_the_same_bits_on_as_many_processes(tmp_path, frequency):
    whole = results(2, "resume.py", tmp_path / "whole.npz", tmp_path / "a", frequency, "whole")
    code, printed, _ = run(2, "resume.py", tmp_path / "x.npz", tmp_path / "b", frequency, "fail")
    assert code != 0
    assert "The power fails." in printed
    assert (tmp_path / "b" / "latest.npz").exists()
    resumed = results(2, "resume.py", tmp_path / "again.npz", tmp_path / "b", frequency, "whole")
    for name, expected in whole.items():
        np.testing.assert_array_equal(resumed[name], expected, err_msg=name)


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 3)])
def test_a_backup_resumes_on_another_number_to_rounding(tmp_path, before, after):
    options = ("epoch", "without dropout")
    whole = results(1, "resume.py", tmp_path / "whole.npz", tmp_path / "a", *options)
    code, *_ = run(before, "resume.py", tmp_path / "x.npz", tmp_path / "b", *options, "fail")
    assert code != 0
    assert (tmp_path / "b" / "latest.npz").exists()
    resumed = results(after, "resume.py", tmp_path / "again.npz", tmp_path / "b", *options)
    for name, expected in whole.items():
        np.testing.assert_allclose(resumed[name], expected, rtol=1e-9, atol=1e-12, err_msg=name)


def test_draws_repeat_with_the_same_number_of_processes(tmp_path):
    first, second = (
        results(2, "resume.py", tmp_path / f"{n}.npz", tmp_path / n, "epoch", "whole") for n in "ab"
    )
    for name, expected in first.items():
        np.testing.assert_array_equal(second[name], expected, err_msg=name)


def test_the_tutorials_script_runs_unchanged_on_1_2_and_4_processes():
    script = HERE.parent.parent / "docs" / "examples" / "distributed.py"
    lines = []
    for count in (1, 2, 4):
        code, printed, _ = run(count, script)
        assert code == 0, printed
        lines.append([line for line in printed.splitlines() if "accuracy" in line][-1])
    assert lines[0] == lines[1] == lines[2]

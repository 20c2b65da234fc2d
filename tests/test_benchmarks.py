"""The benchmark's harness: it runs, its numbers are numbers, its guard guards. Nothing is timed."""

import copy
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nnlite

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the benchmarks are no part of the installed package

from benchmarks import __main__ as command_line  # noqa: E402
from benchmarks import quick, record, worker  # noqa: E402
from benchmarks.contenders import CONTENDERS, Contender, layered, missing  # noqa: E402
from benchmarks.older import add_older  # noqa: E402
from benchmarks.record import Run  # noqa: E402
from benchmarks.report import tables, write  # noqa: E402
from benchmarks.runner import Result, run_case  # noqa: E402
from benchmarks.targets import verdicts  # noqa: E402
from benchmarks.workloads import OPTIMIZERS, WORKLOADS, data, first_weights  # noqa: E402

MEASURED = {
    "ratios": {"tiny": [5.0, 6.0, 50.0]},
    "counts": {"tiny, Adam, fit": {"calls": 50.0, "arrays": 12.0, "bytes": 1500.0, "growth": 0}},
}
RECORDED = {"ratios": {"tiny": 5.5}, "counts": MEASURED["counts"]}


@pytest.fixture(scope="module")
def results():
    return run_case("tiny", "sgd", ["nnlite", "matmul", "bandwidth"], rounds=2)


def test_contenders_in_processes_of_their_own_return_finite_positive_numbers(results):
    assert [result.contender for result in results] == ["nnlite", "matmul", "bandwidth"]
    for result in results:
        assert result.error == ""
        assert len(result.seconds["fit"]) == len(result.peaks) == 2
        numbers = [result.import_seconds, result.start_seconds, result.before, *result.peaks]
        assert all(math.isfinite(n) and n > 0 for n in numbers + result.seconds["fit"])
    assert 0 < results[0].loss < math.log(2)  # nnlite has learned something
    assert results[1].loss is None


def test_report_has_the_case_its_targets_and_no_path(results):
    page = tables(Run.here("python -m benchmarks", ["Left out: nobody."], results))
    assert "## tiny: 30-64-32-1" in page
    assert "floor: bare matrix products" in page
    assert "Left out: nobody." in page
    assert str(ROOT) not in page
    assert "progress bar on tiny" in {v.text.partition(":")[0] for v in verdicts(results)}


def test_contender_that_dies_says_why(monkeypatch):
    dead = Contender("dead", "no_such_module", ("numpy",))
    monkeypatch.setitem(CONTENDERS, "dead", dead)
    (result,) = run_case("tiny", "sgd", ["dead"], rounds=1)
    assert "KeyError: 'dead'" in result.error  # the worker does not know it


def test_target_missed_and_reached_by_the_ratio_of_medians():
    ours = Result("nnlite", "tiny", "sgd", seconds={"fit": [1.0, 2.0, 9.0]})
    slow = Result("torch", "tiny", "sgd", seconds={"fit": [10.0, 10.0, 10.0]})
    fast = Result("keras-jax", "tiny", "sgd", seconds={"fit": [4.0, 1.0, 1.0]})
    found = {v.text: v for v in verdicts([ours, slow, fast])}
    reached = found["PyTorch eager: row, tiny, small, seed, regular"]
    missed = found["Keras on JAX: row, tiny, small, seed, regular"]
    assert (reached.worst.value, reached.missed, reached.cases) == (0.2, 0, 1)
    assert (missed.worst.value, missed.missed, missed.cases) == (2.0, 1, 1)
    assert missed.worst.spread == (0.25, 9.0)
    assert missed.worst.where == "keras-jax, tiny, sgd, fit"


def test_loss_that_differs_is_marked():
    ours = Result("nnlite", "tiny", "sgd", seconds={"fit": [1.0]}, loss=0.5)
    lazy = Result("torch", "tiny", "sgd", seconds={"fit": [1.0]}, loss=0.6)
    assert "0.6000 ≠" in tables(Run.here("", [], [ours, lazy]))


def test_guard_passes_what_is_recorded_and_one_slow_round():
    assert quick.against_recorded(MEASURED, RECORDED) == ([], [])


@pytest.mark.parametrize("what", ["calls", "arrays", "bytes"])
def test_guard_fails_on_one_more_than_recorded(what):
    recorded = copy.deepcopy(RECORDED)
    recorded["counts"]["tiny, Adam, fit"][what] -= 1
    worse, better = quick.against_recorded(MEASURED, recorded)
    assert len(worse) == 1
    assert f"tiny, Adam, fit: {what} a step" in worse[0]
    assert better == []


def test_guard_fails_on_memory_that_grows():
    measured = copy.deepcopy(MEASURED)
    measured["counts"]["tiny, Adam, fit"]["growth"] = 1
    assert "growth a step 1, recorded: 0" in quick.against_recorded(measured, RECORDED)[0][0]


def test_guard_fails_on_a_ratio_too_high_in_every_round():
    worse, _ = quick.against_recorded(MEASURED, {**RECORDED, "ratios": {"tiny": 3.3}})
    assert "5.00 times the bare matrix products or more" in worse[0]


def test_guard_hints_at_what_is_better_or_new():
    recorded = copy.deepcopy(RECORDED)
    recorded["counts"]["tiny, Adam, fit"]["calls"] += 1
    del recorded["ratios"]["tiny"]
    worse, better = quick.against_recorded(MEASURED, recorded)
    assert worse == []
    assert [line.partition(":")[0] for line in better] == ["NEW", "BETTER"]


def test_quick_run_exits_with_1_when_a_recorded_count_is_lower(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(quick, "RECORDED", tmp_path / "recorded.json")
    arguments = ["--quick", "--only", "tiny", "--rounds", "1"]
    assert command_line.main([*arguments, "--record"]) == 0
    recorded = json.loads(quick.RECORDED.read_text())
    again = copy.deepcopy(recorded["counts"])
    monkeypatch.setattr(quick, "_counts", lambda _: again)  # counting takes seconds
    counts = recorded["counts"]["tiny, SGD, fit"]
    assert counts["calls"] > 10
    assert counts["growth"] == 0
    counts["calls"] -= 1
    recorded["ratios"]["tiny"] = 1e9
    quick.RECORDED.write_text(json.dumps(recorded))
    capsys.readouterr()
    assert command_line.main(arguments) == 1
    assert "REGRESSION: tiny, SGD, fit: calls a step" in capsys.readouterr().out


def test_counts_of_calls_and_arrays_are_exact(tmp_path):
    (tmp_path / "nnlite.py").write_text(
        "import numpy as np\n"
        "def step(a, out):\n"
        "    np.add(a, a, out=out)\n"  # a ufunc into an array that is there
        "    a += 1\n"  # an operator in place
        "    view = a[1:]\n"  # a subscript
        "    b = -np.dot(a, a) + len(view)\n"  # a function, of a NumPy scalar then
        "    return np.multiply.outer(a, a), a * b\n"  # two new arrays
    )
    script = (
        "import sys, numpy as np\n"
        "from benchmarks.counts import TALLY, CountedNumPy\n"
        "sys.meta_path.insert(0, CountedNumPy())\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import nnlite\n"
        "a = np.ones(4)\n"
        "TALLY.reset()\n"
        "nnlite.step(a, np.empty(4))\n"
        "print(TALLY.calls, TALLY.arrays, TALLY.bytes, a[0])\n"
    )
    command = [sys.executable, "-c", script]
    counted = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert counted.stdout.split() == ["6", "2", str(8 * (16 + 4)), "2.0"]


def test_missing_peers_are_named_and_left_out(monkeypatch, tmp_path, capsys):
    absent = Contender("Absent", "absent", ("no_such_library.part",))
    assert missing(absent) == ["no_such_library"]
    assert missing(CONTENDERS["nnlite"]) == []
    monkeypatch.setitem(CONTENDERS, "torch", absent)
    arguments = ["--only", "tiny", "--optimizers", "sgd", "--contenders", "torch", "matmul"]
    output = tmp_path / "page.md"
    assert command_line.main([*arguments, "--rounds", "1", "--output", str(output)]) == 0
    said = "Left out: Absent: no no_such_library installed."
    assert said in capsys.readouterr().out
    page = output.read_text()
    assert said in page
    assert page.count("| nnlite |") == 4  # not named, but there: import, two times, the rest
    assert str(tmp_path) not in page


CHAINS = {name: one for name, one in WORKLOADS.items() if not one.layers}


@pytest.mark.parametrize("name", ["convnet", "lstm", "gru", "embedding", "wide-and-deep"])
def test_nets_of_other_layers_begin_alike_and_learn(name):
    workload = replace(WORKLOADS[name], batch=4, steps=2)
    assert data(workload) is data(workload)
    model = layered.build(nnlite, workload)
    assert [w.shape for w in first_weights(workload)] == [w.shape for w in model.weights]
    prepared = CONTENDERS["nnlite"].prepare(workload, "sgd")
    first = prepared["fit"](1)
    assert prepared["fit"](20) < first
    assert CONTENDERS["nnlite"].prepare(workload, "adam") == {}


@pytest.mark.parametrize("workload", CHAINS.values(), ids=list(CHAINS))
def test_data_and_weights_are_the_same_for_all_and_fit_the_net(workload):
    small = replace(workload, steps=1)
    (x, y), (again, _) = data.__wrapped__(small), data.__wrapped__(small)
    assert np.array_equal(x, again)
    assert (x.dtype, x.shape) == (np.float32, (workload.batch, workload.sizes[0]))
    assert len(y) == len(x)
    shapes = [kernel.shape for kernel, _ in first_weights(workload)]
    assert shapes == list(zip(workload.sizes, workload.sizes[1:], strict=False))
    for optimizer in OPTIMIZERS:
        assert workload.operations(optimizer)


@pytest.mark.parametrize("name", ["row", "tiny", "small"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_lean_step_learns_what_nnlite_learns(name, optimizer):
    workload = replace(WORKLOADS[name], steps=1, batch=1 if name == "row" else 32)
    operation = "train_on_batch" if name == "row" else "fit"  # one batch: no order to differ in
    lean, ours = (
        CONTENDERS[who].prepare(workload, optimizer)[operation] for who in ("numpy-step", "nnlite")
    )
    assert [lean(1) for _ in range(5)] == pytest.approx([ours(1) for _ in range(5)], rel=1e-4)


def test_older_version_is_that_of_a_folder_or_a_commit(tmp_path):
    (tmp_path / "nnlite").mkdir()
    (tmp_path / "nnlite" / "__init__.py").write_text("__version__ = '0.0.7'\n")
    with add_older(str(tmp_path)):
        assert CONTENDERS["older"].title == "nnlite 0.0.7"
        assert CONTENDERS["older"].path == str(tmp_path)
    assert CONTENDERS["older"].path == ""
    with pytest.raises(ValueError, match=r"tag or commit of this.*Received: 'no-such-tag'"):
        add_older("no-such-tag").__enter__()
    (tmp_path / "nnlite" / "__init__.py").write_text("import no_such_module_at_all\n")
    with pytest.raises(ValueError, match="cannot be imported: ModuleNotFoundError"):
        add_older(str(tmp_path)).__enter__()


def test_runs_of_two_processors_stand_beside_each_other(monkeypatch, tmp_path):
    monkeypatch.setattr(record, "RECORDS", tmp_path / "records")
    for title, seconds in (("Fast", 1.0), ("Slow", 3.0)):
        ours = Result("nnlite", "tiny", "sgd", seconds={"fit": [seconds] * 2})
        torch = Result("torch", "tiny", "sgd", seconds={"fit": [2.0, 2.0]})
        run = Run(title, {"Machine": title}, "python -m benchmarks", [], [ours, torch])
        run.save()
        write(tmp_path / "page.md", run)
    assert [run.title for run in record.runs()] == ["Fast", "Slow"]
    assert record.runs()[1] == run
    row = next(line for line in (tmp_path / "page.md").read_text().splitlines() if "eager" in line)
    assert "| **reached**: 0.50" in row
    assert "| missed in 1 of 1: 1.50" in row
    assert "missed in 1 of 1" in (tmp_path / "page" / "slow.md").read_text()


def test_warm_up_ends_when_an_epoch_takes_as_long_as_the_one_before(monkeypatch):
    now, took = 0.0, iter([0.5, 0.2, 0.21, 9.0])

    def operation(epochs):
        nonlocal now
        now += next(took)

    monkeypatch.setattr(worker.time, "perf_counter", lambda: now)
    worker.warm_up(operation)
    assert next(took) == 9.0


def test_guard_counts_each_kind_of_net():
    layers = {name for each in quick.GUARDED for name, *_ in WORKLOADS[each].layers}
    assert {"Conv2D", "LSTM", "GRU", "Embedding", "Beside"} <= layers
    recorded = json.loads(Path(quick.__file__).with_name("recorded.json").read_text())
    assert set(quick.GUARDED) == {key.partition(",")[0] for key in recorded["counts"]}


def test_workload_that_is_unknown_is_named(capsys):
    with pytest.raises(SystemExit):
        command_line.main(["--only", "tiny,big"])
    assert "Received: 'big'" in capsys.readouterr().err

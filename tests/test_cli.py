"""The command line: what it prints of good, damaged and hostile files, and its exit codes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from saving.harm import nothing_happens
from saving.old_files import dense, sequential, two_layers, write_h5, write_keras

import nnlite
from nnlite import Sequential
from nnlite.cli import main
from nnlite.layers import Dense, Embedding, Hashing, Input
from nnlite.models import load_model

FIXTURES = Path(__file__).parent / "fixtures"
GOOD = ["functional.keras", "functional.h5", "sequential.keras", "sequential.h5"]


@pytest.fixture
def said(capsys, monkeypatch):
    """Return a function that runs a command and returns its exit code and lines."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert captured.err == ""
        return code, captured.out.splitlines()

    return run


# ---- help and the command line itself ----------------------------------------------------------


@pytest.mark.parametrize("command", [[], ["summary"], ["verify"], ["convert"]])
def test_help_fits_a_screen_and_tells_the_exit_codes(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as left:
        main([*command, "--help"])
    assert left.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert "exit codes: 0 all is well; 1 it loads, with reservations; 2 the command line" in (
        " ".join(" ".join(lines).split())
    )


@pytest.mark.parametrize("command", [[], ["nix"], ["summary"], ["convert", "one"]])
def test_a_wrong_command_line_is_exit_code_2(command, capsys):
    with pytest.raises(SystemExit) as left:
        main(command)
    assert left.value.code == 2
    assert "usage: nnlite" in capsys.readouterr().err


def test_as_a_process_of_its_own(tmp_path):
    """Its exit code is that of `main`, and who has read enough may close the pipe."""
    (tmp_path / "bad.keras").write_bytes(b"\x80pickle")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "nnlite", "verify", tmp_path / "bad.keras"]
    run = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (run.returncode, run.stderr) == (3, b"")
    assert b"bad.keras: expected a model file of Keras" in run.stdout
    assert b"a pickle, which is never read" in run.stdout
    reader, writer = os.pipe()
    os.close(reader)
    command[-1] = FIXTURES / GOOD[0]
    run = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (run.returncode, run.stderr) == (0, b"")


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"nnlite {nnlite.__version__}\n"


# ---- summary -----------------------------------------------------------------------------------


def test_a_summary_tells_who_wrote_what(said):
    code, lines = said("summary", FIXTURES / "functional.keras")
    assert code == 0
    assert lines[0] == (
        "functional.keras: a model in a .keras file, by Keras 3.15.1, saved 2026-11-23@07:43:57"
    )
    assert "| dense_2 (Dense)                          | (None, 4)    |      24 |" in lines
    assert lines[-2:] == [
        "Loss: Huber(), metrics: ['mae']",
        "Optimizer: RMSprop(learning_rate=0.009999999776482582, momentum=0.5), after 3 steps",
    ]


def test_a_summary_of_an_h5_file_and_of_ones_own(said, tmp_path):
    code, lines = said("summary", FIXTURES / "functional.h5")
    assert (code, lines[0]) == (0, "functional.h5: a model in an .h5 file, by Keras 3.15.1")
    assert lines[-1].endswith("after 3 steps")
    Sequential([Input((2,)), Dense(1)]).save(tmp_path / "m.keras")
    code, lines = said("summary", tmp_path / "m.keras")
    head = f"m.keras: a model in a .keras file, by nnlite {nnlite.__version__}, saved "
    assert lines[0].startswith(head)
    assert (code, lines[-1]) == (0, "Not compiled")


def test_a_summary_of_weights_is_their_shapes(said):
    code, lines = said("summary", FIXTURES / "functional.weights.h5")
    assert code == 0
    assert lines[0] == "functional.weights.h5: weights without a model"
    assert "array: /layers/dense/vars/0 (5, 4)" in lines
    assert lines[-1] == "151 numbers in 22 arrays"


def unknown(layers=()):
    """Return a chain with a layer that nnlite does not have."""
    own = {
        "class_name": "Mine",
        "module": "evil",
        "registered_name": "evil>Mine",
        "config": {"name": "mine"},
    }
    return sequential([*two_layers(), own, *layers])


def test_a_summary_of_what_cannot_be_loaded_lists_its_layers(said, tmp_path):
    write_keras(tmp_path / "m.keras", unknown())
    code, lines = said("summary", tmp_path / "m.keras")
    assert code == 3
    assert lines[1:5] == [
        "layer: input_1 (InputLayer)",
        "layer: dense (Dense)",
        "layer: dense_1 (Dense)",
        "layer: mine (Mine)",
    ]
    assert "nnlite does not have these parts of the model: layer 'mine' of class Mine" in lines[5]


def test_what_is_left_out_is_a_reservation(said, tmp_path):
    compiled = {"optimizer": "adam", "loss": "a_loss_of_mine"}
    write_keras(tmp_path / "m.keras", sequential(two_layers()), compiled=compiled)
    for command in ("summary", "verify"):
        code, lines = said(command, tmp_path / "m.keras")
        assert code == 1
        assert any(
            line.startswith("left out: left out: ") and "a_loss_of_mine" in line for line in lines
        )


# ---- verify ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*GOOD, "functional.weights.h5"])
def test_nothing_is_wrong_with_a_good_file(said, name):
    code, lines = said("verify", FIXTURES / name)
    assert (code, len(lines), lines[1]) == (0, 2, "Nothing is wrong with it.")


def test_numbers_that_are_not_finite_are_found(said, tmp_path):
    path = shutil.copy(FIXTURES / "functional.weights.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        file["layers/dense/vars/0"][1, :3] = [np.nan, np.inf, -np.inf]
    code, lines = said("verify", path)
    assert code == 1
    assert lines[1:] == [
        "not finite: 3 of the 20 numbers of /layers/dense/vars/0 are NaN or infinite"
    ]


def test_code_and_unknown_classes_are_named_and_not_run(said, tmp_path):
    code = {"class_name": "__lambda__", "config": {"code": "4wAAAA==", "defaults": None}}
    lambda_layer = {"class_name": "Lambda", "config": {"name": "f", "function": code}}
    path = tmp_path / "m.keras"
    write_keras(path, unknown([lambda_layer]))
    said("verify", path)  # what is imported by itself has been
    with nothing_happens(path):
        exit_code, lines = said("verify", path)
    assert exit_code == 3
    assert lines[1:4] == [
        "code: class 'Mine' of module 'evil' is not Keras's, and is never imported",
        "code: layer 'f' is a Lambda, whose function is never run",
        "code: a function as compiled code (__lambda__), which is never run",
    ]
    assert lines[4].startswith("refused: ")
    assert "'mine' of class Mine" in lines[4]


@pytest.mark.parametrize("command", ["summary", "verify"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Received: an empty file"),
        (b"\x80\x04", "a pickle, which is never read"),
        (b"PK\3\4 and no more", "it is not a zip archive, or it is truncated"),
        (b"\x89HDF\r\n\x1a\n", "refused: "),
    ],
)
def test_what_is_no_model_or_damaged_is_refused(said, tmp_path, command, content, message):
    (tmp_path / "m.keras").write_bytes(content)
    code, lines = said(command, tmp_path / "m.keras")
    assert (code, len(lines)) == (3, 1)
    assert message in lines[0]


def test_half_a_file_is_refused(said, tmp_path):
    content = (FIXTURES / "functional.h5").read_bytes()
    (tmp_path / "m.h5").write_bytes(content[: len(content) // 2])
    code, lines = said("verify", tmp_path / "m.h5")
    assert (code, lines[-1].startswith("refused: ")) == (3, True)
    assert said("verify", tmp_path / "none.h5")[1] == [
        f"refused: {tmp_path / 'none.h5'}: No such file or directory"
    ]


@pytest.mark.parametrize("config", [3, "text", [], {}, {"class_name": "A", "config": 1}])
def test_a_configuration_of_any_form_is_refused_by_a_sentence(said, tmp_path, config):
    write_h5(tmp_path / "m.h5", sequential(two_layers()))
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file.attrs["model_config"] = json.dumps(config)
    for command in ("summary", "verify"):
        code, lines = said(command, tmp_path / "m.h5")
        assert (code, lines[-1].startswith("refused: ")) == (3, True)


def test_what_a_file_says_cannot_steer_the_terminal_or_forge_a_line(said, tmp_path):
    name = "a\x1b[2J\nNothing is wrong with it.\udcff\x9b\u202e"
    write_keras(tmp_path / "m.keras", unknown([{"class_name": name, "config": {"name": name}}]))
    for command in ("summary", "verify"):
        _, lines = said(command, tmp_path / "m.keras")
        assert "Nothing is wrong with it." not in lines
        assert all(line.isprintable() for line in lines)
    assert r"a\x1b[2J\nNothing is wrong with it.\udcff\x9b\u202e" in " ".join(lines)


def test_a_line_break_in_the_name_of_a_layer_forges_none(said, tmp_path):
    layers = two_layers()
    layers[1]["config"]["name"] = "a\nOptimizer: none"
    write_keras(tmp_path / "m.keras", sequential(layers))
    code, lines = said("summary", tmp_path / "m.keras")
    assert (code, lines[2]) == (0, r"layer: a\nOptimizer: none (Dense)")
    assert lines[-1] == "Not compiled"


def test_of_many_lines_the_first_are_printed(said, tmp_path):
    layers = [dense(f"d_{i}", 2) for i in range(60)]
    write_keras(tmp_path / "m.keras", unknown(layers))
    _, lines = said("summary", tmp_path / "m.keras")
    assert [line for line in lines if line.startswith("layer")][49:] == [
        "layer: d_45 (Dense)",
        "layer: ... and 14 more",
    ]


# ---- convert -----------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["m.keras", "m.h5", "m.weights.h5"])
def test_a_converted_model_is_the_same(said, tmp_path, target):
    path = tmp_path / target
    code, lines = said("convert", FIXTURES / "functional.keras", path)
    assert (code, lines) == (0, [f"{path} is written."])
    model = load_model(FIXTURES / "functional.keras")
    if target == "m.weights.h5":
        again = load_model(FIXTURES / "functional.keras")
        again.set_weights([np.zeros_like(weight) for weight in again.get_weights()])
        again.load_weights(path)
    else:
        again = load_model(path)
    for mine, wanted in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, wanted)
    assert again.optimizer.iterations == 3


def test_what_is_there_stays_unless_asked(said, tmp_path):
    path = tmp_path / "m.h5"
    path.write_text("mine")
    code, lines = said("convert", FIXTURES / "functional.keras", path)
    assert (code, lines) == (
        *(3, [f"refused: {path} exists already. Give --overwrite to replace it"]),
    )
    assert path.read_text() == "mine"
    assert said("convert", "--overwrite", FIXTURES / "functional.keras", path)[0] == 0
    assert load_model(path).built


def test_what_cannot_be_converted_is_refused_and_nothing_written(said, tmp_path, monkeypatch):
    source = FIXTURES / "functional.keras"
    code, lines = said("convert", source, tmp_path / "m.txt")
    assert (code, lines[0].startswith("refused: TARGET must end in .keras, .h5")) == (3, True)
    assert said("convert", FIXTURES / "functional.weights.h5", tmp_path / "m.keras")[0] == 3
    (tmp_path / "file").write_text("")
    assert said("convert", source, tmp_path / "file" / "m.keras")[0] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_onnx_is_what_the_models_export_makes(said, tmp_path):
    source, path = FIXTURES / "functional.keras", tmp_path / "m.onnx"
    assert said("convert", source, path) == (0, [f"{path} is written."])
    load_model(source).export(tmp_path / "other.onnx")
    assert path.read_bytes() == (tmp_path / "other.onnx").read_bytes()


def test_a_refusal_of_several_lines_is_one(said, tmp_path):
    model = Sequential([Input((1,), dtype="string"), Hashing(3, name="bins"), Embedding(3, 2)])
    model.save(tmp_path / "m.keras")
    reason = "These layers have no form in ONNX: 'bins' (Hashing): class Hashing is"
    code, (line,) = said("convert", tmp_path / "m.keras", tmp_path / "m.onnx")
    assert (code, reason in line) == (3, True)


def test_what_a_conversion_leaves_out_is_said(said, tmp_path):
    compiled = {"optimizer": "adam", "loss": "a_loss_of_mine"}
    write_keras(tmp_path / "m.keras", sequential(two_layers()), compiled=compiled)
    code, lines = said("convert", tmp_path / "m.keras", tmp_path / "m.h5")
    assert (code, lines[-1]) == (1, f"{tmp_path / 'm.h5'} is written.")
    assert lines[0].startswith("left out: left out: ")

"""TensorBoard: what is in its files, read back by this file's own reader and by TensorBoard."""

import re
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
from helpers import SERIES, TARGETS, small

from nnlite import Model
from nnlite.callbacks import BackupAndRestore, LambdaCallback, TensorBoard
from nnlite.callbacks.tensorboard import _masked
from nnlite.layers import Dense

X, Y = SERIES, TARGETS


def fields(data):
    """Return the fields of a protobuf message as (number, value)."""
    found, at = [], 0

    def varint():
        nonlocal at
        number = shift = 0
        while True:
            at += 1
            number |= (data[at - 1] & 127) << shift
            shift += 7
            if data[at - 1] < 128:
                return number

    while at < len(data):
        number, kind = divmod(varint(), 8)
        if kind == 0:
            found.append((number, varint()))
            continue
        size = 8 if kind == 1 else varint()
        found.append((number, data[at : at + size]))
        at += size
    return found


def events(path):
    """Yield the events of a file as (step, tag, plugin, tensor's content)."""
    data = path.read_bytes()
    while data:
        (size,) = struct.unpack("<Q", data[:8])
        event, data = data[12 : 12 + size], data[16 + size :]
        event = dict(fields(event))
        if 3 in event:
            assert event[3] == b"brain.Event:2"
            continue
        value = dict(fields(dict(fields(event[5]))[1]))
        metadata, tensor = dict(fields(value[9])), dict(fields(value[8]))
        plugin = dict(fields(metadata[1]))[1].decode()
        yield event[2], value[1].decode(), plugin, tensor.get(4) or tensor[8]


def numbers(folder):
    """Return the tags of a folder's files with their {step: value}."""
    found = {}
    for path in sorted(folder.iterdir()):
        for step, tag, plugin, content in events(path):
            if plugin == "scalars":
                assert step not in found.setdefault(tag, {})
                (found[tag][step],) = struct.unpack("<f", content)
    return found


def assert_values(found, wanted):
    assert list(found) == list(wanted)
    for tag, values in wanted.items():
        assert found[tag] == pytest.approx(values, rel=1e-6, nan_ok=True), tag


def test_epochs_are_written_with_the_tags_of_keras(tmp_path):
    model = small(metrics=["mae"])
    board = TensorBoard(tmp_path / "new" / "logs")
    history = model.fit(X, Y, 5, 2, 0, [board], validation_data=(X, Y)).history
    tags = {"epoch_loss": "loss", "epoch_mae": "mae"}
    train = {tag: dict(enumerate(history[name])) for tag, name in tags.items()}
    folder = tmp_path / "new" / "logs"
    assert_values(numbers(folder / "train"), train | {"epoch_learning_rate": {0: 0.1, 1: 0.1}})
    held = {tag: dict(enumerate(history[f"val_{name}"])) for tag, name in tags.items()}
    steps = {
        f"evaluation_{name}_vs_iterations": dict(zip((5, 10), history[f"val_{name}"], strict=True))
        for name in tags.values()
    }
    assert_values(numbers(folder / "validation"), steps | held)


@pytest.mark.parametrize(("freq", "steps"), [("batch", range(1, 11)), (3, (3, 6, 9))])
def test_batches_are_counted_over_the_epochs_of_a_run(tmp_path, freq, steps):
    model, means = small(), {}

    def note(batch, logs):
        means[len(means) + 1] = logs["loss"]

    board = TensorBoard(tmp_path, update_freq=freq, write_steps_per_second=True)
    for run in range(2):
        means.clear()
        model.fit(X, Y, 5, 2, 0, [board, LambdaCallback(on_train_batch_end=note)])
        path = sorted((tmp_path / "train").iterdir())[run]
        found = {}
        for step, tag, plugin, content in events(path):
            if plugin == "scalars":
                found.setdefault(tag, {})[step] = struct.unpack("<f", content)[0]
        assert found["batch_loss"] == pytest.approx({step: means[step] for step in steps})
        assert [*found["batch_steps_per_second"]] == [*steps]
        assert all(speed > 0 for speed in found["epoch_steps_per_second"].values())
    assert board.update_freq == (1 if freq == "batch" else 3)


def test_the_speed_is_batches_a_second(tmp_path, monkeypatch):
    clock = iter(range(1000))
    board = TensorBoard(tmp_path, write_steps_per_second=True)
    monkeypatch.setattr("nnlite.callbacks.tensorboard.time.time", lambda: next(clock) / 2)
    assert board._speed(12, (2, -5.0)) == {"steps_per_second": 2.0}


def test_values_are_float32_nan_too_and_of_several_each_has_a_tag(tmp_path):
    def say(epoch, logs):
        logs.update({"nan": np.nan, "big": 1e300, "two": np.array([[1, 2]]), "yes": True})

    model = small()
    model.fit(X, Y, verbose=0, callbacks=[LambdaCallback(on_epoch_end=say), TensorBoard(tmp_path)])
    found = numbers(tmp_path / "train")
    wanted = {"nan": np.nan, "big": np.inf, "two_0_0": 1, "two_0_1": 2, "yes": 1}
    del found["epoch_loss"], found["epoch_learning_rate"]
    assert_values(found, {f"epoch_{name}": {0: value} for name, value in wanted.items()})

    with pytest.raises(ValueError, match=r"logs\['text'\] must hold real numbers"):
        model.fit(
            *(X, Y, 32, 1, 0),
            [LambdaCallback(on_epoch_end=lambda _, logs: logs.update(text="a")), board(tmp_path)],
        )


def board(folder, **options):
    return TensorBoard(folder, **options)


def test_the_graph_is_the_models_configuration(tmp_path):
    model = small()
    model.fit(X, Y, verbose=0, callbacks=[board(tmp_path / "a")])
    model.fit(X, Y, verbose=0, callbacks=[board(tmp_path / "b", write_graph=False)])
    (path,) = (tmp_path / "a" / "train").iterdir()
    assert next(iter(events(path))) == (
        *(0, "keras", "graph_keras_model"),
        model.to_json().encode(),
    )
    (path,) = (tmp_path / "b" / "train").iterdir()
    assert {plugin for _, _, plugin, _ in events(path)} == {"scalars"}


def test_a_model_that_is_not_layers_or_cannot_be_written_has_no_graph(tmp_path):
    class Own(Model):
        def __init__(self):
            super().__init__()
            self.dense = Dense(2)

        def call(self, x):
            return self.dense(x)

    own = Own()
    own.compile("sgd", "mse")
    own.fit(X, Y, verbose=0, callbacks=[board(tmp_path / "own")])
    assert [*numbers(tmp_path / "own" / "train")] == ["epoch_loss", "epoch_learning_rate"]
    model = small()
    model.add(Dense(2, kernel_initializer=lambda shape, dtype=None: np.zeros(shape)))
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="TensorBoard writes no graph: "):
        model.fit(X, Y, verbose=0, callbacks=[board(tmp_path / "none")])
    assert [*numbers(tmp_path / "none" / "train")] == ["epoch_loss", "epoch_learning_rate"]


def test_an_evaluation_alone_is_written_by_the_steps_of_training(tmp_path):
    model = small()
    model.fit(X, Y, 11, 3, 0)
    loss = model.evaluate(X, Y, verbose=0, callbacks=[board(tmp_path)])
    assert_values(numbers(tmp_path / "validation"), {"evaluation_loss_vs_iterations": {6: loss}})


def test_files_are_named_as_tensorflow_names_them_and_closed(tmp_path):
    model, log = small(), board(tmp_path)
    for _ in range(2):
        model.fit(X, Y, verbose=0, callbacks=[log])
    names = [path.name for path in (tmp_path / "train").iterdir()]
    assert len(names) == 2
    for name in names:
        assert re.fullmatch(r"events\.out\.tfevents\.\d{10}\.[^/]+\.\d+\.\d+\.v2", name)


def test_a_run_that_is_taken_up_goes_on_with_its_file(tmp_path):
    """As if it had never been killed, and what was half written is dropped."""

    def fail(epoch, logs):
        if epoch == 2:
            raise KeyError("boom")

    def callbacks(name, *more):
        log = board(tmp_path / name, update_freq=2)
        return [log, *more, BackupAndRestore(tmp_path / f"{name}-backup")]

    whole = small()
    whole.fit(X, Y, 5, 4, 0, callbacks("whole"), validation_data=(X, Y))
    bomb = LambdaCallback(on_epoch_end=fail)
    with pytest.raises(KeyError, match="boom"):
        small().fit(X, Y, 5, 4, 0, callbacks("cut", bomb), validation_data=(X, Y))
    (path,) = (tmp_path / "cut" / "train").iterdir()
    with path.open("ab") as file:
        file.write(b"\x30\0\0\0\0half a record")
    idle = LambdaCallback()
    small().fit(X, Y, 5, 4, 0, callbacks("cut", idle), validation_data=(X, Y))
    for folder in ("train", "validation"):
        assert len([*(tmp_path / "cut" / folder).iterdir()]) == 1
        wanted = numbers(tmp_path / "whole" / folder)
        assert_values(numbers(tmp_path / "cut" / folder), wanted)


def test_a_file_that_has_gone_meanwhile_is_begun_anew(tmp_path):
    def remove(epoch, logs):
        if epoch == 1:
            shutil.rmtree(tmp_path / "logs" / "train")
            (tmp_path / "logs" / "train").mkdir()

    log = board(tmp_path / "logs")
    small().fit(X, Y, epochs=2, verbose=0, callbacks=[LambdaCallback(on_epoch_begin=remove), log])
    assert [*numbers(tmp_path / "logs" / "train")["epoch_loss"]] == [1]


def test_a_folder_that_cannot_be_made_is_an_error_before_training(tmp_path):
    (tmp_path / "logs").write_text("a file")
    begun = LambdaCallback(on_epoch_begin=lambda epoch, logs: pytest.fail("an epoch began"))
    with pytest.raises(OSError, match=r"write elsewhere: .*logs"):
        small().fit(X, Y, verbose=0, callbacks=[begun, board(tmp_path / "logs")])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"histogram_freq": 1}, "needs histogram_freq=0. Received: histogram_freq=1"),
        ({"write_images": True}, "write_images=True"),
        ({"profile_batch": (1, 2)}, r"profile_batch=\(1, 2\)"),
        ({"embeddings_freq": 1}, "embeddings_freq=1"),
        ({"embeddings_metadata": {"a": "b"}}, "embeddings_metadata={'a': 'b'}"),
        ({"update_freq": 0}, "update_freq must be 'epoch' or a number .*Received: update_freq=0"),
        ({"write_graph": "no"}, "write_graph must be True or False"),
    ],
)
def test_what_is_not_written_is_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        TensorBoard("logs", **arguments)


def test_the_checksum_is_that_of_rfc_3720():
    """Its example, 32 bytes of zeros, has the CRC-32C 8a9136aa; the mask is TensorFlow's."""
    (masked,) = struct.unpack("<I", _masked(bytes(32)))
    rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
    assert ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF == 0x8A9136AA


READER = """
import json, sys
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugins.graph.keras_util import keras_model_to_graph_def
from tensorboard.util.tensor_util import make_ndarray

found = {}
for folder in ("train", "validation"):
    events = EventAccumulator(f"{sys.argv[1]}/{folder}")
    events.Reload()
    for tag in events.PluginTagToContent("scalars"):
        tensors = {event.step: make_ndarray(event.tensor_proto) for event in events.Tensors(tag)}
        found[f"{folder}/{tag}"] = {step: float(tensor) for step, tensor in tensors.items()}
    if folder == "train":
        (graph,) = events.Tensors("keras")
        graph = keras_model_to_graph_def(json.loads(graph.tensor_proto.string_val[0]))
print(json.dumps([found, [node.name for node in graph.node]]))
"""


@pytest.mark.slow
def test_tensorboard_reads_the_files(tmp_path):
    """In an environment of its own: TensorBoard brings a dozen packages along."""
    import json

    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    install = [python, "-m", "pip", "install", "-q", "tensorboard>=2.16"]
    if subprocess.run(install, capture_output=True, check=False).returncode:
        pytest.skip("tensorboard cannot be installed")
    log = board(tmp_path / "logs", update_freq=2)
    small().fit(X, Y, 5, 3, 0, [log], validation_data=(X, Y))
    command = [python, "-c", READER, tmp_path / "logs"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    found, graph = json.loads(run.stdout.splitlines()[-1])
    wanted = {
        f"{folder}/{tag}": {str(step): value for step, value in values.items()}
        for folder in ("train", "validation")
        for tag, values in numbers(tmp_path / "logs" / folder).items()
    }
    assert found == wanted
    assert [name.rpartition("/")[2] for name in graph][-1].startswith("dense")

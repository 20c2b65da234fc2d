"""TensorBoard: the course of a run in the files that the program of that name draws."""

from __future__ import annotations

import functools
import itertools
import os
import struct
import time
import warnings

import numpy as np

from nnlite.callbacks.callback import Logs
from nnlite.callbacks.saving_callback import SavingCallback
from nnlite.execution.abstract_model import AbstractModel
from nnlite.utils.atomic_write import append_whole, explaining
from nnlite.utils.protobuf import message
from nnlite.utils.validation import as_numeric, check_flag, check_path

_COUNT = itertools.count()  # of this process's files, for their names


class TensorBoard(SavingCallback):
    """Writes loss, metrics and learning rate for ``tensorboard --logdir``.

    The folders ``train`` and ``validation`` of ``log_dir`` get one file a run each, in TensorFlow's
    format and with Keras's tags: ``epoch_loss``, ``epoch_learning_rate``, ... by epoch,
    ``batch_loss``, ... by batch and ``evaluation_loss_vs_iterations``, ... by step. Of a metric
    with several values, each has a tag with its index, such as ``epoch_f1_score_0``. A file is open
    only while it is written. A run that `BackupAndRestore` takes up goes on with its own files.

    Args:
        log_dir: The folder, which is made if need be.
        histogram_freq: 0; histograms are not written.
        write_graph: Whether to write the model's configuration, which is shown as a graph.
        write_images: False; images of weights are not written.
        write_steps_per_second: Whether to write how many batches were done in a second.
        update_freq: ``"epoch"``, or after how many batches to write the means of the epoch so far
            too; ``"batch"`` is 1.
        profile_batch: 0; steps are not profiled.
        embeddings_freq: 0; embeddings are not written.
        embeddings_metadata: None; embeddings are not written.

    Raises:
        ValueError: If an argument is none of the above; in training, if the logs hold what is not
            a number.
        OSError: In training, if a file cannot be written; the message says what to do.

    >>> import tempfile
    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense
    >>> model = Sequential([Dense(1)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = model.fit(np.ones((4, 2)), np.ones(4), verbose=0, callbacks=[TensorBoard(folder)])
    ...     print(os.listdir(folder), os.listdir(f"{folder}/train")[0][:20])
    ['train'] events.out.tfevents.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: None = None,
    ) -> None:
        super().__init__(1 if update_freq == "batch" else update_freq, "raise", "update_freq")
        refused = {"histogram_freq": histogram_freq, "write_images": write_images}
        refused |= {"profile_batch": profile_batch, "embeddings_freq": embeddings_freq}
        for name, value in (refused | {"embeddings_metadata": embeddings_metadata}).items():
            if value:
                raise ValueError(f"TensorBoard here needs {name}=0. Received: {name}={value!r}")
        self.log_dir = check_path("log_dir", log_dir)
        self.write_graph = check_flag("write_graph", write_graph)
        self.write_steps_per_second = check_flag("write_steps_per_second", write_steps_per_second)
        self.update_freq = self.save_freq

    def set_model(self, model: AbstractModel) -> None:
        """Take the model, and begin new files."""
        super().set_model(model)
        self._files: dict[str, tuple[str, int]] = {}  # each folder's file, and where it ends
        self._before = self._batches = 0  # all batches before the epoch; those since the last write
        self._last_batch = -1
        self._epoch_began = self._batch_began = (
            0,
            0.0,
        )  # count and time; the batches' is their last write's

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """See that the folder can be written."""
        with explaining(self.log_dir):
            os.makedirs(os.path.join(self.log_dir, "train"), exist_ok=True)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Note when the epoch begins."""
        self._epoch_began = (self.model.optimizer.iterations, time.time())
        self._batch_began = (0, time.time())

    def _save_after_batch(self, batch: int, logs: Logs) -> None:
        values = self._speed(batch + 1, self._batch_began) | logs
        self._batch_began = (batch + 1, time.time())
        self._write("train", "batch_{}", self._before + batch + 1, values)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the epoch's values."""
        optimizer, logs = self.model.optimizer, logs or {}
        self._before, self._last_batch = self._before + self._last_batch + 1, -1
        train = {name: value for name, value in logs.items() if not name.startswith("val_")}
        train |= {"learning_rate": optimizer.learning_rate}
        train |= self._speed(optimizer.iterations, self._epoch_began)
        self._write("train", "epoch_{}", epoch, train)
        held = {name[4:]: value for name, value in logs.items() if name.startswith("val_")}
        self._write("validation", "epoch_{}", epoch, held)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Write the values of an evaluation, by the number of steps that the model has taken."""
        if self.model.optimizer is not None:
            step = self.model.optimizer.iterations
            self._write("validation", "evaluation_{}_vs_iterations", step, logs or {})

    def _speed(self, done: int, began: tuple[int, float]) -> Logs:
        """Return the batches a second since a beginning, given by their count and the time."""
        speed = (done - began[0]) / max(time.time() - began[1], 1e-9)
        return {"steps_per_second": speed} if self.write_steps_per_second else {}

    def _write(self, folder: str, tag: str, step: int, values: Logs) -> None:
        """Write values at the end of a folder's file, each as an event."""
        events = b""
        for name, value in values.items():
            for index, number in np.ndenumerate(as_numeric(f"logs[{name!r}]", value)):
                with np.errstate(over="ignore", under="ignore"):
                    data = np.asarray(number, "<f4").tobytes()
                full = "_".join([tag.format(name), *map(str, index)])
                events += _event(step, full, "scalars", b"", 1, message(_4=data))
        if events:
            path, end = self._files.get(folder) or (self._new_file(folder), 0)
            end = append_whole(path, end, lambda end: (b"" if end else self._head(folder)) + events)
            self._files[folder] = (path, end)

    def _new_file(self, folder: str) -> str:
        """Return the path of a file that is not there yet, with a name as TensorFlow gives it."""
        import platform

        place = os.path.join(self.log_dir, folder)
        with explaining(place):
            os.makedirs(place, exist_ok=True)
        name = f"{int(time.time()):010d}.{platform.node()}.{os.getpid()}.{next(_COUNT)}.v2"
        return os.path.join(place, f"events.out.tfevents.{name}")

    def _head(self, folder: str) -> bytes:
        """Return what a file begins with: the format's version, and that of training the model."""
        head = _record(message(_3="brain.Event:2"))
        if folder == "train" and self.write_graph and not self.model.of_user:
            try:
                text = message(_8=self.model.to_json())
            except (TypeError, ValueError) as error:
                warnings.warn(f"TensorBoard writes no graph: {error}", stacklevel=2)
            else:
                head += _event(0, "keras", "graph_keras_model", b"1", 7, text)
        return head


# ---- TensorFlow's event.proto, summary.proto and tensor.proto, in protobuf's encoding ----------


def _event(step: int, tag: str, plugin: str, content: bytes, dtype: int, data: bytes) -> bytes:
    """Return the record of a tensor without axes: a step, a tag, and what is to show it."""
    metadata = message(_1=message(_1=plugin, _2=content), _4=dtype == 1)
    tensor = message(_1=dtype, _2=b"") + data
    value = message(_1=tag, _9=metadata, _8=tensor)
    return _record(message(_2=step, _5=message(_1=value)))


def _record(event: bytes) -> bytes:
    """Return an event with its time in TensorFlow's frame: length, checksum, data, checksum."""
    data = b"\x09" + struct.pack("<d", time.time()) + event
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


#: The CRC-32C of each byte: the polynomial's bits from low to high are 0x82F63B78.
_TABLE: list[int] = functools.reduce(
    lambda crc, _: crc >> 1 ^ 0x82F63B78 * (crc & 1), range(8), np.arange(256)
).tolist()


def _masked(data: bytes) -> bytes:
    """Return the CRC-32C of data (RFC 3720, B.4), rotated and shifted as TensorFlow stores it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

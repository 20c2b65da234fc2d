"""Tell cats from other pictures: two networks of the course "Neural Networks and Deep Learning".

    python cats.py FOLDER [--model two-layer|five-layer|both] [--iterations N] [--plot FILE]

FOLDER holds that course's train_catvnoncat.h5 and test_catvnoncat.h5: 209 and 50 pictures of 64 by
64 pixels in three colours. Both networks compute in float64, begin with the course's own weights
and follow plain gradient descent over all pictures at once, so that the costs printed here can be
compared with those that the course's many readers have published.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from nnlite import Input, Sequential
from nnlite.callbacks import Callback
from nnlite.layers import Dense
from nnlite.losses import BinaryCrossEntropy
from nnlite.optimizers import SGD

Array = NDArray[np.float64]

FEATURES = 64 * 64 * 3

#: The units of each layer, and how large the first weights are: W has shape (units, inputs).
MODELS = {
    "two-layer": ((7, 1), lambda W: W * 0.01),
    "five-layer": ((20, 7, 5, 1), lambda W: W / np.sqrt(W.shape[1])),
}


def load(folder: str | Path, part: str) -> tuple[Array, NDArray[Any]]:
    """Return the pictures and labels of one part of the data.

    Args:
        folder: Where the two HDF5 files are.
        part: ``"train"`` or ``"test"``.

    Returns:
        Pictures of shape (m, 12288), each pixel in [0, 1], and labels of shape (m,), 1 for a cat.

    Raises:
        OSError: If the file is missing or is not HDF5.
        ValueError: If the file lacks a data set, or one has another shape.
    """
    path = Path(folder) / f"{part}_catvnoncat.h5"
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    names = (f"{part}_set_x", f"{part}_set_y")
    with h5py.File(path) as file:
        missing = [name for name in names if not isinstance(file.get(name), h5py.Dataset)]
        if missing:
            raise ValueError(f"{path} lacks {', '.join(missing)}. It has: {', '.join(file)}")
        pictures, labels = (file[name][()] for name in names)
    if pictures.shape != (len(labels), 64, 64, 3) or labels.ndim != 1:
        raise ValueError(
            f"{path} must hold pictures of shape (m, 64, 64, 3) and m labels. "
            f"Received: {pictures.shape} and {labels.shape}"
        )
    return pictures.reshape(-1, FEATURES) / 255, labels


def build(name: str) -> Sequential:
    """Return an untrained network with the course's first weights; ``name`` is one of `MODELS`."""
    units, scale = MODELS[name]
    # The old generator: the one that the published costs come from.
    random = np.random.RandomState(1)

    def kernel(shape: tuple[int, int], dtype: Any = None) -> Array:
        return scale(random.randn(*reversed(shape))).T

    def dense(units: int, activation: str) -> Dense:
        return Dense(units, activation, kernel_initializer=kernel, dtype="float64")

    *hidden, last = units
    model = Sequential([Input((FEATURES,)), *(dense(n, "relu") for n in hidden)], name=name)
    model.add(dense(last, "sigmoid"))
    model.compile(SGD(0.0075), BinaryCrossEntropy(), metrics=["accuracy"])
    return model


class CostBar(Callback):
    """A progress bar over the iterations, with a line for the cost of every hundredth."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Open the bar."""
        self.bar = tqdm(total=self.params["epochs"], desc=self.model.name, unit="it")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Move the bar; with the whole data in one batch, an epoch is one iteration."""
        self.bar.update()
        if logs and epoch % 100 == 0:
            self.bar.write(f"cost after iteration {epoch}: {logs['loss']!r}")

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Close the bar."""
        self.bar.close()


def train(model: Sequential, x: Array, y: NDArray[Any], iterations: int = 2500) -> list[float]:
    """Take so many steps of gradient descent, and return the cost before each of them."""
    whole = {"batch_size": len(x), "shuffle": False}
    history = model.fit(x, y, epochs=iterations, verbose=0, callbacks=CostBar(), **whole)
    return history.history["loss"]


def accuracy(model: Sequential, x: Array, y: NDArray[Any]) -> float:
    """Return the share of pictures that are told right: a cat where the output exceeds 0.5."""
    return model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]


def plot(costs: dict[str, list[float]], file: str) -> None:
    """Draw each model's cost over the iterations into an image file."""
    from matplotlib.figure import Figure

    axes = Figure(layout="constrained").subplots()
    for name, values in costs.items():
        axes.plot(values, label=name)
    axes.set(xlabel="iteration", ylabel="cost", yscale="log")
    axes.legend()
    axes.figure.savefig(file)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, and tell how well; the command line is in the module's first lines."""
    parser = argparse.ArgumentParser(description="Train the two cat classifiers of the course.")
    parser.add_argument(
        "folder", help="where train_catvnoncat.h5 and test_catvnoncat.h5 are", metavar="FOLDER"
    )
    parser.add_argument("--model", choices=[*MODELS, "both"], default="both")
    parser.add_argument("--iterations", type=int, default=2500, metavar="N")
    parser.add_argument("--plot", metavar="FILE", help="draw the costs into FILE (matplotlib)")
    options = parser.parse_args(arguments)
    if options.iterations < 1:
        parser.error("--iterations must be at least 1")
    if options.plot and importlib.util.find_spec("matplotlib") is None:
        parser.error("--plot draws with matplotlib: pip install matplotlib")
    try:
        data = {part: load(options.folder, part) for part in ("train", "test")}
    except (OSError, ValueError) as error:
        parser.error(f"cannot read the pictures: {error}")

    costs = {}
    for name in MODELS if options.model == "both" else [options.model]:
        model = build(name)
        costs[name] = train(model, *data["train"], options.iterations)
        scores = ", ".join(f"{accuracy(model, *data[part]):.2f} on {part}" for part in data)
        print(f"{name}: accuracy {scores}")
    if options.plot:
        plot(costs, options.plot)


if __name__ == "__main__":
    main()

"""A film of training: the prediction on a plane after each epoch, as one HTML page."""

from __future__ import annotations

import base64
import json
import os
import zlib
from typing import Any

import numpy as np

from nnlite.callbacks.callback import Callback, Logs
from nnlite.utils.atomic_write import atomic_write
from nnlite.utils.markup import check_path, frame
from nnlite.utils.typing import Array
from nnlite.utils.validation import as_features, as_numeric, check_count, check_finite
from nnlite.visualize.player import player

_POINTS = 400  # about the number of points drawn
_LEVELS = 64  # shades of predictions: eyes do not see more, and they compress well
_MARGIN = 0.08  # of the data's width, on each side


class boundary(Callback):  # noqa: N801  named like a function
    """Films the predictions of a model of two features, epoch by epoch, as an HTML page.

    The page plays in any browser and loads nothing from elsewhere. It shows the prediction over
    the plane of both features, the points in the colours of their targets and the loss. One output
    is one of two classes or a number. Several outputs are classes: each place has the colour of
    the likeliest class, fainter if it is less likely. The first frame shows the model before
    training. Each `fit` begins a new film.

    Args:
        x: The points to draw, shape (samples, 2); usually the training data.
        y: The points' targets: numbers or two classes for a model with one output, else class
            indices or rows of probabilities.
        path: The file, ending in ``.html``; None writes none. Its folder must exist.
        frequency: The number of epochs between frames.
        resolution: The number of cells along each feature.
        frames: The most frames to keep. If there are more, every second one is dropped and the
            epochs between frames double, so that the film of a long training stays small.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If ``x`` does not have two features, ``y`` does not fit ``x``, or a number is
            too small; at the beginning of training, if the model does not fit.
        FileNotFoundError: If the folder does not exist.

    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense
    >>> x = np.random.default_rng(0).normal(size=(50, 2))
    >>> y = x[:, 0] * x[:, 1] > 0
    >>> film = boundary(x, y, path=None, frequency=2)
    >>> model = Sequential([Dense(8, activation="tanh"), Dense(1, activation="sigmoid")])
    >>> history = model.fit(x, y, epochs=5, verbose=0, callbacks=[film])
    >>> film.epochs
    [0, 2, 4, 5]
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        path: str | os.PathLike[str] | None = "boundary.html",
        frequency: int = 1,
        resolution: int = 48,
        frames: int = 60,
    ) -> None:
        self.path = check_path("path", path, ".html")
        self.frequency = check_count("frequency", frequency, 1)
        self.resolution = check_count("resolution", resolution, 2)
        self.frames = check_count("frames", frames, 2)
        self._names = [str(name) for name in getattr(x, "columns", ("x₁", "x₂"))]
        x, y = as_features("x", x), as_numeric("y", y)
        if x.ndim != 2 or x.shape[1] != 2:
            raise ValueError(
                f"x must have two features, shape (samples, 2). Received: shape {x.shape}"
            )
        if y.ndim == 2 and y.shape[1] == 1:
            y = y[:, 0]
        if y.ndim not in (1, 2) or len(y) != len(x):
            raise ValueError(
                f"y must have one target for each of the {len(x)} samples of x. "
                f"Received: shape {y.shape}"
            )
        check_finite("x", x, np.float32)
        check_finite("y", y, np.float32)
        if y.ndim == 2 and not ((y >= 0).all() and np.allclose(y.sum(1), 1, atol=1e-3)):
            raise ValueError(
                "y must hold class indices, or rows of probabilities that sum to 1. "
                f"Received: shape {y.shape}, with other rows"
            )
        self._rows_of = y.shape[1] if y.ndim == 2 else None
        self._x, self._y = x.astype(float), y.argmax(1) if y.ndim == 2 else y.astype(float)
        low, high = self._x.min(0), self._x.max(0)
        margin = _MARGIN * np.where(high > low, high - low, 2.0)
        self._corners = low - margin, high + margin  # of the plane, lower left and upper right
        low, high = float(self._y.min()), float(self._y.max())
        if low in (0, 1) and high in (0, 1):
            low, high = 0.0, 1.0
        self._ends = (low, high) if low < high else (low - 1, high + 1)  # of the colours
        self._forget(1)

    def _forget(self, outputs: int) -> None:
        """Begin a film of a model with that number of outputs."""
        self._outputs, self._every = outputs, self.frequency
        self._frames: list[tuple[int, list[float | None], Array]] = []
        self._last: tuple[int, Logs] = (0, {})

    @property
    def epochs(self) -> list[int]:
        """The number of epochs before each frame."""
        return [epoch for epoch, _, _ in self._frames]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Check the model, and take the frame before training."""
        inputs, outputs = (
            [tensor.shape for tensor in ends] for ends in (self.model.inputs, self.model.outputs)
        )
        if [len(shape) for shape in inputs + outputs] != [2, 2] or inputs[0][1] != 2:
            raise ValueError(
                "boundary draws models with one input of shape (samples, 2) and one output of "
                f"shape (samples, outputs). Received: model {self.model.name!r} with inputs "
                f"{inputs} and outputs {outputs}"
            )
        count = outputs[0][1]
        if count is None or count > _LEVELS:
            raise ValueError(f"boundary draws up to {_LEVELS} classes. Received: {count} outputs")
        if (self._rows_of or count) != count or (
            count > 1 and not np.isin(self._y, np.arange(count)).all()
        ):
            expected = f"classes from 0 to {count - 1}" if count > 1 else "one number per sample"
            received = f"rows of {self._rows_of}" if self._rows_of else f"up to {self._y.max():g}"
            raise ValueError(
                f"Model {self.model.name!r} has {count} output{'s' * (count > 1)}: y must hold "
                f"{expected}. Received: y {received}"
            )
        self._forget(count)
        self._take(0, {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Take a frame, if one is due."""
        if (epoch + 1) % self._every == 0 and len(self._frames) == self.frames:
            self._every *= 2
            self._frames = [taken for taken in self._frames if taken[0] % self._every == 0]
        if (epoch + 1) % self._every == 0:
            self._take(epoch + 1, logs or {})
        self._last = (epoch + 1, dict(logs or {}))

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Take the last frame and write the file."""
        if self._last[0] > self._frames[-1][0]:
            del self._frames[self.frames - 1 :]
            self._take(*self._last)
        if self.path is not None:
            self.save(self.path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page, even if training was interrupted.

        Raises:
            ValueError: If there is no frame yet.
            OSError: If it cannot be written; an existing file stays.
        """
        page = self.html()
        with atomic_write(path) as file:
            file.write(page.encode())

    def _take(self, epoch: int, logs: Logs) -> None:
        """Add a frame."""
        values = [logs.get(name, np.nan) for name in ("loss", "val_loss")]
        losses = [float(f"{value:.5g}") if np.isfinite(value) else None for value in values]
        self._frames.append((epoch, losses, self._image()))

    def _image(self) -> Array:
        """Return the prediction on the grid as bytes, the upper row first."""
        part = (np.arange(self.resolution) + 0.5) / self.resolution
        across, up = (low + part * (high - low) for low, high in zip(*self._corners, strict=True))
        grid = np.stack(np.meshgrid(across, up[::-1]), axis=-1).reshape(-1, 2)
        output = np.asarray(self.model.predict(grid, verbose=0), float)
        logits = getattr(self.model.loss, "from_logits", False)
        with np.errstate(over="ignore"):
            if self._outputs == 1:
                value = 1 / (1 + np.exp(-output[:, 0])) if logits else output[:, 0]
                value = np.nan_to_num((value - self._ends[0]) / (self._ends[1] - self._ends[0]))
                return np.rint((_LEVELS - 1) * np.clip(value, 0, 1)).astype(np.uint8)
            if logits:
                output = np.exp(output - output.max(1, keepdims=True))
                output /= output.sum(1, keepdims=True)
        levels, least = _LEVELS // self._outputs, 1 / self._outputs
        sure = np.clip((np.nan_to_num(output.max(1)) - least) / (1 - least), 0, 1)
        return (output.argmax(1) * levels + np.rint(sure * (levels - 1))).astype(np.uint8)

    def html(self) -> str:
        """Return the page.

        Raises:
            ValueError: If there is no frame yet.
        """
        if not self._frames:
            raise ValueError("There is no frame yet. Give the callback to fit first.")
        epochs, losses, images = zip(*self._frames, strict=True)
        changes = np.diff(np.stack(images), axis=0, prepend=np.uint8(0))  # modulo 256
        chosen = np.unique(np.linspace(0, len(self._x) - 1, _POINTS).astype(int))
        (low, high), ends, targets = self._corners, self._ends, self._y[chosen]
        places = np.rint((self._x[chosen] - low) / (high - low) * 1000).astype(int).tolist()
        if self._outputs == 1:
            targets = np.rint((targets - ends[0]) / (ends[1] - ends[0]) * 100) / 100
        data = {
            "size": self.resolution,
            "classes": self._outputs,
            "levels": _LEVELS,
            "epochs": epochs,
            "losses": losses,
            "points": [[*place, float(t)] for place, t in zip(places, targets, strict=True)],
            "names": self._names,
            "range": [[float(f"{v:.3g}") for v in corner] for corner in (low, high)],
            "ends": [float(f"{end:.3g}") for end in ends],
            "two": len(np.unique(self._y)) <= 2,
            "images": base64.b64encode(zlib.compress(changes.tobytes(), 9)).decode(),
        }
        return player(json.dumps(data, separators=(",", ":"), ensure_ascii=False))

    def _repr_html_(self) -> str:
        return frame(self.html(), 780) if self._frames else "No frame yet"

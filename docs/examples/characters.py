"""A character model: learn a small text letter by letter, and write on from a beginning.

    python docs/examples/characters.py [TEXT_FILE]

Takes about half a minute on two cores. Without a file it learns the docstrings of nnlite's layers,
and foresees two letters of three.
"""

import sys
from pathlib import Path

import numpy as np

import nnlite
from nnlite import Input, Sequential, layers
from nnlite.layers import LSTM, Dense, Embedding
from nnlite.optimizers import Adam

STEPS = 40


def text_to_learn():
    """Return the text of the file named on the command line, or of nnlite's own documentation."""
    if len(sys.argv) > 1:
        return Path(sys.argv[1]).read_text(encoding="utf-8")
    public = [getattr(layers, name) for name in sorted(layers.__all__)]
    classes = [value for value in public if isinstance(value, type)]
    return " ".join(" ".join((one.__doc__ or "").split()) for one in dict.fromkeys(classes))


nnlite.set_random_seed(1)
text = text_to_learn()[:60_000]
letters = sorted(set(text))
number = {letter: i for i, letter in enumerate(letters)}
coded = np.array([number[letter] for letter in text])
windows = np.lib.stride_tricks.sliding_window_view(coded, STEPS + 1)[::3]

model = Sequential(
    [
        Input((None,), dtype="int32"),
        Embedding(len(letters), 16),
        LSTM(96, return_sequences=True),
        Dense(len(letters), "softmax"),
    ]
)
model.compile(Adam(0.005), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(windows[:, :-1], windows[:, 1:], epochs=4, batch_size=64, verbose=2)

random = np.random.default_rng(0)
written = "The layer "
for _ in range(200):
    known = np.array([[number[letter] for letter in written[-STEPS:] if letter in number]])
    p = model.predict(known, verbose=0)[0, -1].astype(float) ** 2  # bolder than it is
    written += letters[random.choice(len(letters), p=p / p.sum())]
print(written)

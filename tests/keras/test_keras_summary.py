"""The facts of a model's summary beside Keras's: names, types, shapes and counts."""

import re

import keras
import numpy as np
import pytest

import nnlite

# Keras's variables are arrays of the kind before NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

OPTIMIZERS = {
    "sgd": lambda o: o.SGD(),
    "momentum": lambda o: o.SGD(momentum=0.9),
    "adam": lambda o: o.Adam(),
    "schedule": lambda o: o.AdamW(o.schedules.CosineDecay(0.1, 10)),
    "amsgrad and averages": lambda o: o.Adam(amsgrad=True, use_ema=True),
    "rmsprop": lambda o: o.RMSprop(centered=True),
    "nadam": lambda o: o.Nadam(),
    "accumulation": lambda o: o.Adagrad(gradient_accumulation_steps=2),
    "none": None,
}
FROZEN = [("first",), ("inner", "deep"), ("inner",)]
RANGES = [None, ("first", "last"), ("inner", "inner"), ("last", "fla.*"), ("i.*", "last")]


def a_model(library, optimizer, frozen):
    layers = library.layers
    inner = [layers.Dense(3, name="deep"), layers.BatchNormalization(name="norm")]
    model = library.Sequential(
        [
            layers.Input((2, 2)),
            layers.Flatten(name="flat"),
            layers.Dense(5, "relu", name="first"),
            library.Sequential(inner, name="inner"),
            layers.Dropout(0.1, name="drop"),
            layers.Dense(2, use_bias=False, name="last"),
        ],
        name="net",
    )
    if frozen:
        layer = model
        for part in frozen:
            layer = layer.get_layer(part)
        layer.trainable = False
    if optimizer is not None:
        model.compile(optimizer(library.optimizers), "mse")
        model.fit(np.zeros((4, 2, 2)), np.zeros((4, 2)), verbose=0)
    return model


def facts(model, **options):
    """Return the cells of the rows, and the counts by their names."""
    shown = []
    model.summary(print_fn=shown.append, line_length=160, **options)
    lines = "\n".join(shown).splitlines()
    rows = [
        [cell.strip(" └") for cell in re.split(r"[│|]", line)[1:-1]]
        for line in lines
        if re.search(r"\(\w+\) *[│|]", line) and "Layer (type)" not in line
    ]
    counts = dict(re.findall(r"(\S+) params: ([\d,]+)", "\n".join(lines)))
    return rows, counts


@pytest.mark.parametrize(
    ("name", "frozen"),
    [*((name, ()) for name in OPTIMIZERS), *((n, f) for n in ("none", "adam") for f in FROZEN)],
)
def test_a_summary_tells_the_same_facts(name, frozen, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    theirs, mine = (a_model(library, OPTIMIZERS[name], frozen) for library in (keras, nnlite))
    for options in (
        {},
        {"show_trainable": True},
        {"expand_nested": True, "show_trainable": True},
        *({"layer_range": names, "expand_nested": True} for names in RANGES),
    ):
        assert facts(mine, **options) == facts(theirs, **options)

"""Whole models in files of every kind, damaged in their bytes or changed in their configuration.

``python -m saving.model_damage KIND FIRST LAST STEP`` loads every STEP-th of the copies number
FIRST to LAST of the files of a kind in turn, each within a second and all with at most 100 MB of
memory beyond what the imports take, and prints how many were read and how many refused.
"""

import copy
import io
import json
import math
import random
import signal
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np

from nnlite import Model, Sequential, layers, set_random_seed
from nnlite.layers import BatchNormalization, Dense, Dropout, Input
from nnlite.models import load_model, model_from_json

from .damage import damaged
from .limits import limit_memory
from .old_files import TWO_GROUPS, kernel_and_bias, sequential, two_layers, write_h5

DATA = Path(__file__).parent.parent / "fixtures"
SECONDS = 1.0  # of computing, whatever else the machine does


# ---- good files ----------------------------------------------------------------------------


def trained(optimizer="adam"):
    """Return a nested model that was trained for a few steps."""
    set_random_seed(1)
    inner = Sequential([Input((3,)), Dense(3, activation="elu"), BatchNormalization()], name="in")
    model = Sequential([Input((4,)), Dense(3), inner, Dropout(0.1), Dense(2)])
    model.compile(optimizer, "mse", metrics=["mae"])
    rng = np.random.default_rng(1)
    model.fit(rng.normal(size=(8, 4)), rng.normal(size=(8, 2)), epochs=1, verbose=0)
    return model


def mixed():
    """Return a model of embedding, recurrent, attention and convolution layers."""
    set_random_seed(1)
    words = Input((4,), dtype="int32", name="words")
    x = layers.Embedding(3, 2, mask_zero=True, name="embedding")(words)
    x = layers.Bidirectional(layers.LSTM(1, return_sequences=True), name="both")(x)
    x = layers.Add(name="sum")([x, layers.MultiHeadAttention(1, 2, name="attention")(x, x)])
    x = layers.GRU(2, name="gru")(layers.TimeDistributed(Dense(2), name="each")(x))
    y = layers.Conv1D(2, 2, name="conv")(layers.Embedding(3, 2, name="whole")(words))
    y = layers.GlobalMaxPooling1D(name="most")(layers.MaxPooling1D(2, name="pool")(y))
    model = Model(words, Dense(2, name="last")(layers.Concatenate(name="join")([x, y])))
    model.compile("adam", "mse")
    model.train_on_batch(np.array([[1, 2, 0, 1]]), np.ones((1, 2)))
    return model


def with_masks(text):
    """Return the configuration of `mixed` with its masks as Keras writes them."""
    config = json.loads(text)
    parts = {layer["name"]: layer for layer in config["config"]["layers"]}

    def tensor(name):
        inner = {"shape": [None, 4], "dtype": "int32", "keras_history": [name, 0, 0]}
        return {"class_name": "__keras_tensor__", "config": inner}

    operations = [
        {"module": "keras.src.ops.numpy", "class_name": class_name, "name": name,
         "config": {"name": name}, "registered_name": class_name,
         "inbound_nodes": [{"args": args, "kwargs": {}}]}
        for class_name, name, args in [
            ("NotEqual", "other", [tensor("words"), 0]),
            ("LogicalOr", "either", [tensor("other"), tensor("other")]),
        ]
    ]  # fmt: skip
    config["config"]["layers"][1:1] = operations
    for name, mask in [("both", "other"), ("each", "either"), ("gru", "either")]:
        parts[name]["inbound_nodes"][0]["kwargs"]["mask"] = tensor(mask)
    return json.dumps(config)


def saved(model, name):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        (model.save_weights if name.endswith("weights.h5") else model.save)(str(path))
        return path.read_bytes()


def of_keras_2():
    """Return a whole-model file as of Keras 2, with the state of its Adam."""
    state = [("Adam/iter:0", np.int64(3))] + [
        (f"Adam/{name}/{slot}:0", array * 0 + 1)
        for slot in ("m", "v")
        for layer in range(2)
        for name, array in kernel_and_bias("dense", layer)[1]
    ]
    state = [(f"{number}/{name}", array) for number, (name, array) in enumerate(state)]
    settings = {"optimizer_config": {"class_name": "Adam", "config": {"lr": 0.01}}, "loss": "mse"}
    return in_file(write_h5, sequential(two_layers()), training=settings, state=state)


def in_file(write, *arguments, **options):
    with tempfile.TemporaryDirectory() as folder:
        return Path(write(Path(folder) / "file", *arguments, **options)).read_bytes()


def rezipped(data, change=lambda name, member: member, method=zipfile.ZIP_STORED):
    """Return an archive with its members changed and its checksums right."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return stream.getvalue()


def good_files():
    """Return name -> bytes of good files of every kind."""
    stored = ("sequential.keras", "sequential.h5", "sequential.weights.h5", "functional.keras",
              "functional.h5", "functional.weights.h5")  # fmt: skip
    files = {name: (DATA / name).read_bytes() for name in stored}
    files |= {
        f"nested.{end}": saved(trained(), f"m.{end}") for end in ("keras", "weights.h5", "h5")
    }
    files |= {f"mixed.{end}": saved(mixed(), f"m.{end}") for end in ("keras", "weights.h5", "h5")}
    files["mixed.keras"] = rezipped(
        files["mixed.keras"],
        lambda name, old: with_masks(old) if name == "config.json" else old,
    )
    files["deflated.keras"] = rezipped(files["sequential.keras"], method=zipfile.ZIP_DEFLATED)
    files["keras2.h5"] = of_keras_2()
    files["keras2.weights.h5"] = in_file(write_h5, groups=TWO_GROUPS, whole=False)
    return files


# ---- damage --------------------------------------------------------------------------------


def damaged_file(data, seed):
    """Return a damaged copy; half of those of an archive are damaged within a member."""
    draw = random.Random(seed)
    swap = draw.random() < 0.15
    if data[:2] == b"PK" and draw.random() < 0.5:
        target = draw.choice(["config.json", "model.weights.h5"])
        hit = swapped if swap else damaged
        return rezipped(data, lambda name, old: hit(old, seed) if name == target else old)
    return swapped(data, seed) if swap else damaged(data, seed)


def swapped(data, seed):
    """Return a copy in which two stretches of bytes have changed places."""
    draw = random.Random(seed)
    size = draw.choice([1, 2, 8, 64])
    one, two = sorted(draw.randrange(len(data) - size) for _ in range(2))
    two = max(two, one + size)
    gap = data[one + size : two]
    return data[:one] + data[two : two + size] + gap + data[one : one + size] + data[two + size :]


ODD = [
    None, True, False, 0, -1, 1, 2, 2.5, math.nan, math.inf, -math.inf, 10**15, -(10**15), 2**63,
    10**300, 1e308, 5e-324, "", "x" * 10_000, "relu", "mse", "adam", "float64", "Sequential", "\0",
    "../../x", [], {}, [[]], [None], [None, 4], [1] * 1_000, {"class_name": "Dense", "config": {}},
    {"class_name": "function", "config": "relu", "module": "builtins", "registered_name": None},
    {"class_name": "__tuple__", "items": [1]}, {"class_name": [], "config": 0},
]  # fmt: skip


def places(value, path=()):
    """Return the paths of all that is within a value."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    return [found for key in keys for found in [(*path, key), *places(value[key], (*path, key))]]


def at(value, path):
    for key in path:
        value = value[key]
    return value


def changed_config(config, seed):
    """Return a configuration with one to four random changes of its structure."""
    draw = random.Random(seed)
    config = copy.deepcopy(config)
    for _ in range(draw.choice([1, 1, 2, 4])):
        found = places(config)
        if not found:
            break
        path, other = draw.choice(found), draw.choice(found)
        holder, key, value = at(config, path[:-1]), path[-1], at(config, path)
        kind = draw.randrange(8)
        if kind == 0:
            del holder[key]
        elif kind == 1:  # swap two, unless one is within the other
            if path[: len(other)] != other and other[: len(path)] != path:
                holder[key], at(config, other[:-1])[other[-1]] = at(config, other), value
        elif kind == 2:
            holder[key] = copy.deepcopy(at(config, other))
        elif kind == 3:
            for _ in range(draw.choice([1, 20])):
                value = [value] if draw.random() < 0.5 else {"class_name": "X", "config": value}
            holder[key] = value
        elif kind == 4 and isinstance(holder, dict):
            holder[draw.choice(["name", "class_name", "config", "x", "layers"])] = holder.pop(key)
        elif kind == 5 and isinstance(holder, list):
            holder.insert(draw.randrange(len(holder) + 1), copy.deepcopy(value))
        else:
            holder[key] = copy.deepcopy(draw.choice(ODD))
    return config


# ---- reading -------------------------------------------------------------------------------


class TooSlow(BaseException):
    """A file took more than its time."""


def bounded(call):
    """Return what a call returns, or None if it raises a ValueError; any other end is a fault."""

    def stop(number, frame):
        raise TooSlow

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()
    except ValueError as error:
        if len(str(error)) > 25_000:
            raise AssertionError("a message without end") from error
        return None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@np.errstate(all="ignore")  # of a variance below zero, say, which repr() takes the root of too
def predicts(model):
    """Check that a model gives predictions of the shape that it says."""
    sizes = [2, *(size or 4 for size in model.input_shape[1:])]  # steps for a window
    out = [2, *(size or 1 for size in model.output_shape[1:])]
    widest = max(math.prod(sizes), math.prod(out), *(len(str(s)) for s in [model.layers]))
    if widest > 100_000 or model.input_shape[0] not in (None, 2):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            y = model.predict(np.ones(sizes), verbose=0)
        except ValueError:
            # Damage to a number is not seen, but what comes of one that is none may be refused.
            assert not all(np.isfinite(weight).all() for weight in model.get_weights())
            return
    assert y.ndim == len(model.output_shape)
    assert all(size in (None, have) for size, have in zip(model.output_shape, y.shape, strict=True))


def loads(path, data, name):
    """Return whether damaged bytes were read, as the kind of file that ``name`` says."""
    Path(path).write_bytes(data)
    if name.endswith("weights.h5"):
        model = weightless(name)
        before = model.get_weights()
        read = bounded(lambda: model.load_weights(path) or model)
        if read is None:
            for was, now in zip(before, model.get_weights(), strict=True):
                np.testing.assert_array_equal(now, was, "changed by a refused file")
    else:
        read = bounded(lambda: load_model(path))
    if read is not None:
        predicts(read)
    return read is not None


def weightless(name, made={}):  # noqa: B006  made once
    """Return the model that a file of weights fits."""
    kind = name.split(".")[0]
    if kind not in made:
        text = json.dumps(sequential(two_layers()))
        make = {"nested": trained, "mixed": mixed, "keras2": lambda: model_from_json(text)}
        made[kind] = make.get(kind, lambda: load_model(DATA / f"{kind}.keras"))()
    return made[kind]


def configs(files):
    """Return the configurations in files, settings of training included, and their weights."""
    archives = [data for data in files.values() if data[:2] == b"PK"]
    return [(json.loads(zipfile.ZipFile(io.BytesIO(data)).read("config.json")), data)
            for data in archives]  # fmt: skip


def loads_changed(path, good, seed):
    """Return whether a file with its configuration changed was read."""
    config, data = good
    text = json.dumps(changed_config(config, seed))
    if seed % 4 == 0:
        read = bounded(lambda: model_from_json(text))
    else:
        change = rezipped(data, lambda name, old: text if name == "config.json" else old)
        Path(path).write_bytes(change)
        read = bounded(lambda: load_model(path))
    if read is not None and read.built:
        predicts(read)
    return read is not None


def outcomes(kind, path, numbers):
    """Return how many copies were read and refused: of bytes damaged, or of configs changed."""
    files = good_files()
    if kind == "configs":
        good = configs(files)
        read = [loads_changed(path, good[seed % len(good)], seed) for seed in numbers]
    else:
        name = kind
        read = [loads(path, damaged_file(files[name], seed), name) for seed in numbers]
    return sum(read), len(read) - sum(read)


def main(kind, *numbers):
    limit_memory()
    with tempfile.TemporaryDirectory() as folder:
        print(*outcomes(kind, f"{folder}/model", range(*map(int, numbers))))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Calls that a model must refuse, by ValueError, TypeError, RuntimeError or OSError."""

import numpy as np

from nnlite import Sequential, layers, losses, models
from nnlite.layers import Dense, Input

FEATURES = 3

# What a call may raise: OSError is for files that are not there.
DOCUMENTED = (ValueError, TypeError, RuntimeError, OSError)

X = np.linspace(-1, 1, 5 * FEATURES).reshape(5, FEATURES)
NAN, TEXT = X.copy(), X.astype(str)
NAN[3, 1] = np.nan


def targets(model, rows=5):
    return np.full((rows, model.layers[-1].units if model.layers else 1), 0.5)


def ones(model):
    return [np.ones_like(weight) for weight in model.get_weights()]


#: Calls that are wrong whatever the model is like.
BAD = {
    f"{name}: {what}": call
    for name, calls in {
        "fit": {
            "fewer targets": lambda m: m.fit(X, targets(m, 4)),
            "nan": lambda m: m.fit(NAN, targets(m)),
            "nan targets": lambda m: m.fit(X, targets(m) * np.nan),
            "text": lambda m: m.fit(TEXT, targets(m)),
            "no axis": lambda m: m.fit(3.0, targets(m)),
            "no rows": lambda m: m.fit(X[:0], targets(m, 0)),
            "another width": lambda m: m.fit(np.ones((5, 9)), np.ones((5, 9))),
            "targets too wide": lambda m: m.fit(X, np.ones((5, 9))),
            "no targets": lambda m: m.fit(X),
            "nothing": lambda m: m.fit(),
            "complex": lambda m: m.fit(X + 1j, targets(m)),
            "ragged": lambda m: m.fit([[1.0], [1.0, 2.0]], [0, 1]),
            "an object": lambda m: m.fit(object(), targets(m)),
            "negative epochs": lambda m: m.fit(X, targets(m), epochs=-1),
            "half an epoch": lambda m: m.fit(X, targets(m), epochs=1.5),
            "batch_size 0": lambda m: m.fit(X, targets(m), batch_size=0),
            "batch_size text": lambda m: m.fit(X, targets(m), batch_size="4"),
            "all to validate": lambda m: m.fit(X, targets(m), validation_split=1.0),
            "negative split": lambda m: m.fit(X, targets(m), validation_split=-0.5),
            "validation x": lambda m: m.fit(X, targets(m), validation_data=X),
            "validation nan": lambda m: m.fit(X, targets(m), validation_data=(NAN, targets(m))),
            "validation width": lambda m: m.fit(
                X, targets(m), validation_data=(X[:, :2], targets(m))
            ),
            "validation_freq": lambda m: m.fit(X, targets(m), validation_freq=0),
            "fewer weights": lambda m: m.fit(X, targets(m), sample_weight=[1, 2]),
            "nan weights": lambda m: m.fit(X, targets(m), sample_weight=X[:, 0] * np.nan),
            "class_weight": lambda m: m.fit(X, targets(m), class_weight={0: "a"}),
            "callbacks": lambda m: m.fit(X, targets(m), callbacks=["stop"]),
            "steps_per_epoch": lambda m: m.fit(X, targets(m), steps_per_epoch=0),
            "verbose": lambda m: m.fit(X, targets(m), verbose="loud"),
            "unknown": lambda m: m.fit(X, targets(m), epoch=3),
            "shuffle": lambda m: m.fit(X, targets(m), shuffle="batch"),
        },
        "train_on_batch": {
            "nan": lambda m: m.train_on_batch(NAN, targets(m)),
            "fewer targets": lambda m: m.train_on_batch(X, targets(m, 4)),
            "no targets": lambda m: m.train_on_batch(X),
            "return_dict": lambda m: m.train_on_batch(X, targets(m), None, None, X),
        },
        "test_on_batch": {
            "nan": lambda m: m.test_on_batch(NAN, targets(m)),
            "fewer targets": lambda m: m.test_on_batch(X, targets(m, 4)),
        },
        "evaluate": {
            "nan": lambda m: m.evaluate(NAN, targets(m)),
            "fewer targets": lambda m: m.evaluate(X, targets(m, 4)),
            "batch_size": lambda m: m.evaluate(X, targets(m), batch_size=-2),
            "return_dict": lambda m: m.evaluate(X, targets(m), return_dict="yes"),
            "steps": lambda m: m.evaluate(X, targets(m), steps=0),
            "callbacks": lambda m: m.evaluate(X, targets(m), callbacks=[3]),
            "weights": lambda m: m.evaluate(X, targets(m), sample_weight=["a"] * 5),
        },
        "predict": {
            "nan": lambda m: m.predict(NAN),
            "text": lambda m: m.predict("data"),
            "nothing": lambda m: m.predict(None),
            "no axis": lambda m: m.predict_on_batch(3.0),
            "batch_size": lambda m: m.predict(X, batch_size=-1),
            "steps": lambda m: m.predict(X, steps=0),
            "callbacks": lambda m: m.predict(X, callbacks=[3]),
            "verbose": lambda m: m.predict(X, verbose="loud"),
        },
        "compile": {
            "optimizer": lambda m: m.compile("nope"),
            "an optimizer's number": lambda m: m.compile(3),
            "loss": lambda m: m.compile("sgd", "nope"),
            "a loss's number": lambda m: m.compile("sgd", 3),
            "metrics": lambda m: m.compile("adam", "mse", metrics=["nope"]),
            "a metric's name": lambda m: m.compile("adam", "mse", metrics="mae"),
            "loss_weights": lambda m: m.compile("sgd", "mse", loss_weights=[1.0, 2.0]),
            "reduction": lambda m: m.compile("sgd", losses.MeanSquaredError(reduction="none")),
        },
        "layers": {
            "add a number": lambda m: m.add(3),
            "add a name": lambda m: m.add("dense"),
            "add a class": lambda m: m.add(Dense),
            "get an unknown": lambda m: m.get_layer("nope"),
            "get beyond": lambda m: m.get_layer(index=99),
            "get nothing": lambda m: m.get_layer(),
            "build by a word": lambda m: m.build("wide"),
            "build with -1": lambda m: m.build((None, -1)),
            "build with 0.5": lambda m: m.build((None, 0.5)),
        },
        "weights": {
            "one too few": lambda m: m.set_weights(ones(m)[1:]),
            "one too many": lambda m: m.set_weights([*ones(m), 1.0]),
            "text": lambda m: m.set_weights("abc"),
            "none": lambda m: m.set_weights(None),
            "another shape": lambda m: m.set_weights([*ones(m)[:-1], np.ones((7, 7))]),
            "a word": lambda m: m.set_weights([*ones(m)[:-1], "bias"]),
            "no such file": lambda m: m.load_weights("not there.weights.h5"),
            "file name": lambda m: m.save_weights("model.txt"),
            "model file name": lambda m: m.save("model.txt"),
        },
        "elsewhere": {
            "clone a number": lambda m: models.clone_model(3),
            "clone with a call": lambda m: models.clone_model(m, call_function=print),
            "config without layers": lambda m: Sequential.from_config({}),
            "config of words": lambda m: Sequential.from_config({"layers": ["nope"]}),
            "a summary without columns": lambda m: m.summary(positions=[]),
            "a summary of words": lambda m: m.summary(line_length="wide"),
        },
    }.items()
    for what, call in calls.items()
}

#: Calls that are wrong for a model that is built.
BAD_ONCE_BUILT = {
    "another width": lambda m: m.predict(np.ones((2, FEATURES + 1))),
    "built otherwise": lambda m: m.build((None, FEATURES + 1)),
    "its own layer": lambda m: m.add(m.layers[0]),
    "a name that is taken": lambda m: m.add(Dense(2, name=m.layers[0].name, dtype="float64")),
    "another dtype": lambda m: m.add(Dense(2, dtype="float32")),
    "an input behind": lambda m: m.add(Input((FEATURES,))),
    "a layer that does not fit": lambda m: m.add(layers.Reshape((7, 7), dtype="float64")),
}

#: Calls that are wrong for a model with an optimizer.
BAD_ONCE_COMPILED = {
    "negative rate": lambda m: setattr(m.optimizer, "learning_rate", -1.0),
    "nan rate": lambda m: setattr(m.optimizer, "learning_rate", np.nan),
    "a rate of words": lambda m: setattr(m.optimizer, "learning_rate", "fast"),
    "no rate": lambda m: setattr(m.optimizer, "learning_rate", None),
    "negative count": lambda m: setattr(m.optimizer, "iterations", -1),
    "no state": lambda m: m.optimizer.load_state_arrays([]),
    "state of words": lambda m: m.optimizer.load_state_arrays(
        ["a"] * len(m.optimizer.state_arrays())
    ),
    "another's optimizer": lambda m: other_model().compile(m.optimizer) or another_fit(m),
}


def other_model():
    return Sequential([Dense(1, dtype="float64")])


def another_fit(model):
    if model.optimizer._owner is None:
        raise ValueError("nobody's yet")
    other = other_model()
    other.compile(model.optimizer)
    other.fit(X, X[:, :1])

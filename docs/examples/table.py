"""Predict a car's price from a table with columns of text, integers and floats.

    python table.py [--model FILE.keras] [--epochs N]

automobile.csv, beside this file, is UCI's "Automobile" data set: 205 cars of 1985, of which make,
body, engine, sizes, an insurer's risk class and the price in dollars are told. Data: Jeffrey C.
Schlimmer, "Automobile", UCI Machine Learning Repository, 1987,
https://doi.org/10.24432/C5B01C, under CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/).
It was taken from the copy in the package Orange3 3.40.0 (imports-85.tab); changed are only the
separator, the zeros behind decimal points, and Orange's two lines of types, which are left out.

The table goes into `fit` as it is: lookup layers in the model turn its text into numbers, so that
the file of the model is all that it takes to predict, in another process and without pandas.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nnlite
from nnlite import Input, Model
from nnlite.layers import Concatenate, Dense, IntegerLookup, Normalization, StringLookup

Array = NDArray[Any]
Table = dict[str, Array]

TABLE = Path(__file__).with_name("automobile.csv")
TEXT = ("make", "fuel-type", "aspiration", "num-of-doors", "body-style", "drive-wheels")
TEXT += ("engine-type", "num-of-cylinders", "fuel-system")
RISK = "symboling"  # from -3, safe, to 3
FLOATS = ("wheel-base", "length", "width", "height", "curb-weight", "engine-size", "bore")
FLOATS += ("stroke", "compression-ratio", "horsepower", "peak-rpm", "city-mpg", "highway-mpg")


def load(path: Path = TABLE) -> tuple[Table, Array]:
    """Return the columns by name, and the prices in dollars.

    The table has "?" where something is not known. The four cars without a price are left out;
    an unknown text becomes the text ``""``, and an unknown number the column's median.
    """
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["price"] != "?"]
    x: Table = {name: np.array([row[name] for row in rows]) for name in TEXT}
    x = {name: np.where(column == "?", "", column) for name, column in x.items()}
    x[RISK] = np.array([int(row[RISK]) for row in rows])
    for name in FLOATS:
        column = np.array([float(row[name].replace("?", "nan")) for row in rows])
        x[name] = np.where(np.isnan(column), np.nanmedian(column), column)
    return x, np.array([float(row["price"]) for row in rows])


def parted(x: Table, y: Array, seed: int = 1) -> tuple[Table, Array, Table, Array]:
    """Return three quarters of the rows, taken at random, and the rest."""
    order = np.random.default_rng(seed).permutation(len(y))
    train, test = np.split(order, [3 * len(y) // 4])
    columns = [{name: column[rows] for name, column in x.items()} for rows in (train, test)]
    return columns[0], y[train], columns[1], y[test]


def make_model(x: Table, y: Array) -> Model:
    """Return a model whose lookups know the words, and whose scales the numbers, of ``x``."""
    inputs, columns = [], []
    for name in TEXT:
        inputs.append(Input((1,), dtype="string", name=name))
        words = StringLookup(mask_token="", output_mode="one_hot")
        words.adapt(x[name])
        columns.append(words(inputs[-1]))
    inputs.append(Input((1,), dtype="int64", name=RISK))
    risks = IntegerLookup(output_mode="one_hot")
    risks.adapt(x[RISK])
    columns.append(risks(inputs[-1]))
    for name in FLOATS:
        inputs.append(Input((1,), name=name))
        scale = Normalization()
        scale.adapt(x[name])
        columns.append(scale(inputs[-1]))
    hidden = Dense(16, activation="relu")(Concatenate()(columns))
    scaled = Dense(1)(hidden)
    dollars = Normalization(mean=y.mean(), variance=y.var(), axis=None, invert=True)(scaled)
    model = Model(inputs, dollars)
    model.compile(nnlite.optimizers.Adam(0.02), loss="mae")
    return model


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, say how large the error is, and predict from the file in another process."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, help="where to put the model")
    parser.add_argument("--epochs", type=int, default=100)
    given = parser.parse_args(arguments)

    nnlite.set_random_seed(0)
    x, y, test_x, test_y = parted(*load())
    model = make_model(x, y)
    model.fit(x, y, epochs=given.epochs, verbose=0)
    error = np.abs(model.predict(test_x, verbose=0)[:, 0] - test_y).mean()
    print(f"{len(y)} cars to learn from, {len(test_y)} to test on")
    print(f"mean error ${error:.0f}; of the mean price ${np.abs(test_y - y.mean()).mean():.0f}")

    with tempfile.TemporaryDirectory() as folder:
        path = given.model or Path(folder) / "cars.keras"
        model.save(path)
        car = {name: column[:1].tolist() for name, column in test_x.items()}
        code = (
            "import sys, json, nnlite; model = nnlite.models.load_model(sys.argv[1]); "
            "car = json.loads(sys.argv[2]); "
            "print(f'a new car: ${model.predict(car, verbose=0).item():.0f}')"
        )
        subprocess.run([sys.executable, "-c", code, str(path), json.dumps(car)], check=True)


if __name__ == "__main__":
    main()

"""Predict a penguin's mass from a table with columns of text, integers and floats.

    python table.py [--model FILE.keras] [--epochs N]

penguins.csv, beside this file, has 344 penguins of the Palmer Archipelago: species, island, bill,
flipper, mass, sex and year. Data: K. B. Gorman, T. D. Williams and W. R. Fraser, "Ecological
Sexual Dimorphism and Environmental Variability within a Community of Antarctic Penguins (Genus
Pygoscelis)", PLoS ONE 9(3), 2014, https://doi.org/10.1371/journal.pone.0090081; put together by
A. Horst, A. Hill and K. Gorman as "palmerpenguins", under CC0 1.0.

The table goes into `fit` as it is: lookup layers in the model turn its text into numbers, so that
the file of the model is all that it takes to predict, in another process and without pandas.
"""

from __future__ import annotations

import argparse
import csv
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

TABLE = Path(__file__).with_name("penguins.csv")
TEXT = ("species", "island", "sex")
FLOATS = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm")


def load(path: Path = TABLE) -> tuple[Table, Array]:
    """Return the columns by name, and the masses in grams.

    A penguin whose sex was not seen has the text ``""`` there; the two that were not measured at
    all are left out.
    """
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["body_mass_g"] != "NA"]
    x: Table = {name: np.array([row[name] for row in rows]) for name in TEXT}
    x["sex"] = np.where(x["sex"] == "NA", "", x["sex"])
    x["year"] = np.array([int(row["year"]) for row in rows])
    x |= {name: np.array([float(row[name]) for row in rows]) for name in FLOATS}
    return x, np.array([float(row["body_mass_g"]) for row in rows])


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
    inputs.append(Input((1,), dtype="int64", name="year"))
    years = IntegerLookup(output_mode="one_hot")
    years.adapt(x["year"])
    columns.append(years(inputs[-1]))
    for name in FLOATS:
        inputs.append(Input((1,), name=name))
        scale = Normalization()
        scale.adapt(x[name])
        columns.append(scale(inputs[-1]))
    hidden = Dense(16, activation="relu")(Concatenate()(columns))
    scaled = Dense(1)(hidden)
    grams = Normalization(mean=y.mean(), variance=y.var(), axis=None, invert=True)(scaled)
    model = Model(inputs, grams)
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
    print(f"{len(y)} penguins to learn from, {len(test_y)} to test on")
    print(f"mean error {error:.0f} g; of the mean mass {np.abs(test_y - y.mean()).mean():.0f} g")

    with tempfile.TemporaryDirectory() as folder:
        path = given.model or Path(folder) / "penguins.keras"
        model.save(path)
        code = (
            "import sys, numpy as np, nnlite; model = nnlite.models.load_model(sys.argv[1]); "
            "row = dict(species='Gentoo', island='Biscoe', sex='female', year=2008, "
            "bill_length_mm=45.1, bill_depth_mm=14.5, flipper_length_mm=207.0); "
            "x = {name: np.array([[value]]) for name, value in row.items()}; "
            "print(f'a new penguin: {model.predict(x, verbose=0).item():.0f} g')"
        )
        subprocess.run([sys.executable, "-c", code, str(path)], check=True)


if __name__ == "__main__":
    main()

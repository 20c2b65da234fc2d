"""Columns of text on their way through fit, evaluate and predict."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

import nnlite
from nnlite import Input, Model, Sequential
from nnlite.layers import (
    Concatenate,
    Dense,
    Embedding,
    Flatten,
    Hashing,
    IntegerLookup,
    StringLookup,
)
from nnlite.utils.validation import as_text

COLOURS = ["red", "green", "blue", "a colour with a long name"]


def table(rows=40):
    generator = np.random.default_rng(0)
    x = {
        "colour": generator.choice(COLOURS, rows).astype(object),
        "size": generator.integers(1, 4, rows),
        "width": generator.normal(size=rows),
    }
    effect = {name: 2.0 * at for at, name in enumerate(COLOURS)}
    return x, np.array([effect[name] for name in x["colour"]]) + x["width"] - x["size"]


def make_model(x):
    nnlite.set_random_seed(0)
    colour, size, width = (
        Input((1,), dtype="string", name="colour"),
        Input((1,), dtype="int64", name="size"),
        Input((1,), name="width"),
    )
    words, sizes = StringLookup(output_mode="one_hot"), IntegerLookup()
    words.adapt(x["colour"])
    sizes.adapt(x["size"])
    columns = [words(colour), Flatten()(Embedding(4, 2)(sizes(size))), width]
    columns.append(Hashing(3, output_mode="one_hot")(colour))
    model = Model([colour, size, width], Dense(1)(Concatenate()(columns)))
    model.compile(nnlite.optimizers.Adam(0.1), "mse")
    return model


def pandas():
    return pytest.importorskip("pandas", exc_type=ImportError)


def polars():
    return pytest.importorskip("polars", exc_type=ImportError)


class Frame(dict):
    """As much of a frame of data as the package looks at."""

    columns = property(list)
    shape = property(lambda self: (len(next(iter(self.values()))), len(self)))


KINDS = {
    "dict": dict,
    "another order": lambda x: dict(reversed(x.items())),
    "list": lambda x: list(x.values()),
    "frame": Frame,
    "columns of shape (samples, 1)": lambda x: {key: x[key][:, None] for key in x},
    "fixed width": lambda x: {**x, "colour": x["colour"].astype(str)},
    "bytes": lambda x: {**x, "colour": x["colour"].astype("S")},
    "lists": lambda x: {**x, "colour": list(x["colour"])},
    "pandas": lambda x: pandas().DataFrame(x),
    "pandas, another order": lambda x: pandas().DataFrame(dict(reversed(x.items()))),
    "pandas objects": lambda x: pandas().DataFrame(x).astype({"colour": object}),
    "pandas texts": lambda x: pandas().DataFrame(x).astype({"colour": "string"}),
    "pandas categories": lambda x: pandas().DataFrame(x).astype({"colour": "category"}),
    "polars": lambda x: polars().DataFrame({**x, "colour": list(x["colour"])}),
    "polars categories": lambda x: (
        polars()
        .DataFrame({**x, "colour": list(x["colour"])})
        .with_columns(polars().col("colour").cast(polars().Categorical))
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_text_train_and_predict(kind):
    x, y = table()
    given = KINDS[kind](x)
    model, other = make_model(x), make_model(x)
    for one, data in ((model, given), (other, x)):
        nnlite.set_random_seed(1)  # of the shuffled order
        one.fit(data, y, epochs=2, batch_size=8, validation_split=0.25, verbose=0)
    np.testing.assert_array_equal(
        model.predict(given, verbose=0), other.predict(x, batch_size=7, verbose=0)
    )


def test_a_shuffled_model_learns_the_colours():
    x, y = table(200)
    model = make_model(x)
    model.fit(x, y, epochs=60, validation_data=(x, y), verbose=0)
    assert model.evaluate(x, y, verbose=0) < 0.01  # the sum is linear in what the model sees


def test_batches_carry_text():
    x, y = table()

    def batches():
        for start in range(0, 40, 8):
            rows = slice(start, start + 8)
            yield {key: x[key][rows] for key in x}, y[rows]

    models = [make_model(x) for _ in range(3)]
    models[0].fit(x, y, batch_size=8, shuffle=False, epochs=2, verbose=0)
    models[1].fit(list(batches()), epochs=2, shuffle=False, verbose=0)
    for _ in range(2):
        for batch in batches():
            models[2].train_on_batch(*batch)
    wanted = models[0].predict(x, verbose=0)
    for model in models[1:]:
        np.testing.assert_array_equal(model.predict(x, verbose=0), wanted)
        np.testing.assert_array_equal(model.predict_on_batch(x), wanted)
    generated = models[0].predict((part for part, _ in batches()), verbose=0)
    np.testing.assert_array_equal(generated, wanted)
    np.testing.assert_array_equal(models[0](x), wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": [None, *COLOURS * 9, "red", "red", "red"]}, r"x\['colour'\]\[0\] = None. Drop"),
        ({"colour": ["red", np.nan, *["red"] * 38]}, r"x\['colour'\]\[1\] = nan. Drop such rows"),
        ({"colour": np.arange(40)}, r"x\['colour'\]\[0\] = 0. It is of type int"),
        ({"colour": np.full(40, np.nan)}, r"x\['colour'\]\[0\] = nan. Drop"),
        ({"width": np.array(["1.5"] * 40)}, r"x\['width'\] must hold real numbers"),
        ({"width": np.array(["1.5"] * 40, object)}, r"x\['width'\] must hold real numbers"),
        ({"size": np.array(["1"] * 40)}, r"x\['size'\] must hold real numbers"),
        ({"size": [np.nan] * 40}, r"x\['size'\]\[0, 0\] = nan. Drop such rows"),
        ({"size": np.full(40, 1.5)}, r"x\['size'\] must hold integers that fit into int64"),
        ({"more": np.ones(40)}, "has 'more' more"),
        ({"colour": ["red"] * 39}, "must have the same number of samples"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    x, y = table()
    model = make_model(x)
    for call in (lambda x: model.fit(x, y, verbose=0), lambda x: model.predict(x, verbose=0)):
        with pytest.raises((TypeError, ValueError), match=message):
            call({**x, **change})
    missing = {key: x[key] for key in ("size", "width")}
    with pytest.raises(ValueError, match="which lacks 'colour'"):
        model.predict(missing, verbose=0)


def test_text_that_comes_later_is_checked_too():
    x, y = table()

    def batches(colours):
        for start in (0, 20):
            rows = slice(start, start + 20)
            yield {**{key: x[key][rows] for key in x}, "colour": colours[rows]}, y[rows]

    gap = x["colour"].copy()
    gap[25] = None
    with pytest.raises(TypeError, match=r"x\['colour'\]\[5\] = None"):
        make_model(x).fit(batches(gap), verbose=0)


def test_several_columns_of_one_input_are_known_by_name():
    frames = pandas()
    x = frames.DataFrame({"a": ["x", "y"] * 4, "b": ["u", "u", "v", "v"] * 2})
    model = Sequential([StringLookup(output_mode="multi_hot"), Dense(1)])
    model.layers[0].adapt(x)
    model.compile("sgd", "mse")
    model.fit(x, np.arange(8.0), verbose=0)
    np.testing.assert_array_equal(
        model.predict(x[["b", "a"]], verbose=0), model.predict(x, verbose=0)
    )
    with pytest.raises(ValueError, match="has no column 'b'"):
        model.predict(x[["a"]], verbose=0)


def test_arrays_of_text_are_read_as_they_are():
    for given in (
        [["a", "bb"]],
        np.array([["a", "bb"]]),
        np.array([[b"a", "bb"]], object),
        np.array([["a", "bb"]], "S"),
        np.array([["a", "bb"]], np.dtypes.StringDType())
        if hasattr(np.dtypes, "StringDType")
        else [["a", "bb"]],
    ):
        array = as_text("x", given)
        assert array.dtype == object
        assert array.tolist() == [["a", "bb"]]
        assert {type(entry) for entry in array.flat} == {str}


def test_missing_texts_and_integers_are_named_whatever_holds_them():
    for dtype in ("string", "category", object):
        column = pandas().Series(["red", None], dtype=dtype)
        for given in (column, column.to_frame()):
            with pytest.raises(TypeError, match=r"data\[1(, 0)?\] = .* Drop such rows"):
                StringLookup().adapt(given)
    for column in (pandas().Series([1, None]), pandas().Series([1, None], dtype="Int64")):
        with pytest.raises(ValueError, match=r"\[1\] = nan. Drop such rows"):
            IntegerLookup().adapt(column)


def test_a_gap_may_be_of_a_type_that_has_no_truth():
    class NAType:
        def __ne__(self, other):
            return self

        def __bool__(self):
            raise TypeError("boolean value of NA is ambiguous")

    with pytest.raises(TypeError, match=r"x\[1\] = .* Drop such rows"):
        as_text("x", np.array(["red", NAType()], object))


def test_a_file_predicts_in_another_process_without_pandas(tmp_path):
    x, y = table()
    model = make_model(x)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    code = (
        "import sys, json, numpy as np; sys.modules['pandas'] = sys.modules['polars'] = None; "
        "import nnlite; model = nnlite.models.load_model(sys.argv[1]); "
        "x = {'width': [0.5, 1], 'colour': ['red', 'no colour'], 'size': [1, 3]}; "
        "x = {key: np.array(value) for key, value in x.items()}; "
        "print(json.dumps(model.predict(x, verbose=0).ravel().tolist()))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "model.keras")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = {
        "colour": np.array(["red", "no colour"]),
        "size": np.array([1, 3]),
        "width": np.array([0.5, 1]),
    }
    wanted = model.predict(rows, verbose=0).ravel().tolist()
    np.testing.assert_allclose(eval(done.stdout), wanted, rtol=1e-6)


def test_text_passes_the_tools_that_look_into_a_model():
    x, y = table(8)
    model = make_model(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step = nnlite.trace(model, {**x, "colour": np.array(["<b>"] * 8)}, y)
    assert "       <b>" in str(step)
    assert ">&lt;b&gt;</td>" in step._repr_html_()
    assert nnlite.models.clone_model(model).input_dtypes == ["string", "int64", "float32"]

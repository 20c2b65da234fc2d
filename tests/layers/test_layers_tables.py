"""Layers for tables. The values are those of Keras 3.15's documentation and unit tests."""

import math

import numpy as np
import pytest

import nnlite
from nnlite import Input, Model, Sequential, layers
from nnlite.layers import (
    CategoryEncoding,
    Dense,
    Discretization,
    Hashing,
    IntegerLookup,
    StringLookup,
    TextVectorization,
)
from nnlite.layers.preprocessing.hashing import fingerprint64, siphash

WORDS = ["a", "b", "c", "d"]
TEXT = np.array([["a", "c", "d", "d"], ["d", "z", "b", "z"]])
NAMES = [["omar"], ["stringer"], ["marlo"], ["wire"], ["skywalker"]]


def same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-6)


# ---- columns ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "x", "expected"),
    [
        ("one_hot", [3, 2, 0, 1], np.eye(4)[[3, 2, 0, 1]]),
        ("one_hot", [[3], [2]], np.eye(4)[[3, 2]]),
        ("one_hot", [[3, 2], [0, 1]], np.eye(4)[[[3, 2], [0, 1]]]),
        ("multi_hot", [[0, 1], [0, 0], [1, 2], [3, 1]], None),
        ("multi_hot", [0, 3], [1, 0, 0, 1]),
        ("count", [[0, 0], [1, 2]], [[2, 0, 0, 0], [0, 1, 1, 0]]),
        ("count", [1, 1, 3], [0, 2, 0, 1]),
    ],
)
def test_category_encoding(mode, x, expected):
    if expected is None:  # Keras's documentation
        expected = [[1, 1, 0, 0], [1, 0, 0, 0], [0, 1, 1, 0], [0, 1, 0, 1]]
    found = CategoryEncoding(num_tokens=4, output_mode=mode)(np.array(x))
    assert found.dtype == "float32"
    same(found, expected)


def test_count_weights_are_summed():
    layer = CategoryEncoding(num_tokens=4, output_mode="count")
    weights = np.array([[0.1, 0.2], [0.1, 0.1], [0.2, 0.3], [0.4, 0.2]])
    found = layer(np.array([[0, 1], [0, 0], [1, 2], [3, 1]]), count_weights=weights)
    same(found, [[0.1, 0.2, 0, 0], [0.2, 0, 0, 0], [0, 0.2, 0.3, 0], [0, 0.2, 0, 0.4]])
    x, w = Input((2,), dtype="int32"), Input((2,))
    model = Model([x, w], layer(x, count_weights=w))
    same(model.predict([np.array([[0, 1]]), np.array([[0.5, 2.0]])], verbose=0), [[0.5, 2, 0, 0]])


def test_discretization_counts_the_boundaries_below():
    x = [[-1.0, 0.0, 0.1, 0.8, 1.2]]
    found = Discretization([0.0, 0.5, 1.0])(x)
    assert found.dtype == "int32"
    same(found, [[0, 1, 1, 2, 3]])
    same(Discretization([0.0, 0.5, 1.0], output_mode="multi_hot")([[0.1, 0.8]]), [[0, 1, 1, 0]])
    same(Discretization([0.0, 0.5, 1.0], output_mode="count")([[0.1, 0.8, 0.9]]), [[0, 1, 2, 0]])


def test_discretization_finds_the_quantiles():
    layer = Discretization(num_bins=4, epsilon=0.01)
    layer.adapt(np.random.default_rng(0).permutation(1000.0 * np.arange(1000)))
    np.testing.assert_allclose(layer.bin_boundaries, [250e3, 500e3, 750e3], atol=1.5e4)
    whole = Discretization(num_bins=3)
    whole.adapt(np.arange(1.0, 7.0))
    parts = Discretization(num_bins=3)
    parts.adapt(part for part in (np.array([1.0, 2, 3]), np.array([4.0, 5, 6])))
    listed = Discretization(num_bins=3)
    listed.adapt([np.array([1.0, 2, 3]), np.array([4.0, 5, 6])])
    assert whole.bin_boundaries == parts.bin_boundaries == listed.bin_boundaries == [2.0, 4.0]
    again = layers.deserialize(layers.serialize(whole))
    assert (again.bin_boundaries, again.num_bins) == ([2.0, 4.0], 3)
    with pytest.raises(ValueError, match="has no boundaries yet: call adapt"):
        Discretization(num_bins=3)(np.ones((2, 1)))


# ---- hashes -----------------------------------------------------------------------------------


def test_hashes_are_those_of_farmhash_and_siphash():
    """Made by Google's FarmHash itself, a value for each way that a length takes."""
    text = b"abcdefghij" * 20
    expected = {
        0: 11160318154034397263,
        1: 12917804110809363939,
        3: 2640714258260161385,
        6: 14062832464964076237,
        12: 13113141256989178508,
        20: 16014814510007390469,
        40: 6504876685642412861,
        64: 8115176665984236569,
        65: 12090645907386023856,
        128: 11127909914777135623,
        130: 4657222448606449991,
    }
    assert {size: fingerprint64(text[:size]) for size in expected} == expected
    # The example of the paper, appendix A.
    key = [0x0706050403020100, 0x0F0E0D0C0B0A0908]
    assert siphash(bytes(range(15)), key) == 0xA129CA6149BE45E5


@pytest.mark.parametrize(
    ("arguments", "x", "expected"),
    [
        ({"num_bins": 3}, "ABCDE", [1, 0, 1, 1, 2]),
        ({"num_bins": 3, "mask_value": ""}, ["A", "B", "", "C", "D"], [1, 1, 0, 2, 2]),
        ({"num_bins": 3, "salt": [133, 137]}, "ABCDE", [1, 2, 1, 0, 2]),
        ({"num_bins": 3, "salt": 133}, "ABCDE", [0, 0, 2, 1, 0]),
        ({"num_bins": 1}, "ABC", [0, 0, 0]),
        ({"num_bins": 3}, [0, 1, 2, 3, 4], [1, 0, 1, 0, 2]),
        ({"num_bins": 3, "salt": [133, 137]}, [0, 1, 2, 3, 4], [1, 1, 2, 0, 1]),
        ({"num_bins": 3, "mask_value": 2}, [0, 1, 2], [1, 1, 0]),
    ],
)
def test_hashing(arguments, x, expected):
    found = Hashing(**arguments)(np.array(list(x)))
    assert found.dtype == "int64"
    if arguments.get("mask_value") == 2:
        expected = [1 + fingerprint64(b"0") % 2, 1 + fingerprint64(b"1") % 2, 0]
    assert found.tolist() == expected


def test_hashing_in_columns_and_types():
    assert Hashing(2)(NAMES).ravel().tolist() == [0, 0, 1, 0, 0]
    assert Hashing(2, salt=[211, 137])(NAMES).ravel().tolist() == [1, 0, 1, 0, 1]
    found = Hashing(3, output_mode="count")(np.array([[0, 1, 2, 3, 4]]))
    assert (found.tolist(), found.dtype) == ([[2.0, 2.0, 1.0]], "float32")
    assert Hashing(3, dtype="int32")(NAMES).dtype == "int32"


# ---- lookups ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, [[1, 3, 4, 4], [4, 0, 2, 0]]),
        ({"mask_token": ""}, [[2, 4, 5, 5], [5, 1, 3, 1]]),
        ({"mask_token": "z"}, [[2, 4, 5, 5], [5, 0, 3, 0]]),
        ({"output_mode": "multi_hot"}, [[0, 1, 0, 1, 1], [1, 0, 1, 0, 1]]),
        ({"output_mode": "count"}, [[0, 1, 0, 1, 2], [2, 0, 1, 0, 1]]),
        ({"output_mode": "count", "mask_token": "z"}, [[0, 1, 0, 1, 2], [0, 0, 1, 0, 1]]),
        (
            {"output_mode": "tf_idf", "idf_weights": [0.25, 0.75, 0.6, 0.4]},
            [[0, 0.25, 0, 0.6, 0.8], [1, 0, 0.75, 0, 0.4]],
        ),
        (
            {"output_mode": "multi_hot", "pad_to_max_tokens": True, "max_tokens": 6},
            [[0, 1, 0, 1, 1, 0], [1, 0, 1, 0, 1, 0]],
        ),
    ],
)
def test_string_lookup(arguments, expected):
    layer = StringLookup(vocabulary=WORDS, **arguments)
    same(layer(TEXT), expected)
    assert layer(TEXT).dtype == ("int64" if "output_mode" not in arguments else "float32")
    again = layers.deserialize(layers.serialize(layer))
    same(again(TEXT), expected)


def test_one_hot_has_a_row_for_each_entry():
    layer = StringLookup(vocabulary=WORDS, output_mode="one_hot")
    same(layer(np.array(["a", "z"])), np.eye(5)[[1, 0]])
    same(layer(np.array([["a"], ["z"]])), np.eye(5)[[1, 0]])
    assert layer(TEXT).shape == (2, 4, 5) == layer.compute_output_shape(TEXT.shape)


def test_special_tokens_may_stand_before_a_vocabulary():
    layer = StringLookup(
        vocabulary=["[UNK]", *WORDS], output_mode="tf_idf", idf_weights=[0.9, 0.25, 0.75, 0.6, 0.4]
    )
    same(layer(TEXT), [[0, 0.25, 0, 0.6, 0.8], [1.8, 0, 0.75, 0, 0.4]])
    assert layer.get_vocabulary() == ["[UNK]", *WORDS]
    assert layer.get_vocabulary(include_special_tokens=False) == WORDS


def test_unknown_entries_are_hashed_among_several_indices():
    layer = StringLookup(vocabulary=WORDS, num_oov_indices=3, mask_token="")
    unknown = ["A", "B", "C", "D", "E", ""]
    assert layer(unknown).tolist() == [2, 1, 2, 2, 3, 0]  # 1 + the bins of Hashing(3)
    salted = StringLookup(vocabulary=WORDS, num_oov_indices=3, salt=[133, 137])
    assert salted(unknown[:5]).tolist() == [1, 2, 1, 0, 2]
    whole = IntegerLookup(vocabulary=[12, 36], num_oov_indices=2)
    assert whole(np.array([12, 36, 7, -3, 8])).tolist() == [2, 3, 1, 1, 0]
    spread = IntegerLookup(vocabulary=[12, 36], num_oov_indices=3, oov_method="farmhash")
    assert spread(np.arange(5)).tolist() == [1, 0, 1, 0, 2]
    with pytest.raises(ValueError, match=r"num_oov_indices=0.*Received: \['z', 'z'\]"):
        StringLookup(vocabulary=WORDS, num_oov_indices=0)(TEXT)


def test_the_way_back_gives_the_tokens():
    data = np.array([[1, 3, 4], [4, 0, 2]])
    found = StringLookup(vocabulary=WORDS, invert=True)(data)
    assert found.tolist() == [["a", "c", "d"], ["d", "[UNK]", "b"]]
    found = IntegerLookup(vocabulary=[12, 36, 1138, 42], invert=True)(data)
    assert found.tolist() == [[12, 1138, 42], [42, -1, 36]]
    model = Sequential([Input((3,), dtype="int64"), StringLookup(vocabulary=WORDS, invert=True)])
    assert model.predict(data, verbose=0).tolist() == [["a", "c", "d"], ["d", "[UNK]", "b"]]


def test_adapt_orders_tokens_by_count_then_downwards():
    layer = StringLookup(max_tokens=7, mask_token="", oov_token="[OOV]")
    layer.adapt(["one", "one", "one", "two", "two", "three", "four", "[OOV]", ""])
    assert layer.get_vocabulary() == ["", "[OOV]", "one", "two", "three", "four"]
    assert layer(["one", "two", "five"]).tolist() == [2, 3, 1]
    short = IntegerLookup(max_tokens=4, mask_token=0)
    short.adapt(batch for batch in ([1, 1, 1], [2, 2, 3]))
    assert short.get_vocabulary() == [0, -1, 1, 2]
    assert short([1, 2, 3, 4]).tolist() == [2, 3, 1, 1]
    short.adapt([[5], [6], [6]])  # anew
    assert short.get_vocabulary() == [0, -1, 6, 5]


def test_adapt_weighs_tokens_by_the_samples_that_have_them():
    layer = StringLookup(output_mode="tf_idf")
    layer.adapt(np.array([["a", "a"], ["a", "b"], ["a", "c"]]))
    a, b = math.log(1 + 3 / 4), math.log(1 + 3 / 2)
    assert layer.get_vocabulary() == ["[UNK]", "a", "c", "b"]
    same(layer([["a", "a", "z", "b"]]), [[(a + 2 * b) / 3, 2 * a, 0, b]])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: StringLookup(max_tokens=1), ValueError, "max_tokens must be at least 2"),
        (lambda: StringLookup(num_oov_indices=-1), ValueError, "num_oov_indices must be at least"),
        (lambda: StringLookup(output_mode="bins"), ValueError, "output_mode must be one of int"),
        (lambda: StringLookup(sparse=True), ValueError, "sparse=False only"),
        (lambda: StringLookup(encoding="latin-1"), ValueError, "encoding='utf-8' only"),
        (lambda: StringLookup(pad_to_max_tokens=True), ValueError, "needs max_tokens"),
        (lambda: StringLookup(invert=True, output_mode="count"), ValueError, "invert=True needs"),
        (lambda: StringLookup(vocabulary=["a", "a"]), ValueError, r"once. Received: twice \['a'\]"),
        (lambda: StringLookup(vocabulary=[]), ValueError, "must hold tokens"),
        (lambda: StringLookup(vocabulary=["a", 3]), TypeError, r"vocabulary\[1\] = 3"),
        (lambda: StringLookup(vocabulary=WORDS, max_tokens=4), ValueError, "at most max_tokens=4"),
        (
            lambda: StringLookup(vocabulary=["a", "m"], mask_token="m"),
            ValueError,
            "mask_token='m' at index 1",
        ),
        (
            lambda: StringLookup(vocabulary=["a"], output_mode="tf_idf"),
            ValueError,
            "needs idf_weights",
        ),
        (lambda: IntegerLookup(salt=3), ValueError, "salt needs oov_method='farmhash'"),
        (lambda: IntegerLookup(oov_method="md5"), ValueError, "oov_method must be"),
        (lambda: IntegerLookup(vocabulary=["a"]), TypeError, "vocabulary must hold integers"),
        (lambda: IntegerLookup(vocabulary=[1.5]), ValueError, "takes whole numbers"),
        (lambda: Hashing(0), ValueError, "num_bins must be at least 1"),
        (lambda: Hashing(2, salt="abc"), ValueError, "salt must be one or two unsigned"),
        (lambda: Hashing(2, salt=2**64), ValueError, "salt must be one or two unsigned"),
        (lambda: Hashing(2, dtype="float32"), ValueError, "dtype must be 'int32' or 'int64'"),
        (lambda: Hashing(3, mask_value=0)(NAMES), TypeError, "mask_value of layer"),
        (lambda: CategoryEncoding(), ValueError, "num_tokens must be the number of columns"),
        (lambda: CategoryEncoding(3)([[3]]), ValueError, "from 0 to 2 .*Received: 3"),
        (lambda: CategoryEncoding(3)(np.zeros((2, 2, 2))), ValueError, r"\(samples, entries\)"),
        (lambda: Discretization(), ValueError, "Give bin_boundaries, or num_bins"),
        (lambda: Discretization([1.0, 0.0]), ValueError, "numbers in ascending order"),
        (lambda: Discretization([1.0]).adapt([2.0]), ValueError, "nothing to adapt"),
        (lambda: Discretization([1.0])([np.nan]), ValueError, "must be finite"),
        (lambda: TextVectorization(standardize="upper"), ValueError, "standardize must be one"),
        (lambda: TextVectorization(ngrams="x"), ValueError, "ngrams must be an integer"),
        (
            lambda: TextVectorization(output_mode="count", output_sequence_length=3),
            ValueError,
            "is for output_mode='int'",
        ),
        (lambda: StringLookup()(["a"]), RuntimeError, "has no vocabulary yet: call adapt"),
        (lambda: StringLookup(vocabulary=WORDS).adapt(WORDS), ValueError, "nothing to adapt"),
        (lambda: StringLookup(vocabulary=WORDS)(["a", None]), TypeError, r"x\[1\] = None. Drop"),
        (lambda: StringLookup(vocabulary=WORDS)([1, 2]), TypeError, "must hold text"),
        (lambda: StringLookup().adapt("abc"), TypeError, "data must be an array"),
    ],
)
def test_wrong_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_columns_that_others_rely_on_keep_their_number():
    layer = StringLookup(output_mode="one_hot")
    layer.adapt(["a", "b"])
    with pytest.raises(RuntimeError, match="a column for each of its 3 tokens"):
        layer.adapt(["a", "b", "c"])
    assert layer.get_vocabulary() == ["[UNK]", "b", "a"]


# ---- words ------------------------------------------------------------------------------------


def test_text_is_standardized_split_and_looked_up():
    layer = TextVectorization(vocabulary=["baz", "bar", "foo"], output_sequence_length=4)
    same(layer([["foo qux bar"], ["qux baz"]]), [[4, 1, 3, 0], [1, 2, 0, 0]])
    same(layer(["Foo,  BAR!\tbaz foo foo"]), [[4, 3, 2, 4]])
    assert layer.get_vocabulary() == ["", "[UNK]", "baz", "bar", "foo"]
    plain = TextVectorization(vocabulary=["Foo", "bar!"], standardize=None)
    assert plain(["Foo bar! foo"]).tolist() == [[2, 3, 1]]
    letters = TextVectorization(vocabulary=["a", "é"], split="character", standardize="lower")
    assert letters(["AéÉ"]).tolist() == [[2, 3, 1]]  # TensorFlow makes A to Z small, no others
    words = TextVectorization(vocabulary=["a", "b"], split=None, output_mode="count")
    assert words([["A", "b", "b"]]).tolist() == [[0, 1, 2]]


def test_ngrams_come_width_by_width():
    layer = TextVectorization(ngrams=(1, 3), vocabulary=["x", "foo bar baz", "foo", "baz"])
    assert layer(["foo bar baz"]).tolist() == [[4, 1, 5, 3]]
    layer = TextVectorization(ngrams=2)
    layer.adapt(["foo bar baz"])
    assert sorted(layer.get_vocabulary()[2:]) == ["bar", "bar baz", "baz", "foo", "foo bar"]


def test_words_are_weighed_and_counted_by_sample():
    layer = TextVectorization(output_mode="tf_idf")
    layer.adapt(["a a", "a b", "a c"])
    a, b = math.log(1 + 3 / 4), math.log(1 + 3 / 2)
    same(layer(["a a z b", ""]), [[(a + 2 * b) / 3, 2 * a, 0, b], [0, 0, 0, 0]])


def test_functions_standardize_and_split():
    layer = TextVectorization(
        vocabulary=["ab", "c"],
        standardize=lambda texts: np.char.replace(texts, "-", ""),
        split=lambda texts: [text.split("|") for text in texts],
    )
    assert layer(["a-b|c", "c"]).tolist() == [[2, 3], [3, 0]]


def test_a_length_is_needed_in_a_model_only():
    layer = TextVectorization(vocabulary=["a", "b"])
    assert layer(["a b a"]).shape == (1, 3)
    with pytest.raises(ValueError, match="needs an output_sequence_length in a model"):
        layer(Input((1,), dtype="string"))


# ---- in models --------------------------------------------------------------------------------


def test_text_reaches_only_layers_that_take_it():
    with pytest.raises(TypeError, match=r"'dense' computes with numbers. Received: text"):
        Dense(1)(Input((1,), dtype="string"))
    with pytest.raises(ValueError, match=r"expects inputs of shape \(samples, entries\)"):
        CategoryEncoding(3)(Input((), dtype="int32"))
    with pytest.raises(TypeError, match=r"computes with numbers. Received: text"):
        layers.Concatenate()([Input((1,), dtype="string")] * 2)
    outer = Input((1,), dtype="string")
    inner = Sequential([Input((1,)), Dense(1)])
    with pytest.raises(TypeError, match=r"computes with numbers. Received: text"):
        Model(outer, inner(outer)).predict(np.array([["1.5"]]), verbose=0)


@pytest.mark.parametrize("mode", ["int", "one_hot"])
def test_nothing_before_a_lookup_may_learn(mode):
    x = Input((1,))
    before = Dense(1)
    bins = Discretization([0.0], output_mode=mode)(before(x))
    if mode == "int":
        bins = layers.Flatten()(layers.Embedding(2, 1)(bins))
    model = Model(x, Dense(1)(bins))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="'discretization' has no gradient, but layers before"):
        model.fit(np.ones((4, 1)), np.ones(4), verbose=0)
    before.trainable = False
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 1)), np.ones(4), verbose=0)
    with pytest.raises(TypeError, match="has no gradient"):
        Discretization([0.0]).backward_into()


def test_a_class_of_the_users_takes_text():
    class Own(Model):
        def __init__(self):
            super().__init__()
            self.words = StringLookup(vocabulary=["red", "blue"], output_mode="one_hot")
            self.out = Dense(1, kernel_initializer="ones")

        def call(self, x):
            return self.out(self.words(x))

    model = Own()
    model.compile("sgd", "mse")
    x = np.array([["red"], ["blue"], ["green"]])
    model.fit(x, np.zeros(3), epochs=2, verbose=0)
    assert model.predict(x, verbose=0).shape == (3, 1)
    assert model.input_dtypes == ["string"]


# ---- files ------------------------------------------------------------------------------------


def every_kind():
    """Return a model with each of the layers, adapted or given its vocabulary, and its data."""
    texts = np.array(["a big red box", "one blue box", "red", "a green one"])
    numbers = np.array([3, 5, 3, 7])
    word, number = Input((1,), dtype="string", name="word"), Input((1,), dtype="int64", name="n")
    columns = [
        StringLookup(output_mode="one_hot"),
        StringLookup(vocabulary=["red"], output_mode="multi_hot", mask_token=""),
        TextVectorization(output_mode="tf_idf"),
        TextVectorization(output_mode="tf_idf", pad_to_max_tokens=True, max_tokens=12),
        TextVectorization(vocabulary=["red", "box"], output_mode="count", ngrams=(1, 2)),
        Hashing(4, output_mode="one_hot"),
    ]
    for layer in (columns[0], columns[2], columns[3]):
        layer.adapt(texts)
    whole = IntegerLookup(output_mode="one_hot", max_tokens=9, pad_to_max_tokens=True)
    whole.adapt(numbers)
    bins = Discretization(num_bins=2, output_mode="one_hot")
    bins.adapt(numbers)
    parts = [layer(word) for layer in columns] + [whole(number), bins(number)]
    parts += [CategoryEncoding(8, output_mode="one_hot")(number)]
    model = Model([word, number], Dense(2)(layers.Concatenate()(parts)))
    return model, {"n": numbers, "word": texts}


@pytest.mark.parametrize("zipped", [True, False])
def test_files_keep_vocabularies(tmp_path, zipped):
    model, x = every_kind()
    path = tmp_path / ("model.keras" if zipped else "model")
    model.save(path, **({} if zipped else {"zipped": False}))
    again = nnlite.models.load_model(path)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    for mine, theirs in zip(again.layers, model.layers, strict=True):
        assert mine.get_config() == theirs.get_config()
        if hasattr(mine, "get_vocabulary"):
            assert mine.get_vocabulary() == theirs.get_vocabulary()


def test_vocabularies_stand_where_keras_reads_them(tmp_path):
    import zipfile

    model, _ = every_kind()
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        names = [name for name in archive.namelist() if name.startswith("assets/")]
        text = archive.read("assets/layers/integer_lookup/vocabulary.txt").decode()
    assert sorted(names) == [
        "assets/layers/integer_lookup/vocabulary.txt",
        "assets/layers/string_lookup/vocabulary.txt",
        "assets/layers/text_vectorization/_lookup_layer/vocabulary.txt",
        "assets/layers/text_vectorization/vocabulary.txt",
        "assets/layers/text_vectorization_1/_lookup_layer/vocabulary.txt",
        "assets/layers/text_vectorization_1/vocabulary.txt",
    ]
    assert text.split("\n") == ["-1", "3", "7", "5"]


def test_a_vocabulary_is_not_lost_in_a_file(tmp_path):
    layer = StringLookup(output_mode="one_hot")
    layer.adapt(["a", "b\nc"])
    model = Sequential([layer, Dense(1)])
    model.build((None, 1))
    with pytest.raises(ValueError, match="a token that is empty or has several lines"):
        model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"\.h5 file cannot hold: save the model as \.keras"):
        model.save(tmp_path / "model.h5")
    given = Sequential([StringLookup(vocabulary=["a", "b\nc"], output_mode="one_hot"), Dense(1)])
    given.build((None, 1))
    for name in ("model.keras", "model.h5"):
        given.save(tmp_path / name)
        again = nnlite.models.load_model(tmp_path / name)
        assert again.layers[0].get_vocabulary() == ["[UNK]", "a", "b\nc"]


def changed(path, name, text):
    """Write the file anew with another text in one of its members, or without it."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        parts = {one: archive.read(one) for one in archive.namelist()}
    parts[name] = text
    with zipfile.ZipFile(path, "w") as archive:
        for one, data in parts.items():
            if data is not None:
                archive.writestr(one, data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"-1\n3\n7", "have 4 tokens. Received: .* and 3 tokens"),
        (b"-1\n3\n7\nx", "must be integers"),
        (b"-1\n3\n7\n7", "must have each token once"),
        (b"3\n7\n5\n9", r"must begin with \[-1\]"),
        (b"\xff", "not UTF-8"),
        (None, "no vocabulary for layer"),
    ],
)
def test_damaged_vocabularies_are_refused(tmp_path, text, message):
    layer = IntegerLookup(output_mode="one_hot")
    layer.adapt([3, 5, 7])
    model = Sequential([layer, Dense(1)])
    model.build((None, 1))
    path = tmp_path / "model.keras"
    model.save(path)
    changed(path, "assets/layers/integer_lookup/vocabulary.txt", text)
    with pytest.raises(ValueError, match=message):
        nnlite.models.load_model(path)


def test_a_large_vocabulary_is_neither_written_nor_read(tmp_path, monkeypatch):
    layer = StringLookup()
    layer.adapt(["abcdefgh", "ijklmnop"])
    model = Sequential([layer])
    model.build((None, 1))
    path = tmp_path / "model.keras"
    model.save(path)
    changed(path, "assets/layers/string_lookup/vocabulary.txt", b"\n" * (2**24 + 1))
    with pytest.raises(ValueError, match=r"vocabulary\.txt: it declares 16777217 bytes; at most"):
        nnlite.models.load_model(path)
    monkeypatch.setattr("nnlite.saving.formats.keras_archive.MAX_VOCABULARY", 10)
    with pytest.raises(ValueError, match="'string_lookup' has 23 bytes; a file holds at most 10"):
        model.save(path)


@nnlite.saving.register_keras_serializable("tables")
def shouted(texts):
    return np.char.upper(texts)


def test_functions_in_files_are_those_that_are_registered(tmp_path):
    layer = TextVectorization(
        standardize=shouted, vocabulary=["FOO"], output_mode="count", name="words"
    )
    model = Sequential([Input((1,), dtype="string"), layer])
    path = tmp_path / "model.keras"
    model.save(path)
    again = nnlite.models.load_model(path)
    assert again.predict(["foo bar"], verbose=0).tolist() == [[1, 1]]
    config = layers.serialize(layer)
    config["config"]["standardize"] = {"class_name": "__lambda__", "config": {"value": "x"}}
    with pytest.raises(ValueError, match="lambda"):
        layers.deserialize(config)


def test_a_file_names_no_other_file(tmp_path):
    (tmp_path / "words.txt").write_text("a\nb\n")
    layer = StringLookup(vocabulary=str(tmp_path / "words.txt"))
    assert layer.get_vocabulary() == ["[UNK]", "a", "b"]
    assert layer.get_config()["vocabulary"] is None  # the file keeps it as one of its own
    config = layers.serialize(layer)
    config["config"]["vocabulary"] = str(tmp_path / "words.txt")
    with pytest.raises(ValueError, match="StringLookup has its vocabulary in a list"):
        layers.deserialize(config)
    config = layers.serialize(TextVectorization())
    config["config"]["vocabulary"] = str(tmp_path / "words.txt")
    with pytest.raises(ValueError, match="TextVectorization has its vocabulary in a list"):
        layers.deserialize(config)

"""The bundled data sets are the published ones, split once, and nobody's copy is anybody else's."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nnlite import datasets
from nnlite.datasets import breast_cancer, digits

CLASS_COUNTS = {
    breast_cancer: [212, 357],
    digits: [178, 182, 177, 183, 181, 182, 181, 179, 174, 180],
}

each_dataset = pytest.mark.parametrize(
    "dataset", list(CLASS_COUNTS), ids=lambda module: module.__name__.rpartition(".")[2]
)


def arrays(dataset):
    (x_train, y_train), (x_test, y_test) = dataset.load_data()
    return x_train, y_train, x_test, y_test


def union(dataset):
    x_train, y_train, x_test, y_test = arrays(dataset)
    return np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])


def sorted_rows(x, y):
    table = np.column_stack([x, y])
    return table[np.lexsort(table.T)]


def test_every_public_data_set_is_tested_here():
    assert {getattr(datasets, name) for name in datasets.__all__} == set(CLASS_COUNTS)


@pytest.mark.parametrize(
    ("dataset", "train_rows", "test_rows", "columns", "dtype"),
    [(breast_cancer, 455, 114, 30, np.float32), (digits, 1437, 360, 64, np.uint8)],
)
def test_shapes_and_dtypes(dataset, train_rows, test_rows, columns, dtype):
    x_train, y_train, x_test, y_test = arrays(dataset)
    assert (x_train.shape, x_test.shape) == ((train_rows, columns), (test_rows, columns))
    assert (y_train.shape, y_test.shape) == ((train_rows,), (test_rows,))
    assert x_train.dtype == x_test.dtype == dtype
    assert y_train.dtype == y_test.dtype == np.int64


@each_dataset
def test_class_counts_are_the_published_ones(dataset):
    assert np.bincount(union(dataset)[1]).tolist() == CLASS_COUNTS[dataset]


@each_dataset
def test_split_is_stratified_to_within_one_row(dataset):
    _, y_train, _, y_test = arrays(dataset)
    counts = np.array(CLASS_COUNTS[dataset])
    share = len(y_test) / counts.sum()
    assert share == pytest.approx(0.2, abs=0.001)
    assert np.abs(np.bincount(y_test) - share * counts).max() < 1
    assert np.abs(np.bincount(y_train) - (1 - share) * counts).max() < 1


@each_dataset
def test_rows_are_shuffled(dataset):
    _, y_train, _, y_test = arrays(dataset)
    for y in (y_train, y_test):
        frequency = np.bincount(y) / len(y)
        neighbours_alike = np.mean(y[1:] == y[:-1])
        assert neighbours_alike == pytest.approx(np.sum(frequency**2), abs=0.1)


@each_dataset
def test_no_row_is_in_both_parts(dataset):
    x, y = union(dataset)
    assert len(np.unique(x, axis=0)) == len(y)


@pytest.mark.parametrize(
    ("dataset", "sha256"),
    [
        (breast_cancer, "83518a3783c66efed30dbb5541f9acfa39b00ecd13a831d7caf91cda18883cfc"),
        (digits, "6a812af8365b27b7ec02d34500f780068c2c6659fd92ac09c86758d8ab34538c"),
    ],
)
def test_every_bit_and_every_place_in_the_split_is_fixed(dataset, sha256):
    content = b"".join(a.astype(a.dtype.newbyteorder("<")).tobytes() for a in arrays(dataset))
    assert hashlib.sha256(content).hexdigest() == sha256


def test_breast_cancer_columns_have_the_published_ranges_under_their_names():
    x, y = union(breast_cancer)
    column = dict(zip(breast_cancer.FEATURE_NAMES, x.T.astype(np.float64), strict=True))
    assert column["mean radius"].mean() == pytest.approx(14.127292, rel=1e-6)
    for name, low, high in [
        ("mean radius", 6.981, 28.11),
        ("mean area", 143.5, 2501.0),
        ("radius error", 0.1115, 2.873),
        ("concave points error", 0.0, 0.05279),
        ("worst radius", 7.93, 36.04),
        ("worst fractal dimension", 0.05504, 0.2075),
    ]:
        assert (column[name].min(), column[name].max()) == pytest.approx((low, high), rel=1e-6)
    malignant = y == breast_cancer.CLASS_NAMES.index("malignant")
    assert column["mean radius"][malignant].mean() > column["mean radius"][~malignant].mean()


def test_digits_are_pictures_in_row_order():
    x, y = union(digits)
    assert (x.min(), x.max()) == (0, 16)
    assert x.mean() == pytest.approx(4.884164579855314, rel=1e-12)
    zero, one = (x[y == digit].mean(axis=0).reshape(8, 8) for digit in (0, 1))
    assert zero[3:5, 3:5].max() < 4 < 10 < one[3:5, 3:5].max()
    assert max(zero[:, 0].max(), one[:, 0].max()) < 0.1 < 1 < min(zero[0].max(), one[0].max())


@each_dataset
def test_each_call_returns_fresh_writable_arrays(dataset):
    first, second = arrays(dataset), arrays(dataset)
    expected = [array.copy() for array in second]
    for array in first:
        array[...] = 0
        assert not any(np.shares_memory(array, other) for other in second)
    assert all(map(np.array_equal, second, expected))
    assert all(map(np.array_equal, arrays(dataset), expected))


@each_dataset
def test_rows_are_scikit_learns(dataset):
    load = {breast_cancer: "load_breast_cancer", digits: "load_digits"}[dataset]
    bunch = getattr(pytest.importorskip("sklearn.datasets"), load)()
    x, y = union(dataset)
    np.testing.assert_array_equal(
        sorted_rows(x, y), sorted_rows(bunch.data.astype(x.dtype), bunch.target)
    )
    if dataset is breast_cancer:
        assert tuple(bunch.feature_names) == breast_cancer.FEATURE_NAMES
        assert tuple(bunch.target_names) == breast_cancer.CLASS_NAMES


def test_data_sets_load_from_a_zipped_package_and_only_when_asked(tmp_path):
    package = Path(datasets.__file__).parent
    archive = tmp_path / "package.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("nnlite/__init__.py", "")
        for file in [*package.glob("*.py"), *package.glob("*.npz")]:
            zipped.write(file, f"nnlite/datasets/{file.name}")
    script = (
        "import sys, numpy as np; load, np.load = np.load, None; sys.path.insert(0, sys.argv[1]);"
        "from nnlite import datasets; assert sys.argv[1] in datasets.__file__; np.load = load;"
        "print([len(getattr(datasets, n).load_data()[1][0]) for n in datasets.__all__])"
    )
    command = [sys.executable, "-W", "error", "-c", script, str(archive)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (result.stdout.strip(), result.stderr) == ("[114, 360]", "")

"""Every structure that Keras's HDF5 files use is read as h5py reads it."""

import h5py
import numpy as np
import pytest

from nnlite.saving.formats.hdf5 import open_hdf5

from .hdf5_files import opened, written

FORMATS = [
    {},
    {"libver": "latest"},
    {"libver": "v108"},
    {"track_order": True},
    {"libver": "latest", "track_order": True},
    {"userblock_size": 512},
    {"userblock_size": 2048, "libver": "latest"},
]


@pytest.fixture(params=FORMATS, ids=str)
def options(request):
    return request.param


ARRAYS = {
    "float16": np.array([0.5, -2], "float16"),
    "float32": np.arange(12, dtype="float32").reshape(3, 4),
    "float64": np.array([1e300, np.nan, -np.inf]),
    "big-endian": np.array([1.5, -2.25], ">f4"),
    "big-endian integers": np.array([1, -2], ">i2"),
    "int64": np.int64(-3),
    "uint8": np.array([[255]], "uint8"),
    "bool": np.array([True, False]),
    "scalar": np.float32(2.5),
    "empty": np.zeros((0, 3), "float32"),
}


def test_arrays_of_every_type_come_back_in_native_byte_order(options):
    with opened(written(lambda file: file.update(ARRAYS), **options)) as root:
        assert sorted(root.datasets()) == sorted(ARRAYS)
        for key, wanted in ARRAYS.items():
            found = root.array(key, np.shape(wanted))
            assert found.dtype == wanted.dtype.newbyteorder("=")
            assert root.shape(key) == found.shape == np.shape(wanted)
            np.testing.assert_array_equal(found, wanted)
            assert found.flags.writeable
        assert root.total_elements() == sum(array.size for array in ARRAYS.values())


@pytest.mark.parametrize(
    "storage",
    [
        {"chunks": (3, 2)},
        {"chunks": (3, 2), "compression": "gzip"},
        {"chunks": (4, 3), "compression": "gzip", "shuffle": True},
        {"chunks": (9, 5), "compression": "gzip", "maxshape": (None, 5)},
        {"chunks": (7, 5), "shuffle": True, "maxshape": (None, None)},
    ],
    ids=str,
)
def test_chunks_are_put_together_as_h5py_does(storage):
    wanted = np.random.default_rng(1).standard_normal((7, 5))
    with opened(written(lambda file: file.create_dataset("w", data=wanted, **storage))) as root:
        np.testing.assert_array_equal(root.array("w"), wanted)


def test_compact_data_is_read():
    def fill(file):
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((3,))
        made = h5py.h5d.create(file.id, b"w", h5py.h5t.NATIVE_FLOAT, space, properties)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([1, 2, 3], "float32"))

    with opened(written(fill)) as root:
        np.testing.assert_array_equal(root.array("w"), [1, 2, 3])


ATTRIBUTES = {
    "text": "größer",
    "bytes": b"2.9.0",
    "names": [b"dense", b"out"],
    "variable names": np.array(["a", "", "long" * 50], h5py.string_dtype()),
    "padded": np.array([b"a", b"bcd"], "S5"),
    "integer": np.int64(-3),
    "number": np.float32(0.5),
    "true": np.bool_(True),
    "vector": np.array([1.0, 2.0]),
    "none": np.zeros(0),
}


def test_attributes_of_every_type_are_plain_objects(options):
    def fill(file):
        file.attrs.update(ATTRIBUTES)
        file.attrs["without data"] = h5py.Empty("f4")

    with opened(written(fill, **options)) as root:
        found = {key: root.attribute(key) for key in ATTRIBUTES}
        assert root.attribute("without data") is None
        assert root.attribute("missing") is None
        assert root.attribute("text") == found["text"], "the second reading differs"
        assert root.attribute("number") == 0.5
    np.testing.assert_array_equal(found.pop("vector"), [1.0, 2.0])
    assert found.pop("none").shape == (0,)
    assert found == {
        "text": "größer",
        "bytes": "2.9.0",
        "names": ["dense", "out"],
        "variable names": ["a", "", "long" * 50],
        "padded": ["a", "bcd"],
        "integer": -3,
        "number": 0.5,
        "true": True,
    }
    assert found["true"] is True


def test_many_members_and_attributes_are_all_found(options):
    def fill(file):
        for number, name in enumerate(names):
            file[f"{name}/kernel"] = np.float32(number)
            file.attrs[f"attribute_{number}"] = "x" * number

    names = [f"layer_{number}" for number in range(300)]
    with opened(written(fill, **options)) as root:
        assert root.groups() == (names if options.get("track_order") else sorted(names))
        assert [root.array(f"layer_{number}/kernel") for number in range(300)] == list(range(300))
        assert [len(root.attribute(f"attribute_{n}")) for n in range(300)] == list(range(300))


def test_a_group_of_thousands_of_links_is_found_whole():
    def fill(file):
        for number in range(3000):
            file.create_group(f"layer_{number}")

    with opened(written(fill, libver="latest")) as root:
        assert root.groups() == sorted(f"layer_{number}" for number in range(3000))


def test_names_keep_backslashes_and_keys_may_be_paths():
    data = written(lambda file: file.update({"layers\\dense/vars/0": np.ones(2)}))
    with opened(data) as root:
        assert root.groups() == ["layers\\dense"]
        node = root.group("layers\\dense/vars")
        assert (node.name, node.datasets(), node.groups()) == ("/layers\\dense/vars", ["0"], [])
        np.testing.assert_array_equal(root.array("layers\\dense/vars/0"), [1, 1])


def test_a_long_text_may_be_asked_for_again_and_again():
    def fill(file):
        file.attrs["config"] = "x" * (1 << 20)

    with opened(written(fill)) as root:
        assert {len(root.attribute("config")) for _ in range(100)} == {1 << 20}


def test_names_split_over_attributes_are_joined_in_order():
    def fill(file):
        file.attrs["whole"] = [b"a", b"b"]
        file.attrs["none"] = np.zeros(0)
        file.attrs["text"] = "a"
        for number in range(12):
            file.attrs[f"split{number}"] = [f"{number}".encode(), b"x"]

    with opened(written(fill)) as root:
        assert root.text_list("whole") == ["a", "b"]
        assert root.text_list("none") == root.text_list("missing") == []
        assert root.text_list("split")[::2] == [str(number) for number in range(12)]
        with pytest.raises(ValueError, match=r"'text': expected a list of names. Received: str"):
            root.text_list("text")


def test_a_file_is_opened_by_its_path(tmp_path):
    path = tmp_path / "model.h5"
    path.write_bytes(written(lambda file: file.update(ARRAYS)))
    with open_hdf5(path, "model.h5") as root:
        np.testing.assert_array_equal(root.array("float32"), ARRAYS["float32"])
    with pytest.raises(FileNotFoundError), open_hdf5(tmp_path / "no.h5", "no.h5"):
        pass


def test_what_is_not_there_is_named_with_what_is():
    with opened(written(lambda file: file.update({"a/w": np.ones(2), "b/w": np.ones(2)}))) as root:
        with pytest.raises(ValueError, match=r"model.h5: /c: no such group. There are: 'a', 'b'$"):
            root.group("c")
        with pytest.raises(ValueError, match=r"/a/v: no such dataset. There are: 'w'$"):
            root.group("a").array("v")
        with pytest.raises(ValueError, match=r"/a/w: expected shape \(3,\). Received: shape \(2,"):
            root.group("a").array("w", (3,))

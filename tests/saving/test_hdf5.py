"""Every structure that Keras's HDF5 files use is read, and every hostile one refused by name."""

import io
import struct

import h5py
import numpy as np
import pytest

from nnlite.saving.hdf5 import open_hdf5

from .limits import refuses

NEVER = b"\xff" * 8  # the address of nothing


def written(fill, **options):
    stream = io.BytesIO()
    with h5py.File(stream, "w", **options) as file:
        fill(file)
    return stream.getvalue()


def opened(data):
    return open_hdf5(io.BytesIO(data), "model.h5")


def refused(fill, message, read=None, **options):
    """Check that the file that ``fill`` writes is refused when opened, or by ``read(root)``."""
    data = written(fill, **options) if callable(fill) else fill

    def call():
        with opened(data) as root:
            assert read is not None, "the file was opened"
            read(root)

    refuses(call, f"^model.h5: .*{message}")


# ---- what is read ----------------------------------------------------------------------------

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
        for number in range(300):
            file[f"layer_{number}/kernel"] = np.float32(number)
            file.attrs[f"attribute_{number}"] = "x" * number

    data = written(fill, **options)
    with opened(data) as root, h5py.File(io.BytesIO(data)) as file:
        assert root.groups() == list(file)
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


# ---- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize(
    ("link", "message"),
    [
        (h5py.SoftLink("/w"), "soft link"),
        (h5py.SoftLink("/a/link"), "soft link"),
        (h5py.ExternalLink("/etc/passwd", "/w"), "external link"),
    ],
)
def test_links_that_lead_elsewhere_are_refused(libver, link, message):
    refused(lambda file: file.update({"w": 1.0, "a/link": link}), message, libver=libver)


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_circles_and_second_names_are_refused(libver):
    def circle(file):
        below = file.create_group("a/b")
        below["c"] = file["a"]

    refused(circle, "/a/b/c: it is the same object as /a", libver=libver)
    refused(
        lambda file: file.update({"own": file["/"]}), "/own: .*same object as /$", libver=libver
    )

    def twice(file):
        file["a"] = np.ones(3)
        file["b"] = file["a"]

    refused(twice, "/b: it is the same object as /a", libver=libver)


def test_data_outside_of_the_file_is_refused(tmp_path):
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("w", (4,), "f4", external=[("/etc/passwd", 0, 16)])
    refused(path.read_bytes(), "/w: .*external files")

    def virtual(file):
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource("/etc/passwd", "w", (4,))
        file.create_virtual_dataset("w", layout)

    refused(virtual, "/w: it is virtual", libver="latest")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (1 << 40,), "dtype": "f4"}, f"takes {1 << 42} bytes, but 0 are stored"),
        (
            {"shape": (1 << 20, 1 << 20), "dtype": "f4", "chunks": (64, 64)},
            "has 0 of its 268435456 chunks",
        ),
        ({"shape": (8,), "dtype": "f4", "chunks": (4,)}, "has 0 of its 2 chunks"),
    ],
)
def test_shapes_without_their_bytes_are_refused(arguments, message):
    refused(lambda file: file.create_dataset("w", **arguments), f"/w: .*({message})")


def test_a_dataset_that_expands_beyond_measure_is_refused():
    def fill(file):
        zeros = np.zeros((10, 1 << 20), "float32")
        file.create_dataset("w", data=zeros, chunks=(1, 1 << 20), compression="gzip")

    refused(fill, r"/w: data would expand from \d+ bytes to 41943040")


def test_a_chunk_that_expands_beyond_its_size_is_refused():
    data = written(
        lambda file: file.create_dataset("w", data=np.zeros(64), chunks=(64,), compression="gzip")
    )
    dims = struct.pack("<II", 64, 8)
    for size in (32, 128):
        other = data.replace(struct.pack("<Q", 64), struct.pack("<Q", size))
        other = other.replace(dims, struct.pack("<II", size, 8))
        assert other != data
        refused(
            other, f"/w: a chunk does not unpack to its {8 * size}", lambda root: root.array("w")
        )


def test_data_that_is_damaged_in_a_chunk_is_refused():
    weights = np.random.default_rng(1).standard_normal(64)
    data = written(
        lambda file: file.create_dataset("w", data=weights, chunks=(64,), compression="gzip")
    )
    at = data.index(b"\x78\x5e") if b"\x78\x5e" in data else data.index(b"\x78\x9c")
    damaged = data[: at + 100] + bytes(50) + data[at + 150 :]
    refused(damaged, "/w: a chunk cannot be decompressed", lambda root: root.array("w"))


@pytest.mark.parametrize("options", [{"fletcher32": True}, {"compression": "lzf"}], ids=str)
def test_other_filters_are_refused(options):
    refused(
        lambda file: file.create_dataset("w", data=np.zeros(64), chunks=(64,), **options),
        r"/w: it is stored through filter \d+ .*; it may be gzip or shuffle",
    )


def test_chunks_of_the_newest_format_are_refused():
    refused(
        lambda file: file.create_dataset("w", data=np.zeros(64), chunks=(8,)),
        "/w: it is stored in chunks of the newest HDF5 format",
        libver="latest",
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros(2, "c8"), "compound"),
        (np.array([b"text"]), "holds no numbers"),
        (np.array(["text"], h5py.string_dtype()), "holds no numbers"),
        (np.array([b"\x80\x05."], "V3"), "opaque"),
        (np.array([np.ones(2), np.ones(3)], h5py.vlen_dtype("f4")), "variable-length list"),
        (np.zeros(2, [("a", "f4")]), "compound"),
        (np.array([0, 1], h5py.enum_dtype({"A": 0, "B": 1}, "i1")), "enumeration"),
        (np.array([None], h5py.ref_dtype), "reference"),
        (np.zeros(2, "longdouble"), "float type of 16 bytes"),
    ],
    ids=str,
)
def test_types_that_are_no_numbers_are_refused(data, message):
    def fill(file):

        dataset = file.create_dataset("w", data.shape, data.dtype)
        if data[0] is None:
            data[0] = file.ref
        dataset[...] = data

    refused(fill, f"/w: it .*{message}", lambda root: root.array("w"))


def test_named_types_are_refused():
    refused(lambda file: file.update({"t": np.dtype("f4")}), "/t: it is neither a group nor")

    def fill(file):
        file["t"] = np.dtype("f4")
        file.create_dataset("a", data=[1.0], dtype=file["t"])
        del file["t"]

    refused(fill, "/a: its type is a named or shared one")


def test_attributes_that_are_no_plain_values_are_refused():
    def fill(file):
        file.attrs["reference"] = file.ref
        file.attrs["table"] = np.array([[b"a"], [b"b"]])
        file.attrs["latin"] = np.bytes_(b"\xe9")
        file.attrs["pair"] = np.zeros((), [("a", "f4"), ("b", "f4")])

    for key, message in {
        "reference": "reference",
        "table": "table of text",
        "latin": "no UTF-8",
        "pair": "compound",
    }.items():
        refused(fill, f"attribute '{key}': .*{message}", lambda root, key=key: root.attribute(key))


def test_groups_nested_too_deep_are_refused():
    refused(lambda file: file.create_group("/".join("a" * 200)), "deeper than 64")
    refused(lambda file: file.create_group("a" * 2000), "too long")
    refused(lambda file: file.create_group("a" * 2000), "too long", libver="latest")


def test_more_groups_than_any_model_has_are_refused():
    def fill(file):
        for number in range(12_000):
            file.create_group(f"{number}/a")

    refused(fill, "more structure than the file of a model")


def test_a_file_that_is_no_hdf5_is_refused():
    for data in (b"", b"\x80\x05.", b"\x89HDF", b"x" * 5000):
        refused(data, "it is no HDF5 file")
    refused(b"\x89HDF\r\n\x1a\n" + b"\x09" * 200, "unknown HDF5 version 9")


def test_a_truncated_file_says_so():
    data = written(lambda file: file.update(ARRAYS))
    refused(data[:-1], f"truncated: {len(data) - 1} of {len(data)} bytes")


# ---- what no library would write -------------------------------------------------------------


def message(kind, data=b"", flags=0):
    return struct.pack("<BHB", kind, len(data), flags) + data


def header(*messages):
    body = b"".join(messages)
    return b"OHDR\2\3" + struct.pack("<Q", len(body)) + body + bytes(4)


def file_of(root, rest=b""):
    """Return a file of this root header, at 48, and what follows it."""
    size = 48 + len(root) + len(rest)
    start = b"\x89HDF\r\n\x1a\n\2\x08\x08\0" + struct.pack("<Q", 0) + NEVER
    return start + struct.pack("<QQ", size, 48) + bytes(4) + root + rest


LINK_INFO = message(2, b"\0\0" + NEVER + NEVER)


def test_a_handmade_file_is_read():
    with opened(file_of(header(LINK_INFO))) as root:
        assert root.groups() == root.datasets() == []
    refused(file_of(header()), "its first object is no group")


def test_a_header_of_more_messages_than_any_object_has_is_refused():
    refused(file_of(header(LINK_INFO, message(12) * 200_000)), "more structure")


def test_a_header_that_continues_in_itself_is_refused():
    at = 48 + 14 + len(LINK_INFO) + 4 + 16  # what follows the first block
    again = message(16, struct.pack("<QQ", at + 4, 4 + 20 + 4))
    data = file_of(header(LINK_INFO, message(16, struct.pack("<QQ", at + 4, 28))), b"OCHK" + again)
    refused(data + bytes(4), "more structure|truncated|beyond|unknown type")


@pytest.mark.parametrize("kind", [1, 3, 15, 20, 24, 200])
def test_a_message_of_an_unknown_type_is_refused(kind):
    with pytest.raises(ValueError, match=r"unknown type|no group"):
        opened(file_of(header(message(kind)))).__enter__()


def test_a_tree_of_nodes_that_is_its_own_child_is_refused():
    root_size = 14 + 4 + 16 + 4
    tree, heap = 48 + root_size, 48 + root_size + 24 + 24
    for level, fault in ((0, "a group's node begins with"), (1, "stands on level 1 instead of 0")):
        node = b"TREE\0" + bytes([level]) + struct.pack("<H", 1) + NEVER * 2
        node += struct.pack("<QQQ", 0, tree, 0)
        names = b"HEAP" + bytes(4) + struct.pack("<QQQ", 8, 8, heap + 32) + b"name\0\0\0\0"
        root = header(message(17, struct.pack("<QQ", tree, heap)))
        refused(file_of(root, node + names), fault)


def test_text_that_is_pointed_to_a_thousand_times_is_refused():
    size, count = 1 << 20, 4000
    dataspace = b"\2\1\0\1" + struct.pack("<Q", count)
    datatype = b"\x19\1\0\0\x10\0\0\0" + b"\x13\0\0\0\1\0\0\0"
    values = 48 + 14 + len(LINK_INFO) + 4 + 8 + 2 + len(datatype) + len(dataspace)
    heap = values + 16 * count + 1 + 4  # the name's end, the checksum

    def attribute(address):
        data = struct.pack("<IQI", size, address, 1) * count
        sizes = struct.pack("<BBHHHB", 3, 0, 2, len(datatype), len(dataspace), 0)
        return message(12, sizes + b"a\0" + datatype + dataspace + data)

    start = len(file_of(header(LINK_INFO, attribute(heap))))
    root = header(LINK_INFO, attribute(start))
    text = b"GCOL\1\0\0\0" + struct.pack("<QHHIQ", 32 + size, 1, 1, 0, size) + b"x" * size
    refused(file_of(root, text), "'a': there is more structure", lambda root: root.attribute("a"))


FLOAT32 = b"\x11\x20\x1f\0\4\0\0\0\0\0\x20\0\x17\x08\0\x17\x7f\0\0\0"


def dataset(shape, address, size):
    dimensions = b"\2" + bytes([len(shape)]) + b"\0\1" + struct.pack(f"<{len(shape)}Q", *shape)
    place = struct.pack("<BBQQ", 3, 1, address, size)
    return header(message(1, dimensions), message(3, FLOAT32), message(8, place))


def link(name, address):
    return message(6, b"\1\0\1" + name + struct.pack("<Q", address))


def test_an_axis_longer_than_any_file_is_refused():
    def file(*shape):
        at = 48 + len(header(LINK_INFO, link(b"w", 0)))
        return file_of(header(LINK_INFO, link(b"w", at)), dataset(shape, 0, 0))

    with opened(file(0, 1 << 20)) as root:
        assert root.array("w").shape == (0, 1 << 20)
    refused(file(0, 1 << 63), "/w: a shape of .* is more than any file holds")
    refused(file(*[0] * 17), "/w: a shape of version 2 has 17 axes .at most 16")
    for shape in ((0, 1 << 48, 1 << 48), (0, *[1 << 47] * 15)):
        refused(file(*shape), "/w: ", lambda root: root.array("w"))


def test_datasets_over_each_others_bytes_are_refused():
    size = len(dataset((1000,), 0, 0))

    def file(count):
        def root(first):
            links = (link(bytes([97 + n]), first + n * size) for n in range(count))
            return header(LINK_INFO, *links)

        first = 48 + len(root(0))
        data = dataset((1000,), first + count * size, 4000) * count
        return file_of(root(first), data + bytes(4000))

    with opened(file(1)) as root:
        np.testing.assert_array_equal(root.array("a"), np.zeros(1000, "float32"))
    refused(file(3), "/b: datasets lie over each other's bytes")

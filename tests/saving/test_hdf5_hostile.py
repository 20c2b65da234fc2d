"""HDF5 files that no model needs: each refused by name, soon and within little memory."""

import struct
import zlib

import h5py
import numpy as np
import pytest

from .hdf5_files import opened, refused, written

NEVER = b"\xff" * 8  # the address of nothing


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


def test_a_chunk_that_is_a_bomb_is_refused():
    def fill(file):
        made = file.create_dataset("w", (64,), "f4", chunks=(64,), compression="gzip")
        made.id.write_direct_chunk((0,), zlib.compress(bytes(1 << 28)))

    refused(fill, "/w: a chunk does not unpack to its 256 bytes", lambda root: root.array("w"))


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
        r"/w: filters must be gzip or shuffle. Received: filter \d+",
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
        (np.array([b"text"]), "does not hold numbers"),
        (np.array(["text"], h5py.string_dtype()), "does not hold numbers"),
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
        "latin": "not UTF-8",
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
        refused(data, "it is not an HDF5 file")
    refused(b"\x89HDF\r\n\x1a\n" + b"\x09" * 200, "unknown HDF5 version 9")


def test_a_truncated_file_says_so():
    data = written(lambda file: file.update({"w": np.ones(100)}))
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
    refused(file_of(header()), "its first object is not a group")


def test_a_header_of_more_messages_than_any_object_has_is_refused():
    refused(file_of(header(LINK_INFO, message(12) * 200_000)), "more structure")


def test_a_header_that_continues_in_itself_is_refused():
    at = 48 + 14 + len(LINK_INFO) + 4 + 16  # what follows the first block
    again = message(16, struct.pack("<QQ", at + 4, 4 + 20 + 4))
    data = file_of(header(LINK_INFO, message(16, struct.pack("<QQ", at + 4, 28))), b"OCHK" + again)
    refused(data + bytes(4), "more structure|truncated|beyond|unknown type")


@pytest.mark.parametrize("kind", [1, 3, 15, 20, 24, 200])
def test_a_message_of_an_unknown_type_is_refused(kind):
    with pytest.raises(ValueError, match=r"unknown type|not a group"):
        opened(file_of(header(message(kind)))).__enter__()


def test_a_tree_of_nodes_that_is_its_own_child_is_refused():
    root_size = 14 + 4 + 16 + 4
    tree, heap = 48 + root_size, 48 + root_size + 24 + 24
    for level, fault in ((0, "a group's node begins with"), (1, "is on level 1 instead of 0")):
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
    refused(file(3), "/b: datasets overlap")

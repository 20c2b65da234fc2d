"""A .keras file: three members are read, nothing unpacked, every trick refused by name."""

import io
import os
import pickle
import stat
import struct
import zipfile
import zlib

import h5py
import numpy as np
import pytest

from nnlite.saving.formats.keras_archive import kind_of, read_archive

from .limits import refuses

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
KERNEL = np.arange(6, dtype="float32").reshape(2, 3)


def weights(array=KERNEL):
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["layers/dense/vars/0"] = array
    return stream.getvalue()


MEMBERS = {
    METADATA: b'{"keras_version": "3.15.1"}',
    CONFIG: b'{"class_name": "Sequential"}',
    WEIGHTS: weights(),
}


def zipped(members=MEMBERS, compression=zipfile.ZIP_STORED, more=()):
    """Return an archive of members, and ``more`` ones as pairs of a name or ZipInfo and data."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in (*members.items(), *more):
            archive.writestr(name, data)
    return stream.getvalue()


def refused(data, message):
    def call():
        with read_archive(io.BytesIO(data)):
            pytest.fail("the archive was opened")

    refuses(call, f"^the archive: .*{message}")


def changed(data, member, field, value, where="both"):
    """Return the archive with a field of a member's headers changed.

    Args:
        data: The archive.
        member: The member's name.
        field: Its place and struct format in the directory's entry; the header's is 2 before.
        value: Its new value.
        where: "directory", "header" or "both".
    """
    at, form = field
    copy = bytearray(data)
    entry = data.rindex(member.encode()) - 46
    header = data.index(member.encode()) - 30
    if where in ("directory", "both"):
        struct.pack_into(form, copy, entry + at, value)
    if where in ("header", "both"):
        struct.pack_into(form, copy, header + at - 2, value)
    return bytes(copy)


FLAGS, METHOD, CHECKSUM, PACKED, SIZE = (8, "<H"), (10, "<H"), (16, "<I"), (20, "<I"), (24, "<I")


# ---- what is read ----------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_three_members_are_read(compression, tmp_path):
    path = tmp_path / "model.any"
    path.write_bytes(zipped(compression=compression))
    for file in (path, str(path), io.BytesIO(path.read_bytes())):
        with read_archive(file) as archive:
            assert archive.config == {"class_name": "Sequential"}
            assert archive.metadata == {"keras_version": "3.15.1"}
            np.testing.assert_array_equal(archive.weights.array("layers/dense/vars/0"), KERNEL)
    assert os.listdir(tmp_path) == ["model.any"]


def test_compressed_weights_of_many_pieces_are_read():
    array = np.random.default_rng(1).integers(0, 4, (1000, 1500)).astype("float32")
    data = zipped({**MEMBERS, WEIGHTS: weights(array)}, zipfile.ZIP_DEFLATED)
    with read_archive(io.BytesIO(data)) as archive:
        np.testing.assert_array_equal(archive.weights.array("layers/dense/vars/0"), array)


def test_what_is_left_in_the_unpacker_after_the_last_piece_is_read():
    for size in range(1 << 20, (1 << 20) + 256, 16):
        members = {**MEMBERS, CONFIG: MEMBERS[CONFIG].ljust(size)}
        with read_archive(io.BytesIO(zipped(members, zipfile.ZIP_DEFLATED))) as archive:
            assert archive.config == {"class_name": "Sequential"}


def test_an_archive_written_for_large_files_is_read():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in MEMBERS.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(data)
    with read_archive(stream) as archive:
        assert archive.weights.total_elements() == 6


def test_sizes_of_64_bits_are_read():
    """The directory's 32-bit fields say "see the 64-bit ones", and so does the archive's end."""
    data = zipped()
    start = data.index(b"PK\1\2")
    directory = b""
    for info in zipfile.ZipFile(io.BytesIO(data)).infolist():
        name = info.filename.encode()
        extra = struct.pack("<HHI", 7, 4, 0) + struct.pack(
            "<HHQQQ", 1, 24, info.file_size, info.compress_size, info.header_offset
        )
        directory += b"PK\1\2" + struct.pack(
            "<HHHHIIIIHHHHHII", 45, 45, 0, 0, 0, info.CRC, 2**32 - 1, 2**32 - 1, len(name),
            len(extra), 0, 0, 0, 0, 2**32 - 1,
        ) + name + extra  # fmt: skip
    end = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 3, 3, len(directory), start)
    locator = b"PK\6\7" + struct.pack("<IQI", 0, start + len(directory), 1)
    last = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    whole = data[:start] + directory + end + locator + last
    assert zipfile.ZipFile(io.BytesIO(whole)).testzip() is None
    with read_archive(io.BytesIO(whole)) as archive:
        assert archive.weights.total_elements() == 6
    refused(data[:start] + directory.replace(b"\1\0\x18\0", b"\2\0\x18\0") + last, "end")


def test_other_members_are_left_unread():
    outer = zipped()
    hostile = [
        ("../../evil.py", b"raise SystemExit"),
        ("/etc/passwd", b"root"),
        ("./config.json", b"{"),
        ("CONFIG.JSON", b"{"),
        ("assets/inner.keras", outer),
        ("__init__.py", b"raise SystemExit"),
        ("bomb", bytes(1 << 20)),
    ]
    data = zipped(compression=zipfile.ZIP_DEFLATED, more=hostile)
    at = data.index(b"bomb") + 4
    with read_archive(io.BytesIO(data[:at] + b"\xff" * 100 + data[at + 100 :])) as archive:
        assert archive.config == {"class_name": "Sequential"}


# ---- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize("name", MEMBERS)
def test_a_missing_member_is_named(name):
    members = {key: value for key, value in MEMBERS.items() if key != name}
    refused(zipped(members), f"the archive has no {name}$")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused():
    refused(zipped(more=[(CONFIG, b"{}")]), f"the member '{CONFIG}' is there twice")
    refused(zipped(more=[("a", b"1"), ("a", b"2")]), "the member 'a' is there twice")


@pytest.mark.parametrize("flag", [0x1, 0x41, 0x2000])
def test_encrypted_members_are_refused(flag):
    refused(changed(zipped(), CONFIG, FLAGS, flag), f"'{CONFIG}' is encrypted")
    refused(changed(zipped(more=[("a.txt", b"1")]), "a.txt", FLAGS, flag), "'a.txt' is encrypted")
    refused(changed(zipped(), WEIGHTS, FLAGS, flag, "header"), f"{WEIGHTS}: its header and")


@pytest.mark.parametrize(
    ("method", "name"), [(12, "bzip2"), (14, "lzma"), (93, "zstandard"), (6, "method 6")]
)
def test_other_compressions_are_refused(method, name):
    refused(changed(zipped(), WEIGHTS, METHOD, method), f"is compressed by {name}, which")


def test_a_link_in_the_place_of_a_member_is_refused():
    info = zipfile.ZipInfo(CONFIG)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    members = {key: value for key, value in MEMBERS.items() if key != CONFIG}
    refused(zipped(members, more=[(info, b"/etc/passwd")]), f"'{CONFIG}' is a link")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_of_another_checksum_is_refused(compression, name):
    data = changed(zipped(compression=compression), name, CHECKSUM, 1)
    refused(data, f"{name}: it is damaged: its checksum does not match")


def test_sizes_that_are_not_the_real_ones_are_refused():
    packed = zipped(compression=zipfile.ZIP_DEFLATED)
    size = len(MEMBERS[WEIGHTS])
    refused(changed(packed, WEIGHTS, SIZE, size - 1), f"more than the {size - 1} bytes")
    refused(changed(packed, WEIGHTS, SIZE, size + 1), f"{size} bytes instead of the {size + 1}")
    refused(changed(packed, CONFIG, SIZE, 5), "more than the 5 bytes it declares")
    refused(changed(zipped(), WEIGHTS, SIZE, size + 1), f"{size + 1} bytes are declared, {size} st")
    refused(changed(zipped(), WEIGHTS, PACKED, 1 << 30), "bytes are declared|beyond its")
    refused(changed(packed, WEIGHTS, PACKED, 1 << 30), "beyond its")


def test_bombs_are_refused():
    def bomb(name, size):
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        data = b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()
        archive = zipped(
            {**dict.fromkeys(MEMBERS, b"x"), name: data}, compression=zipfile.ZIP_STORED
        )
        archive = changed(archive, name, METHOD, zipfile.ZIP_DEFLATED)
        return archive, len(data)

    data, packed = bomb(WEIGHTS, 1 << 28)
    refused(changed(data, WEIGHTS, SIZE, 1 << 28), f"expand from {packed} bytes to {1 << 28}")
    refused(changed(data, WEIGHTS, SIZE, 1 << 24), "instead of|damaged|no valid|more than")
    for name in (CONFIG, METADATA):
        data, _ = bomb(name, 1 << 28)
        refused(changed(data, name, SIZE, 1 << 28), f"{name}: it declares {1 << 28} bytes; at most")
        refused(changed(data, name, SIZE, 1 << 16), f"{name}: it holds more than the {1 << 16}")


def test_a_directory_of_more_members_than_any_model_has_is_refused():
    more = [(f"assets/{number:0>100}", b"") for number in range(8_000)]
    refused(zipped(more=more), "its directory takes 1[0-9]{6} bytes; at most 1048576")


def test_json_that_is_no_object_or_hostile_is_refused():
    for text, message in {
        b"[]": f"{CONFIG}: expected an object. Received: list",
        b"[" * 100_000: f"{CONFIG}: not valid JSON of a model: it is nested 100000 deep",
        pickle.dumps({"a": 1}): f"{CONFIG}: not valid JSON",
        b'{"a": 1, "a": 2}': "the key 'a' appears twice",
    }.items():
        refused(zipped({**MEMBERS, CONFIG: text}), message)
    refused(zipped({**MEMBERS, METADATA: b"3"}), f"{METADATA}: expected an object. Received: int")


def test_weights_that_are_no_hdf5_are_refused():
    refused(zipped({**MEMBERS, WEIGHTS: b"PK\3\4"}), f"{WEIGHTS}: it is not an HDF5 file")
    refused(zipped({**MEMBERS, WEIGHTS: weights()[:-1]}), f"{WEIGHTS}: it is truncated")
    refused(zipped({**MEMBERS, WEIGHTS: zipped()}), f"{WEIGHTS}: it is not an HDF5 file")


def test_archives_in_parts_or_after_other_data_are_refused():
    refused(b"#!/bin/sh\n" + zipped(), "its end record does not point to its directory")
    data = zipped()
    end = data.rindex(b"PK\5\6")
    refused(data[: end + 4] + b"\1" + data[end + 5 :], "one part of an archive in several")
    refused(data[:end], "not a zip archive, or it is truncated")
    refused(b"", "not a zip archive")


def zip64(data, extra=b""):
    """Return an archive with the end for large archives, which some programs always write."""
    end = data.rindex(b"PK\5\6")
    count, size, start = struct.unpack("<HLL", data[end + 10 : end + 20])
    fields = (44 + len(extra), 45, 45, 0, 0, count, count, size, start)
    record = b"PK\6\6" + struct.pack("<QHHLLQQQQ", *fields) + extra
    return data[:end] + record + b"PK\6\7" + struct.pack("<LQL", 0, end, 1) + data[end:]


def test_the_end_for_large_archives_behind_a_small_one():
    """Section 4.3.14 of the format: the ordinary end may hold all numbers beside it."""
    with zipfile.ZipFile(io.BytesIO(zip64(zipped()))) as archive:
        assert archive.testzip() is None
    for data in (zip64(zipped()), zip64(zipped(), b"extensible")):
        with read_archive(io.BytesIO(data)) as archive:
            assert archive.config == {"class_name": "Sequential"}
    data = zip64(zipped())
    at = data.rindex(b"PK\6\6")
    refused(
        data[: at + 48] + b"\1" + data[at + 49 :], "its end record does not point to its directory"
    )


# ---- what a file is ----------------------------------------------------------------------------


def test_a_file_is_known_by_what_it_holds(tmp_path):
    path = tmp_path / "model.txt"
    path.write_bytes(zipped())
    assert kind_of(path) == "keras"
    path.write_bytes(weights())
    assert kind_of(str(path)) == "hdf5"
    path.write_bytes(bytes(1024) + weights())
    assert kind_of(path) == "hdf5"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "a git-lfs pointer"),
        (pickle.dumps({"model": 1}), "a pickle, which is never read"),
        (pickle.dumps({"model": 1}, 2), "a pickle, which is never read"),
        (b"\x1f\x8b\x08rest", "compressed by gzip"),
        (b"\x93NUMPY\1\0", "a NumPy array"),
        (b"<!DOCTYPE html>", "a web page"),
        (b'{"class_name": "Sequential"}', "JSON, without the weights"),
        (b"anything else", "a file that begins with b'anything else'"),
    ],
)
def test_what_is_no_model_file_is_named(tmp_path, data, what):
    path = tmp_path / "model.keras"
    path.write_bytes(data)
    refuses(lambda: kind_of(path), rf"model.keras: expected a model file .* Received: {what}")


def test_weights_in_several_files_are_named(tmp_path):
    """Keras 3 writes them so where save_weights is given a max_shard_size."""
    path = tmp_path / "m.weights.json"
    path.write_text('{"metadata": {"total_size": 8.0}, "weight_map": {"/layers/dense/vars": []}}')
    refuses(
        lambda: kind_of(path), "m.weights.json: nnlite does not read weights that Keras has divided"
    )


def test_a_directory_is_named_for_what_it_is(tmp_path):
    refuses(lambda: kind_of(tmp_path), "Received: a directory$")
    (tmp_path / CONFIG).touch()
    assert kind_of(tmp_path) == "keras"
    (tmp_path / "saved_model.pb").touch()
    refuses(lambda: kind_of(tmp_path), "Received: a TensorFlow SavedModel")
    with pytest.raises(FileNotFoundError):
        kind_of(tmp_path / "missing.keras")


def test_an_archive_of_other_things_is_no_model():
    stream = io.BytesIO()
    np.savez(stream, a=KERNEL)
    refused(
        stream.getvalue(), f"not a Keras model: the archive has no {CONFIG} and no {METADATA} and"
    )
    refused(zipped({"archive/data.pkl": b"x"}), "not a Keras model")

"""Damaged files end in a ValueError or in arrays of their declared shapes: nothing else."""

import sys
import zipfile

import pytest
from samples import part

from .damage import damaged, read, small_archive, small_hdf5
from .limits import supervised

FILES = {
    "old": small_hdf5,
    "old in order of creation": lambda: small_hdf5(track_order=True),
    "latest": lambda: small_hdf5(libver="latest"),
    "latest of many layers": lambda: small_hdf5(10, libver="latest"),
    "archive": small_archive,
    "deflated archive": lambda: small_archive(zipfile.ZIP_DEFLATED),
}


@pytest.fixture(params=FILES)
def data(request):
    return FILES[request.param]()


def test_the_undamaged_files_are_read_whole(data):
    # The file, 4 groups of 4 answers each and 4 or 5 arrays, or 13 groups and 22 arrays.
    assert read(data) in (21, 22, 75)


def test_a_file_cut_off_anywhere_is_refused(data):
    assert not any(read(data[:length]) for length in part(range(0, len(data) - 1, 3)))
    assert not read(data[:-1])


@pytest.mark.parametrize("change", [0xFF, 0x01])
def test_any_one_byte_changed_ends_in_a_value_error_or_a_file_read(data, change):
    outcomes = []
    for at in part(range(0, len(data), 5)):
        copy = bytearray(data)
        copy[at] ^= change
        outcomes.append(read(bytes(copy)))
    assert 0 in outcomes


def test_a_thousand_damaged_copies_end_in_a_value_error_or_a_file_read(data):
    outcomes = [read(damaged(data, seed)) for seed in part(range(1000))]
    assert 0.1 < outcomes.count(0) / len(outcomes) <= 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits its memory by what /proc says of it")
def test_ten_thousand_damaged_copies_neither_crash_nor_hang_nor_take_memory(data, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(data)
    numbers = part(range(1_000, 11_000))
    assert supervised("damage", path, numbers) == len(numbers)

"""Damaged files of whole models end in a ValueError or in a model that predicts: nothing else."""

import sys

import pytest
from samples import part

from . import model_damage
from .limits import supervised
from .model_damage import (
    changed_config,
    configs,
    damaged_file,
    good_files,
    loads,
    loads_changed,
    outcomes,
)

FILES = good_files()
COPIES = part(range(350))  # of each kind, in the ordinary run


@pytest.mark.parametrize("name", FILES)
def test_the_undamaged_files_are_read(tmp_path, name):
    assert loads(tmp_path / "model", FILES[name], name)


def test_the_undamaged_configurations_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(model_damage, "changed_config", lambda config, seed: config)
    for good in configs(FILES):
        assert all(loads_changed(tmp_path / "model", good, seed) for seed in (0, 1))


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_off_anywhere_is_refused(tmp_path, name):
    data = FILES[name]
    for length in range(0, len(data) - 1, len(data) // 25):
        assert not loads(tmp_path / "model", data[:length], name)


@pytest.mark.parametrize("name", FILES)
def test_damaged_copies_are_refused_or_predict(tmp_path, name):
    read = [loads(tmp_path / "model", damaged_file(FILES[name], seed), name)
            for seed in COPIES]  # fmt: skip
    assert 0 < sum(read) < len(COPIES)


def test_changed_configurations_are_refused_or_predict(tmp_path):
    good, path = configs(FILES), tmp_path / "model"
    read = [loads_changed(path, good[n % len(good)], n) for n in part(range(1_400))]
    assert 0 < sum(read) < len(read)


def test_changes_are_those_of_their_seed_and_leave_the_original(tmp_path):
    config, data = configs(FILES)[0]
    before = repr(config)
    assert repr(changed_config(config, 3)) == repr(changed_config(config, 3)) != before
    assert repr(config) == before
    assert damaged_file(data, 3) == damaged_file(data, 3) != data
    assert sum(outcomes("configs", tmp_path / "model", range(8))) == 8


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits its memory by what /proc says of it")
@pytest.mark.parametrize("kind", ["configs", *FILES])
def test_a_thousand_copies_neither_crash_nor_hang_nor_take_memory(kind):
    numbers = part(range(10_000, 11_000))
    assert supervised("model_damage", kind, numbers) == len(numbers)

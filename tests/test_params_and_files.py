"""Nested and flat parameters, and files that are written whole or not at all."""
import errno
import os

import numpy as np
import pytest

from nanolm import files, params


def test_flat_and_nested_share_their_arrays():
    p = {"wte": {"weight": np.ones(3)}, "h": {"0": {"ln_1": {"weight": np.zeros(2)}}}}
    flat = params.flatten(p)
    assert list(flat) == ["wte.weight", "h.0.ln_1.weight"] and flat["wte.weight"] is p["wte"]["weight"]
    assert params.unflatten(flat)["h"]["0"]["ln_1"]["weight"] is flat["h.0.ln_1.weight"] and params.count(p) == 5


@pytest.mark.parametrize("names", [("a", "a.b"), ("a.b", "a")])
def test_clashing_names_are_refused(names):
    with pytest.raises(ValueError, match="names of the parameters clash"):
        params.unflatten({name: np.ones(1) for name in names})


def test_atomic_write_replaces_whole(tmp_path):
    path = tmp_path / "note.txt"
    files.atomic_write(path, "old")
    files.atomic_write(path, b"new")
    assert path.read_bytes() == b"new" and os.listdir(tmp_path) == ["note.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_permissions_are_those_of_any_new_file_and_stay(tmp_path):
    plain, path = tmp_path / "plain", tmp_path / "note.txt"
    plain.write_text("")
    files.atomic_write(path, "1")
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o640)
    files.atomic_write(path, "2")
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "note.txt"
    files.atomic_write(path, "old")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="could not write .*note.txt: No space left on device") as error:
        files.atomic_write(path, "new")
    assert error.value.errno == errno.ENOSPC
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["note.txt"]


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "note.txt").write_text("old")
    with pytest.raises(OSError, match="could not write .*inside: Not a directory|could not write .*inside: No such file"):
        files.atomic_write(tmp_path / "note.txt" / "inside", "new")
    assert (tmp_path / "note.txt").read_text() == "old"


def test_read_json_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file .*gone.json"):
        files.read_json(tmp_path / "gone.json")
    (tmp_path / "half.json").write_text('{"a": [1, 2')
    with pytest.raises(ValueError, match="half.json is not valid JSON"):
        files.read_json(tmp_path / "half.json")

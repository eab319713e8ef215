"""Files appear whole or not at all."""

import json

import pytest

from hierarchy_nodes.files import whole, write_json


def test_a_file_gets_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("old")
    with whole(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_breaks_half_way_leaves_the_old_file(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("old")

    def breaks():
        with whole(path) as draft:
            draft.write_text("ne")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        breaks()
    assert path.read_text() == "old"


def test_json_comes_with_its_folder(tmp_path):
    write_json(tmp_path / "a" / "b.json", {"n": 1})
    assert json.loads((tmp_path / "a" / "b.json").read_text()) == {"n": 1}
    # What cannot be written as JSON destroys nothing.
    with pytest.raises(TypeError):
        write_json(tmp_path / "a" / "b.json", {"n": {1}})
    assert json.loads((tmp_path / "a" / "b.json").read_text()) == {"n": 1}

"""``hierarchy devices``."""

import json
import os
import subprocess
import sys

import pytest
from graph import ROOT

from hierarchy_nodes.cli import devices
from hierarchy_nodes.cli.main import main


def rows(capsys, *arguments) -> list[dict]:
    assert main(["devices", "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def install(tmp_path, monkeypatch, name: str, module: str, group: str) -> None:
    """A package with one driver and an entry point for it, as an installed one would look."""
    (tmp_path / "acme_devices.py").write_text(module)
    info = tmp_path / "acme_devices-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-devices\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = acme_devices:Acme\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_all_built_in_drivers_are_listed_and_usable(capsys):
    found = rows(capsys)
    assert {(r["kind"], r["name"]) for r in found} >= {
        *(("arm", n) for n in ("mujoco", "mock", "replay")),
        *(("camera", n) for n in ("mujoco", "mock", "replay")),
        *(("microphone", n) for n in ("mock", "sounddevice", "wav")),
    }
    for row in found:
        assert row["usable"], row["problem"]
        assert row["from"] == "built in"
        assert row["what"]


def test_kind_narrows_the_list(capsys):
    assert {r["kind"] for r in rows(capsys, "--kind", "camera")} == {"camera"}
    with pytest.raises(SystemExit):
        main(["devices", "--kind", "toaster"])


def test_table_is_for_people(capsys):
    assert main(["devices"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["kind", "name", "from", "usable"]
    assert any(line.startswith("arm ") and "mujoco" in line for line in lines)


def test_a_missing_dependency_is_named(capsys, tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "acme", "import acme_vendor_sdk\n", "hierarchy.arms")
    (row,) = [r for r in rows(capsys) if r["name"] == "acme"]
    assert not row["usable"]
    assert "acme_vendor_sdk" in row["problem"]
    assert row["from"] == "acme-devices"
    # The others are still there.
    assert "mujoco" in devices.table(devices.drivers("arm"))


def test_a_running_cell_is_shown_until_it_ends(capsys, tmp_path):
    name = f"devices-{os.getpid()}"
    command = [sys.executable, "-m", "hierarchy_nodes.cli.main", "cell", "--name", name]
    cell = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert "ready" in cell.stdout.readline()
        (row,) = [r for r in rows(capsys, "--kind", "arm") if r["name"] == "mujoco"]
        assert any(name in line and str(cell.pid) in line for line in row["attached"])
    finally:
        cell.kill()
        cell.wait()
    (row,) = [r for r in rows(capsys, "--kind", "arm") if r["name"] == "mujoco"]
    assert not any(name in line for line in row["attached"])


def test_a_reader_that_has_read_enough_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "hierarchy_nodes.cli.main", "devices", "--json"]
    done = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, cwd=ROOT
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")

"""``hierarchy corrections``: what people corrected, out of recordings."""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.correction import ledger
from hierarchy_nodes.correction.ledger import Entry
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.files import whole, write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|show|export")
    listing = actions.add_parser("list", help="one line for each correction")
    showing = actions.add_parser("show", help="all about one of them, with pictures")
    exporting = actions.add_parser("export", help="all of them as files for other programs")
    for each in (listing, exporting):
        each.add_argument("recordings", nargs="+", type=Path, metavar="RECORDING")
    showing.add_argument("recordings", nargs=1, type=Path, metavar="RECORDING")
    showing.add_argument("number", type=int, help="as listed")
    showing.add_argument("--picture", type=Path, help="default: RECORDING/correction-NUMBER.jpg")
    exporting.add_argument("--out", type=Path, required=True, metavar="DIR")


def run(arguments: argparse.Namespace) -> int:
    a = arguments
    entries = list(ledger.all_of(a.recordings))
    if a.action == "list":
        for entry in entries:
            print(line(entry))
        print(f"{len(entries)} corrections")
    elif a.action == "show":
        _show(a, entries)
    else:
        _export(a.out, entries)
    return 0


def line(e: Entry) -> str:
    """One correction in one line."""
    when = time.strftime("%H:%M:%S", time.localtime(e.said))
    end = e.outcome or "?"
    return f'{e.recording.name} {e.number:3d} {when} {e.kind:9s} "{e.text}" -> {e.changed}; {end}'


def _show(a: argparse.Namespace, entries: list[Entry]) -> None:
    if not 1 <= a.number <= len(entries):
        there = f"1 to {len(entries)}" if entries else "no corrections"
        raise ConfigError(f"number {a.number}: the recording holds {there}.")
    entry = entries[a.number - 1]
    for name, value in dataclasses.asdict(entry).items():
        print(f"{name:15s} {value}")
    path = a.picture or a.recordings[0] / f"correction-{entry.number}.jpg"
    picture = strip(entry)
    if picture is None:
        print("picture         none: the recording has no images")
        return
    _write(path, picture)
    print(f"picture         {path}")


def _export(out: Path, entries: list[Entry]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for index, entry in enumerate(entries):
        row = dataclasses.asdict(entry) | {"recording": str(entry.recording), "picture": ""}
        picture = strip(entry)
        if picture is not None:
            row["picture"] = f"correction-{index + 1:04d}.jpg"
            _write(out / row["picture"], picture)
        rows.append(row)
    write_json(out / "corrections.json", rows)
    print(f"{len(rows)} corrections in {out}")


def strip(entry: Entry) -> NDArray[np.uint8] | None:
    """``(H, W, 3)`` BGR: when it began to go wrong, when it was said, and what came of it."""
    times = [entry.onset, entry.said, entry.said + ledger.AFTER / 2]
    images = ledger.frames(entry.recording, times)
    if any(image is None for image in images):
        return None
    titles = (f"{entry.onset - entry.said:+.1f} s", f'"{entry.text}"', entry.changed)
    shown = []
    for image, title in zip(images, titles, strict=True):
        assert image is not None
        tile = np.ascontiguousarray(image[..., ::-1])
        band = np.zeros((24, tile.shape[1], 3), np.uint8)
        text = title.encode("ascii", "replace").decode()
        cv2.putText(band, text, (4, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1)
        shown.append(np.vstack([tile, band]))
    return np.hstack(shown)


def _write(path: Path, picture: NDArray[np.uint8]) -> None:
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 88])
    assert done
    with whole(path) as draft:
        draft.write_bytes(data.tobytes())

"""Numbered folders of weights that were learned from corrections, of which one is current.

Each run of ``hierarchy learn`` has a folder ``0001``, ``0002`` ... of its own, whatever came of it;
the link ``current`` points at the one that the planner uses. Version 0 stands for the weights that
come with the package.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.files import whole

# Names the folder of versions; where it is not set, they are among the user's data (XDG).
VARIABLE = "HIERARCHY_VERSIONS"
WEIGHTS, REPORT, CURRENT = "planner.safetensors", "report.json", "current"
PACKAGE = 0


def default_folder() -> Path:
    """Of the versions, unless another is named."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "hierarchy" / "planner"


@dataclass(frozen=True)
class Versions:
    """The versions in a folder, which need not exist.

    Attributes:
        folder: Which.
    """

    folder: Path

    def numbers(self) -> list[int]:
        """Of all runs, in the order in which they were begun."""
        if not self.folder.is_dir():
            return []
        return sorted(int(p.name) for p in self.folder.iterdir() if p.is_dir() and _number(p.name))

    def path(self, number: int) -> Path:
        """The folder of a run."""
        return self.folder / f"{number:04d}"

    def weights(self, number: int) -> Path:
        """The weights file of a run."""
        return self.path(number) / WEIGHTS

    def report(self, number: int) -> dict[str, Any]:
        """How a run ended; empty if it has not ended.

        Raises:
            ConfigError: The report is broken.
        """
        path = self.path(number) / REPORT
        if not path.is_file():
            return {}
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(f"{path}: no report of 'hierarchy learn': {error}.") from error

    def accepted(self) -> list[int]:
        """Numbers of the runs whose weights may be used."""
        return [n for n in self.numbers() if self.report(n).get("accepted") is True]

    def unfinished(self) -> int | None:
        """The newest run that was interrupted."""
        return next((n for n in reversed(self.numbers()) if not self.report(n)), None)

    def new(self) -> int:
        """A number that no run has."""
        return max(self.numbers(), default=PACKAGE) + 1

    def current(self) -> int:
        """The number of the version in use.

        Raises:
            ConfigError: The link points at nothing.
        """
        link = self.folder / CURRENT
        if not link.is_symlink():
            return PACKAGE
        name = os.readlink(link)
        if not _number(name) or not self.weights(int(name)).is_file():
            raise ConfigError(
                f"{link}: points at '{name}', which is no version. Valid: {self._valid()}; choose "
                "one with 'hierarchy learn --rollback N'."
            )
        return int(name)

    def choose(self, number: int) -> None:
        """Make a version the current one.

        Raises:
            ConfigError: There is no such version, or it was refused.
        """
        link = self.folder / CURRENT
        if number == PACKAGE:
            link.unlink(missing_ok=True)
            return
        if number not in self.accepted():
            raise ConfigError(
                f"version {number}: is none of {self.folder}. Valid: {self._valid()}."
            )
        with whole(link) as draft:
            draft.unlink(missing_ok=True)
            draft.symlink_to(self.path(number).name)

    def roll_back(self, number: int | None = None) -> int:
        """Go back to a version: that named, else the one that the current one was made from.

        Returns:
            Its number; `PACKAGE` for the package's own weights.

        Raises:
            ConfigError: There is no such version, or nothing to go back from.
        """
        if number is None:
            now = self.current()
            if now == PACKAGE:
                raise ConfigError(f"{self.folder}: no learned version is in use.")
            before = int(self.report(now).get("parent", PACKAGE))
            number = before if before in self.accepted() else PACKAGE
        self.choose(number)
        return number

    def lineage(self, number: int) -> list[int]:
        """A version and those that it comes from, as far as they are known; none for `PACKAGE`."""
        found: list[int] = []
        while number != PACKAGE and number not in found and self.report(number):
            found.append(number)
            number = int(self.report(number).get("parent", PACKAGE))
        return found

    def described(self) -> list[str]:
        """One line for each version, the package's own first; a star marks the current one."""
        now = self.current()
        about = {PACKAGE: "the package's own weights"}
        for number in self.numbers():
            report = self.report(number)
            text = str(report.get("summary", ""))
            if not report:
                text = "interrupted; go on with --resume"
            elif not report.get("accepted"):
                text = f"refused: {report.get('refused', '')} ({text})"
            about[number] = text
        return [f"{'*' if n == now else ' '} {n}  {text}" for n, text in about.items()]

    def _valid(self) -> str:
        return ", ".join([f"{PACKAGE} (the package's own)", *map(str, self.accepted())])


def _number(name: str) -> bool:
    return len(name) == 4 and name.isdecimal()

"""Episodes that are done, kept one by one, so that an interrupted evaluation can go on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.files import whole

if TYPE_CHECKING:
    from hierarchy_nodes.learning.evaluation import EpisodeResult, EpisodeSpec


class Journal:
    """A file with a line for each finished episode: what was asked for, and how it went.

    Args:
        path: Of the file; None to keep nothing.
        specs: All episodes of the run.
        resume: Go on with what the file has, instead of starting anew.

    Attributes:
        done: Results that are there already.
        todo: Specs of the others.

    Raises:
        ConfigError: The file belongs to another run.
    """

    def __init__(self, path: Path | None, specs: list[EpisodeSpec], resume: bool = False) -> None:
        self._path = path
        self._specs = {spec.index: _plain(spec) for spec in specs}
        self.done: list[EpisodeResult] = []
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.done = self._read(path) if resume and path.exists() else []
            with whole(path) as draft:
                draft.write_text("".join(map(self._line, self.done)), encoding="utf-8")
        known = {result.index for result in self.done}
        self.todo = [spec for spec in specs if spec.index not in known]

    def add(self, result: EpisodeResult) -> None:
        """Keep it."""
        self.done.append(result)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(self._line(result))

    def close(self) -> None:
        """All of it is kept elsewhere."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _line(self, result: EpisodeResult) -> str:
        line = {"episode": self._specs[result.index], "result": asdict(result)}
        return json.dumps(line) + "\n"

    def _read(self, path: Path) -> list[EpisodeResult]:
        from hierarchy_nodes.learning.evaluation import EpisodeResult

        found: dict[int, EpisodeResult] = {}
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                line = json.loads(text)
            except ValueError:
                continue  # cut off while it was written; that episode is done again
            spec = line["episode"]
            if self._specs.get(spec["index"]) != spec:
                raise ConfigError(
                    f"{path}, line {number}: episode {spec['index']} belongs to another run "
                    f"({spec['policy']}, {spec['family']}, seed {spec['seed']}). Give the same "
                    "arguments as before, or do without --resume to start anew."
                )
            found[spec["index"]] = EpisodeResult(**line["result"])
        return list(found.values())


def _plain(spec: EpisodeSpec) -> dict[str, Any]:
    """As JSON has it."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(spec)))
    return plain

"""Requests and replies as JSON lines, each image in a file of its own, and their replay."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict, deque
from pathlib import Path
from typing import Any

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.planner.vlm.model import Answer, Model, ModelError, Request

FILE = "exchanges.jsonl"


class Recorder:
    """Another model, of which everything is written down. Headers, and so keys, never are.

    Args:
        model: Who answers.
        folder: Is made; gets ``exchanges.jsonl`` and ``<digest>.jpg``.
    """

    def __init__(self, model: Model, folder: str | Path) -> None:
        self._model, self._folder = model, Path(folder)
        self._lock = threading.Lock()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / FILE).touch()
        except OSError as error:
            raise ConfigError(f"record: '{folder}' cannot be written: {error.strerror}.") from error

    @property
    def name(self) -> str:
        return self._model.name

    def ask(self, request: Request) -> Answer:
        begun = time.time()
        try:
            answer = self._model.ask(request)
        except ModelError as error:
            self._write(request, begun, {"error": str(error)})
            raise
        self._write(
            request,
            begun,
            {
                "reply": answer.text,
                "broken_off": answer.broken_off,
                "seconds": round(answer.seconds, 3),
                "attempts": answer.attempts,
                "details": dict(answer.details),
            },
        )
        return answer

    def cancel(self) -> None:
        self._model.cancel()

    def _write(self, request: Request, begun: float, outcome: dict[str, Any]) -> None:
        picture = request.picture
        image = f"{picture.digest}.jpg" if picture is not None else ""
        line = {
            "time": round(begun, 3),
            "request": request.digest,
            "model": self.name,
            "purpose": request.purpose,
            "prompt": request.text,
            "image": image,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            **outcome,
        }
        try:
            with self._lock:
                path = self._folder / image
                if picture is not None and not path.exists():
                    path.write_bytes(picture.jpeg)
                with (self._folder / FILE).open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise ModelError(f"The recording cannot be written: {error}.") from error


class Replay:
    """Answers as recorded: the same question about the same image gets the same reply.

    A question that was asked several times gets its replies in order, the last one for ever.
    """

    def __init__(self, folder: str | Path) -> None:
        path = Path(folder) / FILE
        self._name = f"replay of {folder}"
        self._replies: dict[str, deque[dict[str, Any]]] = defaultdict(deque)
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ConfigError(f"replay: '{path}' cannot be read: {error.strerror}.") from error
        for number, line in enumerate(lines, start=1):
            try:
                exchange = json.loads(line)
                self._replies[str(exchange["request"])].append(exchange)
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(f"{path}:{number}: no recorded exchange: {error}.") from error

    @property
    def name(self) -> str:
        return self._name

    def ask(self, request: Request) -> Answer:
        known = self._replies.get(request.digest)
        if not known:
            raise ModelError(
                f"There is no recorded reply to this '{request.purpose}' request: prompt, image "
                f"or image settings differ from the {len(self._replies)} recorded ones."
            )
        exchange = known.popleft() if len(known) > 1 else known[0]
        if "reply" not in exchange:
            raise ModelError(f"As recorded: {exchange.get('error', 'no reply')}")
        return Answer(str(exchange["reply"]), bool(exchange.get("broken_off")))

    def cancel(self) -> None:
        """Nothing takes long here."""

"""Asks a server that speaks OpenAI's chat completions: vLLM, SGLang, Ollama, HAMSTER's, hosted.

Each request runs in an event loop of its own, so that the overall deadline and `cancel` hold
wherever it hangs: in the name lookup, the connection, or a reply that trickles in.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from hierarchy_nodes.planner.vlm.model import Answer, ModelCancelled, ModelError, Request
from hierarchy_nodes.planner.vlm.reply import quoted

RETRIED = (408, 425, 429, 500, 502, 503, 504)
MOST_BYTES = 4_000_000
# How servers without structured output answer a request for it.
REFUSED_SCHEMA = (400, 404, 415, 422, 501)


@dataclass(frozen=True)
class ServerSettings:
    """Where and how to ask; see `ServerOptions` for the meaning. Times in seconds."""

    url: str
    model: str = ""
    key: str = field(default="", repr=False)
    robot: str = ""
    structured: str = "auto"
    connect_timeout: float = 3.0
    read_timeout: float = 30.0
    timeout: float = 30.0
    retries: int = 2
    backoff: float = 0.5
    backoff_most: float = 8.0
    extra: Mapping[str, Any] = field(default_factory=dict)


class _Again(Exception):
    """Worth another attempt, not before `after` seconds where the server said so."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


class ChatClient:
    """One server. `ask` blocks its caller's thread; `cancel` may come from any other."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Answer]] | None = None
        self._model = settings.model
        self._schema_refused = False
        self._random = random.Random()

    @property
    def name(self) -> str:
        return self._model or "(the server's)"

    def ask(self, request: Request) -> Answer:
        future: Future[Answer] = Future()
        thread = threading.Thread(
            target=self._run, args=(request, future), name="vlm request", daemon=True
        )
        thread.start()
        try:
            # The loop keeps the deadline itself; a name lookup cannot be interrupted.
            return future.result(self._settings.timeout + 1.0)
        except FutureTimeout:
            raise ModelError(self._late("it hangs")) from None

    def cancel(self) -> None:
        with self._lock:
            if self._running is not None:
                loop, task = self._running
                loop.call_soon_threadsafe(task.cancel)

    def _run(self, request: Request, future: Future[Answer]) -> None:
        try:
            future.set_result(asyncio.run(self._with_deadline(request)))
        except asyncio.CancelledError:
            future.set_exception(ModelCancelled(f"The request to {self._settings.url} was ended."))
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            future.set_exception(error)

    async def _with_deadline(self, request: Request) -> Answer:
        begun = time.monotonic()
        progress: dict[str, Any] = {"attempts": 0, "why": "no answer yet"}
        task = asyncio.ensure_future(self._attempts(request, begun, progress))
        with self._lock:
            self._running = (asyncio.get_running_loop(), task)
        try:
            return await asyncio.wait_for(task, self._settings.timeout)
        except asyncio.TimeoutError:
            raise ModelError(self._late(progress["why"])) from None
        finally:
            with self._lock:
                self._running = None

    def _late(self, why: str) -> str:
        s = self._settings
        return f"The server at {s.url} did not answer within {s.timeout:g} s: {why}."

    async def _attempts(self, request: Request, begun: float, progress: dict[str, Any]) -> Answer:
        s = self._settings
        limits = httpx.Timeout(s.read_timeout, connect=s.connect_timeout)
        # No redirects: the key would go to who knows whom.
        async with httpx.AsyncClient(timeout=limits, follow_redirects=False) as http:
            while True:
                progress["attempts"] += 1
                try:
                    answer = await self._attempt(http, request, begun)
                except _Again as again:
                    why, after = str(again), again.after
                else:
                    return Answer(
                        answer.text,
                        answer.broken_off,
                        time.monotonic() - begun,
                        progress["attempts"],
                        answer.details,
                    )
                progress["why"] = why
                tried = f" ({progress['attempts']} attempts)" if progress["attempts"] > 1 else ""
                if progress["attempts"] > s.retries:
                    raise ModelError(f"The server at {s.url} failed: {why}{tried}.")
                pause = self._pause(progress["attempts"], after)
                left = s.timeout - (time.monotonic() - begun)
                if pause >= left:
                    raise ModelError(
                        f"The server at {s.url} failed: {why}{tried}; another attempt would have "
                        f"to wait {pause:.1f} s, of {s.timeout:g} s {max(left, 0):.1f} s are left."
                    )
                await asyncio.sleep(pause)

    def _pause(self, attempts: int, after: float | None) -> float:
        """Exponential, with jitter so that many robots do not come back at once."""
        s = self._settings
        pause = min(s.backoff_most, s.backoff * 2.0 ** (attempts - 1))
        pause *= self._random.uniform(0.5, 1.0)
        return pause if after is None else max(after, pause)

    async def _attempt(self, http: httpx.AsyncClient, request: Request, begun: float) -> Answer:
        if not self._model:
            self._model = await self._first_model(http, begun)
        wanted = request.schema is not None and self._settings.structured != "never"
        schema = wanted and not self._schema_refused
        status, data = await self._send(http, "POST", "/chat/completions", begun, request, schema)
        if schema and status in REFUSED_SCHEMA and self._settings.structured == "auto":
            plain = await self._send(http, "POST", "/chat/completions", begun, request, False)
            # Only if it is better without: the model's name may be what is wrong.
            self._schema_refused = plain[0] == 200
            status, data = plain
        return self._read(status, data)

    async def _first_model(self, http: httpx.AsyncClient, begun: float) -> str:
        status, data = await self._send(http, "GET", "/models", begun)
        try:
            name = json.loads(data)["data"][0]["id"]
        except (ValueError, LookupError, TypeError):
            name = None
        if status != 200 or not isinstance(name, str):
            raise ModelError(
                f"The server at {self._settings.url} does not tell its models (status {status}, "
                f"{self._shown(data)}): set 'model'."
            )
        return name

    async def _send(
        self,
        http: httpx.AsyncClient,
        method: str,
        path: str,
        begun: float,
        request: Request | None = None,
        schema: bool = False,
    ) -> tuple[int, bytes]:
        """Status and body. Raises _Again where another attempt may help."""
        s = self._settings
        left = s.timeout - (time.monotonic() - begun)
        headers = {"X-Robot": s.robot, "X-Deadline": f"{time.time() + left:.3f}"}
        if s.key:
            headers["Authorization"] = f"Bearer {s.key}"
        body = self._body(request, schema) if request is not None else None
        data = bytearray()
        try:
            url = s.url.rstrip("/") + path
            async with http.stream(method, url, headers=headers, json=body) as response:
                async for part in response.aiter_bytes():
                    data += part
                    if len(data) > MOST_BYTES:
                        raise ModelError(f"The server at {s.url} sends more than {MOST_BYTES} B.")
        except httpx.ReadTimeout:
            raise _Again(f"nothing came for {s.read_timeout:g} s") from None
        except httpx.TransportError as error:
            raise _Again(self._clean(f"{type(error).__name__}: {error}")) from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise ModelError(
                self._clean(f"The server at {s.url} cannot be asked: {error}")
            ) from None
        if response.status_code in RETRIED:
            after = _seconds(response.headers.get("retry-after", ""))
            raise _Again(f"status {response.status_code}, {self._shown(bytes(data))}", after)
        return response.status_code, bytes(data)

    def _body(self, request: Request, schema: bool) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [question(request)],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "stream": False,
        }
        if self._settings.robot:
            body["user"] = self._settings.robot
        if schema:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": request.purpose, "strict": True, "schema": request.schema},
            }
        return body | dict(self._settings.extra)

    def _read(self, status: int, data: bytes) -> Answer:
        where = f"The server at {self._settings.url}"
        if status != 200:
            raise ModelError(f"{where} refused: status {status}, {self._shown(data)}.")
        try:
            whole = json.loads(data)
        except (ValueError, RecursionError):
            raise _Again(f"its answer is no JSON: {self._shown(data)}") from None
        try:
            choice = whole["choices"][0]
            content = choice["message"]["content"]
        except (LookupError, TypeError):
            raise ModelError(f"{where} sends no choice: {self._shown(data)}.") from None
        # HAMSTER's server sends a list of parts.
        parts = content if isinstance(content, list) else [{"text": content}]
        texts = [p.get("text") if isinstance(p, dict) else None for p in parts]
        text = "".join(t for t in texts if isinstance(t, str))
        reason = choice.get("finish_reason")
        if not text.strip():
            raise ModelError(f"{where} sends no text (finish_reason {reason!r:.40}).")
        details = {"model": whole.get("model"), "usage": whole.get("usage"), "finish": reason}
        return Answer(text, reason == "length", details=details)

    def _clean(self, text: str) -> str:
        """`text` without the key, which some servers repeat."""
        key = self._settings.key
        return text.replace(key, "(key)") if key else text

    def _shown(self, data: bytes) -> str:
        return quoted(self._clean(data[:2000].decode("utf-8", "replace")), 200)


def question(request: Request) -> dict[str, Any]:
    """The message that asks: the image, if there is one, as a data URL, then the text."""
    if request.picture is None:
        return {"role": "user", "content": request.text}
    image = base64.b64encode(request.picture.jpeg).decode()
    url = f"data:image/jpeg;base64,{image}"
    content = [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "text", "text": request.text},
    ]
    return {"role": "user", "content": content}


def _seconds(value: str) -> float | None:
    """What Retry-After says, in seconds from now; None if it says nothing."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None

"""A real HTTP server on localhost that answers chat completions as a script says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Step = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.seen.append(("GET", self.path, dict(self.headers), None))
        if self.path == f"{self.server.root}/models":
            self.send({"data": [{"id": "served-model"}]})
        else:
            self.send({"error": "no such path"}, 404)

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(("POST", self.path, dict(self.headers), json.loads(raw)))
        if self.path != f"{self.server.root}/chat/completions":
            self.send({"error": "no such path"}, 404)
            return
        with self.server.lock:
            steps = self.server.steps
            step = steps.pop(0) if len(steps) > 1 else steps[0]
        step(self)

    def send(self, data, status=200, headers=()):
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    """Each request gets the next step; the last one stays.

    Attributes:
        seen: (method, path, headers, body) of each request.
    """

    daemon_threads = True

    def __init__(self, *steps: Step, root: str = "/v1") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.steps, self.root, self.seen = list(steps), root, []
        self.lock = threading.Lock()
        self.ended = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{self.root}"

    @property
    def asked(self) -> list:
        """Bodies of the chat requests."""
        return [body for method, _, _, body in self.seen if method == "POST"]

    def handle_error(self, request, client_address):
        """Clients that give up are part of the tests."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.shutdown()
        self.server_close()


def completion(content, finish="stop"):
    return {
        "model": "served-model",
        "choices": [{"message": {"content": content}, "finish_reason": finish}],
        "usage": {"completion_tokens": 7},
    }


def says(text, finish="stop") -> Step:
    return lambda handler: handler.send(completion(text, finish))


def fails(status, headers=(), body=b"out of order") -> Step:
    return lambda handler: handler.send(body, status, headers)


def hangs(handler) -> None:
    """Says nothing until the test is over."""
    handler.server.ended.wait(30)


def trickles(handler) -> None:
    """A byte now and then, for ever: no single read times out."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not handler.server.ended.wait(0.05):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def slow(seconds, step) -> Step:
    def run(handler):
        time.sleep(seconds)
        step(handler)

    return run


def cut(handler) -> None:
    """Promises more than it sends."""
    body = json.dumps(completion("half")).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) * 2))
    handler.end_headers()
    handler.wfile.write(body)
    handler.close_connection = True


def drops(handler) -> None:
    """Closes the connection without a word."""
    handler.close_connection = True
    handler.connection.close()

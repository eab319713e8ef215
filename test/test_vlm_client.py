"""The client of chat completions against a real server that misbehaves."""

from __future__ import annotations

import base64
import logging
import socket
import threading
import time
from email.utils import formatdate

import cv2
import numpy as np
import pytest
from vlm_server import (
    Server,
    cut,
    drops,
    fails,
    hangs,
    says,
    trickles,
)

from hierarchy_nodes.errors import ConfigError, ErrorCode
from hierarchy_nodes.planner.vlm.client import ChatClient, ServerSettings
from hierarchy_nodes.planner.vlm.model import ModelCancelled, ModelError, Request, picture
from hierarchy_nodes.planner.vlm.record import FILE, Recorder, Replay
from hierarchy_nodes.planner.vlm.server import ServerOptions, settings

IMAGE = np.random.default_rng(1).integers(0, 255, (240, 320, 3), dtype=np.uint8)
SCHEMA = {"type": "object"}


def request(text="where?", schema=None):
    return Request("plan", text, picture(IMAGE, 160, 80), 50, schema=schema)


def client(server, **more):
    more = {"timeout": 5.0, "read_timeout": 5.0, "backoff": 0.02, "model": "m"} | more
    return ChatClient(ServerSettings(url=server.url, **more))


def test_what_is_sent():
    with Server(says("here")) as server:
        answer = client(server, robot="arm-7", key="sk-1").ask(request("what is it?"))
        (_, path, headers, body) = server.seen[0]
    assert answer.text == "here"
    assert not answer.broken_off
    assert path == "/v1/chat/completions"
    assert headers["X-Robot"] == body["user"] == "arm-7"
    assert 0 < float(headers["X-Deadline"]) - time.time() <= 5.0
    assert headers["Authorization"] == "Bearer sk-1"
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("m", 50, 0.0)
    image, text = body["messages"][0]["content"]
    assert text == {"type": "text", "text": "what is it?"}
    kind, _, data = image["image_url"]["url"].partition(",")
    assert kind == "data:image/jpeg;base64"
    seen = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert seen.shape == (120, 160, 3)


def test_images_keep_shape_and_colours_and_are_not_blown_up():
    red = np.zeros((100, 300, 3), np.uint8)
    red[..., 0] = 250
    small = picture(red, 150, 90)
    assert (small.width, small.height) == (150, 50)
    bgr = cv2.imdecode(np.frombuffer(small.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert bgr[25, 75, 2] > 230
    assert bgr[25, 75, 0] < 20
    assert picture(red, 4000, 90).width == 300
    assert len(picture(IMAGE, 320, 20).jpeg) < len(picture(IMAGE, 320, 95).jpeg) / 2


def test_the_servers_only_model_is_taken():
    with Server(says("here")) as server:
        asker = client(server, model="")
        assert asker.ask(request()).text == "here"
        asker.ask(request())
        assert [b["model"] for b in server.asked] == ["served-model"] * 2
        assert len(server.seen) == 3
        assert asker.name == "served-model"


def test_hamsters_server_has_no_v1_and_sends_parts():
    content = [{"type": "text", "text": "<ans>[(0.1, "}, {"type": "text", "text": "0.2)]</ans>"}]
    with Server(says(content), root="") as server:
        answer = client(server, model="HAMSTER_dev").ask(request())
        assert server.seen[0][1] == "/chat/completions"
    assert answer.text == "<ans>[(0.1, 0.2)]</ans>"


@pytest.mark.parametrize(
    "trouble",
    [fails(500), fails(503), fails(429), cut, drops, lambda h: h.send(b"<html>busy</html>")],
    ids=["500", "503", "429", "cut", "dropped", "no JSON"],
)
def test_passing_trouble_is_tried_again(trouble):
    with Server(trouble, trouble, says("here")) as server:
        answer = client(server).ask(request())
        assert (answer.text, answer.attempts, len(server.asked)) == ("here", 3, 3)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (fails(500), "status 500, 'out of order'"),
        (drops, "Error"),
        (cut, "RemoteProtocolError"),
        (lambda h: h.send(b"<html>"), "no JSON: '<html>'"),
        (lambda h: h.send(b"[" * 100_000), "no JSON"),
    ],
    ids=["500", "dropped", "cut", "html", "deep"],
)
def test_lasting_trouble_is_given_up_and_told(trouble, words):
    with Server(trouble) as server:
        with pytest.raises(ModelError) as caught:
            client(server, retries=1).ask(request())
        assert len(server.asked) == 2
    assert words in str(caught.value)
    assert "(2 attempts)" in str(caught.value)
    assert caught.value.code == ErrorCode.BACKEND_FAILED


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (fails(401, body=b'{"error": "bad key"}'), "status 401"),
        (fails(404), "status 404"),
        (fails(307, [("Location", "http://127.0.0.1:9/")]), "status 307"),
        (lambda h: h.send({"choices": []}), "sends no choice"),
        (lambda h: h.send([1, 2]), "sends no choice"),
        (lambda h: h.send({"choices": [{"message": None}]}), "sends no choice"),
        (says(None), "sends no text"),
        (says(""), "sends no text"),
        (says([1, {"text": 3}]), "sends no text"),
        (lambda h: h.send(b"x" * 5_000_000), "more than"),
    ],
)
def test_what_another_attempt_cannot_mend(step, words):
    with Server(step) as server:
        with pytest.raises(ModelError, match=words):
            client(server).ask(request())
        assert len(server.asked) == 1


def test_retry_after_is_honoured():
    with Server(fails(429, [("Retry-After", "1")]), says("here")) as server:
        begun = time.monotonic()
        assert client(server).ask(request()).text == "here"
        assert time.monotonic() - begun >= 1.0


def test_a_retry_after_beyond_the_deadline_ends_it_at_once():
    date = formatdate(time.time() + 3600, usegmt=True)
    for value in ("3600", date):
        with Server(fails(429, [("Retry-After", value)])) as server:
            begun = time.monotonic()
            with pytest.raises(ModelError, match=r"would have to wait 3[56]"):
                client(server).ask(request())
            assert time.monotonic() - begun < 3.0


@pytest.mark.parametrize("value", ["soon", "-1", "\u00b2", "9" * 400, "nan"])
def test_a_strange_retry_after_does_no_harm(value):
    steps = fails(503, [("Retry-After", value.encode("latin-1").decode("latin-1"))]), says("x")
    with Server(*steps) as server:
        asker = client(server, timeout=2.0)
        try:
            assert asker.ask(request()).text == "x"
        except ModelError as error:
            assert "would have to wait" in str(error)  # noqa: PT017


@pytest.mark.parametrize("step", [hangs, trickles], ids=["silent", "trickling"])
def test_the_overall_deadline_holds(step):
    with Server(step) as server:
        begun = time.monotonic()
        with pytest.raises(ModelError, match=r"did not answer within 0\.5 s"):
            client(server, timeout=0.5).ask(request())
        assert 0.4 < time.monotonic() - begun < 3.0


def test_silence_is_tried_again_within_the_deadline():
    with Server(hangs, says("here")) as server:
        assert client(server, read_timeout=0.2).ask(request()).text == "here"


def test_nobody_listens():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        asker = ChatClient(ServerSettings(url=url, model="m", backoff=0.01, retries=1))
        with pytest.raises(ModelError, match=r"ConnectError.*\(2 attempts\)"):
            asker.ask(request())


def test_cancelled_from_another_thread():
    with Server(hangs) as server:
        asker = client(server, timeout=20.0, read_timeout=20.0)
        asker.cancel()  # Nothing runs: nothing happens.
        caught = []

        def ask():
            try:
                asker.ask(request())
            except ModelError as error:
                caught.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        while not server.seen:
            time.sleep(0.01)
        begun = time.monotonic()
        asker.cancel()
        thread.join(5.0)
        assert time.monotonic() - begun < 3.0
        assert isinstance(caught[0], ModelCancelled)
        server.steps[:] = [says("again")]
        assert asker.ask(request()).text == "again"


def test_structured_output_where_the_server_has_it():
    refuses = fails(400, body=b"response_format is not supported")
    with Server(says("here")) as server:
        client(server).ask(request(schema=SCHEMA))
        sent = server.asked[0]["response_format"]
        assert sent["type"] == "json_schema"
        assert sent["json_schema"]["schema"] == SCHEMA
    with Server(refuses, says("here"), says("there")) as server:
        asker = client(server)
        assert [asker.ask(request(schema=SCHEMA)).text for _ in range(2)] == ["here", "there"]
        assert ["response_format" in b for b in server.asked] == [True, False, False]
    with Server(refuses) as server:
        with pytest.raises(ModelError, match="not supported"):
            client(server, structured="always").ask(request(schema=SCHEMA))
        assert len(server.asked) == 1
        with pytest.raises(ModelError, match="not supported"):
            client(server, structured="never").ask(request(schema=SCHEMA))
        assert "response_format" not in server.asked[-1]


def test_a_limit_of_tokens_is_told():
    with Server(says("<ans>[(0.1", "length")) as server:
        assert client(server).ask(request()).broken_off


def test_the_key_is_never_shown(monkeypatch, tmp_path, caplog):
    key = "sk-very-secret-0123456789"
    monkeypatch.setenv("MY_KEY", key)

    def echoes(handler):
        handler.send({"error": f"bad key {handler.headers['Authorization']}"}, 500)

    with Server(echoes) as server, caplog.at_level(logging.DEBUG):
        options = ServerOptions(url=server.url, model="m", api_key_env="MY_KEY", retries=0)
        made = settings(options)
        recorder = Recorder(ChatClient(made), tmp_path)
        with pytest.raises(ModelError) as caught:
            recorder.ask(request())
        assert key in server.seen[0][2]["Authorization"]
    assert "(key)" in str(caught.value)
    kept = "".join(p.read_bytes().decode("latin-1") for p in tmp_path.iterdir())
    for text in (str(caught.value), repr(made), repr(options), kept, caplog.text):
        assert key not in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "localhost:8000"}, "'localhost:8000' is not http"),
        ({"url": "ftp://host/v1"}, "is not http"),
        ({"url": "http://me:secret@host/v1"}, "api_key_env"),
        ({"api_key_env": "NO_SUCH_KEY"}, "'NO_SUCH_KEY' is not set"),
        ({"api_key_env": "BAD_KEY"}, "'BAD_KEY' holds cannot be a key"),
        ({"extra_body": "{"}, "not valid JSON"),
        ({"extra_body": "[1]"}, "not a JSON object"),
    ],
)
def test_wrong_options_are_named(options, words, monkeypatch):
    monkeypatch.setenv("BAD_KEY", "two words")
    with pytest.raises(ConfigError, match=words) as caught:
        settings(ServerOptions(**options))
    assert "secret" not in str(caught.value)
    assert "two words" not in str(caught.value)


def test_extra_fields():
    with Server(says("here")) as server:
        options = ServerOptions(url=server.url, model="m", extra_body='{"top_p": 0.5}')
        ChatClient(settings(options)).ask(request())
        assert server.asked[0]["top_p"] == 0.5


# -- recording and replay ---------------------------------------------------------------------


def test_recorded_and_replayed(tmp_path):
    with Server(says("first"), says("second", "length"), says("other")) as server:
        recorder = Recorder(client(server), tmp_path / "new" / "folder")
        answers = [recorder.ask(request(text)) for text in ("a", "a", "b")]
    lines = (tmp_path / "new" / "folder" / FILE).read_text().splitlines()
    assert len(lines) == 3
    replay = Replay(tmp_path / "new" / "folder")
    again = [replay.ask(request(text)) for text in ("a", "a", "b", "b")]
    assert [a.text for a in again] == ["first", "second", "other", "other"]
    assert [a.broken_off for a in again[:3]] == [a.broken_off for a in answers]
    image = tmp_path / "new" / "folder" / f"{request().picture.digest}.jpg"
    assert image.read_bytes() == request().picture.jpeg
    with pytest.raises(ModelError, match="no recorded reply"):
        replay.ask(request("c"))


def test_failures_are_recorded_and_replayed(tmp_path):
    with Server(fails(500)) as server:
        recorder = Recorder(client(server, retries=0), tmp_path)
        with pytest.raises(ModelError):
            recorder.ask(request())
    with pytest.raises(ModelError, match=r"As recorded: The server .* status 500"):
        Replay(tmp_path).ask(request())


def test_recordings_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("x")
    with Server(says("x")) as server, pytest.raises(ConfigError, match="cannot be written"):
        Recorder(client(server), tmp_path / "file" / "folder")
    with pytest.raises(ConfigError, match="cannot be read"):
        Replay(tmp_path / "nothing")
    (tmp_path / FILE).write_text('{"request": "x", "reply": "y"}\nnot json\n')
    with pytest.raises(ConfigError, match=f"{FILE}:2"):
        Replay(tmp_path)

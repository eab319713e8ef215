"""A real vision-language model, made by the test: in this process, and behind a real server."""

from __future__ import annotations

import importlib.util
import os
import socket
import threading
import time

import numpy as np
import pytest
from scenes import RED, cube, picture, plate, robot_at

from hierarchy_nodes.errors import ConfigError, ErrorCode, HierarchyError
from hierarchy_nodes.parameters import from_mapping
from hierarchy_nodes.planner.base import PLANNERS, PlanRequest
from hierarchy_nodes.planner.task import empty_plan
from hierarchy_nodes.planner.vlm import local
from hierarchy_nodes.planner.vlm.model import ModelCancelled, ModelError, Request
from hierarchy_nodes.planner.vlm.model import picture as compressed
from hierarchy_nodes.types import Gripper

os.environ.setdefault("HF_HUB_OFFLINE", "1")
TASK = "put the red block on the blue plate"
ANSWER = (
    "<ans>[(0.50, 0.30), (0.31, 0.42), <action>Close Gripper</action>, (0.72, 0.45), "
    "<action>Open Gripper</action>]</ans>"
)
serves = importlib.util.find_spec("transformers") and importlib.util.find_spec("uvicorn")
pytestmark = [
    pytest.mark.skipif(not serves, reason="transformers needs Python 3.11 or later"),
    pytest.mark.timeout(300),  # Imports alone take most of a minute on a busy machine.
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    from tiny_vlm import make

    return make(tmp_path_factory.mktemp("tiny"), f"Way for: {TASK}", ANSWER)


@pytest.fixture(scope="module")
def prompt(tmp_path_factory):
    path = tmp_path_factory.mktemp("prompt") / "short.txt"
    path.write_text("Way for: $instruction")
    return str(path)


@pytest.fixture(scope="module")
def url(checkpoint):
    """`transformers serve` with the checkpoint, in threads of this process."""
    from transformers.cli.serve import Serve

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Serve(str(checkpoint), host="127.0.0.1", port=port, device="cpu", non_blocking=True)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            break
        except OSError:
            time.sleep(0.1)
    yield f"http://127.0.0.1:{port}/v1"
    server.kill_server()


@pytest.fixture(scope="module")
def frame():
    return picture([cube(0.45, 0.12, RED), plate(0.50, -0.12)], stamp=100.0)[0]


def make(backend, **values):
    found = PLANNERS.get(backend)
    return found(from_mapping(found.Options, {"dialect": "hamster", "timeout": 60.0} | values))


def test_the_same_checkpoint_makes_the_same_plan_here_and_behind_a_server(
    checkpoint, prompt, url, frame
):
    common = {"prompt_file": prompt, "max_tokens": 200}
    request = PlanRequest(TASK, frame, robot_at(100.0))
    here = make("transformers", checkpoint=str(checkpoint), **common)
    there = make("openai", url=url, model=str(checkpoint), read_timeout=60.0, **common)
    plans = [planner.plan(request) for planner in (here, there)]
    for plan in plans:
        assert [(round(p.x, 2), round(p.y, 2)) for p in plan.path[-3:]] == [
            (0.50, 0.30),
            (0.31, 0.42),
            (0.72, 0.45),
        ]
        assert [p.gripper for p in plan.path[-2:]] == [Gripper.CLOSE, Gripper.OPEN]
    assert plans[0].path == plans[1].path
    assert plans[0].prompts == plans[1].prompts


def test_babble_of_a_real_model_is_no_plan_and_no_verdict(checkpoint, url, frame):
    request = PlanRequest("bring me the moon", frame, robot_at(100.0))
    for planner in (
        make("transformers", checkpoint=str(checkpoint), dialect="structured", max_tokens=32),
        make("openai", url=url, model=str(checkpoint), dialect="structured", max_tokens=32),
    ):
        with pytest.raises(HierarchyError) as caught:
            planner.plan(request)
        assert caught.value.code == ErrorCode.BACKEND_FAILED
        plan = empty_plan(100.0, TASK)
        assert planner.verify(plan, frame, robot_at(101.0)) is None


def babbling(checkpoint, **options):
    """A model that never comes to an end by itself."""
    options |= {"checkpoint": str(checkpoint)}
    model = local.LocalModel(from_mapping(local.LocalOptions, options))
    model._model.generation_config.eos_token_id = None
    return model


def test_deadline_and_cancel(checkpoint):
    asked = Request("plan", "x", compressed(np.zeros((60, 80, 3), np.uint8), 80, 90), 4000)
    with pytest.raises(ModelError, match=r"did not answer within 0\.3 s"):
        babbling(checkpoint, timeout=0.3).ask(asked)
    model = babbling(checkpoint)
    timer = threading.Timer(0.3, model.cancel)
    timer.start()
    with pytest.raises(ModelCancelled):
        model.ask(asked)


def test_what_the_model_cannot_take_is_an_error_of_the_model(checkpoint):
    """An image mark in the text for which there is no image."""
    model = local.LocalModel(local.LocalOptions(checkpoint=str(checkpoint)))
    image = compressed(np.zeros((60, 80, 3), np.uint8), 80, 90)
    with pytest.raises(ModelError, match="failed"):
        model.ask(Request("plan", "<image>", image, 4))


def test_what_cannot_be_loaded_is_named(tmp_path, checkpoint):
    for path in ("", str(tmp_path)):
        with pytest.raises(ConfigError, match=r"not a folder with a config\.json"):
            make("transformers", checkpoint=path)
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    with pytest.raises(ConfigError, match="cannot be loaded"):
        make("transformers", checkpoint=str(tmp_path))
    with pytest.raises(ConfigError, match="on 'cuda:7'"):
        make("transformers", checkpoint=str(checkpoint), device="cuda:7")


def test_missing_packages_are_named_with_the_command(monkeypatch, checkpoint):
    monkeypatch.setattr(local, "NEEDED", {"no_such_package": "no-such-package"})
    with pytest.raises(ConfigError, match="pip install no-such-package"):
        make("transformers", checkpoint=str(checkpoint))

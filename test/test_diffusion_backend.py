"""The diffusion controller on a toy policy: warm starts, ends, corrections and breakdowns."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from scenes import cube, picture, robot_at
from toy import CALM, TEXTS, TINY, demonstrations

from hierarchy_nodes.arm.checks import check_chunk
from hierarchy_nodes.arm.config import ArmConfig
from hierarchy_nodes.controller.base import CONTROLLERS
from hierarchy_nodes.controller.diffusion.backend import DiffusionController, DiffusionOptions
from hierarchy_nodes.controller.diffusion.features import CHANNELS, TIMES
from hierarchy_nodes.controller.diffusion.policy import Policy
from hierarchy_nodes.controller.diffusion.weights import load_weights
from hierarchy_nodes.errors import ConfigError, ErrorCode
from hierarchy_nodes.geometry import project
from hierarchy_nodes.learning.training import TrainingOptions, train
from hierarchy_nodes.types import (
    Interaction,
    LanguageMotion,
    Observation,
    PathPoint,
    Plan,
    Prompt,
    Role,
    Segment,
    Segments,
)

TARGET = np.array([0.50, 0.12, 0.02])


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Barely trained: enough for what is tested here, which is everything but skill."""
    options = TrainingOptions(
        steps=12, batch=32, warmup=5, rate=3e-3, network=TINY, augmentation=CALM,
        evaluate_records=16,
    )  # fmt: skip
    return train(demonstrations(200), tmp_path_factory.mktemp("w"), options, progress=False)


def controller(weights, **options) -> DiffusionController:
    # A fixed latency: how busy the machine is must not change what is tested.
    # What it thinks of being done was hardly learned.
    options = {"weights": str(weights), "latency": 0.01, "done_threshold": 1.0} | options
    return DiffusionController(DiffusionOptions(**options))


def observe(stamp=0.0, tool=(0.35, 0.0, 0.40), plan_id="p", lost=False, frame=True, **more):
    image, which = picture([cube(TARGET[0], TARGET[1], (200, 30, 30))], stamp)
    pixels, _ = project(np.array([tool, TARGET]), image.intrinsics, image.camera_pose)
    path = tuple(PathPoint(float(x), float(y)) for x, y in np.clip(pixels, 0, 1))
    plan = Plan(
        plan_id, 0.0, image.frame_id, image.camera_pose, TEXTS[0], Interaction.PLACE, path,
        (Prompt(Role.TARGET, "red block", 0.5, 0.5),), 60.0, "test",
    )  # fmt: skip
    segment = Segment(1, Role.TARGET, "red block", 1.0, lost, TARGET, np.full(3, 0.04), 0.0)
    mask = (which == 1).astype(np.uint8)
    segments = Segments(stamp, image.frame_id, plan_id, mask, (segment,))
    observation = Observation(
        stamp, robot_at(stamp, tool), plan, image if frame else None, segments
    )
    return replace(observation, **more)


def told(distance=0.05, now=0.0, **more) -> LanguageMotion:
    direction = np.array([0.0, 1.0, 0.0])
    return LanguageMotion(
        now, "left", direction, distance, valid_until=now + 2.0, source="correction", **more
    )


def test_it_is_chosen_by_name():
    assert CONTROLLERS.get("diffusion") is DiffusionController


def test_chunks_are_what_the_arm_takes(weights):
    backend = controller(weights)
    for i in range(4):
        step = backend.act(observe(0.05 * i))
        assert step.state == "busy"
        chunk = step.chunk
        assert (chunk.stamp, chunk.image_stamp) == (0.05 * i, 0.05 * i)
        assert chunk.plan_id == "p"
        np.testing.assert_array_equal(chunk.times, TIMES)
        check_chunk(chunk, 0.05 * i + 0.01, ArmConfig(max_speed=5.0))
        np.testing.assert_allclose(np.linalg.norm(chunk.quaternions, axis=1), 1, atol=1e-6)
        assert set(chunk.gripper) <= {0.0, 1.0}


def test_the_same_observations_give_the_same_chunks(weights):
    first, second = controller(weights), controller(weights)
    for i in range(3):
        a, b = first.act(observe(0.05 * i)), second.act(observe(0.05 * i))
        np.testing.assert_array_equal(a.chunk.positions, b.chunk.positions)
    first.reset()
    again = first.act(observe(0.0))
    np.testing.assert_array_equal(
        again.chunk.positions, controller(weights).act(observe(0.0)).chunk.positions
    )


def test_warm_starts_and_what_ends_them(weights):
    backend = controller(weights, warm_steps=2, cold_steps=10)

    def why(observation):
        backend.act(observation)
        return backend.why_cold, backend.answer.steps

    assert why(observe(0.0)) == ("first chunk", 10)
    assert why(observe(0.05)) == ("", 2)
    assert why(observe(0.10, plan_id="q")) == ("new plan", 10)
    assert why(observe(0.15, plan_id="q")) == ("", 2)
    motion = told(now=0.2)
    assert why(observe(0.20, plan_id="q", motion=motion)) == ("correction begins", 10)
    assert why(observe(0.25, plan_id="q", motion=motion)) == ("", 2)
    done = (0.35, 0.05, 0.40)
    assert why(observe(0.30, done, plan_id="q", motion=motion))[0] == "correction ends"
    assert why(observe(2.0, plan_id="q"))[0].startswith("gap of 1.7")
    assert why(observe(2.05, (0.6, -0.25, 0.1), plan_id="q"))[0].startswith("tool is")
    backend.reset()
    assert why(observe(2.1, plan_id="q"))[0] == "first chunk"


@pytest.mark.parametrize(("mode", "first", "second"), [("cold", 10, 10), ("full", 50, 50)])
def test_modes(weights, mode, first, second):
    backend = controller(weights, mode=mode)
    steps = []
    for i in range(2):
        backend.act(observe(0.05 * i))
        steps.append(backend.answer.steps)
    assert steps == [first, second]


def test_part_of_a_chunk_is_executed_before_the_next_is_sampled(weights):
    backend = controller(weights, mode="cold", stride=0.2)
    chunks, steps = [], []
    for stamp in (0.0, 0.05, 0.1, 0.2):
        chunks.append(backend.act(observe(stamp)).chunk)
        steps.append(backend.answer.steps)
    assert steps == [10, 0, 0, 10]
    # The same way, seen a tenth of a second later.
    np.testing.assert_allclose(chunks[2].positions[:-1], chunks[0].positions[1:], atol=1e-9)
    # What is new is not put off.
    backend.act(observe(0.25, motion=told()))
    assert (backend.answer.steps, backend.why_cold) == (10, "correction begins")


def test_what_is_being_executed_stays(weights):
    # 0.2 s on the way to the arm: two actions and a half of the pull on the third.
    backend = controller(weights, latency=0.2, mode="cold")
    before = backend.act(observe(0.0)).chunk
    after = backend.act(observe(0.1)).chunk
    np.testing.assert_allclose(after.positions[:2], before.positions[1:3], atol=1e-5)
    free = controller(weights, latency=0.2, mode="cold", prefix=False)
    free.act(observe(0.0))
    loose = free.act(observe(0.1)).chunk
    assert np.abs(loose.positions[:2] - before.positions[1:3]).max() > 1e-4


def test_latency_is_measured(weights):
    backend = controller(weights)
    assert backend.latency.seconds == 0.0
    backend.act(observe(0.0))
    measured = backend.latency.seconds
    assert 0 < measured < 5.0
    late = replace(backend.options, latency=-1.0, transport=0.05)
    backend.options = late
    assert backend._late(observe(1.0, now=1.02)) == pytest.approx(measured + 0.02 + 0.05)


def test_a_correction_is_counted_off_and_shown(weights):
    backend = controller(weights)
    motion = told(0.05)
    step = backend.act(observe(0.0, motion=motion))
    assert step.message == "correction: left"
    backend.act(observe(0.1, (0.35, 0.03, 0.40), motion=motion))
    remaining = backend._extractor.remaining
    assert remaining is not None
    assert remaining.distance == pytest.approx(0.02, abs=1e-6)
    assert backend.act(observe(0.2, (0.35, 0.05, 0.40), motion=motion)).message == ""


def test_a_shout_costs_a_second_look_and_changes_more(weights):
    remark, shout = (controller(weights, mode="cold", obey=False) for _ in range(2))
    calm = remark.act(observe(0.0)).chunk.positions
    remark.reset()
    said = remark.act(observe(0.0, motion=told())).chunk.positions
    loud = shout.act(observe(0.0, motion=told(weight=3.0))).chunk.positions
    assert np.abs(loud - calm).max() > 1.2 * np.abs(said - calm).max()


def test_without_a_plan_corrections_are_still_obeyed(weights):
    backend = controller(weights)
    idle = observe(0.0)
    idle = replace(idle, plan=replace(idle.plan, path=(), plan_id=""), motion=told(0.05))
    step = backend.act(idle)
    assert step.state == "busy"
    assert step.chunk.positions[-1, 1] > 0.03
    # A plan comes while the same words are still valid: they are not obeyed twice.
    backend.act(observe(0.1, (0.35, 0.05, 0.40), motion=told(0.05)))
    assert backend._extractor.remaining is None


def test_it_waits_for_what_it_needs_and_gives_up(weights):
    backend = controller(weights, lost_timeout=1.0)
    step = backend.act(observe(0.0, frame=False))
    assert (step.state, step.chunk) == ("holding", None)
    assert "camera frame" in step.message
    step = backend.act(observe(0.5, segments=None))
    assert "segments" in step.message
    step = backend.act(observe(1.2, segments=None))
    assert (step.state, step.code) == ("failed", ErrorCode.TARGET_LOST)


def test_a_lost_target_ends_the_plan(weights):
    backend = controller(weights, lost_timeout=1.0)
    for i in range(30):
        step = backend.act(observe(0.1 * i, (0.35 + 0.01 * (i % 4), -0.1, 0.4), lost=i > 5))
        if step.state == "failed":
            break
    assert step.code == ErrorCode.TARGET_LOST
    assert "red block" in step.message
    assert 1.0 < 0.1 * i - 0.5 < 1.3


def test_a_tool_that_does_not_move_is_stuck(weights):
    backend = controller(weights, stuck_timeout=1.0)
    states = [backend.act(observe(0.1 * i)).state for i in range(15)]
    assert states[:10] == ["busy"] * 10
    assert states[-1] == "failed"
    assert backend.act(observe(1.5)).code == ErrorCode.CONTROLLER_STUCK
    assert backend.act(observe(1.6, plan_id="q")).state == "busy"


def eager(weights, **options) -> DiffusionController:
    """As `controller`, but sooner made."""
    return controller(weights, compiled=False, **options)


@pytest.mark.parametrize(("deep", "ends"), [(0.004, "failed"), (0.012, "done")])
def test_a_press_is_done_only_where_it_went_deep_enough(weights, deep, ends):
    backend = eager(weights, done_threshold=0.0, done_count=2, press_depth=0.009)
    down = (*TARGET[:2], TARGET[2] + 0.02 - deep)
    for stamp, tool in ((0.0, (*TARGET[:2], 0.2)), (0.1, down)):
        seen = observe(stamp, tool)
        plan = replace(seen.plan, interaction=Interaction.PRESS)
        step = backend.act(replace(seen, plan=plan))
    assert step.state == ends
    if ends == "failed":
        assert step.code == ErrorCode.CONTROLLER_STUCK
        assert "pressed by only 4 mm" in step.message


def up_and_down(i: int) -> tuple[float, float, float]:
    """Where a tool is that comes and goes over one place."""
    return (0.45, 0.1, 0.12 + 0.08 * math.sin(0.4 * i))


def test_a_tool_that_comes_and_goes_is_stuck(weights):
    backend = eager(weights, nowhere_timeout=3.0)
    for i in range(100):
        step = backend.act(observe(0.1 * i, up_and_down(i)))
        if step.state == "failed":
            break
    assert step.code == ErrorCode.CONTROLLER_STUCK
    assert "nowhere new" in step.message
    assert 3.0 < 0.1 * i < 5.0


def test_a_tool_that_always_gets_somewhere_is_not_stuck(weights):
    backend = eager(weights, nowhere_timeout=1.0)
    tools = [(0.35 + 0.006 * i, *up_and_down(i)[1:]) for i in range(60)]
    assert {backend.act(observe(0.1 * i, tool)).state for i, tool in enumerate(tools)} == {"busy"}


def test_time_for_which_the_arm_is_held_makes_nothing_stuck(weights):
    backend = eager(weights, stuck_timeout=1.0, nowhere_timeout=1.0)
    for stamp in (0.0, 0.1, 9.0, 9.1):
        assert backend.act(observe(stamp)).state == "busy"


def stuck(backend: DiffusionController) -> None:
    """Let it get stuck with the plan ``p``."""
    for i in range(8):
        step = backend.act(observe(0.1 * i))
    assert step.code == ErrorCode.CONTROLLER_STUCK


def test_the_next_plan_for_what_it_is_stuck_with_is_followed_without_the_policy(weights):
    backend = eager(weights, stuck_timeout=0.5)
    stuck(backend)
    ended = replace(observe(1.0).plan, plan_id="none", path=(), subtask="replanning")
    backend.act(observe(1.0, plan=ended))
    step = backend.act(observe(1.1, plan_id="q"))
    assert step.chunk.source == "path_follower"
    assert "without the policy" in step.message
    assert backend.act(observe(1.2, plan_id="r")).chunk.source == "diffusion"


def test_it_goes_on_with_the_policy_where_that_is_asked_for_or_another_step_comes(weights):
    backend = eager(weights, stuck_timeout=0.5, retry="policy")
    stuck(backend)
    assert backend.act(observe(1.0, plan_id="q")).chunk.source == "diffusion"
    backend = eager(weights, stuck_timeout=0.5, channels=["masks"])
    stuck(backend)
    assert backend.act(observe(1.0, plan_id="q")).chunk.source == "diffusion"
    backend = eager(weights, stuck_timeout=0.5)
    stuck(backend)
    other = replace(observe(1.0, plan_id="q").plan, subtask="something else")
    assert backend.act(observe(1.0, plan_id="q", plan=other)).chunk.source == "diffusion"


def test_done_needs_the_policy_to_be_sure_several_times(weights, monkeypatch):
    backend = controller(weights, done_count=3, done_threshold=0.5)
    sure = [0.9, 0.1, 0.9, 0.9, 0.9]
    original = type(backend.policy).see
    monkeypatch.setattr(
        backend.policy, "see", lambda *a: replace(original(backend.policy, *a), done=sure.pop(0))
    )
    states = [backend.act(observe(0.05 * i)).state for i in range(6)]
    assert states == ["busy"] * 4 + ["done"] * 2


@pytest.mark.parametrize(
    ("trained", "seen", "ends"),
    [
        (CHANNELS, ["text"], False),
        (CHANNELS, ["motion", "text"], False),
        (CHANNELS, ["path"], True),
        (CHANNELS, ["masks"], True),
        (("motion", "text"), ["text"], True),
    ],
)
def test_whether_it_is_done_cannot_be_told_without_path_and_masks(weights, trained, seen, ends):
    backend = controller(weights, channels=seen, done_threshold=0.0, done_count=1)
    network, config = load_weights(weights)
    backend.policy = Policy(network, replace(config, channels=trained), tuple(seen), compiled=False)
    assert backend.act(observe()).state == ("done" if ends else "busy")


def test_a_breakdown_holds_and_then_ends(weights, monkeypatch):
    backend = controller(weights, fallback_after=0.2)

    def broken(*_args, **_more):
        raise RuntimeError("boom")

    monkeypatch.setattr(backend.policy, "see", broken)
    step = backend.act(observe(0.0))
    assert (step.state, step.chunk) == ("holding", None)
    assert "boom" in step.message
    step = backend.act(observe(0.3))
    assert (step.state, step.code) == ("failed", ErrorCode.BACKEND_FAILED)


def test_a_breakdown_falls_back_to_the_path_follower(weights, monkeypatch):
    backend = controller(weights, fallback_after=0.2, fallback="path_follower")
    see = backend.policy.see

    def nothing(*args):
        view = see(*args)
        return replace(view, tool=view.tool * math.nan)

    monkeypatch.setattr(backend.policy, "see", nothing)
    assert "not finite" in backend.act(observe(0.0)).message
    step = backend.act(observe(0.3))
    assert step.chunk.source == "path_follower"
    assert "without the policy" in step.message
    assert backend.act(observe(0.4)).chunk.source == "path_follower"
    monkeypatch.setattr(backend.policy, "see", see)
    assert backend.act(observe(0.5, plan_id="q")).chunk.source == "diffusion"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"cold_steps": 51}, "cold_steps: 51 denoising steps"),
        ({"warm_steps": 30, "warm_level": 0.2}, "warm_steps: 30 denoising steps"),
        ({"channels": ["path", "smell"]}, "smell"),
        ({"weights": "/nowhere/controller.safetensors"}, "hierarchy train controller"),
    ],
)
def test_options_that_cannot_work_are_refused(weights, options, text):
    with pytest.raises(ConfigError, match=text):
        controller(**{"weights": weights} | options)


def test_without_torch_the_command_that_installs_it_is_told(monkeypatch):
    name = "hierarchy_nodes.controller.diffusion.backend"
    for module in (name, "torch"):
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConfigError, match="pip install torch safetensors onnx onnxruntime"):
        CONTROLLERS.get("diffusion")


def test_a_mere_way_is_followed_without_the_policy(weights, monkeypatch):
    backend = controller(weights)
    monkeypatch.setattr(backend, "_think", None)
    seen = observe(plan_id="aside", segments=None)
    path = tuple(replace(point, depth=0.6) for point in seen.plan.path)
    plan = replace(seen.plan, interaction=Interaction.NONE, path=path, prompts=())
    step = backend.act(replace(seen, plan=plan))
    assert step.state == "busy"
    assert step.chunk.source == "path_follower"


def test_what_the_policy_took_is_kept_on_a_mere_way(weights):
    backend = controller(weights)
    idle = observe(plan_id="none")
    backend.act(replace(idle, plan=replace(idle.plan, path=(), prompts=())))
    for i in range(1, 21):
        backend.act(observe(0.05 * i))
    now = 1.05
    seen = observe(now, plan_id="aside", segments=None, robot=robot_at(now, (0.5, 0.0, 0.2), 0.6))
    path = tuple(replace(point, depth=0.6) for point in seen.plan.path)
    way = replace(seen.plan, interaction=Interaction.NONE, path=path, prompts=())
    step = backend.act(replace(seen, plan=way))
    assert (step.chunk.gripper < 0.6).all()


@pytest.mark.parametrize("told_weight", [None, 1.0, 2.0])
@pytest.mark.parametrize("options", [{"mode": "cold"}, {"warm_steps": 3}, {"warm_steps": 9}])
def test_compiling_changes_no_number(weights, options, told_weight):
    plain, compiled = (controller(weights, compiled=c, **options) for c in (False, True))
    motion = None if told_weight is None else told(weight=told_weight)
    for i in range(3):
        a = plain.act(observe(0.05 * i, motion=motion))
        b = compiled.act(observe(0.05 * i, motion=motion))
        assert plain.answer.steps == compiled.answer.steps
        np.testing.assert_allclose(a.chunk.positions, b.chunk.positions, atol=1e-5)
        np.testing.assert_allclose(a.chunk.gripper, b.chunk.gripper, atol=1e-5)
    assert torch.get_num_threads() == 1

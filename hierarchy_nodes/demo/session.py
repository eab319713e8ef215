"""One demonstration from start to report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hierarchy_nodes.demo import report, timeline, video
from hierarchy_nodes.demo.client import Outcome, StackClient, StackError, error_name
from hierarchy_nodes.demo.microphone import SpokenMicrophone
from hierarchy_nodes.demo.scene import Choice, choose
from hierarchy_nodes.demo.speech import Line, Script
from hierarchy_nodes.demo.stack import Stack
from hierarchy_nodes.recorder.reader import RecordingError

READY_TIMEOUT = 60.0


@dataclass(frozen=True)
class Request:
    """What to demonstrate; `lines` are typed, `spoken` ones go into a microphone."""

    instruction: str
    family: str = ""
    seed: int = 1
    runs: Path = Path("runs")
    planner: str = "compact"
    controller: str = "diffusion"
    lines: Sequence[Line] = ()
    spoken: Sequence[Line] = ()
    time_limit: float = 0.0
    video: bool = True


class Teller:
    """Prints what happens with the seconds since the beginning."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write, self.begin = write, time.monotonic()
        self._phase: tuple[str, str] = ("", "")

    def __call__(self, kind: str, text: str) -> None:
        self._write(f"{time.monotonic() - self.begin:6.1f} s  {kind:<9} {text}".rstrip())

    def feedback(self, feedback: Any) -> None:
        """An ExecuteTask.Feedback: told where phase or motion are new."""
        now = (feedback.phase, feedback.language_motion)
        if now != self._phase:
            self._phase = now
            self(feedback.phase or "-", feedback.language_motion)


def run(request: Request, write: Callable[[str], None]) -> dict[str, Any]:
    """Run it; the result is what ``report.json`` says. Raises StackError, KeyboardInterrupt."""
    told = Teller(write)
    folder = new_folder(request.runs)
    choice = choose(request.instruction, request.family, request.seed)
    told("scene", _describe(choice))
    result: dict[str, Any] = {
        "instruction": request.instruction,
        "success": False,
        "verdict": "",
        "scene": {"family": choice.family, "seed": choice.seed, "axis": choice.axis},
        "judged_by_referee": choice.judged,
        "planner": request.planner,
        "controller": request.controller,
        "corrections": [asdict(line) for line in request.lines],
        "spoken": [asdict(line) for line in request.spoken],
        "versions": report.versions(),
    }
    try:
        _perform(request, choice, folder, told, result)
        line = _record(folder, result)
        if line is not None and request.video:
            told("video", "drawing overlay.mp4")
            _draw(line, folder, result)
    finally:
        result["wall_seconds"] = round(time.monotonic() - told.begin, 1)
        (folder / "report.json").write_text(json.dumps(result, indent=2) + "\n")
        told("written", f"{folder}/")
    return result


def new_folder(runs: Path) -> Path:
    """``runs/<stamp>``, with a number behind it where two runs begin in one second."""
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for name in [stamp, *(f"{stamp}-{number}" for number in range(2, 100))]:
        try:
            (runs / name).mkdir(parents=True)
        except FileExistsError:
            continue
        return (runs / name).absolute()
    raise StackError(f"{runs}: no folder could be made for this run.")


def _perform(
    request: Request, choice: Choice, folder: Path, told: Teller, result: dict[str, Any]
) -> None:
    arguments = {"planner": request.planner, "controller": request.controller}
    if request.spoken:
        arguments["speech"] = "true"
    scene = (choice.family, choice.seed, choice.axis)
    # Whoever speaks here is the microphone, too.
    with ExitStack() as running:
        stack = running.enter_context(Stack(folder, scene, arguments, without=("microphone",)))
        told("start", f"{len(stack.names) + 1} processes")
        client = running.enter_context(StackClient(tick=stack.check))
        client.wait_ready(stack.names, READY_TIMEOUT)
        scripts = [Script(request.lines, client.say)]
        if request.spoken:
            microphone = running.enter_context(SpokenMicrophone(client.node))
            client.wait(lambda: client.listeners("microphone/audio"), 10, "Nobody listens")
            scripts.append(Script(request.spoken, microphone.say))
        result["startup_seconds"] = round(time.monotonic() - told.begin, 1)
        told("ready", ", ".join(stack.names))
        client.on_correction = lambda m: told("you", f'"{m.text}" - {m.answer}')
        told("task", f'"{request.instruction}"')
        begin = time.monotonic()
        outcome = client.execute(
            request.instruction,
            told.feedback,
            request.time_limit,
            meanwhile=lambda: _run(scripts, time.monotonic() - begin),
        )
        result |= _outcome(outcome)
        done, reason = stack.verdict() if outcome.success else stack.verdict(0.0)
        if not choice.judged:
            done, reason = (
                False,
                f"not judged: the referee's task was '{choice.task.instruction}'",
            )
        result["success"], result["verdict"] = done, reason
        word = "done" if outcome.success else error_name(outcome.error_code)
        told("result", f"{word} {outcome.error_message}")
        told("referee", reason)


def _run(scripts: Sequence[Script], elapsed: float) -> None:
    for script in scripts:
        script.run(elapsed)


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "planner_success": outcome.success,
        "error_code": outcome.error_code,
        "error_name": error_name(outcome.error_code),
        "error_message": outcome.error_message,
        "task_seconds": round(outcome.duration, 2),
        "attempts": outcome.attempts,
    }


def _record(folder: Path, result: dict[str, Any]) -> timeline.Timeline | None:
    """Add to the result what the recording tells."""
    try:
        line = timeline.read(folder / "bag")
    except RecordingError as error:
        result["recording"] = str(error)
        return None
    result["phases"] = report.phases(line, line.end)
    result["latency_ms"] = report.latencies(line)
    return line


def _draw(line: timeline.Timeline, folder: Path, result: dict[str, Any]) -> None:
    try:
        result["video_frames"] = video.render(line, folder / "overlay.mp4", folder / "overlay.png")
    except video.VideoError as error:
        result["video"] = str(error)


def _describe(choice: Choice) -> str:
    things = ", ".join(thing.name.replace("_", " ") for thing in choice.scene.objects)
    text = f"{choice.family}, seed {choice.seed}: {things}"
    if choice.missing:
        text += f" (nothing here is {' or '.join(choice.missing)})"
    return text

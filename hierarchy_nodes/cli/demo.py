"""``hierarchy demo``: one task on the whole stack, recorded, drawn and judged."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from hardware.cell.tasks import FAMILIES
    from hierarchy_nodes.controller.base import CONTROLLERS
    from hierarchy_nodes.planner.base import PLANNERS

    parser.add_argument(
        "instruction",
        nargs="?",
        default="put the red block on the blue plate",
        help='what to do (default: "%(default)s")',
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="first scene to look at for the things that are named"
    )
    parser.add_argument(
        "--family", default="", choices=["", *FAMILIES], help="kind of scene (default: fitting)"
    )
    parser.add_argument(
        "--runs-dir", type=Path, default=Path("runs"), help="a folder for each run goes in here"
    )
    parser.add_argument(
        "--planner", default="compact", help=f"one of {', '.join(PLANNERS.targets())}"
    )
    parser.add_argument(
        "--controller", default="diffusion", help=f"one of {', '.join(CONTROLLERS.targets())}"
    )
    parser.add_argument(
        "--say",
        action="append",
        default=[],
        metavar="TEXT@SECONDS",
        help="type a correction so many seconds after the task began; may be repeated",
    )
    parser.add_argument(
        "--speak",
        action="append",
        default=[],
        metavar="TEXT@SECONDS",
        help="say it aloud into a simulated microphone, to be understood or not; may be repeated",
    )
    parser.add_argument(
        "--time-limit", type=float, default=0.0, help="seconds for the task (0: the planner's own)"
    )
    parser.add_argument("--no-video", action="store_true", help="draw no overlay.mp4")


def run(arguments: argparse.Namespace) -> int:
    from hierarchy_nodes.controller.base import CONTROLLERS
    from hierarchy_nodes.demo.speech import parse_line
    from hierarchy_nodes.demo.stack import end_on_sigterm, private_domain
    from hierarchy_nodes.planner.base import PLANNERS

    # Wrong names and times should show before anything is started.
    PLANNERS.get(arguments.planner)
    CONTROLLERS.get(arguments.controller)
    lines = [parse_line(text) for text in arguments.say]
    spoken = [parse_line(text, "--speak") for text in arguments.speak]
    private_domain()
    end_on_sigterm()

    from hierarchy_nodes.demo import session

    request = session.Request(
        instruction=arguments.instruction,
        family=arguments.family,
        seed=arguments.seed,
        runs=arguments.runs_dir,
        planner=arguments.planner,
        controller=arguments.controller,
        lines=lines,
        spoken=spoken,
        time_limit=arguments.time_limit,
        video=not arguments.no_video,
    )
    result = session.run(request, lambda text: print(text, flush=True))
    print("success" if result["success"] else "no success")
    return 0 if result["success"] else 1

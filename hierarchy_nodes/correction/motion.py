"""Relative motions and turns: "a bit to the left and up", "turn clockwise 30 degrees"."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

import numpy as np

from hierarchy_nodes.correction.config import CorrectionConfig
from hierarchy_nodes.correction.draft import Draft, refused
from hierarchy_nodes.correction.scan import NUMBER, SOFT, Scanner
from hierarchy_nodes.types import CorrectionKind

# Base frame (REP 103). "viewer" stands opposite the robot and looks at it.
VECTORS = {
    "left": (0, 1, 0),
    "right": (0, -1, 0),
    "up": (0, 0, 1),
    "down": (0, 0, -1),
    "forward": (1, 0, 0),
    "back": (-1, 0, 0),
}
_MIRRORED = {"left": "right", "right": "left", "forward": "back", "back": "forward"}
_SIDE = r"(?:to |towards |on |over to )?(?:the )?{}(?: hand)?(?: side)?|{}wards?"
_DIRECTIONS = {
    "left": _SIDE.format("left", "left"),
    "right": _SIDE.format("right", "right"),
    "up": r"up(?:wards?)?|higher(?: up)?|up higher|raise|lift(?: up)?|rise|ascend",
    "down": r"(?:back )?down(?:wards?)?|lower(?: down)?|down lower|descend|deeper|sink",
    "forward": r"forwards?|ahead|outwards?|further out|to the front",
    "back": r"back ?wards?|back(?: up| off)?|to the back|backup|retract|retreat",
}
# Whoever's frame is set, these say whose they are.
_ABSOLUTE = {
    "left": r"(?:to )?your left(?: side)?",
    "right": r"(?:to )?your right(?: side)?",
    "forward": (
        r"(?:closer|nearer)(?: to me| towards me)?|towards me|to me|to(?:wards)? the "
        r"(?:camera|viewer)|away from (?:you|yourself|the robot)"
    ),
    "back": (
        r"(?:further |farther )?away(?: from (?:me|the camera))?|away from here"
        r"|(?:closer |nearer )?(?:to|towards) (?:you|yourself|the robot)"
    ),
}
_VIEWERS = {"left": r"(?:to )?my left(?: side)?", "right": r"(?:to )?my right(?: side)?"}
_OBJECT = (
    r"(?:the |your |that |this |its )?(?:whole )?(?:robot )?"
    r"(?:arm|hand|gripper|tool|fingers?|claw|end effector|robot|wrist|tip)|it|yourself|that|this"
)
_VERB = (
    r"move|go|shift|nudge|come|step|head|drive|jog|bring|slide|scoot|get|push|pull|reach|stretch"
    r"|moving|going|steer|take|hover"
)
_SKIP = (
    r"by|about|around|roughly|approximately|exactly|just|only|maybe|perhaps|more|further|farther"
    r"|extra|and|a|over|straight|diagonally|still|again|also|even|another|there|from there"
    r"|out|in that direction|direction"
)
_TURN_VERB = r"turn|rotate|twist|spin|roll|swivel|turning|rotating"
_TURN = {
    "cw": r"(?:to the |towards the )?right|clockwise|with the clock",
    "ccw": r"(?:to the |towards the )?left|counterclockwise|against the clock",
}
_TURN_SKIP = _SKIP + r"|the other way round"
_TURN_PART = {
    90.0: r"(?:a )?0?\.?(?:quarter|0\.25)(?: of a)? turn|sideways",
    45.0: r"(?:an )?eighth(?: of a)? turn",
    180.0: r"(?:a )?(?:half|0\.5)(?: a)? turn|around|upside down|over",
    360.0: r"(?:a )?(?:full|whole|1|one) (?:turn|circle)|all the way around",
}
_TOO = {
    "up": r"high(?: up)?",
    "down": r"low(?: down)?",
    "left": r"(?:to the )?left",
    "right": r"(?:to the )?right",
    "forward": r"(?:forwards?|out)",
    "back": r"back(?:wards?)?",
}


@dataclass
class _Parts:
    """What was found in a clause about a motion."""

    directions: list[str] = field(default_factory=list)
    lengths: list[float] = field(default_factory=list)
    soft: list[str] = field(default_factory=list)
    bare: float | None = None
    slow: bool = False
    negative: bool = False


def parse_motion(text: str, config: CorrectionConfig) -> list[Draft] | None:
    """The motion that `text` asks for; None where it is not wholly about one."""
    parts = _scan(text, config)
    if parts is None or not parts.directions:
        return None
    if parts.negative:
        return [refused(CorrectionKind.MOTION, "I cannot move a negative distance")]
    vectors = [np.array(VECTORS[d], dtype=float) for d in parts.directions]
    lengths = parts.lengths or [_soft(word, config) for word in parts.soft]
    confidence = 0.95
    if not lengths and parts.bare is not None:
        # People who say "left 5" mean centimetres.
        lengths, confidence = [parts.bare * 0.01], 0.6
    if len(lengths) > 1 and len(lengths) != len(vectors):
        return None
    if not lengths:
        lengths, confidence = [config.distance], 0.9
    if len(lengths) == len(vectors):
        offset = sum((v * d for v, d in zip(vectors, lengths, strict=True)), np.zeros(3))
        distance = float(np.linalg.norm(offset))
    else:
        offset, distance = sum(vectors, np.zeros(3)), lengths[0]
    drafts = []
    if parts.slow:
        drafts.append(
            Draft(CorrectionKind.SPEED, "going slower", factor=0.7, words="slower", confidence=0.8)
        )
    return [*drafts, motion_draft(offset, distance, parts.directions, config, confidence)]


def motion_draft(
    offset: np.ndarray,
    distance: float,
    directions: list[str],
    config: CorrectionConfig,
    confidence: float,
) -> Draft:
    """A bounded motion along ``offset`` (3,), or why it is refused."""
    names = _names(directions)
    length = float(np.linalg.norm(offset))
    if distance > 0 and length < 1e-9:
        return refused(CorrectionKind.MOTION, f"{names} cancel each other")
    if not 0 < distance <= config.max_distance + 1e-9:
        limit = f"I can be told at most {_metres(config.max_distance)} at a time"
        why = limit if distance > 0 else "that is no distance"
        return refused(CorrectionKind.MOTION, f"not moving {_metres(distance)} {names}: {why}")
    words = f"{_metres(distance)} {names}"
    return Draft(
        CorrectionKind.MOTION,
        f"moving {words}",
        confidence=confidence,
        direction=offset / length,
        distance=distance,
        words=f"move {words}",
    )


def parse_turn(text: str, config: CorrectionConfig) -> list[Draft] | None:
    """The turn about the gripper's axis that `text` asks for, seen from above."""
    scanner = Scanner(text)
    turning = bool(re.search(rf"\b(?:{_TURN_VERB}|turn|(?:counter)?clockwise)\b", text))
    if not turning:
        return None
    sense, degrees, negative = "", None, False
    while scanner.rest:
        part = scanner.take_named({str(k): v for k, v in _TURN_PART.items()})
        if part:
            degrees = float(part)
            continue
        if (angle := scanner.take_angle()) is not None:
            degrees = angle
        elif scanner.take("minus"):
            negative = True
        elif found := scanner.take_named(_TURN):
            if sense:
                return None
            sense = found
        elif found := scanner.take_named(SOFT):
            degrees = degrees or getattr(config, f"angle_{found}")
        elif match := scanner.take(NUMBER):
            degrees = float(match.group())
        elif not (
            scanner.take(_TURN_VERB)
            or scanner.take(_OBJECT)
            or scanner.take(_TURN_SKIP)
            or scanner.take(",(?= (?:by )?(?:a|\\d))")
        ):
            return None
    if not sense and degrees != 180.0:
        return [refused(CorrectionKind.MOTION, "which way: clockwise or counterclockwise?")]
    degrees = config.angle if degrees is None else degrees
    words = f"{degrees:g} degrees {'clockwise' if sense == 'cw' else 'counterclockwise'}"
    if negative or not 0 < degrees <= config.max_angle:
        why = f"not turning {words}: I can be told at most {config.max_angle:g} degrees at a time"
        return [refused(CorrectionKind.MOTION, why)]
    # Clockwise from above is right-handed about an approach axis that points down.
    rotation = math.radians(degrees) * (1 if sense == "cw" else -1)
    return [
        Draft(CorrectionKind.MOTION, f"turning {words}", rotation=rotation, words=f"turn {words}")
    ]


def parse_excess(text: str, config: CorrectionConfig) -> list[Draft] | None:
    """ "too high", "too far left": a bit of the opposite."""
    match = re.fullmatch(
        r"(?:(?:that is|thats|it is|its|you are|youre|this is|still|much|way|a (?:little )?bit"
        r"|slightly|now|going|you went|you have gone|thats way) )*"
        r"(?:too|not (?:so|that))(?: far| much)?(?: to)?(?: the)? (?P<way>[a-z ]+)",
        text,
    )
    if match is None:
        return None
    scanner = Scanner(match["way"])
    way = scanner.take_named(_TOO)
    if not way or scanner.rest:
        return None
    opposite = {"up": "down", "down": "up"} | _MIRRORED | {"left": "right", "right": "left"}
    name = _mirror(opposite[way], config)
    far = bool(re.search(r"\b(?:much|way)\b", text))
    distance = config.distance if far else config.distance_bit
    return [motion_draft(np.array(VECTORS[name], dtype=float), distance, [name], config, 0.8)]


def _scan(text: str, config: CorrectionConfig) -> _Parts | None:
    scanner, parts = Scanner(text), _Parts()
    while scanner.rest:
        if (length := scanner.take_length()) is not None:
            parts.lengths.append(length)
        elif scanner.take("minus"):
            parts.negative = True
        elif found := scanner.take_named(_ABSOLUTE):
            parts.directions.append(found)
        elif found := scanner.take_named(_VIEWERS):
            parts.directions.append(_MIRRORED[found])
        elif found := scanner.take_named(_DIRECTIONS):
            name = _mirror(found, config)
            # "raise it higher" and "up up up" name one direction.
            if not (parts.directions and parts.directions[-1] == name):
                parts.directions.append(name)
        elif found := scanner.take_named(SOFT):
            parts.soft.append(found)
        elif match := scanner.take(NUMBER):
            parts.bare = float(match.group())
        elif scanner.take("slowly|gently|carefully|slower"):
            parts.slow = True
        elif not (
            scanner.take(_VERB)
            or scanner.take(_OBJECT)
            or scanner.take(_SKIP)
            or scanner.take(rf",(?= (?:(?:by|about|just|maybe) )*(?:a |{NUMBER}|slightly))")
            or scanner.take("to")
            # Who writes down what was said puts commas where they like.
            or (parts.lengths and scanner.take(rf",(?= and [a-z ]*{NUMBER})"))
        ):
            return None
    return parts


def _mirror(name: str, config: CorrectionConfig) -> str:
    return _MIRRORED.get(name, name) if config.frame == "viewer" else name


def _soft(word: str, config: CorrectionConfig) -> float:
    return float(getattr(config, f"distance_{word}"))


def _metres(distance: float) -> str:
    if distance >= 1:
        return f"{distance:.3g} m"
    return f"{distance * 100:.3g} cm" if distance >= 0.00995 else f"{distance * 1000:.3g} mm"


def _names(directions: list[str]) -> str:
    readable = {"left": "to the left", "right": "to the right"}
    if len(directions) == 1:
        return readable.get(directions[0], directions[0])
    return " and ".join(dict.fromkeys(directions))

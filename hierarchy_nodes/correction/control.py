"""Corrections of how, not where: pause, go on, speed, gripper."""

from __future__ import annotations

import re

from hierarchy_nodes.correction.draft import Draft, refused
from hierarchy_nodes.correction.scan import NUMBER, SOFT, Scanner
from hierarchy_nodes.types import CorrectionKind, Gripper

MIN_FACTOR, MAX_FACTOR = 0.1, 2.0

# "wait" and "hold on" ask for a moment, so they pause; only stop words latch a stop.
_MOMENT = r"(?: (?:there|here|it|a|an|one|1|for|just|second|sec|moment|minute|bit|little|me|up))*"
_PAUSE = re.compile(
    r"(?P<said>pause|standby|stand by|suspend|take a break|stay|stay put|stay where you are"
    rf"|hold(?: your)? position){_MOMENT}(?: \d+ (?:second|minute)s?)?"
    rf"|(?:wait|hold on|hold up|hang on|hold still|be still|hold it|hold|keep still|stay still"
    rf"|enough|thats enough|not yet|careful there){_MOMENT}(?: \d+ (?:second|minute)s?)?"
    r"|(?:just )?(?:a|one|1|half a) (?:second|sec|moment|minute)"
)
_RESUME = re.compile(
    r"(?:you (?:can|may|could|should) |time to |and |just |let us |lets )?"
    r"(?:resume|continue|go on|carry on|keep (?:going|moving|working|it up|at it)|go ahead|proceed"
    r"|unpause|go|move on|get going|on you go|start again|restart|start moving|back to work"
    r"|go for it|as you were|keep on|un pause|do (?:go on|continue))"
    r"(?: (?:with (?:it|that|the task|your work)|moving|going|working|again|from there|then"
    r"|the task|like that|with what you were doing))*"
)
_STOP_PAUSING = re.compile(r"(?:stop|dont|no more) (?:waiting|pausing|holding|standing|wait|pause)")

_SLOWER = (
    r"slower|more slowly|slowly|slow(?: it)? down|slow|decelerate|less fast|less quickly|gentler"
    r"|more gently|gently|more carefully|carefully|careful|be careful|easy|take it (?:easy|slow)"
    r"|(?:reduce|lower|decrease) (?:the |your )?speed|less speed|slowly does it|calm down"
)
_FASTER = (
    r"faster|quicker|more quickly|quickly|fast|quick|speed (?:it )?up|hurry(?: it)?(?: up)?"
    r"|accelerate|(?:increase|raise) (?:the |your )?speed|more speed|step on it|less slow(?:ly)?"
    r"|pick up the pace|get a move on"
)
_TOO_FAST = r"too fast|too quick(?:ly)?|not (?:so|that|too|as) (?:fast|quick(?:ly)?)"
_TOO_SLOW = r"too slow(?:ly)?|not (?:so|that|too|as) slow(?:ly)?"
_SPEED_SKIP = (
    r"go|going|move|moving|a|be|drive|work|do|it|that|at|the|your|you|are|you are|youre|thats|its"
    r"|this|is|run|and|more|even|still|just|to|speed|by|arm|robot|of|with|make|everything|keep"
)
_SLOW_FACTORS = {"tiny": 0.9, "bit": 0.85, "": 0.7, "lot": 0.4}
_FAST_FACTORS = {"tiny": 1.1, "bit": 1.2, "": 1.4, "lot": 2.0}
_WORD_TIMES = {"twice": 2.0, "thrice": 3.0, "double": 2.0, "triple": 3.0, "half": 0.5}

_HAND = (
    r"(?:the |your |its |that )?(?:gripper|hands?|fingers?|claws?|jaws?|grip|grippers?|grasp|fist)"
)
_THING = r"(?: of)?(?: (?:it|that|this|them|(?:the|that|this) [a-z]+(?: [a-z]+)?))?"
_HOW = (
    r"(?: (?:up|wide|wider|fully|completely|all the way|again|more|a bit|a little|tight|tighter"
    r"|tightly|firmly|harder|now|around it|on it|on to it|onto it))*"
)
OPEN = re.compile(
    rf"(?:open|unclench|relax|unclamp|spread|loosen|widen)(?: up)?(?: {_HAND}| it)?{_HOW}"
    rf"|(?:let (?:it |that |this |the [a-z]+(?: [a-z]+)? )?go|let loose|release|ungrasp|free)"
    rf"(?: {_HAND})?{_THING}{_HOW}|drop (?:it|that|this){_HOW}|let it (?:drop|fall)"
)
CLOSE = re.compile(
    rf"(?:close|shut|clench|clamp|tighten|squeeze)(?: up)?(?: {_HAND}| it| that)?{_HOW}"
    rf"|(?:grip|grab|grasp|catch|clutch|grab hold of|take hold of|get a grip on)"
    rf"(?: (?:it|that|this))?{_HOW}"
    rf"|(?:hold|keep|keep hold of)(?: (?:it|that|on to it|onto it|holding it|hold))?"
    rf" (?:tight|tighter|tightly|firmly|harder)"
    rf"|(?:hold on to|hold onto|keep holding)(?: on to)? (?:it|that|this)"
)


def parse_flow(text: str) -> list[Draft] | None:
    """Pause and resume."""
    if match := _PAUSE.fullmatch(text):
        return [pausing(soft=match["said"] is None)]
    if _RESUME.fullmatch(text) or _STOP_PAUSING.fullmatch(text):
        return [resuming()]
    return None


def pausing(why: str = "", soft: bool = True) -> Draft:
    """A pause; `soft` where the words may be no more than an opening."""
    answer = why or 'pausing; say "continue" to go on'
    return Draft(CorrectionKind.PAUSE, answer, words="pause", soft=soft)


def resuming() -> Draft:
    return Draft(CorrectionKind.RESUME, "going on", words="resume")


def parse_speed(text: str, speed: float = 1.0) -> list[Draft] | None:
    """A factor on the present speed; `speed` is the present factor, for "full speed"."""
    scanner = Scanner(text)
    factor, soft, absolute, found = 0.0, "", False, 0
    while scanner.rest:
        if match := scanner.take(rf"(?P<n>{NUMBER}) percent(?: (?P<way>{_SLOWER}|{_FASTER}))?"):
            part, way = float(match["n"]) / 100, match["way"]
            absolute = way is None
            slower = way is not None and re.fullmatch(_SLOWER, way)
            factor = part if absolute else 1 - part if slower else 1 + part
            found += not absolute or "speed" in text
        elif match := scanner.take(
            rf"(?:(?P<n>{NUMBER}) times|(?P<word>twice|thrice|double|triple|half)) ?"
            r"(?P<as>as )?(?P<way>fast(?:er)?|quick(?:ly)?|slow(?:er|ly)?|(?:the |your )?speed)"
        ):
            factor = float(match["n"]) if match["n"] else _WORD_TIMES[match["word"]]
            slow = match["way"].startswith("slow") and factor > 1
            factor = 1 / factor if slow and factor > 0 else factor
            absolute = match["way"].endswith("speed")
            found += 1
        elif match := scanner.take(r"(?P<n>0\.\d+) (?:of )?(?:the |your |full )?speed"):
            factor, absolute, found = float(match["n"]), True, found + 1
        elif scanner.take("(?:full|normal|top|maximum|max|usual|regular) (?:speed|pace)"):
            factor, absolute, found = 1.0, True, found + 1
        elif scanner.take(f"{_TOO_FAST}"):
            factor, found = -1.0, found + 1
        elif scanner.take(f"{_TOO_SLOW}"):
            factor, found = -2.0, found + 1
        elif scanner.take(_SLOWER):
            factor, found = -1.0, found + 1
        elif scanner.take(_FASTER):
            factor, found = -2.0, found + 1
        elif word := scanner.take_named(SOFT):
            soft = word
        elif not scanner.take(_SPEED_SKIP):
            return None
    if found != 1:
        return None
    if factor == -1.0:
        factor = _SLOW_FACTORS[soft]
    elif factor == -2.0:
        factor = _FAST_FACTORS[soft]
    # Said as a part of full speed, but the message carries a factor on the present one.
    relative = factor / max(speed, 1e-3) if absolute and abs(speed - 1.0) > 1e-6 else factor
    if not MIN_FACTOR - 1e-9 <= relative <= max(MAX_FACTOR, 1 / max(speed, 1e-3)) + 1e-9:
        why = f"not changing the speed by {relative:.3g}: I can go {MIN_FACTOR:g} to {MAX_FACTOR:g}"
        return [refused(CorrectionKind.SPEED, f"{why} times as fast")]
    words = "slower" if relative < 1 else "faster" if relative > 1 else "at full speed"
    answer = f"going {words} ({relative:.0%} of the present speed)"
    return [Draft(CorrectionKind.SPEED, answer, factor=relative, words=words)]


def parse_gripper(text: str) -> list[Draft] | None:
    """Open, close, and their many names."""
    if OPEN.fullmatch(text):
        return [gripper(Gripper.OPEN)]
    if CLOSE.fullmatch(text):
        return [gripper(Gripper.CLOSE)]
    return None


def gripper(what: Gripper) -> Draft:
    opening = what == Gripper.OPEN
    answer = "opening the gripper" if opening else "closing the gripper"
    words = "open the gripper" if opening else "close the gripper"
    return Draft(CorrectionKind.GRIPPER, answer, gripper=what, words=words)

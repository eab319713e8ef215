"""What a person means by a correction: ``parse`` is total, and always returns something.

A stop word counts wherever it stands unless it is denied ("don't stop"): a needless stop is
harmless, a missed one is not. Everything else counts only if each word of its clause is understood;
the rest comes back as UNKNOWN with the nearest phrase that would have been understood.
"wait" and "hold on" pause, and are taken as mere openings where the same breath says what to do.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass, replace

import numpy as np

from hierarchy_nodes.correction import control, motion, things
from hierarchy_nodes.correction.config import CorrectionConfig
from hierarchy_nodes.correction.draft import Draft, refused
from hierarchy_nodes.correction.normal import normalise
from hierarchy_nodes.correction.scan import SOFT, Scanner
from hierarchy_nodes.correction.scope import scope_of
from hierarchy_nodes.types import Correction, CorrectionKind, Gripper, LanguageMotion, Scope

Kind = CorrectionKind
GRIPPER_SECONDS = 1.0
MIN_SECONDS, MAX_SECONDS = 0.5, 5.0
MAX_WEIGHT = 3.0
_MAX_JOIN = 6
EXAMPLES = (
    "stop",
    "pause",
    "hold on",
    "continue",
    "keep going",
    "slower",
    "faster",
    "half speed",
    "left a bit",
    "right a bit",
    "two centimetres higher",
    "a bit lower",
    "move forward",
    "move back",
    "turn clockwise 30 degrees",
    "open the gripper",
    "close the gripper",
    "let go",
    "no, the blue one",
    "use the other plate",
    "undo that",
    "put it back",
    "put the red block on the blue plate",
)
_FILLER = re.compile(
    r"\b(?:please|kindly|u+m+|u+h+|e+rm?|h+m+|okay|ok|alright|all right|well|oh|ah|aha|hey|hi|hello"
    r"|yo|sorry|thanks|thank you|right now|immediately|at once|now|excuse me|i think"
    r"|(?:can|could|would|will|wont|cant) you(?: just| maybe)?|i (?:want|need) you to"
    r"|(?:id|i would) like you to|lets|let us|try to|you (?:should|need to|have to|must)"
    r"|(?:forget|scratch|never mind) (?:it|that)|never mind|nevermind)\b"
)
_OPENING = re.compile(
    r"^(?:, )*(?:right , (?=so|now|lets?|then|could|can|i |we |continue|carry on|go on|keep going"
    r"|resume|proceed)|(?:thats|that is) right\b ?|robot\b ?|so (?!far|fast|slow)"
    r"|(?:first|actually)\b ?(?=\S))(?:, )*"
)
_STOP_WORD = r"(?:(?:emergency |e )?s+t+o+p+|halt+|freeze|who+a+h*|woa+h*|abort(?: mission)?|cease)"
_STOP = re.compile(
    rf"(?<!dont )(?<!never )\b(?:{_STOP_WORD}\b(?! (?:waiting|pausing|holding|standing)\b)"
    r"|dont (?:move|do (?:that|this|it|anything))\b|dont(?= ,|$))"
    r"(?:(?: ,(?= right t?here\b))?"
    r" (?:it|that|this|there|here|right|moving|going|everything|doing|what|whatever|you|are"
    r"|(?:the |your )(?:robot|arm|gripper|motion|movement)|robot|arm|for a (?:moment|second))\b)*"
)
_SEPARATOR = re.compile(r"(?:(?:^| )(?:,|then|and|but)(?= |$))+")
_CONTRAST = re.compile(r"(?:(?:no|nope|nah)\b(?: ,)? ?)+")
_PLACE = r"(?:over )?(?:there|here|like that|like this|that way|this way|yet|that|this|so)"
_AGAIN = re.compile(
    r"(?P<soft>.*?) ?(?:more|again|further|once more|same again|the same again|one more time"
    r"|do that again|keep going that way|another)(?: (?:in that direction|that way|please))?"
)
_URGENT = re.compile(r"\b(?:now|quick(?:ly)?|immediately|hurry|at once|come on)\b")


@dataclass(frozen=True)
class Context:
    """What was said before.

    Attributes:
        last: The last motion, which "a bit more" repeats.
        speed: The present speed factor, to which "half speed" is related.
    """

    last: LanguageMotion | None = None
    speed: float = 1.0


def parse(
    text: str,
    stamp: float,
    config: CorrectionConfig | None = None,
    *,
    base_id: str = "",
    confidence: float = 1.0,
    context: Context | None = None,
) -> list[Correction]:
    """The corrections in `text`, in the order in which they were said; at least one.

    Args:
        text: Anything.
        stamp: When the words were spoken.
        config: What words are worth.
        base_id: Start of the corrections' identities; the stamp where it is not given.
        confidence: Of the transcript; multiplied into that of the corrections.
        context: What was said before.
    """
    config = config or CorrectionConfig()
    base = base_id or f"{stamp:.3f}"
    scope, normal = scope_of(normalise(text))
    drafts = _drafts(normal, config, context or Context())
    weight = _weight(text)
    return [
        _correction(draft, text, stamp, f"{base}.{index}", confidence, weight, config, scope)
        for index, draft in enumerate(drafts)
    ]


def seconds(item: LanguageMotion, config: CorrectionConfig) -> float:
    """How long the arm may take for a spoken motion before it expires."""
    needed = item.distance / config.motion_speed + abs(item.rotation) / config.turn_speed
    needed += GRIPPER_SECONDS if item.gripper != Gripper.KEEP else 0.0
    return min(max(needed + config.margin, MIN_SECONDS), MAX_SECONDS)


def _correction(
    draft: Draft,
    text: str,
    stamp: float,
    identity: str,
    confidence: float,
    weight: float,
    config: CorrectionConfig,
    scope: Scope,
) -> Correction:
    spoken = None
    if draft.accepted and draft.kind in (Kind.MOTION, Kind.GRIPPER):
        spoken = LanguageMotion(
            stamp=stamp,
            text=draft.words,
            direction=draft.direction,
            distance=draft.distance,
            rotation=draft.rotation,
            gripper=draft.gripper,
            source="correction",
            weight=weight,
            correction_id=identity,
        )
        spoken = replace(spoken, valid_until=stamp + seconds(spoken, config))
    return Correction(
        stamp=stamp,
        correction_id=identity,
        text=text,
        kind=draft.kind,
        confidence=draft.confidence * confidence,
        speed_factor=draft.factor,
        motion=spoken,
        role=draft.role,
        phrase=draft.phrase,
        answer=draft.answer,
        accepted=draft.accepted,
        scope=scope,
    )


def _weight(text: str) -> float:
    shouted = sum(c.isupper() for c in text) > 3 and not any(c.islower() for c in text)
    urgent = bool(_URGENT.search(text.casefold()))
    return min(MAX_WEIGHT, 1.0 + 0.5 * (min(text.count("!"), 2) + shouted + urgent))


def _drafts(normal: str, config: CorrectionConfig, context: Context) -> list[Draft]:
    heard = re.sub(r"[ ,]+$|^[ ,]+", "", normal)
    rest = re.sub(r"\s+", " ", _FILLER.sub(" ", normal)).strip()
    rest = _OPENING.sub("", rest)
    found: list[Draft] = []
    if _STOP.search(rest):
        found.append(Draft(Kind.STOP, 'stopping; say "continue" to go on', 1.0, words="stop"))
        rest = _STOP.sub(" , ", rest)
    atoms = _atoms(rest)
    index = 0
    while index < len(atoms):
        for end in range(min(len(atoms), index + _MAX_JOIN), index, -1):
            drafts = _clause(atoms[index:end], config, context)
            if drafts is not None:
                found += drafts
                index = end
                break
        else:
            found.append(_unknown(atoms[index][1]))
            index += 1
    found = _tidy(found)
    if found and any(draft.kind != Kind.UNKNOWN for draft in found):
        return found
    if re.fullmatch(r"(?:never ?mind|(?:forget|scratch) (?:it|that))(?: please)?", heard):
        return things.parse_undo("undo that") or []
    if re.match(r"(?:please )?(?:wait|hold on|hang on|pause)\b", heard):
        return [control.pausing()]
    return [_unknown(heard)]


def _atoms(text: str) -> list[tuple[str, str]]:
    """The pieces between separators, each with the separators before it."""
    atoms, start, joint = [], 0, ""
    for match in [*_SEPARATOR.finditer(text), None]:
        piece = text[start : match.start() if match else len(text)].strip()
        if piece:
            atoms.append((joint, piece))
            joint = ""
        if match:
            joint = f"{joint} {match.group()}".strip()
            start = match.end()
    return atoms


def _join(atoms: list[tuple[str, str]]) -> str:
    text = atoms[0][1]
    for joint, piece in atoms[1:]:
        text += f" {joint} {piece}"
    return re.sub(r"\s+", " ", text)


def _clause(
    atoms: list[tuple[str, str]], config: CorrectionConfig, context: Context
) -> list[Draft] | None:
    text, contrast = _join(atoms), False
    if match := _CONTRAST.match(text + " "):
        text, contrast = text[match.end() :].strip(), True
        if not text:
            return [control.pausing("pausing; tell me what to do instead")]
    drafts = _single(text, contrast, config, context)
    return drafts if drafts is not None else _task(atoms, config, context)


def _single(
    text: str, contrast: bool, config: CorrectionConfig, context: Context
) -> list[Draft] | None:
    return (
        things.parse_resumption(text)
        or things.parse_undo(text)
        or control.parse_flow(text)
        or control.parse_speed(text, context.speed)
        or control.parse_gripper(text)
        or motion.parse_excess(text, config)
        or _negation(text, config, context)
        or motion.parse_turn(text, config)
        or motion.parse_motion(text, config)
        or things.parse_retarget(text, contrast)
        or _again(text, config, context)
    )


def _task(
    atoms: list[tuple[str, str]], config: CorrectionConfig, context: Context
) -> list[Draft] | None:
    """A task takes the clauses after it along, unless they are corrections by themselves."""
    first = _CONTRAST.sub("", atoms[0][1] + " ", count=1).strip()
    if first:
        atoms = [("", first), *atoms[1:]]
    elif len(atoms) > 1:
        atoms = atoms[1:]
    if re.search(r"\b(?:gripper|hand|fingers)$", atoms[0][1]):
        return None
    for _, piece in atoms[1:]:
        if things.parse_task(piece) is None:
            drafts = _single(piece, False, config, context)
            if _CONTRAST.match(piece + " ") or piece.startswith("not ") or drafts is None:
                return None
            if any(draft.kind != Kind.RETARGET for draft in drafts):
                return None
    return things.parse_task(_join(atoms))


def _negation(text: str, config: CorrectionConfig, context: Context) -> list[Draft] | None:
    """ "not left, right", "don't let go", "not that one"."""

    def moves(words: str) -> list[Draft] | None:
        return motion.parse_turn(words, config) or motion.parse_motion(words, config)

    def names(words: str) -> list[Draft] | None:
        return things.parse_denial(words) or ([] if re.fullmatch(_PLACE, words) else None)

    pairs = (
        r"(?:not|dont) (?P<no>[^,]+?) (?:, but|, and|,|but|and|then) (?:rather )?(?P<yes>.+)",
        r"(?P<yes>[^,]+?) (?:, |, and |and |but )(?:not|dont) (?P<no>[^,]+)",
    )
    for pattern in pairs:
        if match := re.fullmatch(pattern, text):
            no, yes = match["no"], _CONTRAST.sub("", match["yes"] + " ", count=1).strip()
            if moves(no) and (wanted := moves(yes)):
                return wanted
            if names(no) is not None and not moves(no):
                wanted = things.parse_retarget(yes, contrast=True)
                if wanted is not None:
                    return wanted
    match = re.fullmatch(r"(?P<how>not|dont|never) (?P<what>[^,]+)", text)
    if match is None:
        return None
    what = match["what"]
    if re.match(rf"(?:ever )?{_STOP_WORD}\b", what):
        return [control.resuming()]
    drafts = control.parse_flow(what)
    if drafts:
        pause = drafts[0].kind == Kind.PAUSE
        return [control.resuming() if pause else control.pausing(soft=False)]
    if match["how"] != "not" and (drafts := control.parse_gripper(what)):
        opening = drafts[0].gripper == Gripper.OPEN
        return [control.gripper(Gripper.CLOSE if opening else Gripper.OPEN)]
    if match["how"] != "not" and re.match(r"drop ", what):
        return [control.gripper(Gripper.CLOSE)]
    instead = control.pausing("pausing; tell me what to do instead")
    if re.fullmatch(_PLACE, what) or moves(what) or things.parse_task(what):
        return [instead]
    return things.parse_denial(what) if match["how"] == "not" else None


def _again(text: str, config: CorrectionConfig, context: Context) -> list[Draft] | None:
    """ "a bit more": the last motion once more, or as much of it as is said."""
    match = _AGAIN.fullmatch(text)
    if match is None:
        return None
    scanner = Scanner(match["soft"])
    length = scanner.take_length()
    soft = scanner.take_named(SOFT) if length is None else ""
    scanner.take("to the")
    if scanner.rest:
        return None
    last = context.last
    if last is None or (last.distance <= 0 and last.rotation == 0):
        return [refused(Kind.MOTION, 'more of what? Say for example "a bit more to the left"')]
    if last.rotation and last.distance <= 0:
        degrees = math.degrees(abs(last.rotation))
        turn = getattr(config, f"angle_{soft}") if soft else degrees
        way = "clockwise" if last.rotation > 0 else "counterclockwise"
        return motion.parse_turn(f"turn {way} {turn:.6f} deg", config)
    distance = length or (getattr(config, f"distance_{soft}") if soft else last.distance)
    names = [
        name
        for name, vector in motion.VECTORS.items()
        if float(np.dot(vector, last.direction)) > 0.1
    ]
    return [motion.motion_draft(last.direction, distance, names, config, 0.8)]


def _tidy(drafts: list[Draft]) -> list[Draft]:
    """Drop what is said twice running, and openings where the rest says what to do."""
    clear = any(draft.kind != Kind.UNKNOWN and not draft.soft for draft in drafts)
    stopped = any(draft.kind == Kind.STOP for draft in drafts)
    kept: list[Draft] = []
    for draft in drafts:
        if (draft.soft and clear) or (draft.kind == Kind.UNKNOWN and stopped):
            continue
        if not (kept and kept[-1].same(draft)):
            kept.append(draft)
    return kept


def _unknown(words: str) -> Draft:
    if not words:
        return Draft(Kind.UNKNOWN, "I heard nothing", 0.0, accepted=False)
    shown = words if len(words) <= 60 else words[:57] + "..."
    near = difflib.get_close_matches(words, EXAMPLES, n=1, cutoff=0.0)[0]
    answer = f'I did not understand "{shown}". Did you mean "{near}"?'
    return Draft(Kind.UNKNOWN, answer, 0.0, accepted=False, words=words)

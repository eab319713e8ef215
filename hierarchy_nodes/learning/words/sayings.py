"""How people correct a robot, in training: a grammar that says, not one that understands.

Frames are those of ``learning.planner.sayings``: ``[a|b|]`` is one of its parts.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from itertools import pairwise

import numpy as np

from hierarchy_nodes.learning.planner.sayings import FRAMES, WAY_WORDS, expand
from hierarchy_nodes.learning.stop import corpus
from hierarchy_nodes.learning.words.phrases import MEASURED

OTHER = "<other>"
_ONES = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|eighteen"
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_COUNT = f"[{_ONES}|{_ONES}|{_ONES}|{_TENS}|twenty five|thirty five|forty five|a hundred]"
_AMOUNT = (
    f"[{_ONES}|{_ONES}|{_ONES}|one and a half|two and a half|half a|a|a couple of|a few"
    "|one point five|two point five|another two|another|about three|about five]"
)
_UNIT = (
    "[centimetres|centimetres|centimetre|centimetre|centimeters|millimetres|millimetre|millimeters"
    "|inches|inch|inch]"
)
_SOFT = (
    "[a bit|a bit|a bit|a little|a little bit|slightly|a tiny bit|just a bit|a touch|a smidge|a lot"
    "|much|way|a bit more|a little more|much more|more|further]"
)
_WAY = (
    "[left|right|up|down|forward|back|left|right|up|down|forwards|backwards|higher|lower"
    "|to the left|to the right|to your left|to your right|closer|away from me|towards me"
    "|further left|further right|further back]"
)
_PLAIN_WAY = "[left|right|up|down|forward|back|higher|lower]"
_ARM = "[||the arm|the gripper|your hand|it|the hand]"
_GO = "[move|go|come|shift|nudge|slide|push|bring|move|go|keep going|reach|step]"
_COLOR = (
    "[red|blue|green|yellow|orange|purple|white|black|pink|brown|gray|grey|red|blue|green|yellow"
    "|light blue|dark blue|dark green]"
)
_THING = (
    "[block|block|cube|cup|bowl|plate|can|bottle|button|drawer|ball|cylinder|box|brick|mug|dish"
    "|tin|zone|basin|saucer|spot|circle|tray|bar|stick|flask|drum|switch]"
)
_SIZE = "[small|big|large|little|tall|short]"
_WHERE = "[on|to] the [left|right] |[in the|at the] [front|back|middle]"
_ONE = (
    f"[{_COLOR} one|{_COLOR} {_THING}|{_COLOR} {_THING}|other {_THING}|other one|{_SIZE} one"
    f"|{_SIZE} {_THING}|{_THING} [on|to] the [left|right]|one [on|to] the [left|right]"
    "|one in the [front|back|middle]|other]"
)
_FAST = "[fast|quick]"
_GRIP = "[gripper|hand|fingers|claw|gripper]"
_TURN = "[turn|rotate|twist|spin|turn|rotate]"
_ROUND = "[clockwise|counterclockwise|anticlockwise|clockwise|counter clockwise|left|right]"

# Kinds of sentences, how often each is said, and its frames.
KINDS: dict[str, tuple[float, tuple[str, ...]]] = {
    "stop": (1.2, (
        "[stop|stop|stop it|halt|freeze|whoa|abort|stop moving|please stop|no stop|stop stop"
        "|stop stop stop|stop right now|stop that|hey stop|robot stop|okay stop|emergency stop"
        "|dont move|stop the robot|stop there|stop please|oh no stop]",
        "[halt|freeze|whoa|abort] [now|please|there|right there|right now|the arm|it|robot]",
    )),
    "pause": (1.0, (
        "[pause|wait|hold on|hang on|hold it|hold still|one moment|just a second|wait a moment"
        "|wait a second|wait a minute|wait there|pause there|hold on a second|hold on a moment"
        "|hang on a moment|hang on a minute|stay there|stay where you are|stand by|not yet"
        "|hold your position|no|no not there|just a moment|wait for me|keep still]",
    )),
    "resume": (1.0, (
        "[resume|go on|keep going|keep moving|go|proceed|you can go on|you may continue"
        "|okay continue|okay go on|continue please|keep on|move on|start again|dont stop"
        "|you can continue|right carry on|now carry on|continue with the task|go ahead please"
        "|that is good go on|good keep going|back to work|as you were|unpause]",
    )),
    "speed": (1.6, (
        "[||go|move|a bit|a little|much|a lot|slightly|way] [slower|faster|quicker|more slowly]",
        "[slow down|speed up|hurry up|slow down a bit|slow it down|speed it up|slow down a little"
        "|speed up a bit|slow down please|more slowly please|not that fast|not so slow]",
        f"[too|much too|that is too|you are too|way too|a bit too] [{_FAST}|slow]",
        "[at|go at|] [half|full|normal|double|a quarter] speed",
        f"[{_ONES}|{_TENS}|{_TENS}|twenty five] percent [slower|faster|faster|slower|speed]",
        "[twice|half|three times] as [fast|slow|quick]",
        "[take it easy|be careful|carefully|gently|more gently|careful]",
        "[from now on|this time|for this one|with this one|now] [slower|faster|half speed]",
        "[slower|faster|half speed|careful] [from now on|this time|for this one|with this one]",
    )),
    "motion": (5.0, (
        f"{_WAY}",
        f"{_SOFT} {_WAY}",
        f"{_WAY} {_SOFT}",
        f"{_SOFT} to the [left|right]",
        f"{_GO} {_ARM} {_WAY}",
        f"{_GO} {_ARM} {_SOFT} {_WAY}",
        f"{_GO} {_ARM} {_WAY} {_SOFT}",
        "[lift|raise|lower] [it|the arm|the gripper|your hand|it up] [||a bit|a little|slightly]",
        "[you are|that is|its|it is|] [|a bit|a little|much|way] too [high|low|far left|far right"
        "|far back|far forward|far to the left|far to the right|far]",
        f"{_PLAIN_WAY} [and|and|then|] {_PLAIN_WAY}",
        f"{_SOFT} {_WAY} [and|and then|,] {_SOFT} {_WAY}",
        f"{_PLAIN_WAY} and to the [left|right] [||a bit|a little]",
        f"no , {_SOFT} {_WAY}",
        f"[not|dont go] {_PLAIN_WAY} , [|go|but] {_PLAIN_WAY}",
        f"no , not {_PLAIN_WAY} , {_PLAIN_WAY}",
        "[a bit more|a little more|more|further|again|once more|do that again|keep going that way]",
    )),
    "measure": (5.0, (
        f"{_AMOUNT} {_UNIT} {_WAY}",
        f"{_WAY} {_AMOUNT} {_UNIT}",
        f"{_WAY} by {_AMOUNT} {_UNIT}",
        f"{_GO} {_ARM} {_AMOUNT} {_UNIT} {_WAY}",
        f"{_GO} {_ARM} {_WAY} {_AMOUNT} {_UNIT}",
        f"{_GO} {_ARM} {_WAY} by {_AMOUNT} {_UNIT}",
        f"{_COUNT} {_UNIT} {_WAY}",
        f"{_WAY} {_COUNT} [millimetres|millimeters|centimetres]",
        f"{_AMOUNT} {_UNIT} to the [left|right]",
        f"[lift|raise|lower] [it|the arm|the gripper|your hand] [by|] {_AMOUNT} {_UNIT}",
        f"{_PLAIN_WAY} {_AMOUNT} {_UNIT} [and|, then|, and|then] {_PLAIN_WAY} {_AMOUNT} {_UNIT}",
        f"{_PLAIN_WAY} {_AMOUNT} {_UNIT} [and|, then|, and|then] {_PLAIN_WAY}",
    )),
    "turn": (1.8, (
        f"{_TURN} [|it|the gripper|your hand] {_ROUND}",
        f"{_TURN} [|it|the gripper|your hand] {_ROUND} [a bit|a little|slightly|a lot|more]",
        f"{_TURN} [|it|the gripper|your hand] {_ROUND} [by|] {_COUNT} degrees",
        f"{_TURN} [|it|the gripper] {_COUNT} degrees {_ROUND}",
        f"{_TURN} [|it] [a bit|a little] [|to the] [left|right]",
        f"a [quarter|half] turn {_ROUND}",
        "[turn it around|straighten it|turn it a little|rotate it a bit more]",
    )),
    "gripper": (2.4, (
        f"[open|close|open up|shut|relax|open|close] [the|your|the|your] {_GRIP}",
        "[open|close|let go|release|grip|grasp it|grab|let it go|release it|let go of it|squeeze"
        "|grip it|hold it tight|dont let go|dont drop it|let go now|hold it tighter|grab that"
        "|open it|close it|clamp|open wide|open a bit|close a bit|let go of the block]",
        f"[let go of|release|drop] the {_THING}",
    )),
    "thing": (5.0, (
        f"[no|no no|nope] , the {_ONE}",
        f"the {_ONE}",
        f"not the {_COLOR} [one|{_THING}] , the {_COLOR} [one|{_THING}]",
        f"[not that one|not that|not this one] , the {_ONE}",
        f"the {_ONE} , not the {_ONE}",
        f"[i meant|i mean|i said|i wanted|no i meant|sorry i meant] the {_ONE}",
        f"[use|take|pick|choose|grab|get|try] the {_ONE} [||instead|please]",
        f"the {_ONE} [instead|please]",
        f"[no ,|] [in|on|into|onto|to] the {_COLOR} {_THING}",
        f"[no ,|] [put it|place it|drop it] [in|on|into|onto] the {_ONE} [||instead]",
        f"[wrong one|wrong {_THING}|that is the wrong one|the wrong {_THING}|not this one"
        "|that is not the one|no not that|no not that one|the other one please]",
        f"[actually|no] , the {_ONE}",
    )),
    "task": (5.0, ()),
    "undo": (0.6, (
        "[put it back|undo that|go back|go back to what you were doing|back to the task before"
        "|undo|forget it|never mind|continue with the old task|finish the old task"
        "|finish what you started|continue with the previous task|put that back|take it back"
        "|start over|do it again|try again|back to the first task]",
    )),
    "talk": (4.0, ()),
}  # fmt: skip
# Of what is spoken in training, so many sentences have words that nobody expects: the network is to
# tell words by their sound. How people go on is in `usage`.
UNEXPECTED = 0.3
# In half of those, each word is another one so often; the others are up to so many words at random.
_REPLACED, _AT_RANDOM = 0.3, 4
_SLOT = re.compile(r"\{\w+\}")
_BEFORE = "[||||||please|okay|no ,|now|robot ,|hey robot ,|and|just|um|can you|could you]"
_AFTER = "[||||||please|now|a bit|thanks]"
_JOINT = "[and|, and|, then|and then|, but|,]"
# May be said in one breath with others.
_JOINED = ("speed", "motion", "measure", "gripper", "turn", "thing", "pause", "resume")


def say(rng: np.random.Generator, unexpected: float = 0.0) -> str:
    """A sentence: words in lower case, with `,` where a speaker pauses.

    Args:
        unexpected: So often it has words that nobody expects.
    """
    while True:
        text = _say(rng)
        if unexpected and rng.random() < unexpected:
            text = _unexpected(text, rng)
        if tuple(text.replace(",", "").split()) not in _kept():
            return text


def words_of(text: str) -> list[str]:
    """Words in lower case, and commas."""
    plain = re.sub(r"[.;:!?\u2014]", " , ", text.lower()).replace(",", " , ")
    found = re.sub(r"[^a-z, ]", "", plain.replace("-", " ")).split()
    kept = [w for i, w in enumerate(found) if w != "," or (i and found[i - 1] != ",")]
    return kept[:-1] if kept and kept[-1] == "," else kept


@lru_cache(maxsize=1)
def vocabulary() -> tuple[str, ...]:
    """All words of corrections, sorted: "," first, and `OTHER` for what is none of them."""
    frames = [frame for _, frames in KINDS.values() for frame in frames]
    frames += [frame for some in FRAMES.values() for frame in some]
    frames += [way for ways in WAY_WORDS.values() for way in ways]
    frames += [_BEFORE, _AFTER, _JOINT, _COLOR, _THING]
    words = {word for frame in frames for word in re.findall(r"[a-z]+", _SLOT.sub(" ", frame))}
    return (",", OTHER, *sorted(words))


@lru_cache(maxsize=1)
def usage(count: int = 60_000) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """What `count` sentences show of how often words follow one another: see ``decoding.Usage``."""
    rng = np.random.default_rng(1)
    pairs: dict[str, Counter[str]] = {}
    words: Counter[str] = Counter()
    for _ in range(count):
        said = [w if w in _known() else OTHER for w in words_of(say(rng))]
        words.update([*said, ""])
        for before, word in pairwise(("", *said, "")):
            pairs.setdefault(before, Counter())[word] += 1
    total = words.total()
    return (
        {
            before: {word: round(n / after.total(), 5) for word, n in sorted(after.items())}
            for before, after in sorted(pairs.items())
        },
        {word: round(n / total, 6) for word, n in sorted(words.items())},
    )


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(vocabulary())


def _say(rng: np.random.Generator) -> str:
    kind = _kind(rng)
    if kind == "talk":
        return _talk(rng)
    return _correction(rng, kind)


def _unexpected(text: str, rng: np.random.Generator) -> str:
    words = [w for w in vocabulary() if w not in (",", OTHER)]
    if rng.random() < 0.5:
        count = 1 + int(rng.integers(_AT_RANDOM))
        return " ".join(rng.choice(words, count))
    others = rng.choice(words, len(text.split()))
    pairs = zip(text.split(), others, rng.random(len(others)), strict=True)
    return " ".join(str(o) if w != "," and drawn < _REPLACED else w for w, o, drawn in pairs)


def _correction(rng: np.random.Generator, kind: str = "") -> str:
    while not kind or kind == "talk":
        kind = _kind(rng)
    text = _one(kind, rng)
    if rng.random() < 0.3:
        text = f"{expand(_BEFORE, rng)} {text} {expand(_AFTER, rng)}"
    if kind in _JOINED and rng.random() < 0.25:
        other = _JOINED[rng.integers(len(_JOINED))]
        text = f"{text} {expand(_JOINT, rng)} {_one(other, rng)}"
    if rng.random() < 0.04:
        text = f"stop , {text}"
    return " ".join(words_of(text))


def _kind(rng: np.random.Generator) -> str:
    weights = np.array([weight for weight, _ in KINDS.values()])
    return tuple(KINDS)[rng.choice(len(KINDS), p=weights / weights.sum())]


def _one(kind: str, rng: np.random.Generator) -> str:
    if kind == "task":
        return _task(rng)
    frames = KINDS[kind][1]
    return _expanded(frames[rng.integers(len(frames))], rng)


def _task(rng: np.random.Generator) -> str:
    kind = tuple(FRAMES)[rng.integers(len(FRAMES))]
    frames = FRAMES[kind]
    frame = frames[0] if rng.random() < 0.5 else frames[rng.integers(len(frames))]
    ways = WAY_WORDS[tuple(WAY_WORDS)[rng.integers(len(WAY_WORDS))]]
    target, goal = (_expanded(f"the {_COLOR} {_THING}", rng) for _ in range(2))
    way = ways[rng.integers(len(ways))]
    return expand(frame, rng).format(t=target, g=goal, way=way)


def _talk(rng: np.random.Generator) -> str:
    """A piece of other talk, or of what sounds like a correction and is none."""
    sources = (corpus.part(corpus.talk(), "trained"), corpus.part(corpus.NEAR, "trained"))
    texts = sources[int(rng.random() < 0.2)]
    words = words_of(texts[rng.integers(len(texts))])
    count = int(rng.integers(2, 9))
    first = int(rng.integers(max(1, len(words) - count + 1)))
    return " ".join(words[first : first + count]).strip(" ,")


def _expanded(frame: str, rng: np.random.Generator) -> str:
    """`frame` with one part of each choice, the innermost first."""
    while "[" in frame:
        frame = expand(frame, rng)
    return frame


@lru_cache(maxsize=1)
def _kept() -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(w for w in words_of(p) if w != ",") for p in MEASURED)

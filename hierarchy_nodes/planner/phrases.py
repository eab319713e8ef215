"""From free text to clauses of plain lower-case words, with fixed phrases as single tokens."""

from __future__ import annotations

import re
import unicodedata

from hierarchy_nodes.planner import words

_SIDE = r"(left|right)(?: hand)?(?: side)?"
_REWRITES = [
    (re.compile(pattern), result)
    for pattern, result in [
        (r"['\u2019`]", ""),
        (r"[-_/]", " "),
        (r"[.;!?\n]+(?!\d)", " then "),
        (r"[^a-z0-9., ]", " "),
        (r"(?<!\d)\.|\.(?!\d)", " "),
        (r"(\d)(?=[a-z])", r"\1 "),
        (r",", " , "),
        (r"\s+", " "),
        (r"\b(thank you|thanks|for me|kindly|just|carefully|gently|slowly|quickly|again)\b", ""),
        (r"\b(please|uh|um|er|very|really|right now|for a moment|thats|which is|that is)\b", ""),
        (r"\bcent(re|er)\b", "middle"),
        # Roundabout ways to say it.
        (r"\band let (?:it|them) (?:go|drop|fall)\b", "and drop it"),
        (r"\b(?:should |must )?(?:belongs?|goes|go) (?=in|on|to|next|beside|near)", "putme "),
        (r"\b(?:to )?end up (?=in|on|next|beside|near)", "putme "),
        (r"^(?:.* )?(?:i )?(?:want|need|would like)(?: you)?(?= .* putme )", ""),
        (r"^(.*?)\bputme ", r"put \1"),
        (r"\bbuild a tower (?:with|of|from)\b", "stack"),
        (r"\bgive (.*?) a (press|push|nudge|tap|knock)\b", r"\2 \1"),
        (r"\bmake (.*?) (?:fall|tip|topple)(?: over| down)?\b", r"knock \1 over"),
        (r"\b(?:move|put|bring) (.*?) without (?:lifting|picking)(?: it)?(?: up)?\b", r"push \1"),
        (r"\buntil (?:it|they) (?:is|are|reach(?:es)?|touch(?:es)?)\b", ""),
        (r"\b(?:a good|quite a|a fair) (?:bit|way)\b|\bsome more\b", ""),
        (r"\b(nearest|closest|farthest|furthest)(?: to| from) (?:the robot|robot|you)\b", r"\1"),
        (r"\b(left|right|front|back|rear) most\b", r"\1most"),
        (r"\bin the (left|right) side of\b", r"on the \1 side of"),
        (rf"\b(?:on|at|to) (?:the |your |its )?(?:far )?{_SIDE} of the (?:table|desk)\b", r"at\1"),
        (r"\b(?:in|at) the (middle|front|back) of the (?:table|desk)\b", r"at\1"),
        (rf"\b(?:(?:on|at|to) )?(?:the |your |its )?{_SIDE} of\b", r"\1of"),
        (rf"\b(?:on|at) (?:the |your )?(?:far )?{_SIDE}\b", r"at\1"),
        (r"\bin front of\b", "frontof"),
        (r"\b(?:in )?(?:the )?back of\b|\bbehind\b", "behindof"),
        (r"\b(?:in|at) (?:the )?(middle|front|back)\b", r"at\1"),
        (rf"\bto (?:the |your )?{_SIDE}\b|\b(left|right)wards?\b", r"go\1\2"),
        (r"\b(?:closer )?(?:towards?|to) (?:you|yourself|the robot|robot)\b", "goback"),
        (
            r"\baway(?: from (?:you|yourself|the robot|robot))?\b|\bforwards?\b|\bahead\b",
            "goforward",
        ),
        (r"\bbackwards?\b", "goback"),
        (r"\b(a (?:little )?bit|a little|slightly|a touch)\b", "3 cm"),
        (r"\b(closest|nearest|next|close|near|adjacent) to\b", r"besideof"),
        (r"\b(on top of|on to|onto|upon|atop|on)\b", "onof"),
        (r"\b(inside of|inside|in to|into|within)\b", "inof"),
        (r"\bin\b(?= (?:the|a|an|your|that|it)\b)", "inof"),
        (
            r"\b(beside|alongside|besides|near|by|against)(?= (?:the|a|an|your|that|it)\b)",
            "besideof",
        ),
        (r"\bover(?= (?:the|a|an|your|that|it)\b)", "overof"),
        (r"\b(towards?|over to|to)\b", "toof"),
        (r"\b(from|off of|off|out of|out)(?= (?:the|a|an|your|that|it)\b)", "fromof"),
        (r"\b(cms?|centimet(?:er|re)s?)\b", "cm"),
        (r"\b(mms?|millimet(?:er|re)s?)\b", "mm"),
        (r"\b(met(?:er|re)s?)\b", "m"),
        (r"\binch(es)?\b", "inch"),
        (r"\s+", " "),
    ]
]
_VERB = "|".join(words.VERB_OF)
MEANING = {
    "onof": "on",
    "overof": "on",
    "inof": "in",
    "toof": "to",
    "besideof": "beside",
    "leftof": "left",
    "rightof": "right",
    "frontof": "front",
    "behindof": "behind",
    "fromof": "from",
}
RELATION = re.compile(r"\b(" + "|".join(MEANING) + r")\b")
LENGTH = re.compile(
    r"\b(?:by )?(?:about )?(\d+(?:\.\d+)?|" + "|".join(words.NUMBERS) + r") (cm|mm|m|inch)\b"
)


def normalise(text: str) -> str:
    """Lower case, one space between words, phrases of place and relation as single tokens."""
    result = unicodedata.normalize("NFKC", text).casefold()
    for pattern, replacement in _REWRITES:
        result = pattern.sub(replacement, result)
    return result.strip()


def clauses(normal: str) -> list[str]:
    """Split at "then", and at "and" or a comma before a verb."""
    polite = "|".join(sorted(words.POLITE - {"then", "to", "right"}))
    parts = re.split(r"\b(?:then|after that|afterwards)\b", normal)
    result = []
    for part in parts:
        pattern = rf"(?:,|\band\b)(?= (?:, )?(?:(?:{polite}) )*(?:{_VERB})\b)"
        result += re.split(pattern, part)
    clauses = [re.sub(r"\s+", " ", c.replace(",", " ")).strip() for c in result]
    return [c for c in clauses if set(c.split()) - words.POLITE]

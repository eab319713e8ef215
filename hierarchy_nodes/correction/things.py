"""Corrections of what: another thing ("no, the blue one"), another task ("put it back")."""

from __future__ import annotations

import re

from hierarchy_nodes.correction.draft import Draft
from hierarchy_nodes.planner import words as vocabulary
from hierarchy_nodes.planner.resuming import resumes
from hierarchy_nodes.types import CorrectionKind

_COLORS = set(vocabulary.COLORS)
_KNOWN = (
    _COLORS
    | set(vocabulary.SHAPES)
    | set(vocabulary.PLACES)
    | set(vocabulary.SIZES)
    | set(vocabulary.GENERIC)
    | {"other", "another", "different", "light", "dark", "round", "square", "first", "last"}
)
_HEADS = set(vocabulary.SHAPES) | set(vocabulary.GENERIC)
_GOALS = {"plate", "bowl", "drawer", "table"}
# Words that a name of a thing does not contain: what has one of them is a sentence.
_SENTENCE = """is are was were be been am i you we they he she what why how when who where do does
did have has had will would can could should must may if because not no yes dont never going think
know see look say said want need like my favourite at all so too very much good bad nice fine ok
okay hello thanks thank there here then than and or but for with from of him her them me us please
now again today hold wait pause hang continue resume"""
_NOT_A_NAME = set(_SENTENCE.split())
_NOT_A_HEAD = {"it", "that", "this", "left", "right", "up", "down"}
_CUE = re.compile(
    r"(?P<cue>(?:i|we) (?:really )?(?:meant|mean|said|want(?:ed)?|need(?:ed)?|was talking about)"
    r"|(?:lets |please )?(?:use|choose|select|try|prefer|go for|switch to|change to)"
    r"|its|it is|that is|thats|it was|make it|rather|actually|but|instead|better"
    r"|the target is|id rather(?: have)?)(?: ,)? "
)
_COPULAS = ("its", "it is", "that is", "thats", "it was")
_TAKE = re.compile(r"(?:take|pick(?: up)?|grab|get|grasp|lift|fetch) ")
_TAIL = re.compile(r" (?:instead|rather|i mean|i meant|i said|then|this time)$")
_GOAL = re.compile(
    r"(?:(?:put|place|drop|set|lay|move|it (?:goes|should go|belongs)) ?"
    r"(?:it |that |this |them )?)?"
    r"(?:onto|on top of|on to|on|into|in to|inside|in|to|over to) (?=(?:the|that|this|my|your|a"
    r"|another|other) )(?!the (?:left|right|front|back)$)"
)
_ARTICLE = re.compile(r"(?:the|that|this|my|your|an?|these|those) ")
_WHERE = re.compile(
    r" (?:that is |thats |which is )?(?:on|to|at|in|near|next to|behind|beside|closest to|under|by)"
    r" (?:the |your |my )?(?P<place>[a-z ]+)$"
)
_MORE_VERBS = """give throw pour turn wipe clean sort tidy build hand remove swap empty fill return
unstack insert"""
# "hold" is a pause ("hold on") or a grip ("hold it tight"), never a task.
_VERBS = (set(vocabulary.VERB_OF) | set(_MORE_VERBS.split())) - {"hold"}
_LEAD = re.compile(r"(?:(?:instead|actually|rather|now|but|and|so|first|next|go|just) )+")
_UNDO = re.compile(
    r"(?:undo|revert|reverse|take back|cancel)(?: (?:that|it|this|the last|what i (?:just )?said"
    r"|(?:the|that) (?:last )?(?:one|correction|change|move|step)))?(?: again)?"
    r"|(?:i )?take (?:it|that) back|(?:as|like) (?:it was )?before|go back to (?:how|where) it was"
)
# A length or an angle whose number was not heard.
_NO_NUMBER = re.compile(r"(?<!\d )\b(?:mm|cm|dm|inch|deg|rad)\b")
_ANAPHOR = {"one", "other", "another", "ones"}


def parse_retarget(text: str, contrast: bool) -> list[Draft] | None:
    """Another target or goal; `contrast` where "no" or "not that one" came before."""
    text, tails = _TAIL.subn("", text)
    cued = contrast or bool(tails)
    while match := _CUE.match(text):
        text = text[match.end() :]
        # "It is squashed" names nothing; "it is the zorp" does.
        cued |= match["cue"] not in _COPULAS or _ARTICLE.match(text) is not None
    if re.fullmatch(r"(?:that is |thats |its |it is )?(?:the )?wrong [a-z ]+", text):
        return [_another(text.split("wrong ", 1)[1])]
    text, takes = _TAKE.subn("", text, count=1) if _TAKE.match(text) else (text, 0)
    if takes and not (cued or set(text.split()) & _ANAPHOR):
        return None
    role = "target"
    if match := _GOAL.match(text):
        text, role = text[match.end() :], "goal"
    name = _name(text, cued)
    if name is None:
        return None
    head = _WHERE.sub("", name).split()[-1]
    if role == "target" and vocabulary.SHAPES.get(head) in _GOALS:
        role = "goal"
    return [_retarget(role, name)]


def parse_denial(text: str) -> list[Draft] | None:
    """ "not the red one": another thing of that kind."""
    name = _name(text, cued=True)
    return None if name is None else [_another(name)]


def parse_resumption(text: str) -> list[Draft] | None:
    """ "go back to the old task"."""
    if not resumes(text):
        return None
    answer = "going back to the task before"
    return [Draft(CorrectionKind.TASK, answer, phrase=text, words=text, confidence=0.9)]


def parse_undo(text: str) -> list[Draft] | None:
    """ "undo that": what was said before is taken back."""
    if not _UNDO.fullmatch(text):
        return None
    return [Draft(CorrectionKind.UNDO, "taking that back", words="undo that")]


def parse_task(text: str) -> list[Draft] | None:
    """An imperative that begins with a verb of manipulation and says with what."""
    text = _TAIL.sub("", _LEAD.sub("", text, count=1) if _LEAD.match(text) else text)
    first, _, rest = text.partition(" ")
    if first not in _VERBS or not rest or _NO_NUMBER.search(rest):
        return None
    answer = f"new task: {text}"
    return [Draft(CorrectionKind.TASK, answer, phrase=text, words=text, confidence=0.9)]


def _name(text: str, cued: bool) -> str | None:
    """The description of a thing without its article; None if `text` is not one."""
    article = _ARTICLE.match(text)
    text = text[article.end() :] if article else text
    where = _WHERE.search(text)
    head = (text[: where.start()] if where else text).split()
    place = where["place"].split() if where else []
    if not 1 <= len(head) <= 5 or len(place) > 4 or head[0] in _VERBS - _KNOWN:
        return None
    if head[0].endswith("ing") or (head[0] in _VERBS and _ARTICLE.match(" ".join(head[1:]))):
        return None
    singular = {w[:-1] if w.endswith("s") and len(w) > 3 else w for w in head}
    known = all(w in _KNOWN or w[:-1] in _KNOWN for w in head)
    named = bool(singular & _HEADS or set(head) & (_HEADS | {"other"}))
    if known and named:
        pass
    elif len(head) == 1 and head[0] in _COLORS:
        text = f"{head[0]} one{text[len(head[0]) :]}"
    else:
        plain = all(word.isalpha() for word in head) and head[-1] not in _NOT_A_HEAD
        if not (cued and plain) or set(head) & _NOT_A_NAME:
            return None
    if set(place) & (_NOT_A_NAME - {"of"}):
        return None
    return "other one" if text in ("other", "another") else text


def _another(name: str) -> Draft:
    head = name.split()[-1]
    kind = head if head in _HEADS or head not in _KNOWN else "one"
    if head in ("that", "this"):
        kind = "one"
    role = "goal" if vocabulary.SHAPES.get(kind) in _GOALS else "target"
    return _retarget(role, f"other {kind}")


def _retarget(role: str, name: str) -> Draft:
    answer = f"looking for the {name} as the new {role}"
    return Draft(
        CorrectionKind.RETARGET, answer, role=role, phrase=name, words=f"the {name}", confidence=0.9
    )

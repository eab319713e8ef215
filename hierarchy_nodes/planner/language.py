"""Reads an instruction: a small grammar, total over all strings.

``parse`` turns text into a tuple of `Instruction`, one for each step that it asks for, and raises
nothing but PlanningError, whose message is an answer for the person.

Spatial words mean the robot's base frame, whoever speaks: left is +y, right is -y, front and
forward are +x (away from the robot), back is -x, nearest is nearest to the robot.
``parse(str(instruction))`` gives the same instruction back.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from typing import Any

from hierarchy_nodes.errors import ErrorCode, PlanningError
from hierarchy_nodes.planner import words
from hierarchy_nodes.planner.phrases import LENGTH, MEANING, RELATION, clauses, normalise
from hierarchy_nodes.types import Interaction

MAX_LENGTH = 400
# What a step may call for beside a thing: where to put it with respect to the goal.
RELATIONS = ("on", "in", "to", "beside", "left", "right", "front", "behind")


@dataclass(frozen=True)
class Description:
    """How a person calls a thing; empty fields were not said.

    Attributes:
        color, shape: Names as in `words.COLORS` and `words.SHAPES`.
        noun: A word for the thing that the grammar does not know ("giraffe").
        place: Spatial word, a key of `words.PLACES`; size: a key of `words.SIZES`.
        every: All such things are meant. other: Not the one that was meant before.
        pronoun: "it": the thing spoken of before.
        beside: Something that the thing is on, in or near.
    """

    color: str = ""
    shape: str = ""
    noun: str = ""
    place: str = ""
    size: str = ""
    every: bool = False
    other: bool = False
    pronoun: bool = False
    beside: Description | None = None

    @property
    def name(self) -> str:
        """Without article: "small red block"."""
        if self.pronoun:
            return "it"
        kind = " ".join(filter(None, [self.noun, self.shape])) or "thing"
        parts = ["other" if self.other else "", self.size, self.place, self.color, kind]
        text = " ".join(filter(None, parts))
        return f"{text} near {self.beside}" if self.beside else text

    def __str__(self) -> str:
        if self.pronoun:
            return "it"
        return f"every {self.name}" if self.every else f"the {self.name}"

    def changed_by(self, new: Description) -> Description:
        """This description after a correction such as "the blue one" or "the other cup"."""
        if new.shape or new.noun:
            return replace(new, color=new.color or (self.color if new.other else ""))
        if new.other and not new.color:
            return replace(self, other=True, place=new.place, size=new.size, pronoun=False)
        return replace(
            new, shape=self.shape, noun=self.noun, color=new.color or self.color, every=False
        )


@dataclass(frozen=True)
class Instruction:
    """One step: what to do to what.

    Attributes:
        goal: The thing that the target goes to; None where none was named.
        relation: Of the target to the goal, one of `RELATIONS`; "back" = where it came from.
        direction: left, right, forward, back: where to, if there is no goal.
        distance: Metres along `direction`; 0 where not said.
        by_color: Each target goes to the goal of its own colour ("sort the blocks").
    """

    interaction: Interaction
    target: Description
    goal: Description | None = None
    direction: str = ""
    relation: str = ""
    distance: float = 0.0
    by_color: bool = False

    @property
    def picks(self) -> bool:
        """Whether the target is only to be picked up."""
        going = self.goal is not None or self.direction or self.relation
        return self.interaction == Interaction.PLACE and not going

    def __str__(self) -> str:
        way = f" {self.distance * 100:g} cm" if self.distance else ""
        to = {"forward": " forward", "back": " backwards"}.get(
            self.direction, f" to the {self.direction}" if self.direction else ""
        )
        joint = {"beside": "next to", "left": "left of", "right": "right of"}
        joint |= {"front": "in front of"}
        if self.goal is not None:
            to = f" {joint.get(self.relation, self.relation)} {self.goal}"
        if self.interaction == Interaction.PLACE:
            if self.by_color:
                return f"sort {self.target}{to} by color"
            if self.relation == "back":
                return f"put {self.target} back"
            if self.picks:
                return f"pick up {self.target}"
            return f"{'move' if self.direction else 'put'} {self.target}{way}{to}"
        verb = "knock over" if self.interaction == Interaction.KNOCK else str(self.interaction)
        return f"{verb} {self.target}{way}{to}"


def parse(text: str, it: Description | None = None) -> tuple[Instruction, ...]:
    """The steps that `text` asks for, at least one.

    Args:
        text: What the person typed or said.
        it: What "it" means if the text itself does not tell.

    Raises:
        PlanningError: INSTRUCTION_EMPTY, or INSTRUCTION_NOT_UNDERSTOOD with examples that work.
    """
    if not text.strip():
        raise PlanningError(ErrorCode.INSTRUCTION_EMPTY, f"The instruction is empty. {_examples()}")
    if len(text) > MAX_LENGTH:
        raise _not_understood(text[:40] + "...", f"It is longer than {MAX_LENGTH} characters.")
    normal = normalise(text)
    if re.search(r"\b(not|dont|never|without|except)\b", normal):
        raise _not_understood(text, "I can only be told what to do, not what to leave alone.")
    steps: list[Instruction] = []
    for clause in clauses(normal):
        for step in _clause(clause, text):
            known = steps[-1].target if steps else it
            if step.interaction in (Interaction.OPEN, Interaction.CLOSE):
                spoken = [thing for s in steps for thing in (s.target, s.goal) if thing]
                known = next((t for t in reversed(spoken) if t.shape == "drawer"), known)
            step = replace(step, target=_resolve(step.target, known, text))
            if step.goal is not None:
                step = replace(step, goal=_resolve(step.goal, known, text))
            last = steps[-1] if steps else None
            if last and last.picks and step.interaction == Interaction.PLACE:
                steps = steps[:-1] if step.target == last.target else steps
            steps.append(step)
    if not steps:
        raise _not_understood(text)
    return tuple(steps)


def describe(phrase: str) -> Description:
    """A thing named on its own, as in the correction "no, the blue one".

    Raises:
        PlanningError: INSTRUCTION_NOT_UNDERSTOOD if the phrase names nothing.
    """
    normal = re.sub(
        r"\b(no|nope|please|i mean|i meant|use)\b|,", "", normalise(phrase[:MAX_LENGTH])
    )
    found, near, _ = _place_phrase(normal, phrase)
    return replace(found, beside=near) if near else found


def _examples() -> str:
    return "Try for example: " + ", ".join(f'"{e}"' for e in words.EXAMPLES) + "."


def _not_understood(text: str, why: str = "") -> PlanningError:
    why = f"{why} " if why else ""
    message = f'I did not understand "{text.strip()}". {why}{_examples()}'
    return PlanningError(ErrorCode.INSTRUCTION_NOT_UNDERSTOOD, message)


def _clause(clause: str, text: str) -> list[Instruction]:
    """The steps of one clause; several if it names several targets."""
    tokens = clause.split()
    while tokens and tokens[0] in words.POLITE | {"toof", "and"}:
        tokens.pop(0)
    while tokens and tokens[-1] in {"please", "now", "ok", "okay", "robot", "you", "and"}:
        tokens.pop()
    verb = words.VERB_OF.get(tokens[0], "") if tokens else ""
    if not verb:
        near = difflib.get_close_matches(tokens[0], words.VERB_OF, n=1) if tokens else []
        raise _not_understood(text, f'Did you mean "{near[0]}"?' if near else "")
    rest = " ".join(tokens[1:])
    if re.search(r"\b(gripper|fingers?|hand)\b", rest):
        raise _not_understood(text, "The gripper is moved by corrections while a task runs.")
    if verb == "sort":
        return [_sort(rest, text)]
    over = verb in ("push", "knock", "pull", "put") and re.search(r"\bover(of)?\b", rest)
    if verb == "knock" or (verb == "push" and over):
        rest = re.sub(r"\b(over|down|off)\b|\boverof\b", "", rest)
        return [Instruction(Interaction.KNOCK, t) for t in _things(rest, text)]
    if verb in ("open", "close", "press"):
        rest = re.sub(r"^(?:(?:down|up) ?)?(?:inof|onof)?\b", "", rest)
        kind = Interaction(verb)
        default = "" if verb == "press" else "drawer"
        things = _things(rest, text, default)
        return [Instruction(kind, t) for t in things]
    if verb in ("push", "pull"):
        return _push(verb, rest, text)
    return _put(verb, tokens[0], rest, text)


def _sort(rest: str, text: str) -> Instruction:
    """ "the blocks by color [into the bowls]", in either order."""
    rest, by_color = re.subn(r"\bby (?:the |their )?colou?rs?\b", "", rest)
    if not by_color:
        raise _not_understood(text, 'Things can be sorted by color: "sort the blocks by color".')
    target, goal, relation = _place_phrase(rest, text)
    goal = replace(goal or Description(), every=False)
    target = replace(target, every=True)
    return Instruction(Interaction.PLACE, target, goal, relation=relation or "in", by_color=True)


def _push(verb: str, rest: str, text: str) -> list[Instruction]:
    opened = re.search(r"\b(open|out)\b", rest)
    shut = re.search(r"\b(shut|closed?|in)$", rest)
    rest = re.sub(r"^fromof\b", "out", rest)
    target, goal, relation, direction, distance = _route(
        re.sub(r"\b(open|out|shut|closed|close|in)\b", "", rest), text
    )
    if target.shape == "drawer" and goal is None:
        kind = Interaction.OPEN if verb == "pull" or (opened and not shut) else Interaction.CLOSE
        return [Instruction(kind, target)]
    if target.shape == "button" and goal is None and not direction:
        return [Instruction(Interaction.PRESS, target)]
    if goal is None and not direction:
        direction = "back" if verb == "pull" else "forward"
    kind = Interaction.PLACE if verb == "pull" else Interaction.PUSH
    return [Instruction(kind, target, goal, "" if goal else direction, relation, distance)]


def _put(verb: str, word: str, rest: str, text: str) -> list[Instruction]:
    down = re.search(r"(^down\b|\bdown$)", rest)
    rest = re.sub(r"^(up|down)\b|\b(up|down)$", "", rest).strip()
    if re.search(r"\b(goback|back)$", rest) and word in ("put", "place", "set", "take", "bring"):
        things = _things(re.sub(r"\b(goback|back)$", "", rest), text)
        return [Instruction(Interaction.PLACE, t, relation="back") for t in things]
    first, tail = _split_target(rest)
    result = []
    for target in _things(first, text):
        head, goal, relation, direction, distance = _route(f"it {tail}", text)
        beside = head.beside or target.beside
        target = replace(target, beside=beside)
        if goal is None and not direction:
            if down:
                goal, relation = Description(shape="table"), "on"
            elif verb != "pick":
                raise _not_understood(text, f"Where should I put {target}?")
        result.append(Instruction(Interaction.PLACE, target, goal, direction, relation, distance))
    return result


def _split_target(rest: str) -> tuple[str, str]:
    """The words for the target, and the words from the first relation, direction or length on."""
    stops = "|".join([*MEANING, "goleft", "goright", "goforward", "goback"])
    found = re.search(rf"\b({stops})\b|{LENGTH.pattern}|(?<=\w )(left|right)$", rest)
    return (rest[: found.start()], rest[found.start() :]) if found else (rest, "")


def _route(rest: str, text: str) -> tuple[Description, Description | None, str, str, float]:
    """Target, goal, relation, direction and distance of "X [10 cm] [to the left | on Y]"."""
    distance = 0.0
    length = LENGTH.search(rest)
    if length:
        number = length.group(1)
        amount = words.NUMBERS[number] if number in words.NUMBERS else float(number)
        distance = min(amount * words.UNITS[length.group(2)], 10.0)
        rest = f"{rest[: length.start()]} {rest[length.end() :]}"
    tokens = rest.split()
    direction = ""
    go = [t for t in tokens if t.startswith("go") and t in words.DIRECTIONS]
    if go:
        direction = words.DIRECTIONS[go[-1]]
        tokens = [t for t in tokens if t not in go]
    elif len(tokens) > 1 and tokens[-1] in words.DIRECTIONS:
        direction = words.DIRECTIONS[tokens.pop()]
    target, goal, relation = _place_phrase(" ".join(tokens), text)
    if goal is not None:
        direction = ""
    return target, goal, relation, direction, distance


def _place_phrase(rest: str, text: str) -> tuple[Description, Description | None, str]:
    """Read "X", "X on Y", "X on Z in Y": the last relation leads to the goal.

    For a phrase that names only a thing (`describe`), the goal is what the thing is at.
    """
    parts = RELATION.split(rest)
    heads = [_description(p, text) for p in parts[::2]]
    relations = [MEANING[r] for r in parts[1::2]]
    target = heads[0]
    if "from" in relations:
        source = relations.index("from")
        target = replace(target, beside=heads[source + 1])
        del relations[source], heads[source + 1]
    if not relations:
        return target, None, ""
    for thing in heads[1:-1]:
        target = replace(target, beside=replace(thing, beside=None))
    return target, heads[-1], relations[-1]


def _things(rest: str, text: str, default: str = "") -> list[Description]:
    """ "the red block", "the red and the blue block", "X near Y"."""
    if default and not set(rest.split()) - words.NOISE:
        return [Description(shape=default)]
    first, *others = RELATION.split(rest)
    parts = [p for p in re.split(r"\band\b", first) if p.strip()] or [first]
    found = [_description(p, text) for p in parts]
    last = found[-1]
    beside = _description(others[-1], text) if others else None
    result = []
    for thing in found:
        if not thing.shape and not thing.noun and not thing.pronoun:
            thing = replace(thing, shape=last.shape, noun=last.noun)
        if len(found) > 1:
            thing = replace(thing, every=False)
        result.append(replace(thing, beside=beside) if beside else thing)
    return result


def _description(phrase: str, text: str) -> Description:
    fields: dict[str, Any] = {}
    unknown: list[str] = []
    every = other = pronoun = named = False
    for word in phrase.split():
        single = word[:-1] if word.endswith("s") and len(word) > 3 else word
        single = words.PLURALS.get(word, single)
        tables = {"color": words.COLORS, "place": words.PLACES, "size": words.SIZES}
        slot = next((k for k, table in tables.items() if word in table), "")
        if word in words.EVERY:
            every = named = True
        elif word in words.OTHER:
            other = named = True
        elif word in words.PRONOUNS:
            pronoun = True
        elif slot and slot not in fields:
            fields[slot] = tables[slot][word]
        elif single in words.SHAPES:
            # The last noun is the head: "button box".
            fields["shape"] = words.SHAPES[single]
            every = every or (single != word)
        elif single in words.GENERIC:
            named = True
            every = every or single != word
        elif word not in words.NOISE:
            unknown.append(word)
    if unknown:
        fields["noun"] = " ".join(unknown)
    if not fields and not named:
        if pronoun:
            return Description(pronoun=True)
        raise _not_understood(text, "I miss the name of a thing.")
    return Description(every=every, other=other, **fields)


def _resolve(thing: Description, it: Description | None, text: str) -> Description:
    if not thing.pronoun:
        return thing
    if it is None:
        raise _not_understood(text, 'I do not know what "it" is.')
    return replace(it, beside=thing.beside or it.beside)

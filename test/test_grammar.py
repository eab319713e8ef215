"""The instruction grammar: what people say, and what it means."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierarchy_nodes.errors import ErrorCode, PlanningError
from hierarchy_nodes.planner import words
from hierarchy_nodes.planner.language import Description, Instruction, describe, parse

# phrase -> the canonical sentence of each step
PHRASES = {
    "put the red block on the blue plate": "put the red block on the blue plate",
    "Put the RED block on the blue plate.": "put the red block on the blue plate",
    "please put the red cube onto the blue dish": "put the red block on the blue plate",
    "Could you please place a crimson box on top of the azure dish?": (
        "put the red block on the blue plate"
    ),
    "would you kindly set the red block down on the blue plate, thanks": (
        "put the red block on the blue plate"
    ),
    "I want you to move the red block to the blue plate": "put the red block to the blue plate",
    "I'd like you to drop the green ball into the bowl": "put the green ball in the bowl",
    "hey robot, put the ball in the bowl now": "put the ball in the bowl",
    "put the ball inside the white bowl": "put the ball in the white bowl",
    "drop the sphere in the bowl": "put the ball in the bowl",
    "stack the red block on the green block": "put the red block on the green block",
    "stack the red cube on top of the green one": "put the red block on the green thing",
    "put the yellow can next to the red block": "put the yellow cylinder next to the red block",
    "put the can beside the plate": "put the cylinder next to the plate",
    "place the can close to the plate": "put the cylinder next to the plate",
    "put the red block to the left of the plate": "put the red block left of the plate",
    "put the red block left of the plate": "put the red block left of the plate",
    "put the red block on the right side of the bowl": "put the red block right of the bowl",
    "put the red block in front of the bowl": "put the red block in front of the bowl",
    "put the red block behind the bowl": "put the red block behind the bowl",
    "pick up the red block and put it on the plate": "put the red block on the plate",
    "pick up the red block, then place it in the bowl": "put the red block in the bowl",
    "take the red block and put it in the bowl": "put the red block in the bowl",
    "pick the red block up": "pick up the red block",
    "grab the small blue ball": "pick up the small blue ball",
    "lift the tall can": "pick up the tall cylinder",
    "take the red block off the plate and put it in the bowl": (
        "put the red block near the plate in the bowl"
    ),
    "put the red block that is on the plate in the bowl": (
        "put the red block near the plate in the bowl"
    ),
    "put the red block on the left on the plate": "put the left red block on the plate",
    "put the leftmost red block on the plate": "put the left red block on the plate",
    "put the left-most block in the bowl": "put the left block in the bowl",
    "put the block on the right side in the bowl": "put the right block in the bowl",
    "put the nearest block on the plate": "put the nearest block on the plate",
    "put the closest can on the plate": "put the nearest cylinder on the plate",
    "put the furthest block on the plate": "put the farthest block on the plate",
    "put the block in the middle on the plate": "put the middle block on the plate",
    "put the block at the back on the plate": "put the back block on the plate",
    "put the big red block on the small plate": "put the big red block on the small plate",
    "put the largest cube in the bowl": "put the big block in the bowl",
    "put the red thing on the plate": "put the red thing on the plate",
    "put the red one in the bowl": "put the red thing in the bowl",
    "put the light blue block on the table": "put the blue block on the table",
    "put the purple giraffe on the plate": "put the purple giraffe on the plate",
    "put all the red things in the bowl": "put every red thing in the bowl",
    "put every block on the plate": "put every block on the plate",
    "Sort the blocks by colour.": "sort every block in the thing by color",
    "sort all the cans by color into the trays": "sort every cylinder in the tray by color",
    "please sort the red things onto the plates by their color": (
        "sort every red thing on the plate by color"
    ),
    "put the blocks in the bowl": "put every block in the bowl",
    "put all red boxes in the bowl": "put every red block in the bowl",
    "put the red block and the green ball in the bowl": (
        "put the red block in the bowl; put the green ball in the bowl"
    ),
    "put the red and the green block in the bowl": (
        "put the red block in the bowl; put the green block in the bowl"
    ),
    "move the red block 10 cm to the left": "move the red block 10 cm to the left",
    "move the block forward by 5 centimetres": "move the block 5 cm forward",
    "move the red block to the right": "move the red block to the right",
    "push the green can to the left": "push the green cylinder to the left",
    "push the green can left": "push the green cylinder to the left",
    "slide the block forward": "push the block forward",
    "shove the red box away": "push the red block forward",
    "nudge the red block a bit to the right": "push the red block 3 cm to the right",
    "push the red block 10cm towards you": "push the red block 10 cm backwards",
    "push the red block towards the plate": "push the red block to the plate",
    "push the red block to the blue plate": "push the red block to the blue plate",
    "slide the block onto the plate": "push the block on the plate",
    "push the red block": "push the red block forward",
    "press the button": "press the button",
    "push the red button": "press the red button",
    "hit the button, please": "press the button",
    "press down on the green button": "press the green button",
    "open the drawer": "open the drawer",
    "pull the drawer open": "open the drawer",
    "pull out the drawer": "open the drawer",
    "close the drawer": "close the drawer",
    "shut the cabinet": "close the drawer",
    "push the drawer in": "close the drawer",
    "push the drawer shut": "close the drawer",
    "knock over the yellow can": "knock over the yellow cylinder",
    "knock the yellow can over": "knock over the yellow cylinder",
    "tip the bottle over": "knock over the bottle",
    "push over the tall can": "knock over the tall cylinder",
    "topple the tall yellow cylinder": "knock over the tall yellow cylinder",
    "open the drawer and then put the red block in the drawer": (
        "open the drawer; put the red block in the drawer"
    ),
    "put the red block on the plate and then press the button": (
        "put the red block on the plate; press the button"
    ),
    "open the drawer, put the ball into it and close it": (
        "open the drawer; put the ball in the drawer; close the drawer"
    ),
    "press the button. Then push the can left!": (
        "press the button; push the cylinder to the left"
    ),
    "First knock over the can, after that open the drawer": (
        "knock over the cylinder; open the drawer"
    ),
}


@pytest.mark.parametrize("phrase", PHRASES)
def test_phrase(phrase):
    assert "; ".join(map(str, parse(phrase))) == PHRASES[phrase]


@pytest.mark.parametrize("phrase", PHRASES)
def test_canonical_sentence_reads_as_itself(phrase):
    for step in parse(phrase):
        assert parse(str(step)) == (step,)


def test_fields():
    (step,) = parse("put the small red block on the blue plate")
    assert step == Instruction(
        "place",
        Description(color="red", shape="block", size="small"),
        Description(color="blue", shape="plate"),
        relation="on",
    )


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_empty(text):
    with pytest.raises(PlanningError) as caught:
        parse(text)
    assert caught.value.code == ErrorCode.INSTRUCTION_EMPTY


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("make me a sandwich", "put the red block on the blue plate"),
        ("palce the red block on the plate", 'Did you mean "place"'),
        ("put the red block", "Where should I put the red block?"),
        ("put it on the plate", 'what "it" is'),
        ("do not touch the red block", "what to do"),
        ("don't push the can", "what to do"),
        ("put on the plate", "name of a thing"),
        ("put the on", "name of a thing"),
        ("please", "Try for example"),
        ("把红色方块放在盘子上", "Try for example"),
        ("!!! ??? ...", "Try for example"),
        ("put " * 200, "longer than"),
        ("open the gripper", "corrections"),
    ],
)
def test_not_understood(text, hint):
    with pytest.raises(PlanningError) as caught:
        parse(text)
    assert caught.value.code == ErrorCode.INSTRUCTION_NOT_UNDERSTOOD
    assert hint in str(caught.value)


def test_it_from_outside():
    (step,) = parse("put it in the bowl", it=Description(color="red", shape="ball"))
    assert str(step) == "put the red ball in the bowl"
    (step,) = parse("put it back", it=Description(color="red", shape="ball"))
    assert step.relation == "back"
    assert parse(str(step)) == (step,)


@pytest.mark.parametrize(
    ("said", "correction", "meant"),
    [
        ("the red block", "the blue one", "the blue block"),
        ("the red block", "no, the blue one", "the blue block"),
        ("the red block", "the green ball", "the green ball"),
        ("the red cup", "the other cup", "the other red cup"),
        ("the red block", "the other one", "the other red block"),
        ("the red block", "the one on the left", "the left red block"),
        ("the block", "the block on the plate", "the block near the plate"),
    ],
)
def test_retarget_changes_the_description(said, correction, meant):
    assert str(describe(said).changed_by(describe(correction))) == meant


VOCABULARY = sorted(
    {*words.VERB_OF, *words.COLORS, *words.SHAPES, *words.PLACES, *words.NOISE, *words.POLITE}
    | {"giraffe", "on", "in", "to", "of", "top", "next", "it", "and", "then", ",", ".", "10", "cm"}
)


def only_planning_errors(text):
    try:
        steps = parse(text)
    except PlanningError as error:
        return str(error) and error.code // 100 == 1
    return steps and all(str(step) for step in steps)


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=500))
def test_any_text(text):
    assert only_planning_errors(text)


@settings(max_examples=800, deadline=None)
@given(st.lists(st.sampled_from(VOCABULARY), max_size=14).map(" ".join))
def test_any_words(text):
    assert only_planning_errors(text)

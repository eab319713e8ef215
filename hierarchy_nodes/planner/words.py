"""The words that the instruction grammar knows, each with the name that the code uses for it."""

from __future__ import annotations


def _table(**groups: str) -> dict[str, str]:
    return {word: name for name, words in groups.items() for word in [name, *words.split()]}


def _words(text: str) -> set[str]:
    return set(text.split())


COLORS = _table(
    red="crimson scarlet reddish",
    orange="amber",
    yellow="gold golden yellowish",
    green="lime emerald greenish olive",
    cyan="turquoise teal aqua",
    blue="navy azure bluish",
    purple="violet lilac",
    pink="magenta rose fuchsia",
    brown="wooden tan",
    white="ivory",
    gray="grey silver",
    black="",
)
SHAPES = _table(
    block="cube box brick bloc",
    cylinder="can tin tube drum",
    ball="sphere orb marble",
    bar="stick rod plank beam",
    cross="plus",
    cup="mug glass beaker",
    bottle="flask",
    plate="dish saucer platter disc disk",
    bowl="basin basket container pot",
    tray="",
    zone="area spot circle mark patch region",
    button="switch buzzer",
    drawer="cabinet cupboard",
    table="tabletop desk surface ground",
)
PLURALS = {
    "boxes": "box",
    "dishes": "dish",
    "glass": "glass",
    "glasses": "glass",
    "cross": "cross",
    "crosses": "cross",
    "patches": "patch",
    "switches": "switch",
}
PLACES = _table(
    left="atleft leftmost lefthand",
    right="atright rightmost righthand",
    front="atfront frontmost",
    back="atback rear rearmost backmost",
    middle="atmiddle central",
    nearest="closest close nearer closer near",
    farthest="furthest far further farther",
)
SIZES = _table(
    big="large bigger biggest larger largest huge",
    small="little tiny smaller smallest",
    tall="taller tallest high higher highest",
    short="shorter shortest low lower lowest",
)
GENERIC = _table(thing="object item piece one stuff toy something anything")
EVERY = {"all", "every", "each", "both", "everything", "ones"}
OTHER = {"other", "another", "different"}
PRONOUNS = {"it", "that", "this", "them", "these", "those"}
# Said about things without telling them apart.
NOISE = _words("""
    the a an your my our some of its is are there here which who that up down
    light dark bright pale deep shiny colored coloured color colour
""")
DIRECTIONS = {
    "goleft": "left",
    "goright": "right",
    "goforward": "forward",
    "goback": "back",
    "left": "left",
    "right": "right",
    "back": "back",
}
VERBS = {
    "put": "put place set lay drop position deposit move transfer carry bring stack pile",
    "pick": "pick take grab grasp lift get fetch hold raise",
    "push": "push slide shove nudge sweep",
    "pull": "pull drag",
    "press": "press tap hit click touch",
    "open": "open",
    "close": "close shut",
    "knock": "knock tip topple tilt flip",
    "sort": "sort",
}
VERB_OF = {word: name for name, words in VERBS.items() for word in words.split()}
NUMBERS = dict(
    zip(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twenty"),
        (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20),
        strict=True,
    )
) | {"a": 1, "an": 1, "half": 0.5}
UNITS = {"cm": 0.01, "mm": 0.001, "m": 1.0, "inch": 0.0254}
POLITE = _words("""
    please could can would will you kindly hey hi hello ok okay robot now just i id want need
    like to us lets try go ahead and so well first next finally also should must may we might
    help me by do if possible then right
""")
EXAMPLES = (
    "put the red block on the blue plate",
    "push the green can to the left",
    "press the button",
    "open the drawer",
    "knock over the yellow can",
)

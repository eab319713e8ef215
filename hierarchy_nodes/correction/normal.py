"""From free text to a string of plain words: numbers as decimals, pauses as single commas."""

from __future__ import annotations

import re
import unicodedata

MAX_LENGTH = 300
_TEENS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
fifteen sixteen seventeen eighteen nineteen"""
_ONES = {word: index for index, word in enumerate(_TEENS.split())}
_DECADES = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = {word: 20 + 10 * index for index, word in enumerate(_DECADES.split())}
_PARTS = {"half": 0.5, "halves": 0.5, "quarter": 0.25, "quarters": 0.25, "third": 1 / 3}
_PARTS |= {"thirds": 1 / 3, "tenth": 0.1, "tenths": 0.1}
UNITS = {
    "mm": 0.001,
    "cm": 0.01,
    "dm": 0.1,
    "m": 1.0,
    "inch": 0.0254,
    "foot": 0.3048,
}
_UNIT_WORDS = [
    (r"mms?|millimet(?:er|re)s?|millis?|mils?", "mm"),
    (r"cms?|centimet(?:er|re)s?|centis?", "cm"),
    (r"decimet(?:er|re)s?", "dm"),
    (r"met(?:er|re)s?", "m"),
    (r"inch(?:es)?", "inch"),
    (r"foot|feet|ft", "foot"),
    (r"deg|degs|degrees?", "deg"),
    (r"rad|rads|radians?", "rad"),
]
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_TOKEN = re.compile(
    r"(?P<fraction>\d+ ?/ ?\d+)|(?P<number>\d{1,3}(?:,\d{3})+(?!\d)|\d+(?:[.,]\d+)?|\.\d+)"
    r"|(?P<minus>(?<![^\s])[-\u2212](?=\.?\d))|(?P<word>[^\W\d_]+(?:'[^\W\d_]+)*)"
    r"|(?P<percent>%)|(?P<degree>\u00b0)"
    r"|(?P<pause>[.,;:!?\u2026\u2014\u2013\n()]|(?<=\s)-+(?=\s)|--+)"
)
_REWRITES = [
    (re.compile(pattern), result)
    for pattern, result in [
        (r"\bdo not\b|\bdont you( dare)?\b", "dont"),
        (r"\bcan not\b", "cannot"),
        (r"\b(counter|anti|contra) ?clockwise\b", "counterclockwise"),
        (r"\bccw\b", "counterclockwise"),
        (r"\bcw\b", "clockwise"),
        (r"\btoward\b", "towards"),
        *((rf"\b(?:{words})\b", unit) for words, unit in _UNIT_WORDS),
        (r"(?<=\d) in\b(?! (?:the|a|an|my|your)\b)", " inch"),
        (r"(?:, )+", ", "),
    ]
]


def normalise(text: str) -> str:
    """Words, decimals and ``,`` separated by single spaces; never raises.

    >>> normalise("Move left -- two and a half centimetres!")
    'move left , 2.5 cm ,'
    """
    text = re.sub(r"([\u00bc-\u00be\u2150-\u215e])", r" \1", text[:MAX_LENGTH])
    text = unicodedata.normalize("NFKC", text.replace("\u2026", ",")).casefold()
    text = re.sub(r"[\u2019\u2018`\u00b4]", "'", text).replace("\u2044", "/")
    words: list[str] = []
    for match in _TOKEN.finditer(text):
        words.append(_word(match.lastgroup or "", match.group()))
    result = " ".join(_numbers(words))
    for pattern, replacement in _REWRITES:
        result = pattern.sub(replacement, result)
    return re.sub(r"\s+", " ", result).strip()


def _word(kind: str, text: str) -> str:
    if kind == "fraction":
        top, bottom = (int(part) for part in text.split("/"))
        return _decimal(top / bottom) if bottom else "0"
    if kind == "number":
        # 2,5 is a decimal comma; 2,500 is two and a half thousand.
        text = re.sub(r",(?=\d{3}(?!\d))", "", text)
        return _decimal(float(text.replace(",", ".")))
    if kind == "word":
        return text.replace("'", "")
    return {"minus": "minus", "percent": "percent", "degree": "deg"}.get(kind, ",")


def _decimal(value: float) -> str:
    return f"{min(value, 1e9):.6f}".rstrip("0").rstrip(".")


def _numbers(words: list[str]) -> list[str]:
    """Replace number words by decimals."""
    result: list[str] = []
    index = 0
    while index < len(words):
        value, after = _cardinal(words, index)
        if after > index:
            value, after = _fractions(words, after, value)
            result.append(_decimal(value))
        else:
            value, after = _part(words, index)
            result.append(words[index] if after == index else _decimal(value))
            after = max(after, index + 1)
        index = after
    return result


def _cardinal(words: list[str], index: int) -> tuple[float, int]:
    """A whole or decimal number at `index`; the second value is `index` where there is none."""
    word = words[index]
    if _NUMBER.fullmatch(word):
        return float(word), index + 1
    hundred = _at(words, index + 1) == "hundred"
    if word == "hundred" or (hundred and (word == "a" or word in _ONES)):
        value = 100.0 * max(1, _ONES.get(word, 1))
        after = index + 1 + hundred
        skip = after + (_at(words, after) == "and")
        rest, end = _cardinal(words, skip) if skip < len(words) else (0.0, skip)
        return (value + rest, end) if end > skip and rest < 100 else (value, after)
    if word in _TENS:
        one = _ONES.get(_at(words, index + 1), 0)
        small = 1 <= one <= 9
        return _point(words, index + 1 + small, float(_TENS[word] + one * small))
    if word == "one" and not _counts(words, index):
        return 0.0, index
    if word in _ONES:
        return _point(words, index + 1, float(_ONES[word]))
    return 0.0, index


def _counts(words: list[str], index: int) -> bool:
    """Whether "one" at `index` is a number and not a thing: "one cm", but "the blue one"."""
    after = _at(words, index + 1)
    if after in ("and", "point", "hundred", "percent"):
        return after != "and" or (
            _at(words, index + 2) in ("a", "one")
            and bool(set(words[index + 3 : index + 4]) & set(_PARTS))
        )
    return any(re.fullmatch(pattern, after) for pattern, _ in _UNIT_WORDS) or after in _PARTS


def _point(words: list[str], index: int, value: float) -> tuple[float, int]:
    """Decimals after "point"."""
    if _at(words, index) != "point" or _at(words, index + 1) not in _ONES:
        return value, index
    digits, index = "", index + 1
    while _at(words, index) in _ONES and len(digits) < 6:
        digits += str(_ONES[words[index]])
        index += 1
    return value + float(f"0.{digits}"), index


def _fractions(words: list[str], index: int, value: float) -> tuple[float, int]:
    """ "two thirds of a", "two and a half", "2 1/2"."""
    word = _at(words, index)
    if word in _PARTS and value >= 1:
        return value * _PARTS[word], _skip_article(words, index + 1)
    if word == "and" and _at(words, index + 1) in ("a", "one", "half"):
        half = index + 1 if _at(words, index + 1) == "half" else index + 2
        if _at(words, half) in _PARTS:
            return value + _PARTS[words[half]], half + 1
    if _NUMBER.fullmatch(word) and value == int(value) and 0 < float(word) < 1:
        return value + float(word), index + 1
    return value, index


def _part(words: list[str], index: int) -> tuple[float, int]:
    """ "half a", "a quarter of an", before a unit only."""
    start = index + (_at(words, index) == "a")
    if _at(words, start) not in _PARTS:
        return 0.0, index
    after = _skip_article(words, start + 1)
    unit = _at(words, after)
    if any(re.fullmatch(pattern, unit) for pattern, _ in _UNIT_WORDS):
        return _PARTS[words[start]], after
    return 0.0, index


def _skip_article(words: list[str], index: int) -> int:
    index += _at(words, index) == "of"
    return index + (_at(words, index) in ("a", "an"))


def _at(words: list[str], index: int) -> str:
    return words[index] if index < len(words) else ""

"""The expert's skills by task family."""

from __future__ import annotations

from hierarchy_nodes.learning.grasps import OpenDrawer, Place
from hierarchy_nodes.learning.skill import Skill
from hierarchy_nodes.learning.strokes import CloseDrawer, Knock, Press, Push

SKILLS: dict[str, type[Skill]] = {
    "place": Place,
    "stack": Place,
    "push": Push,
    "press": Press,
    "open_drawer": OpenDrawer,
    "close_drawer": CloseDrawer,
    "knock": Knock,
}

"""The ways in which models write points and paths, one module and one prompt file each."""

from hierarchy_nodes.registry import Registry

DIALECTS = Registry(
    "dialect",
    "hierarchy_nodes.planner.vlm.dialects.base:Dialect",
    {
        name: f"hierarchy_nodes.planner.vlm.dialects.{name}:{name.capitalize()}"
        for name in ("structured", "hamster", "peek", "gemini", "molmo", "waypoints")
    },
    group="hierarchy.dialects",
)

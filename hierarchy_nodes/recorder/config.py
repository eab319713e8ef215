"""Configuration of the recorder."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchy_nodes.parameters import param


@dataclass(frozen=True)
class RecorderConfig:
    """What is recorded, and where."""

    directory: str = param("recordings", "Folder in which each recording gets a folder of its own")
    name: str = param("", "Name of the recording's folder; empty for the time of its start")
    extra_topics: list[str] = param(
        ["/diagnostics", "/tf", "/tf_static", "/rosout"],
        "Topics outside the recorder's namespace to record as well",
    )
    exclude: list[str] = param(
        ["*/parameter_events"], "Patterns (as of a shell) of topics not to record"
    )
    flush_period: float = param(
        0.25, "Data that a sudden end may cost", unit="s", low=0.05, high=1.0
    )
    min_free: float = param(
        200.0, "Free space under which recording ends with an error", unit="MB", low=0.0, high=1e7
    )
    max_file: float = param(
        0.0, "Size after which a new file is begun, 0 for never", unit="MB", low=0.0, high=1e7
    )
    repair: bool = param(True, "Complete recordings in the folder that were cut off earlier")

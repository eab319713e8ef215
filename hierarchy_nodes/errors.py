"""The project's exceptions. Each message names the thing, its value and the valid choices."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum


class ErrorCode(IntEnum):
    """Why a task ended; the ranges are part of the ExecuteTask contract."""

    NONE = 0
    INSTRUCTION_EMPTY = 100
    INSTRUCTION_NOT_UNDERSTOOD = 101
    OBJECT_NOT_FOUND = 102
    OBJECT_AMBIGUOUS = 103
    NO_IMAGE = 200
    TARGET_LOST = 201
    SCENE_EMPTY = 202
    PLAN_REJECTED = 300
    PLAN_EXPIRED = 301
    PLAN_WRONG_FRAME = 302
    OUT_OF_REACH = 303
    BACKEND_FAILED = 304
    CONTROLLER_LOST = 400
    CONTROLLER_STUCK = 401
    GRASP_FAILED = 402
    NOT_VERIFIED = 403
    ARM_STOPPED = 500
    ARM_LOST = 501
    TIMED_OUT = 600
    CANCELLED = 601
    PREEMPTED = 602
    NODE_LOST = 603
    INTERNAL = 900


class HierarchyError(Exception):
    """Base of every error that the project raises on purpose."""

    code: ErrorCode = ErrorCode.INTERNAL


class ConfigError(HierarchyError):
    """A configuration value is missing, unknown or out of range."""


class UnknownNameError(ConfigError):
    """A name is not registered; the message gives the nearest match and all valid names."""

    def __init__(self, kind: str, name: str, valid: Iterable[str]) -> None:
        names = sorted(valid)
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        super().__init__(f"Unknown {kind} '{name}'.{hint} Valid: {', '.join(names) or '(none)'}.")
        self.kind, self.name, self.valid = kind, name, names


class DriverError(HierarchyError):
    """A device could not be reached or refused a command."""

    code = ErrorCode.ARM_LOST


class StaleReadError(DriverError):
    """The newest reading of a device is older than the caller allows."""

    def __init__(self, device: str, age: float, max_age: float) -> None:
        super().__init__(
            f"{device}: newest reading is {age * 1e3:.0f} ms old, limit {max_age * 1e3:.0f} ms."
        )
        self.age, self.max_age = age, max_age


class ChunkRejected(HierarchyError):
    """An action chunk failed the arm's checks; the arm keeps holding."""

    code = ErrorCode.PLAN_REJECTED


class PlanningError(HierarchyError):
    """No plan could be made; `code` says why and the message is an answer for the person."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class PlanRejected(HierarchyError):
    """A plan is malformed, expired or made for another camera frame."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code

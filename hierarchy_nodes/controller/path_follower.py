"""Lifts the plan's 2D path into space and follows it: the baseline, and the degraded mode."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hierarchy_nodes.controller import lifting, nudge
from hierarchy_nodes.controller.anchors import Anchor
from hierarchy_nodes.controller.base import ControllerBackend, Step
from hierarchy_nodes.controller.lifting import Waypoint
from hierarchy_nodes.controller.route import OFF_LINE, Route, Speeds
from hierarchy_nodes.errors import ErrorCode
from hierarchy_nodes.parameters import param
from hierarchy_nodes.types import ActionChunk, Array, Gripper, Observation, Pose, Role

# Longer between two observations than this: the arm holds meanwhile, start from where it is.
_GAP = 0.15
# Where the tool may be sent at all: x, y and z in metres. The arm node knows its own better.
REACH = ((0.10, 0.85), (-0.55, 0.55), (-0.03, 0.80))
# The speed factor changes by at most this much a second.
_FACTOR_RATE = 2.0


@dataclass(frozen=True)
class PathFollowerOptions:
    """Speeds, tolerances and patience of the path follower."""

    steps: int = param(16, "Poses in a chunk", low=4, high=100)
    period: float = param(0.05, "Time between two poses of a chunk", unit="s", low=0.01, high=0.5)
    speed: float = param(0.25, "Travel speed", unit="m/s", low=0.02, high=1.0)
    contact_speed: float = param(0.08, "Speed near contact", unit="m/s", low=0.01, high=0.5)
    push_speed: float = param(0.10, "Speed of pushing and pulling", unit="m/s", low=0.01, high=0.5)
    knock_speed: float = param(0.6, "Speed of knocking over", unit="m/s", low=0.05, high=1.5)
    acceleration: float = param(0.8, "Along the path", unit="m/s^2", low=0.05, high=5.0)
    contact_zone: float = param(0.04, "Way before contact made slowly", unit="m", low=0.0, high=0.2)
    tolerance: float = param(
        0.006, "Error at rest that counts as there", unit="m", low=0.001, high=0.05
    )
    grip_closed: float = param(0.05, "Opening below which nothing is held", low=0.0, high=0.5)
    dwell: float = param(0.3, "Least time of a gripper motion", unit="s", low=0.0, high=2.0)
    nudge_distance: float = param(
        0.03, "Of a correction that names none", unit="m", low=0.001, high=0.2
    )
    nudge_speed: float = param(0.12, "Speed of corrections", unit="m/s", low=0.01, high=0.5)
    deadband: float = param(
        0.010, "Displacement of a thing that is not followed", unit="m", low=0.0, high=0.1
    )
    min_health: float = param(0.5, "Health below which a segment is not followed", low=0, high=1)
    lost_grace: float = param(
        0.5, "Patience before holding for a lost thing", unit="s", low=0.0, high=10.0
    )
    lost_timeout: float = param(
        3.0, "Time held for a lost thing before failing", unit="s", low=0.0, high=60.0
    )
    stuck_timeout: float = param(
        3.0, "Time without progress before failing", unit="s", low=0.5, high=60.0
    )


@dataclass
class _Action:
    """A gripper motion under way; `still_since` the fingers have been at `last`."""

    target: float
    began: float
    last: float
    still_since: float
    on_the_spot: bool


class PathFollower(ControllerBackend):
    """Follows the straight lines between lifted waypoints in chunks that start at the tool."""

    Options = PathFollowerOptions
    options: PathFollowerOptions

    def __init__(self, options: PathFollowerOptions) -> None:
        super().__init__(options)
        o = options
        self._times: Array = np.arange(o.steps, dtype=float) * o.period
        self._speeds = Speeds(
            o.speed, o.contact_speed, o.push_speed, o.knock_speed, o.acceleration, o.contact_zone
        )
        self.reset()

    def reset(self) -> None:
        self._plan_id: str | None = None
        self._time: float | None = None
        self._commanded: Pose | None = None
        self._gripper: float | None = None
        self._nudge: nudge.Nudge | None = None
        self._nudged: tuple[str, float, str] | None = None
        self._factor = 1.0
        self._clear(0.0)

    def act(self, observation: Observation) -> Step:
        o, now = observation, observation.robot.stamp
        gap = 0.0 if self._time is None else max(0.0, now - self._time)
        self._time = now
        if self._gripper is None or gap > _GAP:
            # Somebody else may have moved the fingers since.
            self._gripper = _keep_grip(o.robot.gripper)
        if o.plan.plan_id != self._plan_id:
            self._plan_id = o.plan.plan_id
            self._clear(now)
        if gap > _GAP:
            self._commanded, self._nudge = None, None
            self._restart(o.robot.tool, now)
            gap = 0.0
        change = _FACTOR_RATE * gap
        self._factor += float(np.clip(o.speed - self._factor, -change, change))
        if gap == 0.0 and self._route is None:
            self._factor = o.speed
        step = self._correct(o, now, gap)
        return step if step is not None else self._follow(o, now, gap)

    def _clear(self, now: float) -> None:
        """Forget the plan, but not what the gripper holds nor where the tool was sent."""
        self._route: Route | None = None
        self._anchors: dict[Role, Anchor] = {}
        self._applied: dict[Role, Array] = {}
        self._action: _Action | None = None
        self._held = False
        self._empty_since: float | None = None
        self._rest_since: float | None = None
        self._began = now
        self._best, self._best_at = (-1, -1.0), now
        self._ended: Step | None = None

    # Following

    def _follow(self, o: Observation, now: float, dt: float) -> Step:
        if not o.plan.path:
            return Step(None, "", "holding", message="no plan")
        if self._ended is not None:
            return self._ended
        if self._route is None:
            waiting = self._prepare(o, now)
            if waiting is not None:
                return waiting
        route = self._route
        assert route is not None
        lost = self._track(route, o, now, dt)
        if lost is not None:
            return lost
        if self._slipped(o, now):
            return self._fail(o, ErrorCode.GRASP_FAILED, "what was held slipped out")
        if self._action is not None:
            return self._actuate(route, o, now)
        if route.line is None:
            self._restart(o.robot.tool, now)
            dt = 0.0
        if route.finished:
            # A path of no more than where the tool is.
            return self._end(o, Step(None, "done", "done", 1.0))
        self._advance(route, o, now, dt)
        if route.at_end:
            step = self._arrive(route, o, now)
            if step is not None:
                return step
        if o.speed <= 0:
            self._best_at = now
        if now - self._best_at > self.options.stuck_timeout:
            text = f"no progress for {self.options.stuck_timeout:.0f} s during '{route.phase}'"
            return self._fail(o, ErrorCode.CONTROLLER_STUCK, text)
        if route.line is None:
            return self._busy(o, self._still(o))
        return self._busy(o, self._pack(o, route.ahead(self._times)))

    def _prepare(self, o: Observation, now: float) -> Step | None:
        """Lift the plan once what it needs has been seen; a holding or failed step until then."""
        wanted = {p.role for p in o.plan.prompts} & {Role.TARGET, Role.GOAL}
        seen = o.segments is not None and o.segments.plan_id == o.plan.plan_id
        if o.frame is None or (wanted and not seen):
            what = "a camera frame" if o.frame is None else "the plan's segments"
            if now - self._began > self.options.lost_timeout:
                return self._fail(o, ErrorCode.TARGET_LOST, f"{what} did not come")
            return Step(None, "", "holding", message=f"waiting for {what}")
        segments = o.segments if seen else None
        waypoints = lifting.lift(o.plan, o.frame, segments, o.robot, lifting.LiftSettings())
        far = next((w for w in waypoints if _outside(w.pose.position)), None)
        if far is not None:
            x, y, z = far.pose.position
            text = f"'{far.phase}' leads to ({x:.2f}, {y:.2f}, {z:.2f}) m, outside {REACH}"
            return self._fail(o, ErrorCode.OUT_OF_REACH, text)
        self._route = Route(waypoints, self._speeds)
        for role in wanted:
            self._anchors[role] = Anchor(self.options.deadband, self.options.min_health)
            self._applied[role] = np.zeros(3)
        self._best_at = now
        event = lifting.first_event(o.plan, o.robot)
        if event != Gripper.KEEP:
            self._begin_action(event, o, now, on_the_spot=True)
        else:
            self._held = self.options.grip_closed <= o.robot.gripper < 0.9
        return None

    def _track(self, route: Route, o: Observation, now: float, dt: float) -> Step | None:
        """Follow moved things; a step if one that is needed is out of sight."""
        if o.segments is None or o.segments.plan_id != o.plan.plan_id:
            return None
        for role, anchor in self._anchors.items():
            anchor.update(o.segments, role, now)
        waypoint = route.current
        if waypoint is None or waypoint.anchor not in self._anchors:
            return None
        if self._near_contact(waypoint, o.robot.tool):
            # The hand hides the thing now: the last good look at it has to do.
            return None
        role = waypoint.anchor
        anchor = self._anchors[role]
        if np.any(anchor.offset != self._applied[role]):
            route.shift(role, anchor.offset - self._applied[role])
            self._applied[role] = anchor.offset
        lost = anchor.lost_for(now)
        if lost <= self.options.lost_grace:
            return None
        label = next((p.label for p in o.plan.prompts if p.role == role), str(role))
        if lost > self.options.lost_grace + self.options.lost_timeout:
            return self._fail(o, ErrorCode.TARGET_LOST, f"lost sight of {label}")
        self._best_at = now
        chunk = self._still(o) if route.line is None else self._brake(route, o, dt)
        return Step(chunk, route.phase, "holding", route.progress, f"looking for {label}")

    def _near_contact(self, waypoint: Waypoint, tool: Pose) -> bool:
        if not waypoint.contact:
            return False
        left = float(np.linalg.norm(waypoint.pose.position - tool.position))
        return waypoint.gripper == Gripper.KEEP or left < self.options.contact_zone + 0.01

    def _advance(self, route: Route, o: Observation, now: float, dt: float) -> None:
        # The arm sets the pace of chunks: they are drawn at normal speed, and used up at its own.
        measured, error = route.advance(dt * self._factor, o.robot.tool.position)
        if error > OFF_LINE:
            # Pushed aside, or a jump of the state. Not progress: being stuck must still show.
            route.start(o.robot.tool)
            return
        key = (route.index, measured)
        if key[0] > self._best[0] or key[1] > self._best[1] + 0.003:
            self._best, self._best_at = key, now

    def _arrive(self, route: Route, o: Observation, now: float) -> Step | None:
        """At the end of the line: act, go on, or None until the tool has come."""
        assert route.line is not None
        error = float(np.linalg.norm(route.line.poses[-1].position - o.robot.tool.position))
        self._rest_since = now if self._rest_since is None else self._rest_since
        rested, tolerance = now - self._rest_since, self.options.tolerance
        # Against a contact the last millimetres may be out of reach.
        if rested < 0.1 or (error > tolerance and not (rested > 0.8 and error < 4 * tolerance)):
            return None
        waypoint = route.arrive()
        self._rest_since, self._best_at = None, now
        if waypoint.gripper != Gripper.KEEP:
            self._begin_action(waypoint.gripper, o, now)
            return self._actuate(route, o, now)
        return self._go_on(route, o, now)

    def _go_on(self, route: Route, o: Observation, now: float) -> Step | None:
        if route.finished:
            return self._end(o, Step(None, "done", "done", 1.0))
        self._restart(o.robot.tool, now)
        return None

    def _begin_action(
        self, event: Gripper, o: Observation, now: float, on_the_spot: bool = False
    ) -> None:
        self._gripper = 1.0 if event == Gripper.OPEN else 0.0
        self._action = _Action(self._gripper, now, o.robot.gripper, now, on_the_spot)

    def _actuate(self, route: Route, o: Observation, now: float) -> Step:
        """Keep still until the fingers do, then see whether they hold something."""
        action, opening = self._action, o.robot.gripper
        assert action is not None
        if abs(opening - action.last) > 0.01:
            action.last, action.still_since = opening, now
        elapsed = now - action.began
        reached = abs(opening - action.target) < 0.03
        still = now - action.still_since > (0.05 if reached else 0.25)
        phase = "prepare" if action.on_the_spot else ("release" if action.target else "grasp")
        waiting = elapsed < self.options.dwell or (not still and elapsed < 3.0)
        if waiting and not (action.on_the_spot and reached):
            return self._busy(o, self._still(o), phase)
        self._action, self._best_at = None, now
        if not action.on_the_spot:
            if action.target == 0.0 and opening < self.options.grip_closed:
                return self._fail(o, ErrorCode.GRASP_FAILED, "the fingers closed on nothing")
            self._held = action.target == 0.0
        return self._go_on(route, o, now) or self._busy(o, self._still(o), phase)

    def _slipped(self, o: Observation, now: float) -> bool:
        if not self._held or self._action or o.robot.gripper >= self.options.grip_closed:
            self._empty_since = None
            return False
        self._empty_since = now if self._empty_since is None else self._empty_since
        return now - self._empty_since > 0.2

    # Corrections

    def _correct(self, o: Observation, now: float, dt: float) -> Step | None:
        """A spoken displacement goes before the plan; None when there is none under way."""
        motion = o.motion
        if motion is not None and motion.source == "correction" and o.now <= motion.valid_until:
            key = (motion.correction_id, motion.stamp, motion.text)
            if key != self._nudged:
                self._nudged = key
                self._nudge = nudge.begin(
                    motion,
                    self._nudge,
                    self._commanded or o.robot.tool,
                    now,
                    default_distance=self.options.nudge_distance,
                    speed=self.options.nudge_speed,
                    acceleration=self.options.acceleration,
                )
        current = self._nudge
        if current is None:
            return None
        current.advance(dt * self._factor, o.robot.tool.position)
        self._best_at = now
        following = self._route is not None and self._ended is None
        if current.over(now):
            self._nudge = None
            if following and self._route is not None:
                self._route.correct(current.offset, current.rotation)
                self._restart(o.robot.tool, now)
        if current.gripper is not None and not following:
            self._gripper = current.gripper
        gripper = self._gripper if current.gripper is None else current.gripper
        route = self._route
        phase = route.phase if following and route is not None else "correction"
        progress = route.progress if route is not None else 0.0
        chunk = self._pack(o, current.ahead(self._times), gripper)
        return Step(chunk, phase, "busy", progress, f"correction: {current.text}")

    # Chunks

    def _restart(self, tool: Pose, now: float) -> None:
        """Towards the waypoints that remain, from where the tool was sent, or is."""
        if self._route is None or self._action is not None:
            return
        self._rest_since = None
        self._best, self._best_at = (-1, -1.0), now
        self._route.start(self._commanded or tool)

    def _brake(self, route: Route, o: Observation, dt: float) -> ActionChunk:
        return self._pack(o, route.brake(self._times, dt))

    def _still(self, o: Observation) -> ActionChunk:
        return self._pack(o, [self._commanded or o.robot.tool] * len(self._times))

    def _pack(self, o: Observation, poses: list[Pose], gripper: float | None = None) -> ActionChunk:
        self._commanded = poses[0]
        image = o.segments or o.frame
        return ActionChunk(
            stamp=o.robot.stamp,
            image_stamp=image.stamp if image is not None else 0.0,
            # A correction outlives the plan that has ended, whose validity is over.
            plan_id=o.plan.plan_id if o.plan.path else "",
            times=self._times,
            positions=np.array([p.position for p in poses]),
            quaternions=np.array([p.quaternion for p in poses]),
            gripper=np.full(len(poses), self._gripper if gripper is None else gripper),
            source="path_follower",
        )

    def _busy(self, o: Observation, chunk: ActionChunk, phase: str = "") -> Step:
        assert self._route is not None
        return Step(chunk, phase or self._route.phase, "busy", self._route.progress)

    def _fail(self, o: Observation, code: ErrorCode, text: str) -> Step:
        route = self._route
        phase, progress = (route.phase, route.progress) if route is not None else ("", 0.0)
        return self._end(o, Step(None, phase, "failed", progress, text, code))

    def _end(self, o: Observation, step: Step) -> Step:
        """Remember the end; one last chunk brings the tool to rest."""
        self._ended = step
        route = self._route
        moving = route is not None and route.line is not None and self._action is None
        chunk = self._brake(route, o, 0.0) if moving and route is not None else self._still(o)
        return replace(step, chunk=chunk)


def _outside(position: Array) -> bool:
    low, high = np.array(REACH).T
    return bool(np.any(position < low) or np.any(position > high))


def _keep_grip(measured: float) -> float:
    """A command that keeps what may be held: commanded to its own width, it would slip out."""
    return 1.0 if measured > 0.9 else max(0.0, measured - 0.25)

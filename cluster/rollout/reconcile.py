"""Decides the next step of a rollout from the current state. Pure; every rule of a rollout is here.

Asked again after each step, it leads from any state to the target:
- a new instance must be ready (healthy, announced, applied by the routers) before an old one stops;
- at least the smaller of the old and the new number of instances serve at any time;
- at most one instance more than the larger of them runs at any time.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.rollout.observed import Instance, ObservedService
from cluster.rollout.release import InstanceId


@dataclass(kw_only=True, frozen=True)
class Target:
    """The state that should serve. Without a release: nothing."""

    service: str
    release: str = ""
    instances: int = 0
    route: str | None = None

    @property
    def wanted(self) -> tuple[InstanceId, ...]:
        return tuple(
            InstanceId(service=self.service, release=self.release, n=n)
            for n in range(1, self.instances + 1)
        )


@dataclass(kw_only=True, frozen=True)
class WriteRoute:
    """Write how clients reach the service; routers apply it."""

    route: str


@dataclass(kw_only=True, frozen=True)
class Start:
    """Start these instances together."""

    instances: tuple[InstanceId, ...]


@dataclass(kw_only=True, frozen=True)
class Await:
    """Wait until these are ready, or find out why they can't be."""

    instances: tuple[InstanceId, ...]


@dataclass(kw_only=True, frozen=True)
class Stop:
    """Drain and stop these instances together."""

    instances: tuple[InstanceId, ...]
    is_replaced: bool = False  # others replace them, and must still be ready after the drain


@dataclass(kw_only=True, frozen=True)
class Done:
    """Nothing is left to do."""


Step = WriteRoute | Start | Await | Stop | Done


def next_step(view: ObservedService, target: Target) -> Step:
    """What brings the service closer to `target` without harming it."""
    wanted = target.wanted
    present = view.present()
    ready = [i for i in wanted if view.instance(i).is_ready]
    surplus = sorted((i for i in present if i.id not in wanted), key=_stopping_order)

    useless = [i.id for i in surplus if _is_leftover(i, view, target)]
    if useless:
        return Stop(instances=tuple(useless))

    if target.route is not None and _is_time_for_route(view, target.route, bool(ready)):
        return WriteRoute(route=target.route)

    pending = [i for i in wanted if view.instance(i).is_launched and i not in ready]
    if pending:
        return Await(instances=tuple(pending))

    spare = len(surplus) - (len(wanted) - len(ready))
    if spare > 0 and (ready or not wanted):
        return Stop(instances=tuple(i.id for i in surplus[:spare]), is_replaced=bool(wanted))

    missing = [i for i in wanted if not view.instance(i).is_launched]
    if missing:
        room = len(wanted) - len(ready) - len(surplus)
        return Start(instances=tuple(missing[: max(1, room)]))
    return Done()


def _is_time_for_route(view: ObservedService, route: str, is_proved: bool) -> bool:
    """A first route precedes the instances; a changed one waits for the new release."""
    return route != view.record.route and (view.record.route is None or is_proved)


def _stopping_order(instance: Instance) -> tuple[bool, int]:
    """Instances that serve no client come first, then the highest number."""
    return (instance.is_ready, -instance.id.n)


def needed_again(
    view: ObservedService, target: Target, drained: tuple[InstanceId, ...]
) -> list[InstanceId]:
    """The drained instances that must serve again, because their replacements died during the
    drain."""
    ready = sum(view.instance(i).is_ready for i in target.wanted)
    surplus = sum(instance.id not in target.wanted for instance in view.present())
    lacking = len(drained) - max(0, surplus - (len(target.wanted) - ready))
    able = [i for i in drained if view.instance(i).is_running]
    return able[: max(0, lacking)]


def _is_leftover(instance: Instance, view: ObservedService, target: Target) -> bool:
    """It serves no client, and a rollout that failed or was interrupted left it there: its release
    is not the serving one, or it is one too many of that. (An instance of the serving release that
    should be replaced may only be unhealthy for a moment.)"""
    release = instance.id.release
    return instance.announced is None and (
        release != view.record.current or release == target.release
    )

"""The next step of a rollout, from what is true now. Pure; every rule of a rollout is here.

Whoever asks again after each step gets from any state to the wanted one:
- a new instance must be ready (announced, healthy, seen by the routers) before an old one stops;
- at no time serve fewer than the smaller of the old and the new number of instances;
- at no time run more than one instance above the larger of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.rollout.observed import Instance, View
from cluster.rollout.release import InstanceId


@dataclass(kw_only=True, frozen=True)
class Target:
    """What shall serve. Without a release: nothing."""

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
    """Tell the routers how to reach the service."""

    route: str


@dataclass(kw_only=True, frozen=True)
class Start:
    """Start these, all at once."""

    instances: tuple[InstanceId, ...]


@dataclass(kw_only=True, frozen=True)
class Await:
    """Wait until these are ready, or find out why they can't be."""

    instances: tuple[InstanceId, ...]


@dataclass(kw_only=True, frozen=True)
class Stop:
    """Drain and stop these, all at once."""

    instances: tuple[InstanceId, ...]
    is_replaced: bool = False  # others serve in their place, and must still do so after the drain


@dataclass(kw_only=True, frozen=True)
class Done:
    """Nothing is left to do."""


Step = WriteRoute | Start | Await | Stop | Done


def next_step(view: View, target: Target) -> Step:
    """What brings the service closest to `target` without hurting it."""
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


def _is_time_for_route(view: View, route: str, is_proved: bool) -> bool:
    """A first route goes ahead of the instances; a changed one waits for the new release."""
    return route != view.record.route and (view.record.route is None or is_proved)


def _stopping_order(instance: Instance) -> tuple[bool, int]:
    """Those that serve nobody first, then the highest number."""
    return (instance.is_ready, -instance.id.n)


def needed_again(view: View, target: Target, drained: tuple[InstanceId, ...]) -> list[InstanceId]:
    """Those of the drained ones that must serve again: what was to take their place died while
    they drained."""
    ready = sum(view.instance(i).is_ready for i in target.wanted)
    surplus = sum(instance.id not in target.wanted for instance in view.present())
    lacking = len(drained) - max(0, surplus - (len(target.wanted) - ready))
    able = [i for i in drained if view.instance(i).is_running]
    return able[: max(0, lacking)]


def _is_leftover(instance: Instance, view: View, target: Target) -> bool:
    """It serves nobody, and a rollout that failed or was interrupted left it: it is of another
    release than the serving one, or one too many of that. (One of the serving release that is to
    be replaced may only be unwell for a moment.)"""
    release = instance.id.release
    return instance.announced is None and (
        release != view.record.current or release == target.release
    )

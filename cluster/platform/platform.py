"""The verb `platform`: the registry and the routers run everywhere, in the wanted release.

Units are taken in the order of the input: the registry first, since every other unit pulls from
it, the routers last.
"""

from __future__ import annotations

import hashlib

from clients.clock import Clock
from clients.errors import ClusterError
from clients.etcd import Etcd
from clients.etcd.lock import Lock
from clients.fleet import Fleet
from clients.fleet.unit_file import check_name, parse
from clients.progress import Patience, Progress
from clients.registry import Registry
from clients.routers import read_routers
from cluster.platform.global_rollout import GlobalRollout, GlobalUnit
from contract.keys import PLATFORM_IMAGES, ROUTERS, SERVICES, platform_image_key
from contract.requests import Platform

_PAUSE = 1.0


def platform(
    wanted: Platform,
    *,
    etcd: Etcd,
    fleet: Fleet,
    registry: Registry,
    clock: Clock,
    progress: Progress,
    holder: str,
) -> None:
    """Bring every unit of the platform to its release on every machine. Raises ClusterError."""
    units = [global_unit(key, text, wanted.images[key]) for key, text in wanted.units.items()]
    for directory in (SERVICES, ROUTERS, PLATFORM_IMAGES):
        etcd.make_directory(directory)
    with Lock(etcd, "platform", holder=holder, clock=clock, progress=progress) as lock:
        for unit in units:
            GlobalRollout(
                unit,
                etcd=etcd,
                fleet=fleet,
                lock=lock,
                clock=clock,
                progress=progress,
                timeout=wanted.timeout,
            ).run()
            if unit.key == "registry":
                _await_registry(registry, lock, clock, progress, wanted.timeout)
        if any(unit.key == "router" for unit in units):
            _await_routers(etcd, fleet, lock, clock, progress, wanted.timeout)
        for name, sha256 in wanted.images.items():
            found = etcd.find(platform_image_key(name))
            if found is None or found.node.value != sha256:
                etcd.set(platform_image_key(name), sha256)


def global_unit(key: str, text: str, sha256: str) -> GlobalUnit:
    """The unit of a release: its name says what is in it. Raises UnitFileError."""
    release = hashlib.sha256(f"{text}\0{sha256}".encode()).hexdigest()[:8]
    name = f"{key}-{release}.service"
    check_name(name)
    options = parse(text.replace("__RELEASE__", release), origin=name)
    if not any(o.section == "X-Fleet" and o.name == "Global" for o in options):
        raise ClusterError(f"{name}: a unit of the platform needs Global=true in [X-Fleet]")
    return GlobalUnit(key=key, name=name, options=options, sha256=sha256)


def _await_registry(
    registry: Registry, lock: Lock, clock: Clock, progress: Progress, timeout: float
) -> None:
    deadline = clock.now() + timeout
    patience = Patience(clock, progress)
    while not registry.answers():
        if clock.now() >= deadline:
            raise ClusterError(
                f"the registry on this node has not answered for {timeout:.0f} s: its container "
                "runs, so look at its log and at the role assignments on the storage account"
            )
        patience.waiting_for("waiting for the registry to reach its storage")
        lock.pause(_PAUSE)


def _await_routers(
    etcd: Etcd, fleet: Fleet, lock: Lock, clock: Clock, progress: Progress, timeout: float
) -> None:
    deadline = clock.now() + timeout
    patience = Patience(clock, progress)
    while True:
        machines = {machine.id: machine.primary_ip for machine in fleet.machines()}
        announced = {router.machine_id for router in read_routers(etcd)}
        missing = [ip for machine_id, ip in machines.items() if machine_id not in announced]
        if not missing:
            return
        if clock.now() >= deadline:
            raise ClusterError(
                f"no router has announced itself on {', '.join(missing)} for {timeout:.0f} s; "
                "look at `journalctl -u 'router-*'` there"
            )
        patience.waiting_for(f"waiting for the router on {', '.join(missing)}")
        lock.pause(_PAUSE)

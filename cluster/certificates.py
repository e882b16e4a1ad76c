"""The verb `certificates`: tells the routers which certificates there are, and waits for them.

Only where a certificate lies is told, never what is in it. If a router can't use one of them, the
keys go back to what they were: Pulumi's state does not hold a failed change either, so that going
back in the config needs no command.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from clients.clock import Clock
from clients.errors import ClusterError, Interrupted
from clients.etcd import Etcd, EtcdError, KeyNotFound, Node
from clients.etcd.lock import Lock, LockLost
from clients.progress import Patience, Progress
from clients.routers import Router, have_applied, laggards, read_routers
from contract.codec import encode
from contract.keys import CERTIFICATES, certificate_key
from contract.requests import Certificates

_PAUSE = 0.5
_ROUTERS_PATIENCE = 60.0
# Seconds; with the wait for routers it stays below what the whole command may take.
_LOCK_PATIENCE = 30.0


def certificates(
    wanted: Certificates, *, etcd: Etcd, clock: Clock, progress: Progress, holder: str
) -> None:
    """Bring the keys to what is wanted, then wait until every living router serves with all of
    them. Raises ClusterError with what which router could not load."""
    with Lock(
        etcd, "certificates", holder=holder, clock=clock, progress=progress, patience=_LOCK_PATIENCE
    ) as lock:
        sources = {name: encode(source) for name, source in wanted.certificates.items()}
        before = {name: node.value for name, node in _known(etcd).items()}
        try:
            changed_at = _write(sources, etcd, progress)
            if changed_at or sources:
                for name in sorted(
                    _await_routers(sources, changed_at, etcd, lock, clock, progress)
                ):
                    progress(f"certificate {name} HAS EXPIRED and is served on: set a new one")
        except LockLost:
            raise
        except (ClusterError, EtcdError, Interrupted):
            progress("certificates: going back to what was there before")
            _write(before, etcd, progress)
            raise
    if sources:
        progress(f"certificates: every router serves with {', '.join(sorted(sources))}")


def _write(sources: Mapping[str, str], etcd: Etcd, progress: Progress) -> int:
    """Write what differs. Returns the index that a router must reach to know all of it; 0 if there
    never was any."""
    known = _known(etcd)
    index = max((node.created_index for node in known.values()), default=0)
    is_changed = False
    for name, source in sorted(sources.items()):
        if name in known and known[name].value == source:
            continue
        index = etcd.set(certificate_key(name), source).node.created_index
        progress(f"certificate {name}: {'changed' if name in known else 'added'}")
        is_changed = True
    for name in sorted(known.keys() - sources.keys()):
        try:
            index = etcd.delete(certificate_key(name)).node.modified_index
        except KeyNotFound:
            continue
        progress(f"certificate {name}: removed")
        is_changed = True
    if not is_changed:
        progress("certificates: unchanged")
    return index


def _known(etcd: Etcd) -> dict[str, Node]:
    found = etcd.find(CERTIFICATES, recursive=True)
    return {node.name: node for node in found.node.nodes if not node.is_directory} if found else {}


def _await_routers(
    names: Collection[str], index: int, etcd: Etcd, lock: Lock, clock: Clock, progress: Progress
) -> set[str]:
    """Returns those that have expired: one of them must not stop changes of the others."""
    deadline = clock.now() + _ROUTERS_PATIENCE
    patience = Patience(clock, progress)
    while True:
        routers = read_routers(etcd)
        obstacle = _obstacle(routers, index, names)
        if not obstacle:
            return {name for router in routers for name in router.expired} & set(names)
        if clock.now() >= deadline:
            raise ClusterError(obstacle)
        patience.waiting_for(obstacle)
        lock.pause(_PAUSE)


def _obstacle(routers: Sequence[Router], index: int, names: Collection[str]) -> str:
    """What keeps the routers from serving with all certificates; nothing if none does."""
    if not have_applied(routers, index):
        return laggards(routers, index)
    missing = []
    for name in sorted(names):
        why = {
            router.node: reason
            for router in routers
            if name not in router.expired or router.trouble
            if (reason := router.trouble or router.problems.get(certificate_key(name)))
        }
        if not why:
            continue
        who = "no router has" if len(why) == len(routers) else "not every router has"
        reasons = "; ".join(f"{node}: {reason}" for node, reason in sorted(why.items()))
        missing.append(f"{who} certificate {name} ({reasons})")
    return "\n".join(missing)

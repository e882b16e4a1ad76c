"""The verb `certificates`: writes for the routers where each certificate is, and waits for them.

etcd only holds where a certificate is stored, never its content. If a router can't use one of them,
the previous keys are restored. Pulumi's state does not hold a failed change either, so going back
in the config needs no command.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from clients.errors import ClusterError, Interrupted
from clients.etcd import EtcdError, KeyNotFound, Node
from clients.etcd.lock import Lock, LockLost
from clients.routers import Router, have_applied, read_routers, routers_behind
from clients.waiting import wait_until
from cluster.context import ClusterContext
from contract.codec import encode
from contract.keys import CERTIFICATES, certificate_key
from contract.requests import Certificates

_PAUSE = 0.5
_ROUTERS_PATIENCE = 60.0
# Seconds; with the wait for routers it stays below what the whole command may take.
_LOCK_PATIENCE = 30.0


def certificates(wanted: Certificates, context: ClusterContext) -> None:
    """Write the wanted keys, then wait until every living router serves all of them. Raises
    ClusterError with each router that could not load one."""
    sources = {name: encode(source) for name, source in wanted.certificates.items()}
    lock = context.lock("certificates", patience=_LOCK_PATIENCE)
    with lock, _undone_on_failure(context):
        changed_at = _write(sources, context)
        if changed_at or sources:
            for name in sorted(_await_routers(sources, changed_at, context, lock)):
                context.progress(f"certificate {name} HAS EXPIRED and is served on: set a new one")
    if sources:
        context.progress(f"certificates: every router serves with {', '.join(sorted(sources))}")


@contextmanager
def _undone_on_failure(context: ClusterContext) -> Iterator[None]:
    """Write the keys of before again, whatever goes wrong."""
    before = {name: node.value for name, node in _known(context).items()}
    try:
        yield
    except LockLost:
        raise
    except (ClusterError, EtcdError, Interrupted):
        context.progress("certificates: going back to what was there before")
        _write(before, context)
        raise


def _write(sources: Mapping[str, str], context: ClusterContext) -> int:
    """Write what differs. Returns the index at which a router knows all of it; 0 if there never
    was a certificate."""
    known = _known(context)
    index = max((node.created_index for node in known.values()), default=0)
    is_changed = False
    for name, source in sorted(sources.items()):
        if name in known and known[name].value == source:
            continue
        index = context.etcd.set(certificate_key(name), source).node.created_index
        context.progress(f"certificate {name}: {'changed' if name in known else 'added'}")
        is_changed = True
    for name in sorted(known.keys() - sources.keys()):
        try:
            index = context.etcd.delete(certificate_key(name)).node.modified_index
        except KeyNotFound:
            continue
        context.progress(f"certificate {name}: removed")
        is_changed = True
    if not is_changed:
        context.progress("certificates: unchanged")
    return index


def _known(context: ClusterContext) -> dict[str, Node]:
    found = context.etcd.find(CERTIFICATES, recursive=True)
    return {node.name: node for node in found.node.nodes if not node.is_directory} if found else {}


def _await_routers(
    names: Collection[str], index: int, context: ClusterContext, lock: Lock
) -> set[str]:
    """Returns those that have expired: an expired one must not block changes of the others."""
    expired: set[str] = set()

    def obstacle() -> str:
        routers = read_routers(context.etcd)
        expired.clear()
        expired.update(name for router in routers for name in router.expired if name in names)
        return _obstacle(routers, index, names)

    wait_until(
        obstacle,
        patience=_ROUTERS_PATIENCE,
        pause=_PAUSE,
        clock=context.clock,
        lock=lock,
        progress=context.progress,
        give_up=ClusterError,
    )
    return expired


def _obstacle(routers: Sequence[Router], index: int, names: Collection[str]) -> str:
    """Why some router does not serve with all certificates; empty if all do."""
    if not have_applied(routers, index):
        return routers_behind(routers, index)
    missing = []
    for name in sorted(names):
        why = {
            router.node: reason
            for router in routers
            if name not in router.expired or router.error
            if (reason := router.error or router.why_left_out(certificate_key(name)))
        }
        if not why:
            continue
        who = "no router has" if len(why) == len(routers) else "not every router has"
        reasons = "; ".join(f"{node}: {reason}" for node, reason in sorted(why.items()))
        missing.append(f"{who} certificate {name} ({reasons})")
    return "\n".join(missing)

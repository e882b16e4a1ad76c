"""The verb `status`: the cluster as one JSON document, for the operator's tools and tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from clients.certificate_store import read_sources
from clients.errors import ClusterError
from clients.etcd import Etcd, Node
from clients.etcd.members import Membership
from clients.rollout_marks import unfinished_services
from clients.routers import Router, read_routers
from clients.service_store import ServiceRecord, parse
from cluster.context import ClusterContext
from cluster.rollout.observed import observe_service
from cluster.status.services import service_status
from contract.codec import as_json
from contract.keys import CERTIFICATES, LOCKS, SERVICES


def status(context: ClusterContext, membership: Membership, *, address: str) -> dict[str, Any]:
    """The current state of the cluster. Reads only."""
    etcd, fleet = context.etcd, context.fleet
    machines, units, states = fleet.machines(), fleet.units(), fleet.states()
    routers = read_routers(etcd)
    members = membership.survey([address])
    nodes = {router.machine_id: router.node for router in routers}
    locked = {lock.name for lock in _below(etcd, LOCKS)}
    unfinished = unfinished_services(etcd)
    records, unreadable = _records(etcd)
    views = {
        name: observe_service(
            name, units=units, states=states, machines=machines, routers=routers, record=record
        )
        for name, record in records.items()
    }
    ours = {unit for view in views.values() for i in view.instances for unit in (i.app, i.announce)}
    return {
        "machines": [
            {
                "id": machine.id,
                "node": nodes.get(machine.id),
                "address": machine.primary_ip,
                "metadata": dict(machine.metadata),
            }
            for machine in machines
        ],
        "etcd": [
            {"name": member.name, "address": member.address, "healthy": member.is_healthy}
            for member in (members.members if members else ())
        ],
        "routers": [
            {
                "node": router.node,
                "applied": router.applied,
                "error": router.error,
                "problems": as_json(router.problems),
            }
            for router in routers
        ],
        "services": [
            service_status(name, view, is_locked=name in locked, is_unfinished=name in unfinished)
            for name, view in views.items()
        ],
        "certificates": list(_certificates(etcd, routers)),
        "units": [
            {
                "name": state.name,
                "machine": nodes.get(state.machine_id, state.machine_id),
                "state": f"{state.active} ({state.sub})",
            }
            for state in states
            if state.name not in ours
        ],
        "trouble": [*unreadable, *_routers_trouble(routers)],
    }


def _below(etcd: Etcd, directory: str) -> Sequence[Node]:
    found = etcd.find(directory, recursive=True)
    return found.node.nodes if found else ()


def _records(etcd: Etcd) -> tuple[dict[str, ServiceRecord], list[str]]:
    """The services by name, and what can't be read: one broken key must not hide the others."""
    records, unreadable = {}, []
    for node in _below(etcd, SERVICES):
        try:
            records[node.name] = parse(node)
        except ClusterError as error:
            unreadable.append(str(error))
    return records, unreadable


def _certificates(etcd: Etcd, routers: Sequence[Router]) -> Iterator[dict[str, Any]]:
    """Each certificate, and why which router does not serve with it. `hosts` is empty for one of
    another vault: only the certificate itself names them."""
    found = etcd.find(CERTIFICATES, recursive=True)
    sources, _ = read_sources(found.node if found else None)
    for node in found.node.nodes if found else ():
        source = sources.get(node.name)
        yield {
            "name": node.name,
            "source": str(source) if source else None,
            "hosts": list(source.hosts) if source else [],
            "problems": {
                router.node: reason
                for router in routers
                if (reason := router.why_left_out(node.key) or router.error)
            },
        }


def _routers_trouble(routers: Sequence[Router]) -> Iterator[str]:
    """Routers that apply nothing new. A problem of a router is listed with the service or
    certificate that the router leaves out."""
    if not routers:
        yield "no router is alive"
    for router in routers:
        if router.error:
            yield f"the router on {router.node} applies nothing new: {router.error}"

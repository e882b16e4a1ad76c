"""The verb `status`: the cluster as one JSON document, for people's tools and for tests."""

from __future__ import annotations

from typing import Any

from cluster.etcd import Etcd
from cluster.fleet import Fleet
from cluster.membership import Membership
from cluster.routers import read_routers
from cluster.service_keys import SERVICES, parse
from cluster.view import Instance, View, make_view


def status(etcd: Etcd, fleet: Fleet, membership: Membership, address: str) -> dict[str, Any]:
    """What is true now. Reads only."""
    machines, units, states = fleet.machines(), fleet.units(), fleet.states()
    routers = read_routers(etcd)
    members = membership.survey([address])
    nodes = {router.machine_id: router.node for router in routers}
    found = etcd.find(SERVICES, recursive=True)
    records = {node.name: parse(node) for node in found.node.nodes} if found else {}
    views = [
        make_view(
            name, units=units, states=states, machines=machines, routers=routers, record=record
        )
        for name, record in records.items()
    ]
    ours = {unit for view in views for i in view.instances for unit in (i.app, i.announce)}
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
            {"node": router.node, "applied": router.applied, "error": router.error}
            for router in routers
        ],
        "services": [_service(name, view) for name, view in zip(records, views, strict=True)],
        "units": [
            {
                "name": state.name,
                "machine": nodes.get(state.machine_id, state.machine_id),
                "state": f"{state.active} ({state.sub})",
            }
            for state in states
            if state.name not in ours
        ],
    }


def _service(name: str, view: View) -> dict[str, Any]:
    current = view.record.current
    entry = view.record.ledger.get(current) if current else None
    return {
        "name": name,
        "release": current,
        "image": entry.image if entry else None,
        "wanted": entry.instances if entry else None,
        "instances": [_instance(view, instance) for instance in view.present()],
        "releases": sorted(
            (
                {"release": e.release, "image": e.image, "outcome": e.outcome, "at": e.finished}
                for e in view.record.ledger.values()
            ),
            key=lambda entry: entry["at"],
        ),
    }


def _instance(view: View, instance: Instance) -> dict[str, Any]:
    state = instance.app_states[0] if instance.app_states else None
    return {
        "n": instance.id.n,
        "release": instance.id.release,
        "machine": view.node(instance.machine_id) if instance.machine_id else None,
        "state": f"{state.active} ({state.sub})" if state else "not loaded",
        "address": instance.announced.address if instance.announced else None,
        "announced": instance.announced is not None,
    }

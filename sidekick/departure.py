"""How an instance leaves the routing: every router must have applied that its key is gone."""

from __future__ import annotations

from clients.errors import ClusterError
from clients.etcd import EtcdError
from clients.etcd.access import Access
from clients.routers import have_applied, read_routers


def is_out_of_routing(etcd: Access, key: str, index: int) -> bool:
    """Whether no router sends requests to the instance of `key`, whose removal has `index`.

    Without a router: no, for their keys may have expired in an outage of etcd. A router may keep an
    instance although its key is gone, just after such an outage.
    """
    try:
        routers = etcd.ask(read_routers)
    except (EtcdError, ClusterError):
        return False
    return have_applied(routers, index) and all(key not in router.kept for router in routers)

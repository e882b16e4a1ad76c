"""Every key in etcd, and how long it lives. Nothing else spells one.

Only the router's templates and the few shell scripts of a node have keys of their own; a test
compares them with these.
"""

from __future__ import annotations

SERVICES = "/services"
CERTIFICATES = "/certificates"
ROUTERS = "/routers"
ROLLOUTS = "/rollouts"
LOCKS = "/locks"
PLATFORM_IMAGES = "/platform/images"

INSTANCE_TTL = 15
"""Seconds. A sidekick renews its instance's key, a router its report; a dead node's expire."""
ROUTER_TTL = 15
FAILURE_TTL = 60
BARRIER_TTL = 60
LOCK_TTL = 60
"""Longer than any single request may take: etcd 16 s, fleet with its back-off about 30 s."""
NOTE_TTL = 24 * 3600
"""The ledger of a service that never came up says for a day why."""


def service_key(service: str) -> str:
    """The directory of all that etcd knows about a service."""
    return f"{SERVICES}/{service}"


def route_key(service: str) -> str:
    return f"{SERVICES}/{service}/route"


def instances_key(service: str) -> str:
    return f"{SERVICES}/{service}/instances"


def instance_key(service: str, instance: str) -> str:
    """`instance` is `<release>-<n>`."""
    return f"{SERVICES}/{service}/instances/{instance}"


def failure_key(service: str, instance: str) -> str:
    """Why an instance's health check fails."""
    return f"{SERVICES}/{service}/failures/{instance}"


def current_key(service: str) -> str:
    """The release that serves."""
    return f"{SERVICES}/{service}/current"


def ledger_key(service: str) -> str:
    return f"{SERVICES}/{service}/releases"


def ledger_entry_key(service: str, release: str) -> str:
    return f"{SERVICES}/{service}/releases/{release}"


def barrier_key(service: str) -> str:
    """Written only for its index, which is later than that of every change before it."""
    return f"{SERVICES}/{service}/barrier"


def certificate_key(certificate: str) -> str:
    return f"{CERTIFICATES}/{certificate}"


def router_key(machine_id: str) -> str:
    return f"{ROUTERS}/{machine_id}"


def mark_key(service: str) -> str:
    return f"{ROLLOUTS}/{service}"


def lock_key(name: str) -> str:
    """A service, or the name of another lock."""
    return f"{LOCKS}/{name}"


def platform_image_key(image: str) -> str:
    """The sha256 of an image that nodes load by its name."""
    return f"{PLATFORM_IMAGES}/{image}"

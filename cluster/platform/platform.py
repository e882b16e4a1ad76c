"""The verb `platform`: the platform's units run on every node, in the wanted release.

Units are rolled out in the order of the input: the announcer, the registry, the router.
"""

from __future__ import annotations

from cluster.context import ClusterContext
from cluster.platform.global_rollout import GlobalRollout
from cluster.platform.global_unit import make_global_unit
from cluster.platform.readiness import await_ready
from contract.keys import PLATFORM_IMAGES, ROUTERS, SERVICES, platform_image_key
from contract.requests import Platform, image_of


def platform(wanted: Platform, context: ClusterContext) -> None:
    """Bring every unit of the platform to its release on every node. Raises ClusterError."""
    units = [
        make_global_unit(key, text, wanted.images[image_of(key)])
        for key, text in wanted.units.items()
    ]
    for directory in (SERVICES, ROUTERS, PLATFORM_IMAGES):
        context.etcd.make_directory(directory)
    with context.lock("platform") as lock:
        for unit in units:
            GlobalRollout(context, unit, lock, timeout=wanted.timeout).run()
            await_ready(context, unit.key, lock, timeout=wanted.timeout)
        _note_images(wanted, context)


def _note_images(wanted: Platform, context: ClusterContext) -> None:
    """Nodes start the platform's images by these keys."""
    for name, sha256 in wanted.images.items():
        found = context.etcd.find(platform_image_key(name))
        if found is None or found.node.value != sha256:
            context.etcd.set(platform_image_key(name), sha256)

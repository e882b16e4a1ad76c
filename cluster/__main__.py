"""The command line: `python3 -m cluster VERB`, the desired state as JSON on standard input.

bootstrap     find this node's place in the etcd cluster, write etcd's environment file
wait          until etcd and fleet work on every node
platform      roll the platform's units out to every node
certificates  those that the routers serve hosts with
apply         roll a service out
remove        drain a service and delete it
settle        undo changes that failed or were interrupted
status        print the cluster as JSON
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from types import FrameType

from clients.azure.blob import Blob
from clients.azure.managed_identity import ManagedIdentity
from clients.clock import SystemClock
from clients.errors import ClusterError, Interrupted
from clients.etcd import Etcd, EtcdError
from clients.etcd.members import Membership, client_url
from clients.fleet import Fleet
from clients.progress import Lines
from clients.registry import Registry
from cluster import node_settings
from cluster.bootstrap.decide import ThisNode
from cluster.bootstrap.record import mark_formed
from cluster.bootstrap.run import Bootstrap, environment_file, write_environment
from cluster.certificates import certificates
from cluster.context import ClusterContext
from cluster.node_settings import NodeSettings
from cluster.platform.platform import platform
from cluster.rollout.verbs import apply, remove, settle
from cluster.status.report import status
from cluster.wait import wait
from contract.codec import Malformed
from contract.requests import (
    ApplyService,
    Certificates,
    Platform,
    RemoveService,
    WaitForCluster,
    read_request,
)

# The node's /run inside this container.
ETCD_START = Path("/run/host/etcd-start.env")
# An election takes up to twice etcd's election timeout (5 s); no rollout should fail for it.
ETCD_PATIENCE = 25.0


class Program:
    """The verbs, with the real world plugged in."""

    def __init__(self, node: NodeSettings) -> None:
        self._node = node
        self._clock = SystemClock()
        self._progress = Lines()

    def bootstrap(self) -> None:
        this_node = ThisNode(name=self._node.node, address=self._node.address, size=self._node.size)
        start = Bootstrap(
            this_node,
            self._node.cluster,
            blob=self._blob(),
            membership=Membership(),
            etcd=Etcd,
            clock=self._clock,
            progress=self._progress,
        ).run()
        write_environment(ETCD_START, environment_file(start))
        self._progress(f"etcd may start: {start.state}, {len(start.members)} members")

    def wait(self) -> None:
        wait(
            read_request(WaitForCluster, sys.stdin.read()),
            self._context,
            Membership(),
            address=self._node.address,
            mark_formed=partial(mark_formed, self._blob(), self._clock),
        )

    def platform(self) -> None:
        platform(read_request(Platform, sys.stdin.read()), self._context)

    def certificates(self) -> None:
        certificates(read_request(Certificates, sys.stdin.read()), self._context)

    def apply(self) -> None:
        apply(read_request(ApplyService, sys.stdin.read()), self._context)

    def remove(self) -> None:
        remove(read_request(RemoveService, sys.stdin.read()), self._context)

    def settle(self) -> None:
        settle(self._context)

    def status(self) -> None:
        cluster = status(self._context, Membership(), address=self._node.address)
        print(json.dumps(cluster, indent=2))

    @cached_property
    def _context(self) -> ClusterContext:
        etcd = Etcd(
            [client_url("127.0.0.1"), client_url(self._node.address)],
            patience=ETCD_PATIENCE,
            clock=self._clock,
        )
        return ClusterContext(
            etcd=etcd,
            fleet=Fleet(etcd),
            registry=Registry(self._clock, self._progress, cluster=self._node.cluster),
            clock=self._clock,
            progress=self._progress,
            node=self._node.node,
        )

    def _blob(self) -> Blob:
        identity = ManagedIdentity(self._node.client_id, self._clock)
        return Blob(self._node.data_account, "cluster", "members.json", identity, self._clock)


def main(arguments: list[str]) -> int:
    """Run one verb. Returns the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # As process 1 of its container the program would ignore signals it does not handle.
        signal.signal(number, _interrupt)
    try:
        program = Program(node_settings.read(os.environ))
        verbs: dict[str, Callable[[], None]] = {
            "bootstrap": program.bootstrap,
            "wait": program.wait,
            "platform": program.platform,
            "certificates": program.certificates,
            "apply": program.apply,
            "remove": program.remove,
            "settle": program.settle,
            "status": program.status,
        }
        if len(arguments) != 1 or arguments[0] not in verbs:
            raise ClusterError(f"say one of: {', '.join(verbs)}")
        verbs[arguments[0]]()
    except Malformed as error:
        print(f"error: standard input is wrong: {error}", file=sys.stderr)
        return 1
    except (ClusterError, EtcdError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Interrupted as signalled:
        print(f"error: interrupted by {signalled}; run it again to finish", file=sys.stderr)
        return 130
    return 0


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(signal.Signals(number).name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

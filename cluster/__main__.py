"""The door: `python3 -m cluster VERB`, the desired state as JSON on standard input.

bootstrap     find this node's place in the etcd cluster, write how etcd starts
wait          until etcd and fleet stand
platform      the registry and the routers, on every machine
certificates  those that the routers serve hosts with
apply         roll a service out
remove        drain a service and take it away
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
from cluster.bootstrap.decide import Me
from cluster.bootstrap.formed import mark_formed
from cluster.bootstrap.run import Bootstrap, environment_file, write_environment
from cluster.certificates import certificates
from cluster.node_settings import Environment
from cluster.platform.platform import platform
from cluster.rollout.apply import apply
from cluster.rollout.recover import settle
from cluster.rollout.remove import remove
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

# /run/host is the node's /run; etcd-prepare reads this file there.
ETCD_START = Path("/run/host/etcd-start.env")
# An election takes up to twice etcd's election timeout (5 s); no rollout should fail for it.
ETCD_PATIENCE = 25.0


class Program:
    """The verbs, with the real world plugged in."""

    def __init__(self, node: Environment) -> None:
        self._node = node
        self._clock = SystemClock()
        self._progress = Lines()

    def bootstrap(self) -> None:
        me = Me(name=self._node.node, address=self._node.address, size=self._node.size)
        start = Bootstrap(
            me,
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
            etcd=self._etcd,
            fleet=self._fleet,
            membership=Membership(),
            address=self._node.address,
            mark_formed=partial(mark_formed, self._blob(), self._clock),
            clock=self._clock,
            progress=self._progress,
        )

    def platform(self) -> None:
        platform(
            read_request(Platform, sys.stdin.read()),
            etcd=self._etcd,
            fleet=self._fleet,
            registry=self._registry(),
            clock=self._clock,
            progress=self._progress,
            holder=self._node.node,
        )

    def certificates(self) -> None:
        certificates(
            read_request(Certificates, sys.stdin.read()),
            etcd=self._etcd,
            clock=self._clock,
            progress=self._progress,
            holder=self._node.node,
        )

    def apply(self) -> None:
        apply(
            read_request(ApplyService, sys.stdin.read()),
            etcd=self._etcd,
            fleet=self._fleet,
            registry=self._registry(),
            clock=self._clock,
            progress=self._progress,
            holder=self._node.node,
        )

    def remove(self) -> None:
        remove(
            read_request(RemoveService, sys.stdin.read()),
            etcd=self._etcd,
            fleet=self._fleet,
            clock=self._clock,
            progress=self._progress,
            holder=self._node.node,
        )

    def settle(self) -> None:
        settle(
            etcd=self._etcd,
            fleet=self._fleet,
            clock=self._clock,
            progress=self._progress,
            holder=self._node.node,
        )

    def status(self) -> None:
        cluster = status(self._etcd, self._fleet, Membership(), self._node.address)
        print(json.dumps(cluster, indent=2))

    @cached_property
    def _fleet(self) -> Fleet:
        return Fleet(self._etcd)

    @cached_property
    def _etcd(self) -> Etcd:
        return Etcd(
            [client_url("127.0.0.1"), client_url(self._node.address)],
            patience=ETCD_PATIENCE,
            clock=self._clock,
        )

    def _registry(self) -> Registry:
        return Registry(self._clock, self._progress, cluster=self._node.cluster)

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

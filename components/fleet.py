"""The cluster at work: wait until it stands, start the platform, roll out each service.

Everything is done by `fleet-cluster` on one of the nodes, over SSH. A command runs again whenever
one of its inputs changes, so every verb can be repeated; what varies goes in by stdin, and the
command's text stays the same, because it is an input, too.

Pulumi keeps the old inputs of a command whose end it did not hear of, whatever became of it. So an
order that changes the cluster is two commands. The first only asks what time it is, and Pulumi has
its answer in the state before the second begins, which gets it as an input. So whatever was
interrupted is sent again by the next `pulumi up`, also by one that goes back to the old
configuration: the time is another one, and the latest order wins.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_command import remote

from components.artefacts import Artefacts
from components.load_balancer import SSH_PORT
from components.scale_set import ADMIN
from components.service_secrets import certificate_secret, service_secret, with_references
from components.unit_files import certificates_order, platform_order, service_order
from settings import Certificate, InstanceSet

WAIT_SECONDS = 1200
"""For machines that boot, a role that spreads and an etcd that forms: minutes on Azure."""
PLATFORM_SECONDS = 900
CERTIFICATES_SECONDS = 120
ROLLOUT_SECONDS = 3600
REMOVAL_SECONDS = 900


@dataclass(kw_only=True, frozen=True)
class FleetArgs:
    nodes: int
    public_ip: pulumi.Input[str]
    """Leads to a healthy node, which the load balancer picks."""
    host_name: pulumi.Input[str]
    """Its DNS name."""
    admin_private_key: pulumi.Input[str]
    host_public_key: pulumi.Input[str]
    """The nodes' one host key, pinned in every connection."""
    scale_set: pulumi.Resource
    """Gone with it is everything that runs on it."""
    scale_set_name: pulumi.Input[str]
    artefacts: Artefacts
    services: Sequence[InstanceSet]
    certificates: Mapping[str, Certificate]
    certificate_hosts: Mapping[str, Sequence[str]]
    """The hosts of those certificates that are in the stack's own vault."""
    references: Mapping[str, pulumi.Output[str]]
    """Where the vault has the secrets of services and certificates, by `vault_name`."""
    drain_seconds: int


@dataclass(kw_only=True, frozen=True)
class ServiceArgs:
    node: "Node"
    after: Sequence[pulumi.Resource]
    """What must be there before any service."""
    service: InstanceSet
    references: Mapping[str, pulumi.Output[str]]
    drain_seconds: int


@dataclass(kw_only=True, frozen=True)
class Node:
    """Where commands run, and what they have in common."""

    connection: remote.ConnectionArgs
    scale_set: pulumi.Resource
    scale_set_name: pulumi.Input[str]

    def command(
        self,
        name: str,
        text: pulumi.Input[str],
        *,
        seconds: int,
        stdin: pulumi.Input[str] | None = None,
        delete: str | None = None,
        parent: pulumi.Resource,
        after: Sequence[pulumi.Resource] = (),
    ) -> remote.Command:
        """One command on whichever node."""
        limit = f"{seconds // 60 + 5}m"
        return remote.Command(
            name,
            connection=self.connection,
            # The comment makes it run again on new machines: they know nothing of the old ones.
            create=pulumi.Output.concat(text, "  # on scale set ", self.scale_set_name),
            delete=delete,
            stdin=stdin,
            # else sshd would have to accept environment variables
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=parent,
                depends_on=list(after),
                # destroying the machines needs no farewell to each service
                deleted_with=self.scale_set,
                custom_timeouts=pulumi.CustomTimeouts(create=limit, update=limit, delete=limit),
            ),
        )

    def order(
        self,
        name: str,
        verb: str,
        contents: pulumi.Input[Mapping[str, Any]],
        *,
        seconds: int,
        delete: str | None = None,
        parent: pulumi.Resource,
        after: Sequence[pulumi.Resource] = (),
    ) -> remote.Command:
        """A verb of `fleet-cluster`, with its order as JSON on standard input."""
        stdin = pulumi.Output.from_input(contents).apply(_as_json)
        given = self.command(
            f"{name}-order",
            # asked again for another order
            stdin.apply(lambda known: f"date --utc +%FT%T.%NZ  # of {_digest(known)}"),
            seconds=seconds,
            # here, because this is in the state also when the first rollout was interrupted
            delete=delete,
            parent=parent,
            after=after,
        )
        return self.command(
            name,
            given.stdout.apply(lambda time: _on_the_node(verb, time, seconds=seconds)),
            stdin=stdin,
            seconds=seconds,
            parent=parent,
            after=after,
        )


class Fleet(pulumi.ComponentResource):
    """Readiness of the cluster, the platform units, and a Service for each instance set.

    Output: `addresses`, by which each service is reached.
    """

    addresses: dict[str, list[pulumi.Output[str]]]

    def __init__(
        self, name: str, args: FleetArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fleet:index:Fleet", name, {}, opts)
        node = Node(
            connection=remote.ConnectionArgs(
                host=args.public_ip,
                port=SSH_PORT,
                user=ADMIN,
                private_key=args.admin_private_key,
                host_key=args.host_public_key,
                # machines that boot refuse for minutes; the command's own timeout ends it
                dial_error_limit=-1,
            ),
            scale_set=args.scale_set,
            scale_set_name=args.scale_set_name,
        )

        ready = node.command(
            f"{name}-ready",
            _on_the_node("wait", seconds=WAIT_SECONDS + 60),
            stdin=_as_json({"size": args.nodes, "timeout": WAIT_SECONDS}),
            seconds=WAIT_SECONDS + 60,
            parent=self,
        )
        platform = node.order(
            f"{name}-platform",
            "platform",
            platform_order(args.artefacts),
            seconds=PLATFORM_SECONDS,
            parent=self,
            after=[ready],
        )
        certificates = node.order(
            f"{name}-certificates",
            "certificates",
            with_references(
                args.references,
                {
                    certificate: certificate_secret(certificate)
                    for certificate, one in args.certificates.items()
                    if one.secret is not None
                },
                lambda known: certificates_order(args.certificates, args.certificate_hosts, known),
            ),
            seconds=CERTIFICATES_SECONDS,
            parent=self,
            after=[platform],
        )
        # Each for itself: a service that fails holds up no other.
        for service in args.services:
            Service(
                service.name,
                ServiceArgs(
                    node=node,
                    after=[platform, certificates],
                    service=service,
                    references=args.references,
                    drain_seconds=args.drain_seconds,
                ),
                pulumi.ResourceOptions(parent=self),
            )
        self.addresses = {
            service.name: addresses(service, args.host_name) for service in args.services
        }
        self.register_outputs({"addresses": self.addresses})


class Service(pulumi.ComponentResource):
    """One instance set: rolled out when anything of it changes, drained and removed with it."""

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("fleet:index:Service", name, {}, opts)
        removal = json.dumps({"name": args.service.name, "drain": args.drain_seconds})

        args.node.order(
            f"{name}-rollout",
            "apply",
            with_references(
                args.references,
                {secret: service_secret(secret) for secret in args.service.secrets.values()},
                lambda known: service_order(args.service, args.drain_seconds, known),
            ),
            seconds=ROLLOUT_SECONDS,
            delete=f"echo '{removal}' | {_on_the_node('remove', seconds=REMOVAL_SECONDS)}",
            parent=self,
            after=args.after,
        )
        self.register_outputs({})


def addresses(service: InstanceSet, host_name: pulumi.Input[str]) -> list[pulumi.Output[str]]:
    """Where clients find a service: its host names, or ours; its ports."""
    hosts: tuple[pulumi.Input[str], ...] = service.http.hosts if service.http else ()
    if service.http and not hosts:
        hosts = (host_name,)
    scheme = "https" if service.http and service.http.https_redirect else "http"
    return [
        *(pulumi.Output.concat(f"{scheme}://", host) for host in hosts),
        *(pulumi.Output.concat("tcp://", host_name, f":{port}") for port in service.tcp),
        *(pulumi.Output.concat("udp://", host_name, f":{port}") for port in service.udp),
    ]


def _on_the_node(*verb: str, seconds: int) -> str:
    """The deadline is on the far side: an SSH command that hangs can't be stopped from here."""
    return f"sudo timeout --kill-after=30 {seconds} /opt/bin/fleet-cluster {' '.join(verb)}"


def _as_json(order: Mapping[str, Any]) -> str:
    return json.dumps(order, indent=1, sort_keys=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]

"""Waits for the cluster, starts the platform, and rolls out certificates and services.

Each command runs `fleet-cluster` on a node, over SSH. A command runs again when one of its inputs
changes, so it must be repeatable. Its text is an input as well: variable data goes to stdin, so
that the text stays the same.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from components.rendering.artefacts import Artefacts
from components.rendering.requests import (
    apply_request,
    certificates_request,
    platform_request,
)
from components.rendering.service_secrets import certificate_secret, service_secret, with_references
from components.scale_set import ADMIN
from contract.codec import as_json
from contract.ports import PUBLIC_SSH
from contract.requests import RemoveService, Request, WaitForCluster
from settings import Certificate, InstanceSet

WAIT_SECONDS = 1200
"""Minutes on Azure: nodes boot, roles propagate, etcd forms."""
PLATFORM_SECONDS = 900
CERTIFICATES_SECONDS = 120
ROLLOUT_SECONDS = 3600
REMOVAL_SECONDS = 900


@dataclass(kw_only=True, frozen=True)
class FleetArgs:
    nodes: int
    public_ip: pulumi.Input[str]
    """The load balancer's address. It leads to a healthy node."""
    host_name: pulumi.Input[str]
    """The DNS name of `public_ip`."""
    admin_private_key: pulumi.Input[str]
    host_public_key: pulumi.Input[str]
    """The host key that all nodes share, pinned in every connection."""
    scale_set: pulumi.Resource
    """The scale set. Destroying it destroys everything that runs on it."""
    scale_set_name: pulumi.Input[str]
    artefacts: Artefacts
    services: Sequence[InstanceSet]
    certificates: Mapping[str, Certificate]
    certificate_hosts: Mapping[str, Sequence[str]]
    """The hosts of the certificates that are in the stack's vault."""
    references: Mapping[str, pulumi.Output[str]]
    """References to the secrets of services and certificates, by their names in the vault."""
    drain_seconds: int


@dataclass(kw_only=True, frozen=True)
class ServiceArgs:
    commands: "NodeCommands"
    after: Sequence[pulumi.Resource]
    """Resources that must exist before any service."""
    service: InstanceSet
    references: Mapping[str, pulumi.Output[str]]
    drain_seconds: int


@dataclass(kw_only=True, frozen=True)
class NodeCommands:
    """Creates commands that run on a node. The load balancer picks a healthy node."""

    connection: remote.ConnectionArgs
    scale_set: pulumi.Resource
    scale_set_name: pulumi.Input[str]

    def command(
        self,
        name: str,
        verb: str,
        request: pulumi.Input[Request],
        *,
        seconds: int,
        delete: str | None = None,
        parent: pulumi.Resource,
        after: Sequence[pulumi.Resource] = (),
    ) -> remote.Command:
        """A verb of `fleet-cluster`, with its request as JSON on standard input."""
        limit = f"{seconds // 60 + 5}m"
        return remote.Command(
            name,
            connection=self.connection,
            # With the scale set's name in a comment, the command runs again on a new scale set.
            create=pulumi.Output.concat(
                _on_the_node(verb, seconds), "  # on scale set ", self.scale_set_name
            ),
            delete=delete,
            stdin=pulumi.Output.from_input(request).apply(
                lambda known: json.dumps(as_json(known), indent=1, sort_keys=True)
            ),
            # otherwise sshd would have to accept environment variables
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=parent,
                depends_on=list(after),
                # destroying the scale set does not first remove each service
                deleted_with=self.scale_set,
                custom_timeouts=pulumi.CustomTimeouts(create=limit, update=limit, delete=limit),
            ),
        )


class Fleet(pulumi.ComponentResource):
    """Readiness of the cluster, the platform units, and a Service for each instance set.

    Output: `addresses` of each service.
    """

    addresses: dict[str, list[pulumi.Output[str]]]

    def __init__(
        self, name: str, args: FleetArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fleet:index:Fleet", name, {}, opts)
        commands = NodeCommands(
            connection=remote.ConnectionArgs(
                host=args.public_ip,
                port=PUBLIC_SSH,
                user=ADMIN,
                private_key=args.admin_private_key,
                host_key=args.host_public_key,
                # Booting nodes refuse connections for minutes. The command's timeout ends this.
                dial_error_limit=-1,
            ),
            scale_set=args.scale_set,
            scale_set_name=args.scale_set_name,
        )

        ready = commands.command(
            f"{name}-ready",
            "wait",
            WaitForCluster(size=args.nodes, timeout=WAIT_SECONDS),
            seconds=WAIT_SECONDS + 60,
            parent=self,
        )
        platform = commands.command(
            f"{name}-platform",
            "platform",
            platform_request(args.artefacts),
            seconds=PLATFORM_SECONDS,
            parent=self,
            after=[ready],
        )
        # Services do not wait for it: a certificate that can't be loaded would block all of them.
        commands.command(
            f"{name}-certificates",
            "certificates",
            with_references(
                args.references,
                {
                    certificate: certificate_secret(certificate)
                    for certificate, one in args.certificates.items()
                    if one.secret is not None
                },
                lambda known: certificates_request(
                    args.certificates, args.certificate_hosts, known
                ),
            ),
            seconds=CERTIFICATES_SECONDS,
            parent=self,
            after=[platform],
        )
        # Separate resources: a service that fails does not block the others.
        for service in args.services:
            Service(
                service.name,
                ServiceArgs(
                    commands=commands,
                    after=[platform],
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
    """One instance set. It is rolled out when it changes; deleting it drains and removes it."""

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("fleet:index:Service", name, {}, opts)
        removal = as_json(RemoveService(name=args.service.name, drain=args.drain_seconds))

        args.commands.command(
            f"{name}-rollout",
            "apply",
            with_references(
                args.references,
                {secret: service_secret(secret) for secret in args.service.secrets.values()},
                lambda known: apply_request(args.service, args.drain_seconds, known),
            ),
            seconds=ROLLOUT_SECONDS,
            # `delete` gets the rollout's stdin as well, so the removal's request is in its text
            delete=f"echo '{json.dumps(removal)}' | {_on_the_node('remove', REMOVAL_SECONDS)}",
            parent=self,
            after=args.after,
        )
        self.register_outputs({})


def addresses(service: InstanceSet, host_name: pulumi.Input[str]) -> list[pulumi.Output[str]]:
    """A service's addresses: its hosts (or the stack's host name) and its ports."""
    hosts: tuple[pulumi.Input[str], ...] = service.http.hosts if service.http else ()
    if service.http and not hosts:
        hosts = (host_name,)
    scheme = "https" if service.http and service.http.https_redirect else "http"
    return [
        *(pulumi.Output.concat(f"{scheme}://", host) for host in hosts),
        *(pulumi.Output.concat("tcp://", host_name, f":{port}") for port in service.tcp),
        *(pulumi.Output.concat("udp://", host_name, f":{port}") for port in service.udp),
    ]


def _on_the_node(verb: str, seconds: int) -> str:
    """The deadline is enforced on the node: a hung SSH command can't be stopped from here."""
    return f"sudo timeout --kill-after=30 {seconds} /opt/bin/fleet-cluster {verb}"

"""The keys of the stack's configuration: one field each, with its description and default."""

import functools
from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import Field

from settings.certificates import Certificate, Contents, read
from settings.fields import (
    AdminNetwork,
    DnsLabel,
    FlatcarVersion,
    Guid,
    Location,
    Name,
    PrivateNetwork,
    SecretName,
    SecretValue,
    Section,
    SshPrivateKey,
    is_private,
)
from settings.service import InstanceSet, Service

# Azure needs at least a /29, and we leave room for five machines being replaced at once.
CORE_SUBNET_PREFIX = 24


class Settings(Section):
    """Everything that a stack can say about itself, under `fleet:`."""

    location: Location = Field(description="The Azure region, like westeurope.")
    owner_tag: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        description="Who answers for the stack: the tag `owner` of every resource.",
    )
    admin_cidrs: Annotated[tuple[AdminNetwork, ...], Field(min_length=1)] = Field(
        description="From where SSH, storage and vault may be reached, as a list of IPv4 ranges. "
        "The machine that runs `pulumi up` must be among them, with its public address: it deploys "
        "over SSH, and uploads to storage and vault. No two may overlap.",
    )
    nodes: Literal[1, 3, 5] = Field(
        default=3,
        description="Core machines: 1, 3 or 5. Three survive the loss of one, five of two, one of "
        "none. More can be added later; taking some away is not possible, since etcd would still "
        "count them.",
    )
    vm_size: str = Field(
        default="Standard_D2s_v5",
        description="The size of a machine. It must take premium disks (an s in the size) over "
        "SCSI (up to version 5), and have x86-64 processors.",
    )
    zones: tuple[Literal["1", "2", "3"], ...] = Field(
        default=(),
        description='Availability zones to spread the machines over, like ["1", "2", "3"]. '
        "Without any, Azure spreads them over fault domains.",
    )
    vnet_cidr: PrivateNetwork = Field(
        default=IPv4Network("10.20.0.0/16"),
        description="The network's private range, /16 to /24. Its first part is the machines' "
        "subnet.",
    )
    image_version: FlatcarVersion = Field(
        default="4593.2.5",
        description="The pinned version of Flatcar Container Linux, channel stable.",
    )
    deployers: tuple[Guid, ...] = Field(
        default=(),
        description="Object ids (Entra ID) of all who run `pulumi up`: users, pipelines, or best a "
        "group that has them all. They may delete secrets. Without a list that is whoever ran it "
        "last, and the role moves with each change of person, which takes Azure minutes. Once "
        "given, keep a list.",
    )
    developers: tuple[Guid, ...] = Field(
        default=(),
        description="Object ids (Entra ID) of the users, groups and service principals who may "
        "push images to the registry.",
    )
    drain_seconds: Annotated[int, Field(ge=0, le=300)] = Field(
        default=10,
        description="How long an instance keeps running after it has been taken out of routing, "
        "for its open requests to end. Then it gets SIGTERM, and after 10 more seconds SIGKILL.",
    )
    protect: bool = Field(
        default=False,
        description="Refuse to delete what holds data (storage, vault) and its resource group. Set "
        "it for production; `pulumi destroy` works only after setting it back.",
    )
    dns_label: DnsLabel | None = Field(
        default=None,
        description="The first part of the public DNS name, unique in the region. By default the "
        "stack's name and six characters.",
    )
    subscription_id: Guid | None = Field(
        default=None, description="The Azure subscription. By default that of your Azure login."
    )
    ssh_private_key: SshPrivateKey | None = Field(
        default=None,
        description="The administrator's SSH key, set with --secret: OpenSSH format, no "
        "passphrase, ed25519 or RSA. By default the stack makes one.",
    )
    secrets: Mapping[SecretName, SecretValue] = Field(
        default={},
        description="Secrets by name, each set by `pulumi config set --secret --path "
        "fleet:secrets.NAME VALUE`, or for a file by `… --raw --path fleet:secrets.NAME < FILE`: "
        "without --raw it loses its last newline. Binary files as base64. Those that a service or "
        "certificate uses are kept in the stack's Key Vault. Plain text is refused, but one plain "
        "value beside encrypted ones can't be told from them.",
    )
    certificates: Mapping[Name, Certificate] = Field(
        default={},
        description="TLS certificates by name, for the hosts that they name. Hosts without one "
        "are served with the stack's own, which no browser trusts.",
    )
    services: Mapping[Name, Service] = Field(
        default={}, description="The services that run on the cluster, by name."
    )

    @functools.cached_property
    def instance_sets(self) -> tuple[InstanceSet, ...]:
        """All services and customers as instance sets, sorted by name."""
        sets = (
            one
            for name, service in self.services.items()
            for one in service.instance_sets(name, f"fleet:services.{name}")
        )
        return tuple(sorted(sets, key=lambda one: one.name))

    @property
    def service_secrets(self) -> tuple[str, ...]:
        """The secrets that containers use."""
        return tuple(sorted({name for one in self.instance_sets for name in one.secrets.values()}))

    @functools.cached_property
    def certificate_contents(self) -> Mapping[str, Contents]:
        """What is in the certificates given as secrets, by name; once they are found right."""
        return {
            name: read(self.secrets[one.secret].get_secret_value())
            for name, one in self.certificates.items()
            if one.secret is not None
        }

    @property
    def public_admin_cidrs(self) -> tuple[IPv4Network, ...]:
        """Those that a firewall of storage or vault may name: traffic from private ranges never
        reaches it from outside, and Azure refuses to name them.
        https://learn.microsoft.com/azure/storage/common/storage-network-security#restrictions
        """
        return tuple(sorted(cidr for cidr in self.admin_cidrs if not is_private(cidr)))

    @property
    def core_subnet(self) -> IPv4Network:
        """The machines' subnet: the first /24 of the network, or its first half if that is /24."""
        prefix = max(CORE_SUBNET_PREFIX, self.vnet_cidr.prefixlen + 1)
        return next(self.vnet_cidr.subnets(new_prefix=prefix))

    @property
    def tcp_ports(self) -> tuple[int, ...]:
        """Every TCP port that services publish."""
        return tuple(sorted(port for one in self.instance_sets for port in one.tcp))

    @property
    def udp_ports(self) -> tuple[int, ...]:
        """Every UDP port that services publish."""
        return tuple(sorted(port for one in self.instance_sets for port in one.udp))

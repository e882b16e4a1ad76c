"""The keys of the stack's configuration: one field for each, with its description and default."""

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

# Azure needs at least a /29; this leaves room to replace five nodes together.
CORE_SUBNET_PREFIX = 24


class Settings(Section):
    """All keys of a stack's configuration, under `fleet:`."""

    location: Location = Field(description="The Azure region, like westeurope.")
    owner_tag: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        description="The person or team responsible for the stack: the tag `owner` of every "
        "resource.",
    )
    admin_cidrs: Annotated[tuple[AdminNetwork, ...], Field(min_length=1)] = Field(
        description="The IPv4 ranges that may reach SSH, storage and vault. Include the public "
        "address of the machine that runs `pulumi up`: it deploys over SSH, and uploads to storage "
        "and vault. Ranges must not overlap.",
    )
    nodes: Literal[1, 3, 5] = Field(
        default=3,
        description="The number of nodes. Three nodes survive the loss of one, five of two, one of "
        "none. You can add nodes later. A smaller number is refused, because etcd would still "
        "count the removed nodes.",
    )
    vm_size: str = Field(
        default="Standard_D2s_v5",
        description="The Azure size of a node. The size must have x86-64 processors and support "
        "premium disks (an `s` after the number of cores) over SCSI (`_v5` or older).",
    )
    zones: tuple[Literal["1", "2", "3"], ...] = Field(
        default=(),
        description='The availability zones to spread the nodes over, like `["1", "2", "3"]`. '
        "Without zones, Azure spreads the nodes over fault domains.",
    )
    vnet_cidr: PrivateNetwork = Field(
        default=IPv4Network("10.20.0.0/16"),
        description="The network's private range, /16 to /24. The nodes' subnet is the first /24.",
    )
    image_version: FlatcarVersion = Field(
        default="4593.2.5",
        description="The version of Flatcar Container Linux, from the channel stable.",
    )
    deployers: tuple[Guid, ...] = Field(
        default=(),
        description="Object ids (Entra ID) of the users and pipelines that run `pulumi up`, or of "
        "a group that contains them. Deployers may delete secrets. If the list is empty, only the "
        "identity that ran `pulumi up` last has this role, and Azure takes minutes to move it to "
        "another identity. Do not empty the list later.",
    )
    developers: tuple[Guid, ...] = Field(
        default=(),
        description="Object ids (Entra ID) of the users, groups and service principals that may "
        "push images to the registry.",
    )
    drain_seconds: Annotated[int, Field(ge=0, le=300)] = Field(
        default=10,
        description="Seconds that an instance keeps running after routers stop sending it "
        "requests. Open requests can end in that time. Then the instance gets SIGTERM, and 10 "
        "seconds later SIGKILL.",
    )
    protect: bool = Field(
        default=False,
        description="Refuse to delete storage, the vault and their resource group. Set it to true "
        "in production. `pulumi destroy` works only after you set it to false and run `pulumi up`.",
    )
    dns_label: DnsLabel | None = Field(
        default=None,
        description="The first label of the public DNS name, unique in the region. By default it "
        "is the stack's name and six more characters.",
    )
    subscription_id: Guid | None = Field(
        default=None, description="The Azure subscription; by default that of your Azure login."
    )
    ssh_private_key: SshPrivateKey | None = Field(
        default=None,
        description="The administrator's private SSH key: OpenSSH format, ed25519 or RSA, no "
        "passphrase. Set it with `--secret`. By default the stack generates one.",
    )
    secrets: Mapping[SecretName, SecretValue] = Field(
        default={},
        description="Secrets by name. Set a value with `pulumi config set --secret --path "
        "fleet:secrets.NAME VALUE`, and a file with `… --secret --raw --path fleet:secrets.NAME < "
        "FILE`: without `--raw` the file loses its last newline. Encode binary files as base64. "
        "The secrets that a service or certificate uses are stored in the stack's Key Vault. Plain "
        "text is refused, but a single plain value among encrypted ones can't be detected.",
    )
    certificates: Mapping[Name, Certificate] = Field(
        default={},
        description="TLS certificates by name. A certificate is used for the hosts that it names. "
        "All other hosts get the stack's self-signed certificate, which browsers do not trust.",
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
        """The contents of the certificates given as secrets, by name. They must be valid."""
        return {
            name: read(self.secrets[one.secret].get_secret_value())
            for name, one in self.certificates.items()
            if one.secret is not None
        }

    @property
    def public_admin_cidrs(self) -> tuple[IPv4Network, ...]:
        """The ranges for the firewalls of storage and vault. Azure refuses private ranges there.
        https://learn.microsoft.com/azure/storage/common/storage-network-security#restrictions
        """
        return tuple(sorted(cidr for cidr in self.admin_cidrs if not is_private(cidr)))

    @property
    def core_subnet(self) -> IPv4Network:
        """The nodes' subnet: the first /24 of the network, or the first half of a /24."""
        prefix = max(CORE_SUBNET_PREFIX, self.vnet_cidr.prefixlen + 1)
        return next(self.vnet_cidr.subnets(new_prefix=prefix))

    @property
    def tcp_ports(self) -> tuple[int, ...]:
        """The TCP ports that services publish."""
        return tuple(sorted(port for one in self.instance_sets for port in one.tcp))

    @property
    def udp_ports(self) -> tuple[int, ...]:
        """The UDP ports that services publish."""
        return tuple(sorted(port for one in self.instance_sets for port in one.udp))

"""Which of the administrators' ranges a firewall of storage or vault may name."""

from collections.abc import Iterable
from ipaddress import IPv4Network

# Private ranges never reach these firewalls from outside, and Azure refuses to name them:
# https://learn.microsoft.com/azure/storage/common/storage-network-security#restrictions
NOT_ROUTED = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))


def routed(admin_cidrs: Iterable[IPv4Network]) -> list[IPv4Network]:
    """The ranges that exist on the Internet, in a fixed order."""
    return sorted(
        cidr for cidr in admin_cidrs if not any(cidr.subnet_of(network) for network in NOT_ROUTED)
    )

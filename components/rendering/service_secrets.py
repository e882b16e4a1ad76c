"""The secrets of services and certificates: what the vault calls them, and who is told where.

A unit or a route names a secret and its version in the vault. Neither is secret; the value goes
into the vault and nowhere else.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import pulumi

from settings import Settings

T = TypeVar("T")


def service_secret(secret: str) -> str:
    """What the vault calls a secret of services, before Pulumi adds its digits."""
    return f"service-{secret}"


def certificate_secret(certificate: str) -> str:
    """What the vault calls a certificate."""
    return f"certificate-{certificate}"


def for_vault(settings: Settings) -> dict[str, pulumi.Output[str]]:
    """The values that are used, by what the vault calls them."""
    found = {service_secret(name): settings.secrets[name] for name in settings.service_secrets}
    for name, certificate in settings.certificates.items():
        if certificate.secret is not None:
            found[certificate_secret(name)] = settings.secrets[certificate.secret]
    return {name: pulumi.Output.secret(value.get_secret_value()) for name, value in found.items()}


def with_references(
    references: Mapping[str, pulumi.Output[str]],
    wanted: Mapping[str, str],
    request: Callable[[Mapping[str, str]], T],
) -> pulumi.Output[T]:
    """A request that says where the vault has something.

    `wanted` are the vault's names, by the names under which the request looks references up.
    """
    known = {own: references[name] for own, name in wanted.items()}
    if not known:
        return pulumi.Output.from_input(request({}))
    return pulumi.Output.all(**known).apply(request)

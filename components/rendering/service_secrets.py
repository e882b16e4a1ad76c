"""The secrets of services and certificates: their names in the vault, and references to them.

A unit or a route names a secret and its version in the vault. Name and version are not secret; the
value goes only into the vault.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import pulumi

from settings import Settings

T = TypeVar("T")


def service_secret(secret: str) -> str:
    """The vault's name of a service's secret, before Pulumi adds digits."""
    return f"service-{secret}"


def certificate_secret(certificate: str) -> str:
    """The vault's name of a certificate."""
    return f"certificate-{certificate}"


def for_vault(settings: Settings) -> dict[str, pulumi.Output[str]]:
    """The values of all secrets in use, by their names in the vault."""
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
    """A request that needs references to secrets.

    `wanted` maps the names that the request uses to the vault's names.
    """
    known = {own: references[name] for own, name in wanted.items()}
    if not known:
        return pulumi.Output.from_input(request({}))
    return pulumi.Output.all(**known).apply(request)

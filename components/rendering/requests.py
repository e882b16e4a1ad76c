"""What the program asks of the cluster about services, certificates and the platform. Pure."""

from collections.abc import Mapping, Sequence

from components.rendering.artefacts import Artefacts
from components.rendering.units import PLATFORM_UNITS, announce_unit, app_unit, platform_unit
from contract.certificate_source import CertificateSource
from contract.requests import ApplyService, Certificates, Platform, ServiceUnits, image_of
from contract.route import PublicPort, Route
from settings import Certificate, Health, InstanceSet

START_TIMEOUT = 120
"""Seconds in which a new instance must become healthy; otherwise its rollout fails."""
START_MARGIN = 60
"""Seconds in addition to those that a service's health settings need."""
KEPT_RELEASES = 3
"""How many older releases fleet keeps, inactive, for a quick rollback."""
PLATFORM_TIMEOUT = 300
"""Seconds in which a platform unit must start on a node."""


def platform_request(artefacts: Artefacts) -> Platform:
    hashes = artefacts.image_hashes()
    return Platform(
        images=hashes,
        units={name: platform_unit(name, hashes[image_of(name)]) for name in PLATFORM_UNITS},
        timeout=PLATFORM_TIMEOUT,
    )


def certificates_request(
    certificates: Mapping[str, Certificate],
    hosts: Mapping[str, Sequence[str]],
    references: Mapping[str, str],
) -> Certificates:
    """`hosts` and `references` exist only for certificates in the stack's vault."""

    def source(name: str, certificate: Certificate) -> CertificateSource:
        if certificate.key_vault_secret_id is not None:
            return CertificateSource(secret_id=certificate.key_vault_secret_id)
        secret, _, version = references[name].partition("/")
        return CertificateSource(secret=secret, version=version, hosts=tuple(hosts[name]))

    return Certificates(
        certificates={name: source(name, one) for name, one in certificates.items()}
    )


def apply_request(
    service: InstanceSet, drain_seconds: int, references: Mapping[str, str]
) -> ApplyService:
    """`references` has `name/version` of each of the service's secrets in the vault."""
    return ApplyService(
        name=service.name,
        image=service.image,
        instances=service.instances,
        route=route(service),
        units=ServiceUnits(
            app=app_unit(service, references), announce=announce_unit(service, drain_seconds)
        ),
        drain=drain_seconds,
        start_timeout=_start_timeout(service.health),
        keep=KEPT_RELEASES,
    )


def route(service: InstanceSet) -> Route:
    """How clients reach a service."""
    tcp, udp = (
        tuple(PublicPort(port=port) for port in ports) for ports in (service.tcp, service.udp)
    )
    http = service.http
    if http is None:
        return Route(tcp=tcp, udp=udp, customer=service.customer)
    return Route(
        hosts=tuple(sorted(http.hosts)),
        http=True,
        health=http.health,
        tcp=tcp,
        udp=udp,
        sticky=http.sticky,
        https_redirect=http.https_redirect,
        underscore_headers=http.underscore_headers,
        customer=service.customer,
    )


def _start_timeout(health: Health) -> int:
    """The start period, then the checks that must pass, with a margin."""
    checks = health.healthy_threshold * (health.interval + health.timeout)
    return max(START_TIMEOUT, health.start_period + checks + START_MARGIN)

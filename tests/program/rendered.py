"""Rendered files as the tests want them: one example of each, with values that are easy to spot."""

from components.rendering.cloud_config import rendered
from components.rendering.units import PLATFORM_UNITS, announce_unit, app_unit, platform_unit
from settings import Health, InstanceSet
from settings.service import Http, Limits

RELEASE = "0a1b2c3d"
IMAGE = f"localhost:5000/toktv/api@sha256:{'9' * 64}"

WEB = InstanceSet(
    name="api",
    path="fleet:services.api",
    image="toktv/api:1.4.2",
    instances=2,
    spread=True,
    http=Http(port=8080, hosts=("api.tok.tv",)),
    tcp=(),
    udp=(),
    env={"GREETING": 'say "hello", 100 % for $5 \\o/', "APP_ENV": "production"},
    limits=Limits(memory="512m", cpus=0.5),
)
VOICE = InstanceSet(
    name="voice",
    path="fleet:services.voice",
    image="toktv/voice:2.0",
    instances=2,
    spread=False,
    http=None,
    tcp=(64738,),
    udp=(64738, 64739),
    env={},
    limits=Limits(),
)
FULL = InstanceSet(
    name="lms-acme",
    path="fleet:services.lms.customers.acme",
    customer="acme",
    image="docebo/lms:7.1",
    instances=1,
    spread=True,
    http=Http.model_validate(
        {
            "hosts": ("acme.example",),
            "sticky": True,
            "httpsRedirect": True,
            "underscoreHeaders": True,
        }
    ),
    tcp=(),
    udp=(),
    health=Health.model_validate(
        {"command": 'php -r "exit((int) !up($x));" && echo 100 %', "startPeriod": 90}
    ),
    env={},
    secrets={"DB_PASSWORD": "acme-password", "KEY": "key"},
    tmpfs=("/tmp:64m", "/var/cache/lms:1g"),
    limits=Limits(memory="2g"),
)
REFERENCES = {
    "acme-password": "service-acme-password-1a2b3c/0123456789abcdef0123456789abcdef",
    "key": "service-key-4d5e6f/fedcba9876543210fedcba9876543210",
}
"""Where the vault has its secrets."""


def cloud_config() -> str:
    return rendered(
        cluster_name="fleet-dev",
        cluster_size=3,
        identity_client_id="11111111-2222-3333-4444-555555555555",
        artefacts_url="https://fleetartefact12345678.blob.core.windows.net/nodes",
        bundle_blob="bundle-bbbbbbbbbbbb.tar.gz",
        bundle_sha256="b" * 64,
        cluster_image_sha256="c" * 64,
        data_account="fleetdata12345678",
        vault_url="https://fleet12345678.vault.azure.net",
    )


def fleet_units() -> dict[str, str]:
    """Units as fleet gets them, by file name: two instances of everything that has instances."""
    units = {f"{name}-{RELEASE}.service": platform_unit(name, "a" * 64) for name in PLATFORM_UNITS}
    for service in (WEB, VOICE, FULL):
        for number in (1, 2):
            units[f"{service.name}-{RELEASE}@{number}.service"] = app_unit(service, REFERENCES)
            units[f"{service.name}-{RELEASE}-announce@{number}.service"] = announce_unit(
                service, drain_seconds=10
            )
    return {
        name: text.replace("__RELEASE__", RELEASE).replace("__IMAGE__", IMAGE)
        for name, text in units.items()
    }

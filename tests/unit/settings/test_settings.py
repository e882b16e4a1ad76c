"""The allowed values of each key, and the messages of refusals."""

import copy
import ipaddress
from typing import Any

import pytest

from tests.program.fixtures import Config
from tests.program.judging import accepted, refused

MISSING = object()


def with_value(config: Config, path: str, value: object) -> Config:
    """A copy with another value at the dotted path; `MISSING` removes the key."""
    changed = copy.deepcopy(config)
    *parents, last = path.split(".")
    place: Any = changed
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place.setdefault(parent, {})
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    return changed


# path, value, a part of the refusal after "fleet:<path> = <value>: "
REFUSALS = [
    ("location", "West Europe", "must be an Azure region, like westeurope"),
    ("ownerTag", "", "must not be empty"),
    ("adminCidrs", [], "must not be empty"),
    ("nodes", 0, "must be 1, 3 or 5"),
    ("nodes", 2, "must be 1, 3 or 5"),
    ("nodes", 4, "must be 1, 3 or 5"),
    ("nodes", 7, "must be 1, 3 or 5"),
    ("nodes", "3", "must be 1, 3 or 5"),
    ("vmSize", "Standard_D2_v5", "must be a size that supports premium disks over SCSI"),
    ("vmSize", "Standard_D2s_v6", "must be a size that supports premium disks over SCSI"),
    ("vmSize", "Standard_D2ps_v5", "without a p (ARM processors)"),
    ("vmSize", "big", "must be a size that supports premium disks over SCSI"),
    ("vnetCidr", "10.20.0.1/16", "must be an IPv4 range without host bits"),
    ("vnetCidr", "fd00::/64", "must be an IPv4 range without host bits"),
    ("vnetCidr", "8.8.0.0/16", "must be a private IPv4 range from /16 to /24"),
    ("vnetCidr", "127.0.0.0/16", "must be a private IPv4 range from /16 to /24"),
    ("vnetCidr", "169.254.0.0/16", "must be a private IPv4 range from /16 to /24"),
    ("vnetCidr", "198.18.0.0/16", "must be a private IPv4 range from /16 to /24"),
    ("vnetCidr", "10.0.0.0/8", "must be a private IPv4 range from /16 to /24"),
    ("vnetCidr", "10.20.0.0/28", "must be a private IPv4 range from /16 to /24"),
    ("vnetCidr", "172.17.0.0/24", "must not overlap 172.17.0.0/16, which docker uses"),
    ("imageVersion", "latest", "must be a pinned Flatcar version, like 4593.2.5"),
    ("drainSeconds", -1, "must be greater than or equal to 0"),
    ("drainSeconds", 301, "must be less than or equal to 300"),
    ("protect", "yes", "must be true or false"),
    ("dnsLabel", "-x", "must be 3 to 63 lower-case letters, digits and hyphens"),
    ("subscriptionId", "mine", "must be a GUID in lower case with hyphens"),
    ("services.hello.image", "example-app", "must have a tag"),
    ("services.hello.image", "example-app:latest", "must name a version"),
    ("services.hello.image", "docker.io/x/app:1", "must not name a registry"),
    ("services.hello.image", "localhost:5000/app:1", "must not name a registry"),
    ("services.hello.image", "Example/App:1", "must be repository:tag in lower case"),
    (
        "services.hello.image",
        "app:1@sha256:00",
        "must be repository:tag in lower case, like toktv/api:1.4.2, without a digest",
    ),
    ("services.hello.instances", 0, "must be greater than or equal to 1"),
    ("services.hello.instances", -1, "must be greater than or equal to 1"),
    ("services.hello.instances", "2", "must be a whole number"),
    ("services.hello.instances", 1.5, "must be a whole number"),
    ("services.hello.instances", 4, "must be at most 3, the number of nodes, because spread"),
    ("services.hello.http.port", 0, "must be greater than or equal to 1"),
    ("services.hello.http.port", -80, "must be greater than or equal to 1"),
    ("services.hello.http.port", 65536, "must be less than or equal to 65535"),
    ("services.hello.http.health", "health", "must be a path, like /health"),
    ("services.hello.http.health", "/a b", "must be a path, like /health"),
    ("services.hello.http.health", "/$x;", "must be a path, like /health"),
    ("services.hello.limits.memory", "512", "must be a whole number followed by m or g"),
    ("services.hello.limits.memory", "512mb", "must be a whole number followed by m or g"),
    ("services.hello.limits.memory", "0.5g", "must be a whole number followed by m or g"),
    ("services.hello.limits.memory", "4m", "must be a whole number followed by m or g"),
    ("services.hello.limits.cpus", "half", "must be a number"),
    ("services.hello.limits.cpus", 0, "must be greater than or equal to 0.05"),
    ("services.hello.limits.cpus", 3.0, "must be at most 2, the cores of Standard_D2s_v5"),
    ("services.hello.env.PORT", 80, "must be text"),
    ("services.hello.env.DEBUG", True, "must be text"),
    ("services.hello.env.TEXT", "two\nlines", "must be one line without control characters"),
    ("services.hello.env.TEXT", "two\u2028lines", "must be one line without control characters"),
    ("services.hello.env.TEXT", "x" * 901, "must be at most 900 bytes, not 901. Put longer text"),
    ("services.hello.env.TEXT", "ü" * 451, "must be at most 900 bytes, not 902"),
    ("services.hello.env.TEXT", "a\tb", "units can't contain them. Put longer text into fleet:sec"),
    ("services.hello.env.TEXT", "line\n", "can't contain them, not even a newline at the end"),
    ("services.hello.env.TEXT", None, "must be text"),
    ("services.hello.health.command", "x" * 901, "Put a longer command into a script in the image"),
    ("services.hello.command", ["worker"], "is not supported: a container runs the command of its"),
    ("services.hello.entrypoint", "x", "build a second image FROM the first, with another CMD"),
    ("services.hello.stopTimeout", 30, "a container has 10 seconds between SIGTERM and SIGKILL"),
    ("services.hello.shmSize", "1g", "is not supported: /dev/shm has docker's default size, 64 MB"),
    ("services.hello.user", "1000", "is not supported: a container runs as the USER of its image"),
    ("services.hello.http.path", "/api", "is not supported: all paths of a host lead to one serv"),
    ("services.hello.volumes", ["/data"], "is not supported: an instance may move to another node"),
    ("services.hello.http.sticky", "yes", "must be true or false"),
    ("services.hello.http.httpsRedirect", 1, "must be true or false"),
    ("services.hello.health", {"http": "/up", "tcp": 80}, "can have only one of http, tcp and"),
    ("services.hello.health.http", "up", "must be a path, like /health"),
    ("services.hello.health.tcp", -1, "must be greater than or equal to 1"),
    ("services.hello.health.command", "", "must not be empty"),
    ("services.hello.health.command", "a\nb", "must be one line without control characters"),
    ("services.hello.health.command", ["true"], "must be text"),
    ("services.hello.health.startPeriod", -1, "must be greater than or equal to 0"),
    ("services.hello.health.startPeriod", 601, "must be less than or equal to 600"),
    ("services.hello.health.interval", 0, "must be greater than or equal to 1"),
    ("services.hello.health.interval", 7, "must be less than or equal to 6"),
    ("services.hello.health.timeout", 0.5, "must be a whole number"),
    ("services.hello.health.timeout", 7, "must be less than or equal to 6"),
    ("services.hello.health.healthyThreshold", 0, "must be greater than or equal to 1"),
    ("services.hello.health.unhealthyThreshold", 21, "must be less than or equal to 20"),
    ("services.hello.tmpfs", "/tmp:64m", "must be a list"),
    ("services.hello.tmpfs", ["/tmp:256m"], "must be smaller than limits.memory (256m)"),
    ("services.hello.secrets.PASSWORD", "Bad_Name", "must be 1 to 60 lower-case letters"),
    ("services.hello.secrets.PASSWORD", 1, "must be text"),
    ("certificates.web", {}, "must set either secret or keyVaultSecretId"),
    (
        "certificates.web",
        {"secret": "a", "keyVaultSecretId": "https://vault.vault.azure.net/secrets/a"},
        "must set either secret or keyVaultSecretId",
    ),
    ("certificates.web.keyVaultSecretId", "my-vault/web", "must be a secret's identifier without"),
    (
        "certificates.web.keyVaultSecretId",
        "https://vault.vault.azure.net/secrets/web/0123456789abcdef",
        "must be a secret's identifier without a version",
    ),
]


@pytest.mark.parametrize(("path", "value", "message"), REFUSALS)
def test_a_bad_value_is_refused_with_its_path_and_what_is_allowed(
    config: Config, path: str, value: object, message: str
) -> None:
    (problem,) = refused(with_value(config, path, value))

    assert problem.startswith(f"fleet:{path} = ")
    assert message in problem


@pytest.mark.parametrize(
    ("path", "value", "reported", "message"),
    [
        ("adminCidrs", ["0.0.0.0/0"], "adminCidrs[0]", "SSH is never open to the whole Internet"),
        ("adminCidrs", ["1.2.3.4/24"], "adminCidrs[0]", "without host bits"),
        ("adminCidrs", ["1.2.3.4/31"], "adminCidrs[0]", "must not be a /31"),
        ("adminCidrs", ["1.2.3.4/32", "1.2.3.4/32"], "adminCidrs", "must not overlap"),
        (
            "adminCidrs",
            ["203.0.113.0/24", "203.0.113.7/32"],
            'adminCidrs = "203.0.113.7/32"',
            "must not overlap 203.0.113.0/24",
        ),
        ("adminCidrs", ["10.8.0.0/16"], 'adminCidrs = "10.8.0.0/16"', "must include a public"),
        ("zones", ["1", "4"], "zones[1]", "must be '1', '2' or '3'"),
        ("zones", ["1", "1"], "zones", "must not be given twice"),
        ("developers", ["me"], "developers[0]", "must be a GUID in lower case"),
        ("services.hello.http.hosts", ["A.example"], "services.hello.http.hosts[0]", "DNS name"),
        ("services.hello.http.hosts", ["*.example"], "services.hello.http.hosts[0]", "DNS name"),
        ("services.hello.http.hosts", ["a..b"], "services.hello.http.hosts[0]", "DNS name"),
        ("services.hello.http.hosts", "a.b", "services.hello.http.hosts", "must be a list"),
        ("services.hello.env", {"1X": "a"}, "services.hello.env.1X", "not starting with a digit"),
        ("services.hello.tcp", [{"port": 22}], "services.hello.tcp", "is the port of SSH"),
        ("services.hello.tcp", [{"port": 443}], "services.hello.tcp", "is the port of the router"),
        ("services.hello.tcp", [{"port": 2379}], "services.hello.tcp", "is the port of etcd"),
        ("services.hello.tcp", [{"port": 5000}], "services.hello.tcp", "of the registry"),
        ("services.hello.tcp", [{"port": 50022}], "services.hello.tcp", "nodes give these"),
        ("services.hello.udp", [{"port": 53}], "services.hello.udp", "of the resolver"),
        ("services.hello.tcp", [{"port": -1}], "services.hello.tcp[0].port", "greater than"),
        ("services.hello.tcp", [{"port": 65535}], "services.hello.tcp[0].port", "less than"),
        (
            "services.hello.tcp",
            [{"port": 7000}, {"port": 7000}],
            "services.hello.tcp = 7000",
            "must not be given twice",
        ),
        (
            "services.hello.http.hosts",
            ["a.example", "a.example"],
            'services.hello.http.hosts = "a.example"',
            "must not be given twice",
        ),
        ("services.hello.tcp", [{}], "services.hello.tcp[0].port", "is missing"),
        ("services.hello.tmpfs", ["tmp:64m"], "services.hello.tmpfs[0]", "like /tmp:64m"),
        ("services.hello.tmpfs", ["/tmp"], "services.hello.tmpfs[0]", "like /tmp:64m"),
        ("services.hello.tmpfs", ["/tmp:0m"], "services.hello.tmpfs[0]", "like /tmp:64m"),
        ("services.hello.tmpfs", ["/:1m"], "services.hello.tmpfs[0]", "like /tmp:64m"),
        ("services.hello.tmpfs", ["/a,exec:1m"], "services.hello.tmpfs[0]", "like /tmp:64m"),
        ("services.hello.tmpfs", ["/a/../etc:1m"], "services.hello.tmpfs[0]", "must not have . or"),
        ("services.hello.tmpfs", ["/proc/x:1m"], "services.hello.tmpfs[0]", "must not be in"),
        ("services.hello.tmpfs", ["/dev/shm:256m"], "services.hello.tmpfs[0]", "Chromium: --dis"),
        ("services.hello.tmpfs", ["/run/secrets:1m"], "services.hello.tmpfs[0]", "not be in"),
        ("services.hello.tmpfs", ["/a:1m", "/a:2m"], "services.hello.tmpfs", "not be given twice"),
        (
            "services.hello.customers",
            {"acme": {"hosts": ["a.b"], "volumes": ["/data"]}},
            "services.hello.customers.acme.volumes",
            "is not supported: an instance may move to another node",
        ),
        (
            "services.hello.customers",
            {"acme": {"hosts": ["a.b"], "env": {"KEY": "two\nlines"}}},
            "services.hello.customers.acme.env.KEY",
            "Put longer text into fleet:secrets, which become files",
        ),
        ("services.hello.secrets", {"1X": "a"}, "services.hello.secrets.1X", "with a digit"),
    ],
)
def test_a_bad_value_inside_a_list_or_map_is_refused_with_its_place(
    config: Config, path: str, value: object, reported: str, message: str
) -> None:
    (problem,) = refused(with_value(config, path, value))

    assert problem.startswith(f"fleet:{reported}")
    assert message in problem


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("bogus", "adminCidrs, certificates, deployers"),
        ("services.hello.htpp", "customers, env, health, http"),
        (
            "services.hello.http.hots",
            "health, hosts, httpsRedirect, port, sticky, underscoreHeaders",
        ),
        ("services.hello.health.path", "command, healthyThreshold, http"),
        ("certificates.a.pem", "keyVaultSecretId, secret"),
        ("services.hello.limits.disk", "cpus, memory"),
    ],
)
def test_an_unknown_key_is_refused_with_the_allowed_keys(
    config: Config, path: str, allowed: str
) -> None:
    (problem,) = refused(with_value(config, path, "x"))

    assert problem.startswith(f"fleet:{path}: unknown key; allowed are {allowed}")


@pytest.mark.parametrize("path", ["location", "ownerTag", "adminCidrs", "services.hello.image"])
def test_a_required_key_that_is_missing_is_named(config: Config, path: str) -> None:
    assert refused(with_value(config, path, MISSING)) == [f"fleet:{path}: is missing"]


def test_all_problems_are_reported_together(config: Config) -> None:
    config |= {"nodes": 2, "location": "", "bogus": 1}
    config["services"]["hello"] |= {"instances": 0, "image": "x"}

    assert len(refused(config)) == 5


def test_the_nodes_subnet_is_the_first_part_of_the_network(config: Config) -> None:
    config["vnetCidr"] = "10.30.0.0/16"
    assert accepted(config).core_subnet == ipaddress.IPv4Network("10.30.0.0/24")

    config["vnetCidr"] = "10.30.0.0/24"
    assert accepted(config).core_subnet == ipaddress.IPv4Network("10.30.0.0/25")


DATE = "2024-11-05 00:00:00 +0000 UTC"
"""What Pulumi makes of 2024-11-05 without quotes."""


@pytest.mark.parametrize(
    "path",
    [
        "ownerTag",
        "location",
        "services.hello.image",
        "services.hello.env.CUTOFF",
        "services.hello.customers.acme.env.CUTOFF",
        "services.hello.health.command",
        "services.hello.limits.memory",
        "certificates.web.secret",
        "bogus",
    ],
)
def test_a_date_without_quotes_is_refused_in_every_key(config: Config, path: str) -> None:
    config["services"]["hello"]["customers"] = {"acme": {"hosts": ["a.example"]}}

    (problem,) = refused(with_value(config, path, DATE))

    assert problem == (
        f'fleet:{path} = "{DATE}": is a date, which YAML has changed into this text. Put the text '
        'that you want in double quotes, like "2024-11-05". (The stack\'s file does not have the '
        "text in this place, or can't be read; then text of this form is refused even in quotes)"
    )


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("services.hello.http.hosts", ["a.example", DATE], "services.hello.http.hosts[1]"),
        ("services.hello.env", {DATE: "x"}, f"services.hello.env.{DATE}"),
        ("zones", [DATE], "zones[0]"),
    ],
)
def test_a_date_in_a_list_or_as_a_key_is_refused(
    config: Config, path: str, value: object, place: str
) -> None:
    (problem,) = refused(with_value(config, path, value))

    assert problem.startswith(f'fleet:{place} = "{DATE}": is a date')


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("2024-11-05 10:00:00 +0000 UTC", "2024-11-05T10:00:00Z"),
        ("2001-12-14 21:59:43.1 -0500 -0500", "2001-12-14T21:59:43.1-05:00"),
        ("2024-06-05 10:00:00 +0200 CEST", "2024-06-05T10:00:00+02:00"),
        ("2024-06-05 10:00:00 +0530 +0530", "2024-06-05T10:00:00+05:30"),
    ],
)
def test_a_time_is_refused_with_how_to_write_it(config: Config, text: str, advice: str) -> None:
    (problem,) = refused(with_value(config, "services.hello.env.CUTOFF", text))

    assert f'like "{advice}"' in problem


@pytest.mark.parametrize(
    "text", ["2024-11-05", "2024-11-05T10:00:00Z", "2024-11-05 10:00:00", f"from {DATE}", "12:30"]
)
def test_a_date_in_quotes_is_text(config: Config, text: str) -> None:
    settings = accepted(with_value(config, "services.hello.env.CUTOFF", text))

    assert settings.instance_sets[0].env["CUTOFF"] == text


def test_a_secret_that_is_a_date_is_accepted_and_not_shown(config: Config) -> None:
    accepted(config | {"secrets": {"born": DATE}})


@pytest.mark.parametrize(
    ("host", "advice"),
    [
        ("Shop.example", ": write shop.example"),
        ("bücher.example", ": write xn--bcher-kva.example"),
        ("BÜCHER.example", ": write xn--bcher-kva.example"),
        ("магазин.example", ": write xn--80aairftm.example"),
        # IDNA 2003 and 2008 differ
        ("straße.example", ": write its form in ASCII, which starts with xn--"),
        ("*.shop.example", ". Routers can't match wildcards: name each host, or omit `hosts`"),
        ("my_app.example", ": host names can't contain _"),
        ("http://shop.example", ""),
        ("shop.example:80", ""),
        ("shop.example.", ""),
        ("x" * 64 + ".example", ""),
        ("", ""),
    ],
)
def test_a_host_that_routers_can_not_match_is_refused_with_advice(
    config: Config, host: str, advice: str
) -> None:
    (problem,) = refused(with_value(config, "services.hello.http.hosts", [host]))

    words = "must be a DNS name in lower case, like api.tok.tv"
    assert f'fleet:services.hello.http.hosts[0] = "{host}": {words}{advice}' in problem
    assert problem.endswith("like api.tok.tv") == (not advice)

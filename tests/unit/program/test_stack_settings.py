"""What the configuration may hold, and how every refusal reads."""

import copy
import ipaddress
from typing import Any

import pulumi
import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pulumi.runtime import set_all_config

from components.credentials import new_ssh_key
from settings import Settings, SettingsError, load
from settings.documentation import EXAMPLE, page, project_schema
from settings.load import parse
from tests.unit.program.conftest import Config
from tests.unit.program.recorded_stack import PROJECT


def accepted(config: Config) -> Settings:
    settings, problems = parse(config)
    assert settings is not None, problems
    assert problems == []
    return settings


def refused(config: Config) -> list[str]:
    _, problems = parse(config)
    return [str(problem) for problem in problems]


def with_value(config: Config, path: str, value: object) -> Config:
    """A copy in which the dotted path has another value; `None` takes the key away."""
    changed = copy.deepcopy(config)
    *parents, last = path.split(".")
    place: Any = changed
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place.setdefault(parent, {})
    if value is None:
        del place[last]
    else:
        place[last] = value
    return changed


# path, value, what the refusal must say after "fleet:<path> = <value>: "
REFUSALS = [
    ("location", "West Europe", "must be an Azure region, like westeurope"),
    ("ownerTag", "", "text should have at least 1 character"),
    ("adminCidrs", [], "must not be empty"),
    ("nodes", 0, "must be 1, 3 or 5"),
    ("nodes", 2, "must be 1, 3 or 5"),
    ("nodes", 4, "must be 1, 3 or 5"),
    ("nodes", 7, "must be 1, 3 or 5"),
    ("nodes", "3", "must be 1, 3 or 5"),
    ("vmSize", "Standard_D2_v5", "must be a size that takes premium disks over SCSI"),
    ("vmSize", "Standard_D2s_v6", "must be a size that takes premium disks over SCSI"),
    ("vmSize", "big", "must be a size that takes premium disks over SCSI"),
    ("vnetCidr", "10.20.0.1/16", "must be an IPv4 range without host bits"),
    ("vnetCidr", "fd00::/64", "must be an IPv4 range without host bits"),
    ("vnetCidr", "8.8.0.0/16", "must be a private IPv4 range from /16 to /24"),
    ("vnetCidr", "10.0.0.0/8", "must be a private IPv4 range from /16 to /24"),
    ("vnetCidr", "10.20.0.0/28", "must be a private IPv4 range from /16 to /24"),
    ("vnetCidr", "172.17.0.0/24", "must not overlap 172.17.0.0/16, which docker uses"),
    ("imageVersion", "latest", "must be a pinned Flatcar version, like 4593.2.5"),
    ("drainSeconds", -1, "must be greater than or equal to 0"),
    ("drainSeconds", 301, "must be less than or equal to 300"),
    ("protect", "yes", "must be a valid boolean"),
    ("dnsLabel", "-x", "must be 3 to 63 lower-case letters, digits and hyphens"),
    ("subscriptionId", "mine", "must be a GUID in lower case with hyphens"),
    ("services.hello.image", "example-app", "must have a tag"),
    ("services.hello.image", "example-app:latest", "must name a version"),
    ("services.hello.image", "docker.io/x/app:1", "must not name a registry"),
    ("services.hello.image", "localhost:5000/app:1", "must not name a registry"),
    ("services.hello.image", "Example/App:1", "must be repository:tag in lower case"),
    ("services.hello.image", "app:1@sha256:00", "must be repository:tag in lower case"),
    ("services.hello.instances", 0, "must be greater than or equal to 1"),
    ("services.hello.instances", -1, "must be greater than or equal to 1"),
    ("services.hello.instances", "2", "must be a valid integer"),
    ("services.hello.instances", 1.5, "must be a valid integer"),
    ("services.hello.instances", 4, "must be at most 3, the number of machines, while spread"),
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
    ("services.hello.limits.cpus", "half", "must be a valid number"),
    ("services.hello.limits.cpus", 0, "must be greater than or equal to 0.05"),
    ("services.hello.limits.cpus", 3.0, "must be at most 2, the cores of Standard_D2s_v5"),
    ("services.hello.env.PORT", 80, "must be a valid string"),
    ("services.hello.env.DEBUG", True, "must be a valid string"),
    ("services.hello.env.TEXT", "two\nlines", "must be one line without control characters"),
    ("services.hello.env.TEXT", "two\u2028lines", "must be one line without control characters"),
    ("services.hello.env.TEXT", "x" * 901, "must be at most 900 bytes"),
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
        ("adminCidrs", ["1.2.3.4/32", "1.2.3.4/32"], "adminCidrs", "must not be given twice"),
        ("zones", ["1", "4"], "zones[1]", "must be '1', '2' or '3'"),
        ("zones", ["1", "1"], "zones", "must not be given twice"),
        ("developers", ["me"], "developers[0]", "must be a GUID in lower case"),
        ("services.hello.http.hosts", ["A.example"], "services.hello.http.hosts[0]", "DNS name"),
        ("services.hello.http.hosts", ["*.example"], "services.hello.http.hosts[0]", "DNS name"),
        ("services.hello.http.hosts", ["a..b"], "services.hello.http.hosts[0]", "DNS name"),
        ("services.hello.http.hosts", "a.b", "services.hello.http.hosts", "valid tuple"),
        ("services.hello.env", {"1X": "a"}, "services.hello.env.1X", "not starting with a digit"),
        ("services.hello.tcp", [{"port": 22}], "services.hello.tcp", "is the port of SSH"),
        ("services.hello.tcp", [{"port": 443}], "services.hello.tcp", "is the port of the router"),
        ("services.hello.tcp", [{"port": 2379}], "services.hello.tcp", "is the port of etcd"),
        ("services.hello.tcp", [{"port": 5000}], "services.hello.tcp", "of the registry"),
        ("services.hello.tcp", [{"port": 50022}], "services.hello.tcp", "docker gives these"),
        ("services.hello.udp", [{"port": 53}], "services.hello.udp", "of the resolver"),
        ("services.hello.tcp", [{"port": -1}], "services.hello.tcp[0].port", "greater than"),
        ("services.hello.tcp", [{}], "services.hello.tcp[0].port", "is missing"),
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
        ("bogus", "adminCidrs, developers"),
        ("services.hello.htpp", "customers, env, http"),
        ("services.hello.http.hots", "health, hosts, port"),
        ("services.hello.limits.disk", "cpus, memory"),
        ("services.hello.volumes", "customers, env, http"),
    ],
)
def test_an_unknown_key_is_refused_with_those_that_are_known(
    config: Config, path: str, allowed: str
) -> None:
    (problem,) = refused(with_value(config, path, "x"))

    assert problem.startswith(f"fleet:{path}: unknown key; allowed are {allowed}")


@pytest.mark.parametrize("path", ["location", "ownerTag", "adminCidrs", "services.hello.image"])
def test_a_required_key_that_is_missing_is_named(config: Config, path: str) -> None:
    assert refused(with_value(config, path, None)) == [f"fleet:{path}: is missing"]


@pytest.mark.parametrize("name", ["Hello", "1hello", "hello-", "a_b", "a.b", "x" * 31, ""])
def test_a_service_name_that_breaks_unit_names_is_refused(config: Config, name: str) -> None:
    config["services"] = {name: config["services"]["hello"]}

    (problem,) = refused(config)

    assert f"fleet:services.{name} = " in problem
    assert "must be 1 to 30 lower-case letters, digits and hyphens" in problem


def test_the_platforms_own_names_are_taken(config: Config) -> None:
    config["services"] = {"router": config["services"]["hello"]}

    (problem,) = refused(config)

    assert problem.startswith("fleet:services.router: must not be called one of")


def test_a_service_that_nobody_could_reach_is_refused(config: Config) -> None:
    del config["services"]["hello"]["http"]

    assert refused(config) == [
        "fleet:services.hello: must have http, tcp or udp: it could not be reached"
    ]


def test_a_host_is_claimed_once(config: Config) -> None:
    config["services"] |= {
        "one": {"image": "a:1", "http": {"hosts": ["a.example", "b.example"]}},
        "two": {"image": "a:1", "http": {"hosts": ["b.example"]}},
    }

    assert refused(config) == [
        "fleet:services.two.http.hosts: "
        "the host b.example is claimed by fleet:services.one.http.hosts already"
    ]


def test_a_host_is_claimed_once_among_customers_and_services(config: Config) -> None:
    config["services"] |= {
        "lms": {
            "image": "a:1",
            "http": {},
            "customers": {"acme": {"hosts": ["a.example"]}, "globex": {"hosts": ["a.example"]}},
        },
    }

    assert refused(config) == [
        "fleet:services.lms.customers.globex.hosts: "
        "the host a.example is claimed by fleet:services.lms.customers.acme.hosts already"
    ]


def test_there_is_one_default_site(config: Config) -> None:
    config["services"]["other"] = {"image": "a:1", "http": {}}

    (problem,) = refused(config)

    assert problem.startswith("fleet:services.other.http.hosts: is missing; only one service")


def test_a_public_port_is_claimed_once_per_protocol(config: Config, voice: Config) -> None:
    config["services"] |= {"voice": voice, "other": {"image": "a:1", "tcp": [{"port": 64738}]}}

    assert refused(config) == [
        "fleet:services.voice.tcp: the tcp port 64738 is claimed by fleet:services.other.tcp already"
    ]


def test_the_same_port_is_free_for_the_other_protocol(config: Config, voice: Config) -> None:
    config["services"]["voice"] = voice

    settings = accepted(config)

    assert settings.tcp_ports == (64738,)
    assert settings.udp_ports == (64738, 64739)


def test_more_instances_than_machines_are_fine_without_spread(config: Config) -> None:
    config["services"]["hello"] |= {"instances": 9, "spread": False}

    assert accepted(config).instance_sets[0].instances == 9


def test_past_what_fleet_carries_another_stack_is_advised(config: Config) -> None:
    config["services"]["hello"] |= {"instances": 240, "spread": False}
    config["services"]["more"] = {
        "image": "a:1",
        "instances": 7,
        "spread": False,
        "http": {"hosts": ["a.b"]},
    }
    assert accepted(config)

    config["services"]["more"]["instances"] = 8

    (problem,) = refused(config)
    assert "needs 502 units" in problem
    assert "into another stack (a cell)" in problem


def test_customers_lay_their_own_values_over_the_services(config: Config) -> None:
    config["services"] = {
        "lms": {
            "image": "docebo/lms:7.1",
            "http": {"port": 80, "health": "/up"},
            "env": {"THEME": "plain", "MODE": "live"},
            "limits": {"memory": "1g"},
            "customers": {
                "acme": {
                    "hosts": ["acme.example"],
                    "instances": 2,
                    "env": {"THEME": "acme"},
                    "limits": {"cpus": 0.5},
                },
                "globex": {"hosts": ["learn.example"], "image": "docebo/lms:7.0"},
            },
        }
    }

    acme, globex = accepted(config).instance_sets

    assert (acme.name, globex.name) == ("lms-acme", "lms-globex")
    assert (acme.image, globex.image) == ("docebo/lms:7.1", "docebo/lms:7.0")
    assert (acme.instances, globex.instances) == (2, 1)
    assert acme.env == {"THEME": "acme", "MODE": "live"}
    assert (acme.limits.memory, acme.limits.cpus) == ("1g", 0.5)
    assert acme.http
    assert (acme.http.hosts, acme.http.health) == (("acme.example",), "/up")
    assert globex.limits.cpus == 1.0


def test_customers_and_published_ports_do_not_go_together(config: Config) -> None:
    config["services"]["hello"] |= {
        "tcp": [{"port": 7000}],
        "customers": {"acme": {"hosts": ["a.example"]}},
    }

    (problem,) = refused(config)

    assert "must have either customers or tcp and udp" in problem


def test_a_customer_needs_hosts_of_its_own(config: Config) -> None:
    config["services"]["hello"]["customers"] = {"acme": {"hosts": []}}

    assert refused(config) == ["fleet:services.hello.customers.acme.hosts = []: must not be empty"]


def test_two_ways_to_the_same_unit_names_are_refused(config: Config) -> None:
    customers = {"b-c": {"hosts": ["one.example"]}}
    config["services"] = {
        "a": {"image": "x:1", "http": {}, "customers": customers},
        "a-b": {"image": "x:1", "http": {}, "customers": {"c": {"hosts": ["two.example"]}}},
    }

    (problem,) = refused(config)

    assert "would be called a-b-c, as fleet:services.a.customers.b-c is" in problem


def test_all_problems_are_reported_at_once(config: Config) -> None:
    config |= {"nodes": 2, "location": "", "bogus": 1}
    config["services"]["hello"] |= {"instances": 0, "image": "x"}

    assert len(refused(config)) == 5


def test_the_machines_subnet_is_the_first_part_of_the_network(config: Config) -> None:
    config["vnetCidr"] = "10.30.0.0/16"
    assert accepted(config).core_subnet == ipaddress.IPv4Network("10.30.0.0/24")

    config["vnetCidr"] = "10.30.0.0/24"
    assert accepted(config).core_subnet == ipaddress.IPv4Network("10.30.0.0/25")


class TestSshKey:
    def test_ed25519_and_strong_rsa_are_taken(self, config: Config) -> None:
        accepted(config | {"sshPrivateKey": new_ssh_key("x")[0]})
        accepted(config | {"sshPrivateKey": _openssh(rsa.generate_private_key(65537, 2048))})

    @pytest.mark.parametrize(
        "key",
        [
            "no key",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nMARKER\n-----END OPENSSH PRIVATE KEY-----",
        ],
    )
    def test_anything_else_is_refused_without_showing_it(self, config: Config, key: str) -> None:
        (problem,) = refused(config | {"sshPrivateKey": key})

        assert problem == (
            "fleet:sshPrivateKey: must be an OpenSSH private key without passphrase: ed25519, or "
            "RSA from 2,048 bits"
        )

    def test_key_types_that_azure_refuses_are_refused(self, config: Config) -> None:
        (problem,) = refused(
            config | {"sshPrivateKey": _openssh(ec.generate_private_key(ec.SECP256R1()))}
        )

        assert "BEGIN" not in problem

    def test_it_is_not_shown_by_accident(self, config: Config) -> None:
        key = new_ssh_key("x")[0]

        assert key.splitlines()[1] not in repr(accepted(config | {"sshPrivateKey": key}))


class TestLoad:
    """Reading from Pulumi, where every value is text."""

    @pytest.fixture(autouse=True)
    def _stack(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pulumi, "get_project", lambda: "fleet")
        monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")

    BASE = {
        "fleet:location": "westeurope",
        "fleet:ownerTag": "12",
        "fleet:adminCidrs": '["1.2.3.4/32"]',
    }

    def test_values_come_back_with_their_types(self) -> None:
        set_all_config({**self.BASE, "fleet:nodes": "5", "fleet:protect": "true"})

        settings = load()

        assert (settings.nodes, settings.protect, settings.owner_tag) == (5, True, "12")

    def test_what_is_no_value_of_the_wanted_type_is_told_as_it_was_written(self) -> None:
        set_all_config({**self.BASE, "fleet:nodes": "three"})

        with pytest.raises(SettingsError, match='fleet:nodes = "three": must be 1, 3 or 5'):
            load()

    def test_keys_of_others_are_none_of_our_business(self) -> None:
        set_all_config({**self.BASE, "azure-native:location": "x"})

        load()

    def test_the_error_lists_everything_and_says_that_nothing_happened(self) -> None:
        set_all_config({"fleet:location": "x y", "fleet:adminCidrs": "[]"})

        with pytest.raises(SettingsError) as refusal:
            load()

        assert str(refusal.value).startswith(
            "the stack's configuration has 3 problems; nothing was changed:\n  fleet:location"
        )

    @pytest.mark.parametrize("stack", ["Dev", "my_stack", "a.b", "x" * 40])
    def test_a_stack_name_that_azure_would_refuse_is_refused(
        self, stack: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pulumi, "get_stack", lambda: stack)
        set_all_config(self.BASE)

        with pytest.raises(SettingsError, match="the stack's name"):
            load()

    def test_a_private_key_in_plain_text_is_refused(self) -> None:
        key = new_ssh_key("x")[0]
        set_all_config({**self.BASE, "fleet:sshPrivateKey": key}, [])
        with pytest.raises(SettingsError, match="fleet:sshPrivateKey: must be a secret"):
            load()

        set_all_config({**self.BASE, "fleet:sshPrivateKey": key}, ["fleet:sshPrivateKey"])
        assert load().ssh_private_key


class TestDocumentation:
    def test_the_page_is_the_one_in_docs(self) -> None:
        assert (PROJECT / "docs/configuration.md").read_text() == page(), "run `make docs`"

    def test_the_project_file_declares_what_the_settings_know(self) -> None:
        project = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())

        declared = {key: value for key, value in project["config"].items() if ":" not in key}

        assert declared == project_schema()

    def test_the_example_is_a_good_one(self) -> None:
        example = yaml.safe_load(EXAMPLE.read_text())["config"]

        accepted({key.removeprefix("fleet:"): value for key, value in example.items()})

    @pytest.mark.parametrize("file", sorted(PROJECT.glob("Pulumi.*.yaml")), ids=lambda p: p.name)
    def test_every_sample_stack_is_accepted(self, file: Any) -> None:
        sample = yaml.safe_load(file.read_text())["config"]

        accepted({key.removeprefix("fleet:"): value for key, value in sample.items()})

    def test_every_key_says_what_it_is(self) -> None:
        assert "None |" not in page()


def _openssh(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    ).decode()

"""Services and customers: their instance sets, and combinations that are refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.load import parse
from settings.service import Service
from settings.stack import Settings
from tests.program.fixtures import Config
from tests.program.judging import accepted, refused

KEYS = sorted(
    {
        field.alias or name
        for model in (Settings, Service)
        for name, field in model.model_fields.items()
    }
    | {"port", "hosts", "health", "memory", "cpus", "acme"}
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("name", ["Hello", "1hello", "hello-", "a_b", "a.b", "x" * 31, ""])
def test_a_service_name_that_breaks_unit_names_is_refused(config: Config, name: str) -> None:
    config["services"] = {name: config["services"]["hello"]}

    (problem,) = refused(config)

    assert f"fleet:services.{name} = " in problem
    assert "must be 1 to 30 lower-case letters, digits and hyphens" in problem


def test_names_of_platform_units_are_refused(config: Config) -> None:
    config["services"] = {"router": config["services"]["hello"]}

    (problem,) = refused(config)

    assert problem.startswith("fleet:services.router: must not have one of these names")


def test_a_service_without_ports_is_refused(config: Config) -> None:
    del config["services"]["hello"]["http"]

    (problem,) = refused(config)

    assert problem.startswith(
        "fleet:services.hello: must have http, tcp or udp; otherwise no client can reach it. For a"
    )


def test_the_advice_for_a_worker_without_a_port_is_accepted(config: Config) -> None:
    config["services"]["jobs"] = {
        "image": "jobs:1",
        "http": {"hosts": ["jobs.invalid"]},
        "health": {"command": "pgrep worker"},
    }

    accepted(config)


def test_two_services_with_the_same_host_are_refused(config: Config) -> None:
    config["services"] |= {
        "one": {"image": "a:1", "http": {"hosts": ["a.example", "b.example"]}},
        "two": {"image": "a:1", "http": {"hosts": ["b.example"]}},
    }

    assert refused(config) == [
        'fleet:services.two.http.hosts = "b.example": '
        "is already used by fleet:services.one.http.hosts; a host leads to one service"
    ]


def test_two_customers_with_the_same_host_are_refused(config: Config) -> None:
    config["services"] |= {
        "lms": {
            "image": "a:1",
            "http": {},
            "customers": {"acme": {"hosts": ["a.example"]}, "globex": {"hosts": ["a.example"]}},
        },
    }

    assert refused(config) == [
        'fleet:services.lms.customers.globex.hosts = "a.example": is already used by '
        "fleet:services.lms.customers.acme.hosts; a host leads to one service"
    ]


def test_a_second_default_site_is_refused(config: Config) -> None:
    config["services"]["other"] = {"image": "a:1", "http": {}}

    (problem,) = refused(config)

    assert problem.startswith("fleet:services.other.http.hosts: is missing. Only one service")


def test_two_services_with_the_same_port_are_refused(config: Config, voice: Config) -> None:
    config["services"] |= {"voice": voice, "other": {"image": "a:1", "tcp": [{"port": 64738}]}}

    (problem,) = refused(config)

    assert problem == (
        "fleet:services.voice.tcp = 64738: "
        "is already used by fleet:services.other.tcp; a tcp port leads to one service"
    )


def test_more_ports_than_azure_allows_rules_are_refused(config: Config) -> None:
    config["services"]["hello"]["tcp"] = [{"port": port} for port in range(10_000, 10_250)]
    assert accepted(config)

    config["services"]["hello"]["udp"] = [{"port": 10_000}]

    (problem,) = refused(config)
    assert "publish 251 ports, but one cluster can publish 250" in problem
    assert "(a cell)" in problem


def test_the_same_port_may_be_published_for_tcp_and_udp(config: Config, voice: Config) -> None:
    config["services"]["voice"] = voice

    settings = accepted(config)

    assert settings.tcp_ports == (64738,)
    assert settings.udp_ports == (64738, 64739)


def test_more_instances_than_nodes_are_accepted_without_spread(config: Config) -> None:
    config["services"]["hello"] |= {"instances": 9, "spread": False}

    assert accepted(config).instance_sets[0].instances == 9


def test_more_units_than_fleet_carries_are_refused_with_advice(config: Config) -> None:
    config["services"]["hello"] |= {"instances": 240, "spread": False}
    config["services"]["more"] = {
        "image": "a:1",
        "instances": 5,
        "spread": False,
        "http": {"hosts": ["a.b"]},
    }
    assert accepted(config)

    config["services"]["more"]["instances"] = 6

    (problem,) = refused(config)
    assert "needs 501 units" in problem
    assert "into another stack (a cell)" in problem


def test_a_customers_values_override_those_of_the_service(config: Config) -> None:
    config["services"] = {
        "lms": {
            "image": "docebo/lms:7.1",
            "http": {"port": 80, "health": "/up", "sticky": True},
            "env": {"THEME": "plain", "MODE": "live"},
            "secrets": {"PASSWORD": "password", "KEY": "key"},
            "tmpfs": ["/tmp:64m"],
            "health": {"interval": 5},
            "limits": {"memory": "1g"},
            "customers": {
                "acme": {
                    "hosts": ["acme.example"],
                    "instances": 2,
                    "env": {"THEME": "acme"},
                    "secrets": {"PASSWORD": "acme-password"},
                    "limits": {"cpus": 0.5},
                },
                "globex": {"hosts": ["learn.example"], "image": "docebo/lms:7.0"},
            },
        }
    }

    config["secrets"] = {"password": "x", "acme-password": "y", "key": "z"}

    acme, globex = accepted(config).instance_sets

    assert (acme.name, globex.name) == ("lms-acme", "lms-globex")
    assert (acme.image, globex.image) == ("docebo/lms:7.1", "docebo/lms:7.0")
    assert (acme.instances, globex.instances) == (2, 1)
    assert acme.env == {"THEME": "acme", "MODE": "live"}
    assert (acme.limits.memory, acme.limits.cpus) == ("1g", 0.5)
    assert acme.http
    assert (acme.http.hosts, acme.http.health) == (("acme.example",), "/up")
    assert globex.limits.cpus == 1.0
    assert (acme.customer, globex.customer) == ("acme", "globex")
    assert acme.secrets == {"PASSWORD": "acme-password", "KEY": "key"}
    assert globex.secrets == {"PASSWORD": "password", "KEY": "key"}
    for one in (acme, globex):
        assert one.http
        assert one.http.sticky
        assert one.health
        assert (one.health.interval, one.tmpfs) == (5, ("/tmp:64m",))


@pytest.mark.parametrize("name", ["Acme", "acme_inc", "acme.example", "-acme", "ac me", "x" * 31])
def test_a_customers_name_that_breaks_unit_names_is_refused(config: Config, name: str) -> None:
    config["services"]["hello"]["customers"] = {name: {"hosts": ["a.example"]}}

    (problem,) = refused(config)

    assert problem.startswith(f"fleet:services.hello.customers.{name} = ")
    assert "must be 1 to 30 lower-case letters, digits and hyphens" in problem


def test_a_health_path_without_http_is_refused(config: Config, voice: Config) -> None:
    config["services"]["voice"] = voice | {"health": {"http": "/up"}}

    assert refused(config) == [
        'fleet:services.voice.health.http = "/up": '
        "needs http, which sets the port to check. Without http, use tcp or command"
    ]


def test_a_hundred_customers_with_two_instances_fit_into_one_cluster(config: Config) -> None:
    customers = {f"c{number}": {"hosts": [f"c{number}.example"]} for number in range(100)}
    config["services"] = {
        "lms": {"image": "a:1", "instances": 2, "http": {}, "customers": customers}
    }

    assert len(accepted(config).instance_sets) == 100


def test_customers_with_published_ports_are_refused(config: Config) -> None:
    config["services"]["hello"] |= {
        "tcp": [{"port": 7000}],
        "customers": {"acme": {"hosts": ["a.example"]}},
    }

    (problem,) = refused(config)

    assert "must have either customers or tcp and udp" in problem


def test_a_customer_without_hosts_is_refused(config: Config) -> None:
    config["services"]["hello"]["customers"] = {"acme": {"hosts": []}}

    assert refused(config) == ["fleet:services.hello.customers.acme.hosts = []: must not be empty"]


def test_a_service_and_a_customer_with_the_same_unit_names_are_refused(config: Config) -> None:
    customers = {"b-c": {"hosts": ["one.example"]}}
    config["services"] = {
        "a": {"image": "x:1", "http": {}, "customers": customers},
        "a-b": {"image": "x:1", "http": {}, "customers": {"c": {"hosts": ["two.example"]}}},
    }

    (problem,) = refused(config)

    assert "would be called a-b-c, like fleet:services.a.customers.b-c" in problem


@given(st.dictionaries(st.sampled_from(KEYS), ANYTHING))
def test_any_configuration_is_either_accepted_or_refused_with_problems(raw: Config) -> None:
    settings, problems = parse(raw)

    assert settings is not None or problems
    assert all(str(problem) for problem in problems)


@given(ANYTHING)
def test_any_service_is_either_accepted_or_refused_with_problems(raw: Any) -> None:
    config = {"location": "x", "ownerTag": "x", "adminCidrs": [], "services": {"a": raw}}

    _, problems = parse(config)

    assert all(str(problem).startswith("fleet:") for problem in problems)

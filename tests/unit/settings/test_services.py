"""Services and customers: what follows from them, and what may not be said together."""

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


def test_the_platforms_own_names_are_taken(config: Config) -> None:
    config["services"] = {"router": config["services"]["hello"]}

    (problem,) = refused(config)

    assert problem.startswith("fleet:services.router: must not be called one of")


def test_a_service_that_nobody_could_reach_is_refused(config: Config) -> None:
    del config["services"]["hello"]["http"]

    (problem,) = refused(config)

    assert problem.startswith(
        "fleet:services.hello: must have http, tcp or udp: it could not be reached. For a worker"
    )


def test_the_way_round_for_a_worker_without_a_port_is_accepted(config: Config) -> None:
    config["services"]["jobs"] = {
        "image": "jobs:1",
        "http": {"hosts": ["jobs.invalid"]},
        "health": {"command": "pgrep worker"},
    }

    accepted(config)


def test_a_host_is_claimed_once(config: Config) -> None:
    config["services"] |= {
        "one": {"image": "a:1", "http": {"hosts": ["a.example", "b.example"]}},
        "two": {"image": "a:1", "http": {"hosts": ["b.example"]}},
    }

    assert refused(config) == [
        'fleet:services.two.http.hosts = "b.example": '
        "is claimed by fleet:services.one.http.hosts already; a host leads to one service"
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
        'fleet:services.lms.customers.globex.hosts = "a.example": is claimed by '
        "fleet:services.lms.customers.acme.hosts already; a host leads to one service"
    ]


def test_there_is_one_default_site(config: Config) -> None:
    config["services"]["other"] = {"image": "a:1", "http": {}}

    (problem,) = refused(config)

    assert problem.startswith("fleet:services.other.http.hosts: is missing; only one service")


def test_a_public_port_is_claimed_once_per_protocol(config: Config, voice: Config) -> None:
    config["services"] |= {"voice": voice, "other": {"image": "a:1", "tcp": [{"port": 64738}]}}

    (problem,) = refused(config)

    assert problem == (
        "fleet:services.voice.tcp = 64738: "
        "is claimed by fleet:services.other.tcp already; a tcp port leads to one service"
    )


def test_more_ports_than_azure_balances_are_refused(config: Config) -> None:
    config["services"]["hello"]["tcp"] = [{"port": port} for port in range(10_000, 10_250)]
    assert accepted(config)

    config["services"]["hello"]["udp"] = [{"port": 10_000}]

    (problem,) = refused(config)
    assert "publish 251 ports, and one cluster can have 250" in problem
    assert "(a cell)" in problem


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


def test_a_path_to_check_needs_a_port_to_ask(config: Config, voice: Config) -> None:
    config["services"]["voice"] = voice | {"health": {"http": "/up"}}

    assert refused(config) == [
        'fleet:services.voice.health.http = "/up": '
        "needs http, which says the port to ask; without it, say tcp or command"
    ]


def test_a_hundred_customers_with_two_instances_fit_into_one_cluster(config: Config) -> None:
    customers = {f"c{number}": {"hosts": [f"c{number}.example"]} for number in range(100)}
    config["services"] = {
        "lms": {"image": "a:1", "instances": 2, "http": {}, "customers": customers}
    }

    assert len(accepted(config).instance_sets) == 100


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


@given(st.dictionaries(st.sampled_from(KEYS), ANYTHING))
def test_whatever_is_written_is_either_understood_or_refused_in_words(raw: Config) -> None:
    settings, problems = parse(raw)

    assert settings is not None or problems
    assert all(str(problem) for problem in problems)


@given(ANYTHING)
def test_so_is_whatever_is_written_about_a_service(raw: Any) -> None:
    config = {"location": "x", "ownerTag": "x", "adminCidrs": [], "services": {"a": raw}}

    _, problems = parse(config)

    assert all(str(problem).startswith("fleet:") for problem in problems)

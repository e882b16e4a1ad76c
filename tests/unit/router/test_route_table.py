"""What the router makes of the keys below /services, without etcd."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.codec import Malformed, decode
from contract.instance import Instance
from contract.route import Route
from router.route_table import RouteTable, make_route_table
from tests.unit.router.trees import tree

HTTP = {"http": "10.0.0.4:32768"}


def look(services: Mapping[str, Mapping[str, Any]]) -> RouteTable:
    return make_route_table(tree(services), {("tcp", 80): "the router"})


def instances(found: RouteTable) -> dict[str, list[str]]:
    return {name: list(one.instances) for name, one in found.services.items()}


def problems(services: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {problem.key: problem.reason for problem in look(services).problems}


def test_service_is_served_with_its_instances() -> None:
    found = look(
        {
            "api": {"route": {"hosts": ["a.b"], "http": True}, "instances": {"r-1": HTTP}},
            "idle": {"route": {"hosts": ["c.d"], "http": True}},
        }
    )

    assert instances(found) == {"api": ["r-1"], "idle": []}
    assert found.problems == ()


def test_service_without_a_route_is_ignored() -> None:
    assert look({"api": {"instances": {"r-1": HTTP}}}).services == {}


def test_port_without_an_instance_is_not_listened_on() -> None:
    route = {"tcp": [{"port": 7}, {"port": 8}]}
    keys = {"r-1": {"tcp": {"7": "10.0.0.4:32768"}}}

    found = look({"voice": {"route": route, "instances": keys}})

    assert found.listeners == {("tcp", 7), ("tcp", 8)}
    assert found.open_listeners == {("tcp", 7)}


def test_instance_whose_number_an_older_release_holds_gets_no_tcp_and_udp_yet() -> None:
    def at(port: int) -> dict[str, Any]:
        return {"tcp": {"7": f"10.0.0.4:{port}"}, "udp": {"7": f"10.0.0.4:{port}"}}

    route = {"tcp": [{"port": 7}], "udp": [{"port": 7}]}
    keys = {"r1-1": at(32768), "r2-1": at(32769), "r2-2": at(32770)}

    served = look({"voice": {"route": route, "instances": keys}}).services["voice"].instances

    assert {name: bool(one.tcp or one.udp) for name, one in served.items()} == {
        "r1-1": True,
        "r2-1": False,
        "r2-2": True,
    }


def test_second_default_site_is_left_out() -> None:
    default = {"hosts": [], "http": True}

    assert problems({"a": {"route": default}, "b": {"route": default}}) == {
        "/services/b/route": "the default site (no hosts) belongs to a"
    }


def test_service_without_http_is_not_the_default_site() -> None:
    voice = {"hosts": [], "http": False, "tcp": [{"port": 7000}]}
    site = {"hosts": [], "http": True}

    assert problems({"a-voice": {"route": voice}, "site": {"route": site}}) == {}


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        ({"tcp": [{"port": 80}]}, "tcp port 80 belongs to the router"),
        ({"tcp": [{"port": 7000}]}, "tcp port 7000 belongs to a"),
        ({"udp": [{"port": 9}, {"port": 9}]}, "it names the same port twice"),
        ({"hosts": ["a.b"], "http": True}, "host a.b belongs to a"),
    ],
)
def test_claims_of_another_are_refused(route: dict[str, Any], reason: str) -> None:
    first = {"hosts": ["a.b"], "http": True, "tcp": [{"port": 7000}]}

    assert problems({"a": {"route": first}, "b": {"route": route}}) == {"/services/b/route": reason}


def test_first_service_keeps_a_host_and_the_second_its_other_hosts() -> None:
    """A host moves to a service that comes first by name, and is still served where it was."""
    old = {"hosts": ["moves.x"], "http": True, "tcp": [{"port": 7000}]}
    new = {"hosts": ["stays.x", "moves.x"], "http": True, "tcp": [{"port": 7000}, {"port": 7001}]}

    found = look({"web": {"route": old}, "api": {"route": new}})

    assert [str(problem) for problem in found.problems] == [
        "/services/api/route: tcp port 7000 belongs to web",
        "/services/api/route: host moves.x belongs to web",
    ]
    web, api = found.services["web"], found.services["api"]
    assert web.route.hosts == ("moves.x",)
    assert web.listeners == {("tcp", 7000)}
    assert api.route.hosts == ("stays.x",)
    assert api.listeners == {("tcp", 7001)}


def test_service_that_lost_all_hosts_is_not_the_default_site() -> None:
    route = {"hosts": ["a.b"], "http": True}

    found = look({"first": {"route": route}, "second": {"route": route}})

    assert found.services["second"].route.hosts == ()
    assert not found.services["second"].is_default_site


def test_same_port_may_be_used_for_tcp_and_udp() -> None:
    assert problems({"voice": {"route": {"tcp": [{"port": 7}], "udp": [{"port": 7}]}}}) == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"hosts": "a.b"}',
        '{"hosts": [1]}',
        '{"hosts": ["A.b"]}',
        '{"hosts": ["a b"]}',
        '{"hosts": ["-a.b"]}',
        '{"hosts": ["a.*"]}',
        '{"http": "yes"}',
        '{"tcp": {"port": 1}}',
        '{"tcp": [1]}',
        '{"tcp": [{"port": "1"}]}',
        '{"tcp": [{"port": 0}]}',
        '{"udp": [{"port": 65536}]}',
        '{"udp": [{"port": true}]}',
    ],
)
def test_route_that_the_template_can_not_use_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        decode(Route, text)


@pytest.mark.parametrize(
    "text",
    [
        "null",
        '{"http": ""}',
        '{"http": "10.0.0.4"}',
        '{"http": "10.0.0.4:0"}',
        '{"http": "10.0.0.4:99999"}',
        '{"http": "localhost:80"}',
        '{"http": "10.0.0.4:80; }"}',
        '{"tcp": []}',
        '{"tcp": {"x": "10.0.0.4:80"}}',
        '{"tcp": {"080": "10.0.0.4:80"}}',
        '{"udp": {"1": 2}}',
        '{"boot": 5}',
    ],
)
def test_instance_that_the_template_can_not_use_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        decode(Instance, text)


def test_wildcard_host_is_allowed() -> None:
    assert decode(Route, '{"hosts": ["*.a.b"], "http": true}').hosts == ("*.a.b",)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(deadline=None)
@given(st.text() | json_values.map(json.dumps))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for kind in (Route, Instance):
        try:
            decode(kind, text)
        except Malformed:
            continue

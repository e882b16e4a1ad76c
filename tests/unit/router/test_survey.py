"""What the router makes of the keys below /services, without etcd."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.etcd import Node
from cluster.router.entries import Malformed, parse_instance, parse_route
from cluster.router.survey import Survey, survey

HTTP = {"http": "10.0.0.4:32768"}


def tree(services: Mapping[str, Mapping[str, Any]]) -> Node:
    """/services as etcd answers it, written in this order. Values that are no strings are JSON."""
    indices = itertools.count(1)

    def leaf(key: str, value: Any) -> Node:
        text = value if isinstance(value, str) else json.dumps(value)
        return Node(key=key, value=text, created_index=next(indices))

    nodes = []
    for name, content in services.items():
        base = f"/services/{name}"
        children = [leaf(f"{base}/route", content["route"])] if "route" in content else []
        if "instances" in content:
            instances = tuple(
                leaf(f"{base}/instances/{instance}", value)
                for instance, value in content["instances"].items()
            )
            key = f"{base}/instances"
            children.append(Node(key=key, is_directory=True, nodes=instances))
        nodes.append(Node(key=base, is_directory=True, nodes=tuple(children)))
    return Node(key="/services", is_directory=True, nodes=tuple(nodes))


def look(services: Mapping[str, Mapping[str, Any]]) -> Survey:
    return survey(tree(services), {("tcp", 80): "the router"})


def problems(services: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {problem.key: problem.reason for problem in look(services).problems}


def test_instances_are_counted_by_service() -> None:
    found = look(
        {
            "api": {"route": {"hosts": ["a.b"], "http": True}, "instances": {"r-1": HTTP}},
            "idle": {"route": {"hosts": ["c.d"], "http": True}},
        }
    )

    assert found.backends == {"api": 1, "idle": 0}
    assert found.problems == ()


def test_instance_that_serves_no_listener_of_the_route_does_not_count() -> None:
    route = {"http": False, "tcp": [{"port": 7000}]}

    found = look({"voice": {"route": route, "instances": {"r-1": HTTP}}})

    assert found.backends == {"voice": 0}


def test_service_without_a_route_is_nobodys_business() -> None:
    assert look({"api": {"instances": {"r-1": HTTP}}}).backends == {}


def test_service_is_emptied_when_it_loses_its_last_instance() -> None:
    route = {"hosts": ["a.b"], "http": True}
    before = look({"api": {"route": route, "instances": {"r-1": HTTP, "r-2": HTTP}}})
    fewer = look({"api": {"route": route, "instances": {"r-2": HTTP}}})
    none = look({"api": {"route": route}})
    removed = look({})

    assert fewer.emptied_since(before) == ()
    assert none.emptied_since(before) == ("api",)
    assert none.emptied_since(none) == ()
    assert removed.emptied_since(before) == ()


def test_second_default_site_is_left_out() -> None:
    default = {"hosts": [], "http": True}

    assert problems({"a": {"route": default}, "b": {"route": default}}) == {
        "/services/b/route": "the default site (no hosts) belongs to a"
    }


def test_service_without_http_is_no_default_site() -> None:
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


def test_who_claimed_first_keeps_it_and_the_other_one_the_rest_of_its_route() -> None:
    """A host moves to a service that comes first by name, and is still served where it was."""
    old = {"hosts": ["moves.x"], "http": True, "tcp": [{"port": 7000}]}
    new = {"hosts": ["stays.x", "moves.x"], "http": True, "tcp": [{"port": 7000}, {"port": 7001}]}

    found = look({"web": {"route": old}, "api": {"route": new}})

    assert {problem.skip for problem in found.problems} == {
        "/services/api/route#moves.x",
        "/services/api/route#tcp/7000",
    }
    assert found.hosts == {"moves.x", "stays.x"}
    assert found.listeners == {("tcp", 7000), ("tcp", 7001)}
    assert found.backends.keys() == {"web", "api"}


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
        parse_route(text)


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
    ],
)
def test_instance_that_the_template_can_not_use_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse_instance(text)


def test_wildcard_host_is_allowed() -> None:
    assert parse_route('{"hosts": ["*.a.b"], "http": true}').hosts == ("*.a.b",)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.text() | json_values.map(json.dumps))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for parse in (parse_route, parse_instance):
        try:
            parse(text)
        except Malformed:
            continue

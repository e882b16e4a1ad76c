"""The report that a router writes is the one that the cluster reads."""

from __future__ import annotations

import json

from clients.etcd import Node
from clients.routers import left_out, parse_router
from contract.codec import decode, encode
from contract.router_report import Problem, RouterReport

ROUTE = "/services/api/route"
REPORT = RouterReport(
    node="core-0",
    applied=7,
    problems=(
        Problem(key=ROUTE, reason="host a.b belongs to web; /services/x/route: is another"),
        Problem(key=ROUTE, reason="tcp port 7000 belongs to web"),
        Problem(key="/certificates/tok", reason="403"),
    ),
    boot="1",
    docker="2",
    kept=("/services/api/instances/r-1",),
    expired=("tok",),
)


def test_a_report_is_read_as_it_was_written() -> None:
    assert decode(RouterReport, encode(REPORT)) == REPORT


def test_a_reason_is_not_parsed_as_another_problem() -> None:
    assert REPORT.why_left_out(ROUTE).startswith("host a.b belongs to web; /services/x/route: is")
    assert REPORT.why_left_out(ROUTE).endswith("; tcp port 7000 belongs to web")
    assert REPORT.why_left_out("/services/x/route") == ""


def test_routers_with_the_same_problem_are_named_in_one_line() -> None:
    leaf = Node(key="/routers/1", value=encode(REPORT))
    other = Node(key="/routers/2", value=encode(REPORT).replace("core-0", "core-1"))

    lines = list(left_out("/certificates/", [parse_router(leaf), parse_router(other)]))

    assert lines == ["left out by the router on core-0, core-1: tok: 403"]


def test_report_of_an_earlier_release_is_read() -> None:
    earlier = {
        "node": "core-0",
        "applied": 7,
        "error": "/services/x/route: not JSON; /certificates/y: 403",
        "boot": "1",
        "docker": "2",
        "kept": [],
        "expired": [],
    }

    router = parse_router(Node(key="/routers/0a1b", value=json.dumps(earlier), modified_index=9))

    assert (router.machine_id, router.heard, router.applied) == ("0a1b", 9, 7)
    assert router.error == earlier["error"]
    assert router.problems == ()

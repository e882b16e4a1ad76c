"""The cluster as a client on the Internet sees it."""

from __future__ import annotations

import json
import ssl
from urllib.parse import urlsplit

from lab.scratch_stack import Change, hello
from tests.lab.stack import LabStack, eventually


def test_page_names_instance_node_and_release(stack: LabStack) -> None:
    answer = stack.get("/")

    known = {(str(one["n"]), one["machine"], one["release"]) for one in stack.instances()}
    named = [
        identity
        for identity in known
        if all(f"<dd>{part}</dd>" in answer.body for part in identity)
    ]
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert len(named) == 1, f"one of {known} in {answer.body}"


def test_requests_are_spread_over_instances_and_nodes(stack: LabStack) -> None:
    served_by = [stack.served_by() for _ in range(40)]

    assert len({one["instance"] for one in served_by}) == 2
    assert len({one["node"] for one in served_by}) == 2


def test_https_shows_the_certificate_that_was_made_for_the_stack(stack: LabStack) -> None:
    certificate = stack.node("core-0", "sudo cat /run/fleet-secrets/tls.crt")
    host = urlsplit(stack.outputs["url"]).hostname

    # trusts nothing but this certificate, and wants it to be for this host
    answer = stack.get("/", host=host, tls=ssl.create_default_context(cadata=certificate))

    assert answer.status == 200
    assert "Hello from" in answer.body


def test_unknown_host_gets_404_if_services_name_hosts(stack: LabStack) -> None:
    def named(*hosts: str) -> Change:
        return hello(http={"port": 8080, "health": "/health", "hosts": list(hosts)})

    with stack.changed(named("hello.example")):
        stack.up()
        known = stack.get("/json", host="hello.example")
        unknown = stack.get("/", host="other.example")
        stack.configure(named("hello.example", "other.example"))
        stack.up()
        other = stack.get("/json", host="other.example")

    assert (known.status, unknown.status, other.status) == (200, 404, 200)
    release = json.loads(known.body)["release"]
    assert json.loads(other.body)["release"] == release, "one more host is no new release"


def test_client_address_reaches_the_routers(stack: LabStack) -> None:
    """The balancer is no proxy: it leaves every client its own address."""
    stack.get("/json?who=test")

    eventually(lambda: clients_of(stack, "?who=test"), "it is in a router's log")
    # the lab's own range for clients (lab/azure/load_balancer/client_addresses.py)
    assert clients_of(stack, "?who=test") == {"198.18.0.1"}


def clients_of(stack: LabStack, query: str) -> set[str]:
    """Who asked for this, as the routers' access logs say."""
    look = "sudo cat /var/log/router/access.log 2>/dev/null || true"
    lines = [line for node in stack.nodes for line in stack.node(node, look).splitlines()]
    return {json.loads(line)["client"] for line in lines if query in line}

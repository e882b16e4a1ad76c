"""A push reaches the right stack: each stack has a separate registry."""

from __future__ import annotations

import re

from lab.machine import docker_daemon
from lab.pulumi import push_images
from tests.lab.stack import LabStack, failed, succeeded
from tools import build

IMAGE = "team/pushed"


def test_a_push_reaches_only_the_stack_whose_address_it_names(
    toktv: LabStack, docebo: LabStack
) -> None:
    client = docker_daemon.find()
    first = push_address(toktv)
    second = push_address(docebo)

    try:
        client.images.get(build.ensure_image("python")).tag(f"{first}/{IMAGE}", "1")
        said = client.images.push(f"{first}/{IMAGE}", tag="1")
    finally:
        push_images.forget(client, f"{IMAGE}:1")

    assert "error" not in said
    assert tags(toktv) == (200, '{"name":"team/pushed","tags":["1"]}')
    assert tags(docebo)[0] == 404
    assert push_address(toktv) == first != second
    assert push_address(docebo) == second


def test_a_registry_of_a_stack_that_is_not_up_is_refused(docebo: LabStack) -> None:
    said = failed(docebo.lab("registry", "nothing"))

    assert "the stack is not up" in said
    assert "make up STACK=nothing" in said


def push_address(stack: LabStack) -> str:
    said = succeeded(stack.lab("registry", stack.name))
    found = re.search(rf"stack {stack.name}: docker push (localhost:\d+)/", said)
    assert found, said
    return found[1]


def tags(stack: LabStack) -> tuple[int, str]:
    """What the registry of the stack's own nodes knows."""
    url = f"http://localhost:5000/v2/{IMAGE}/tags/list"
    said = stack.node("core-0", f"curl --silent --write-out '%{{http_code}}' {url}")
    return int(said[-3:]), said[:-3].strip()

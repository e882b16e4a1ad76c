"""Remembers how many machines there are, so that fewer are refused before anything changes.

A dynamic provider, because only a resource's provider is told what the state holds. The state
refers to the class by module and name, as in credentials.py.
"""

import uuid
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)


class NodeCount(Resource, module="fleet", name="NodeCount"):
    """What `fleet:nodes` says. The scale set comes after it, so it is asked before machines go."""

    nodes: pulumi.Output[int]

    def __init__(self, name: str, *, nodes: int) -> None:
        super().__init__(NodeCountProvider(), name, {"nodes": nodes})


class NodeCountProvider(ResourceProvider):
    """Takes any number at first, and then only more.

    Machines that go would stay members of etcd, as dead ones: of five members three would be left,
    with no spare; of three one, with no quorum.
    """

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        before, wanted = int(olds.get("nodes", 0)), int(news["nodes"])
        failures = []
        if wanted < before:
            failures.append(
                CheckFailure(
                    "nodes",
                    f"fleet:nodes = {wanted}: must not be less than {before}, as many as there "
                    "are: etcd would count those that go as dead members. "
                    "docs/operations.md#more-or-fewer-machines has a way by hand",
                )
            )
        return CheckResult(news, failures)

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(uuid.uuid4().hex, props)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=int(olds["nodes"]) != int(news["nodes"]))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(news)

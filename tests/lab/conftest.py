"""Stacks that many tests share. Each test leaves its stack as the base config says.

The tests look at a cluster from outside, as its users do: HTTP through the public address, keys in
etcd, states in fleet, `pulumi` itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.scratch_stack import hello, setting
from tests.lab.__main__ import UNTOUCHED
from tests.lab.leftovers import Machine
from tests.lab.stack import LabStack, kept_up


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep", action="store_true", help="leave the stacks up for the next run")


@pytest.fixture(scope="session")
def untouched() -> Machine:
    """This machine before the lab's first start: of the whole suite, if this is a part of one."""
    file = os.environ.get(UNTOUCHED)
    return Machine.read(Path(file)) if file else Machine.now()


@pytest.fixture(scope="session")
def stack(
    request: pytest.FixtureRequest,
    untouched: Machine,  # noqa: ARG001 (looked at before the stack is up)
) -> Iterator[LabStack]:
    """A running stack with three nodes and the example app on two of them."""
    with kept_up(LabStack("labtest", vnet="10.77.0.0/16"), request) as running:
        yield running


@pytest.fixture(scope="session")
def small(
    request: pytest.FixtureRequest,
    untouched: Machine,  # noqa: ARG001 (looked at before the stack is up)
) -> Iterator[LabStack]:
    """A stack of one node that is not up yet. Its name begins with the other stack's."""
    one = LabStack("labtest1", setting(nodes=1), hello(instances=1), vnet="10.78.0.0/16")
    one.configure()
    try:
        yield one
    finally:
        if not request.config.getoption("--keep"):
            one.down()
            one.remove_config()

"""One real cluster for the whole session: a stack of its own, beside whatever else the lab runs.

The tests look at it from outside, as its users do: HTTP through the public address, keys in etcd,
states in fleet, `pulumi` itself. Each leaves the stack as its base config says.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.scratch_stack import hello, setting
from tests.lab.leftovers import Machine
from tests.lab.stack import LabStack, kept_up

ORDER = (
    "test_toktv",
    "test_docebo",
    "test_customers",
    "test_service_secrets",
    "test_registries",
    "test_both_users",
    "test_public_address",
    "test_cluster",
    "test_artefacts",
    "test_access",
    "test_secrets",
    "test_commands",
    "test_containers",
    "test_scaling",
    "test_releases",
    "test_refusals",
    "test_right_answers",
    "test_undo",
    "test_healing",
    "test_interruptions",
    "test_down",
)
"""The users' stacks first, then one for all else; in each from looking to breaking."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep", action="store_true", help="leave the stacks up for the next run")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return ORDER.index(item.path.stem) if item.path.stem in ORDER else 0

    items.sort(key=place)  # stable: within a file, the order of the file


@pytest.fixture(scope="session")
def untouched() -> Machine:
    """This machine as it was before the lab's first start."""
    return Machine.now()


@pytest.fixture(scope="session")
def stack(
    request: pytest.FixtureRequest,
    untouched: Machine,  # noqa: ARG001 (it is to be looked at before)
) -> Iterator[LabStack]:
    """A running stack with three nodes and the example app on two of them."""
    with kept_up(LabStack("labtest", vnet="10.77.0.0/16"), request) as running:
        yield running


@pytest.fixture(scope="module")
def small(request: pytest.FixtureRequest) -> Iterator[LabStack]:
    """A stack of one node that is not up yet. Its name begins with the other one's, as happens."""
    one = LabStack("labtest1", setting(nodes=1), hello(instances=1), vnet="10.78.0.0/16")
    one.configure()
    try:
        yield one
    finally:
        if not request.config.getoption("--keep"):
            one.down()
            one.remove_config()

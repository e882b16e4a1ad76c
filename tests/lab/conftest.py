"""One real cluster for the whole session: a stack of its own, beside whatever else the lab runs.

The tests look at it from outside, as its users do: HTTP through the public address, keys in etcd,
states in fleet, `pulumi` itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.stack import LabStack


@pytest.fixture(scope="session")
def stack() -> Iterator[LabStack]:
    """A running stack with three nodes and the example app on two of them."""
    running = LabStack("labtest")
    running.write_config(running.base_config())
    running.up()
    yield running
    running.down()
    running.config_path.unlink()


@pytest.fixture(autouse=True)
def _settled(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test finds, and leaves, the stack as its base config says."""
    yield
    if "stack" in request.fixturenames:
        request.getfixturevalue("stack").settle()

"""A simulated cluster for each test that asks for one."""

from __future__ import annotations

import pytest

from tests.unit.cluster.services import World


@pytest.fixture
def world() -> World:
    return World()

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.leftovers import Machine
from tests.lab.stack import LabStack, kept_up


@pytest.fixture(scope="package")
def toktv(request: pytest.FixtureRequest, untouched: Machine) -> Iterator[LabStack]:  # noqa: ARG001
    """Tok.tv's stack: a web API on three nodes, a voice server on two of them."""
    with kept_up(LabStack("labtoktv", vnet="10.79.0.0/16", sample="toktv"), request) as stack:
        yield stack


@pytest.fixture(scope="package")
def docebo(request: pytest.FixtureRequest, untouched: Machine) -> Iterator[LabStack]:  # noqa: ARG001
    """Docebo's stack: one platform for three customers."""
    with kept_up(LabStack("labdocebo", vnet="10.80.0.0/16", sample="docebo"), request) as stack:
        yield stack

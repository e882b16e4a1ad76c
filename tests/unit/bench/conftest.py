from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.unit.bench.site import Site


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        yield server
        server.shutdown()

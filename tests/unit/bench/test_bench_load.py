"""The load is bounded, and what became of it is counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench.load import Answers, burst, stream, summary


class Site(ThreadingHTTPServer):
    """Answers 200, or 503 below /busy; counts requests and connections."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = 0
        self.connections: set[tuple[str, int]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        self.server.requests += 1
        self.server.connections.add(self.client_address)
        self.send_response(503 if self.path == "/busy" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        threading.Thread(target=server.serve_forever).start()
        yield server
        server.shutdown()


def test_a_burst_is_as_many_requests_on_as_many_connections_as_asked_for(site: Site) -> None:
    load = burst("a load", f"{site.url}/", connections=4, requests=60)

    assert (load.requests, load.failed) == (60, 0)
    assert site.requests == 60
    assert len(site.connections) <= 4
    assert 0 < load.p50 <= load.p99


def test_an_answer_other_than_200_is_a_failure(site: Site) -> None:
    load = burst("a load", f"{site.url}/busy", connections=2, requests=10)

    assert (load.requests, load.failed, load.per_second) == (10, 10, 0)


def test_no_answer_is_a_failure() -> None:
    load = burst("a load", "http://127.0.0.1:9/", connections=1, requests=3)

    assert load.failed == 3


def test_a_stream_opens_a_connection_for_every_request_at_its_pace(site: Site) -> None:
    with stream(f"{site.url}/", per_second=50) as answers:
        time.sleep(0.5)

    assert answers.failures == []
    assert len(site.connections) == site.requests == len(answers.milliseconds)
    assert site.requests <= 30


def test_the_pace_counts_answers_only() -> None:
    answers = Answers(milliseconds=[1.0, 2.0, 3.0], failures=["status 503"])

    load = summary("a load", answers, 2.0)

    assert (load.requests, load.failed, load.per_second, load.p50) == (4, 1, 1.5, 2.0)

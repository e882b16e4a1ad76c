"""The example app as a process, asked over HTTP."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.eventually import eventually
from tests.parts.router.harness import PROJECT
from tests.ports import free_port


class App:
    def __init__(self, **environment: str) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app"],
            cwd=PROJECT / "samples" / "example-app",
            env={"PATH": os.environ["PATH"], "PORT": str(self.port), **environment},
        )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False)
        eventually(self._answers, what="the app answers")

    def _answers(self) -> bool:
        try:
            return self.client.get("/health").is_success
        except httpx.TransportError:
            return False


@pytest.fixture
def app() -> Iterator[App]:
    app = App(SERVICE="web", INSTANCE="web-2", NODE_NAME="core-1", RELEASE="<0badcafe>")
    yield app
    app.process.kill()
    app.process.wait()


def test_page_names_instance_node_and_release(app: App) -> None:
    answer = app.client.get("/")

    assert answer.status_code == 200
    assert "<dt>Instance</dt><dd>web-2</dd>" in answer.text
    assert "<dt>Node</dt><dd>core-1</dd>" in answer.text
    assert "<dt>Release</dt><dd>&lt;0badcafe&gt;</dd>" in answer.text
    assert answer.headers["X-Instance"] == "web-2"


def test_page_needs_nothing_from_elsewhere(app: App) -> None:
    links = re.findall(r'(?:src|href|url\()="?([^")]*)', app.client.get("/").text)

    assert links == ["/json"]


def test_json_says_the_same(app: App) -> None:
    answer = app.client.get("/json").json()

    assert (
        answer.items()
        >= {
            "service": "web",
            "instance": "web-2",
            "node": "core-1",
            "release": "<0badcafe>",
        }.items()
    )


def test_head_has_no_body(app: App) -> None:
    answer = app.client.head("/")

    assert answer.status_code == 200
    assert int(answer.headers["Content-Length"]) > 0
    assert answer.content == b""


def test_an_answer_comes_whole_on_a_kept_alive_connection(app: App) -> None:
    """Sent in pieces, the second one waits for the acknowledgement of the first: 40 ms."""
    with socket.create_connection(("127.0.0.1", app.port), timeout=5) as connection:
        for _ in range(30):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: app\r\n\r\n")
            first = connection.recv(65536)

            head, _, body = first.partition(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            assert length is not None
            assert len(body) == int(length[1])


def test_unknown_path_is_not_found(app: App) -> None:
    assert app.client.get("/nothing").status_code == 404
    assert app.client.post("/nothing", content=b"data").status_code == 404


def test_crash_needs_a_post(app: App) -> None:
    answer = app.client.get("/crash")

    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert app.process.poll() is None


def test_crash_ends_the_process_after_its_answer(app: App) -> None:
    answer = app.client.post("/crash")

    assert answer.status_code == 202
    assert app.process.wait(10) == 1


def test_sigterm_ends_it_cleanly_though_connections_are_idle(app: App) -> None:
    app.client.get("/")  # leaves a kept-alive connection

    start = time.monotonic()
    app.process.terminate()

    assert app.process.wait(10) == 0
    assert time.monotonic() - start < 5

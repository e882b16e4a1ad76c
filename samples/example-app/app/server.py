"""The HTTP server: a page, the same data as JSON, a health check, and a way to crash on purpose."""

from __future__ import annotations

import dataclasses
import html
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from typing import Any

from app.identity import Identity

_PAGE = Template((Path(__file__).parent / "page.html").read_text(encoding="utf-8"))
_HTML = "text/html; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"


class Server(ThreadingHTTPServer):
    """Counts open requests, so that the process can wait for them before it exits."""

    # Idle keep-alive connections must not delay the exit.
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], identity: Identity) -> None:
        self.identity = identity
        self._open = 0
        self._changed = threading.Condition()
        super().__init__(address, Handler)

    @contextmanager
    def open_request(self) -> Iterator[None]:
        with self._changed:
            self._open += 1
        try:
            yield
        finally:
            with self._changed:
                self._open -= 1
                self._changed.notify_all()

    def wait_until_idle(self, timeout: float) -> bool:
        """Whether all requests ended within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._open == 0, timeout)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "example-app"
    sys_version = ""
    # Silent connections are closed after this time. Routers close idle connections earlier.
    timeout = 60
    # Headers and body are sent in one write: a second write would wait until the client has
    # acknowledged the first, which clients delay by 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True  # long answers still need several writes
    server: Server

    def do_GET(self) -> None:
        with self.server.open_request():
            match self.path.partition("?")[0]:
                case "/":
                    self._answer(HTTPStatus.OK, _HTML, page(self.server.identity))
                case "/json":
                    body = json.dumps(dataclasses.asdict(self.server.identity)) + "\n"
                    self._answer(HTTPStatus.OK, "application/json", body)
                case "/health":
                    self._answer(HTTPStatus.OK, _TEXT, "healthy\n")
                case "/crash":
                    # Only POST, because a router may repeat a GET on another instance.
                    text = "POST here to crash this instance\n"
                    self._answer(HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, text, Allow="POST")
                case _:
                    self._answer(HTTPStatus.NOT_FOUND, _TEXT, "no such page\n")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        with self.server.open_request():
            self.close_connection = True  # a body stays unread
            if self.path != "/crash":
                self._answer(HTTPStatus.NOT_FOUND, _TEXT, "no such page\n", Connection="close")
                return
            text = f"{self.server.identity.instance} is going down\n"
            self._answer(HTTPStatus.ACCEPTED, _TEXT, text, Connection="close")
            os._exit(1)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs one line for each request, without health checks."""
        if self.path != "/health":
            print(f"{self.address_string()} {format % args}", flush=True)

    def _answer(self, status: HTTPStatus, kind: str, text: str, **headers: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Instance", self.server.identity.instance)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()  # while the request still counts as open


def page(identity: Identity) -> str:
    """The page as HTML."""
    fields = dataclasses.asdict(identity).items()
    return _PAGE.substitute({name: html.escape(value) for name, value in fields})

"""The announcer's socket. Sidekicks talk to it with curl:

PUT /sidekicks/<unit>      with a registration: check and announce the instance from now on
DELETE /sidekicks/<unit>   answers when the instance is out of routing and drained
"""

from __future__ import annotations

import os
import socketserver
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from contract.codec import Malformed
from sidekick.announcer import Announcer

_PREFIX = "/sidekicks/"


class Control(socketserver.ThreadingUnixStreamServer):
    """The server behind the socket."""

    daemon_threads = False  # closing waits for all answers
    request_queue_size = 128

    def __init__(self, path: Path, announcer: Announcer) -> None:
        path.unlink(missing_ok=True)  # of the announcer before this one
        self.announcer = announcer
        super().__init__(str(path), _Handler)
        os.chmod(path, 0o600)


class _Handler(BaseHTTPRequestHandler):
    server: Control

    def do_PUT(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        form = dict(parse_qsl(self.rfile.read(length).decode(), keep_blank_values=True))
        try:
            self.server.announcer.register(self._unit(), form)
        except Malformed as error:
            self._answer(400, str(error))
        else:
            self._answer(204)

    def do_DELETE(self) -> None:
        try:
            self.server.announcer.leave(self._unit())
        except Malformed as error:
            self._answer(400, str(error))
        else:
            self._answer(204)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: watches say what happens."""

    def address_string(self) -> str:
        return "sidekick"  # a Unix socket's client has no address

    def _unit(self) -> str:
        if not self.path.startswith(_PREFIX):
            raise Malformed(f"{self.path} is not below {_PREFIX}")
        return self.path.removeprefix(_PREFIX)

    def _answer(self, status: int, text: str = "") -> None:
        body = f"{text}\n".encode() if text else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body:  # curl may be gone after the headers of an answer without a body
            self.wfile.write(body)

"""Small servers that stand for service instances: they answer with their own name."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes
    server: Backend

    def do_GET(self) -> None:
        self.server.requests.append((self.command, self.path))
        if self.headers.get("Upgrade") == "websocket":
            self._echo_websocket()
            return
        length = int(self.headers.get("Content-Length", 0))
        self.rfile.read(length)
        if self.path.startswith("/slow"):
            time.sleep(1.0)
        status = int(self.path.rpartition("=")[2]) if self.path.startswith("/status=") else 200
        if self.path == "/fail-here":
            status = self.server.fail_here
        if self.server.only_host not in (None, self.headers["Host"]):
            status = 400
        told = {
            "instance": self.server.name,
            "method": self.command,
            "path": self.path,
            "headers": dict(self.headers.items()),
        }
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_PROPFIND = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the tests read `requests`."""

    def _echo_websocket(self) -> None:
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        while data := self.connection.recv(1024):
            self.connection.sendall(data)
        self.close_connection = True


class Backend(ThreadingHTTPServer):
    """An HTTP instance on a port of its own."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.name = name
        self.requests: list[tuple[str, str]] = []
        self.fail_here = 200  # the status of /fail-here
        self.only_host: str | None = None  # the one that it serves; none: all

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def kill(self) -> None:
        """Stop listening at once, as a crashed process does."""
        self.shutdown()
        self.server_close()


class Scripted(socketserver.ThreadingTCPServer):
    """An HTTP instance that answers every request with these bytes, then ends the connection."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, *parts: bytes, pause: float = 0.0) -> None:
        """`pause`: between the parts, in seconds."""
        super().__init__(("127.0.0.1", 0), _ScriptedHandler)
        self.parts = parts
        self.pause = pause

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _ScriptedHandler(socketserver.StreamRequestHandler):
    server: Scripted

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        for n, part in enumerate(self.server.parts):
            if n:
                time.sleep(self.server.pause)
            self.wfile.write(part)


class _TcpHandler(socketserver.StreamRequestHandler):
    server: Any

    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(self.server.name.encode() + b" " + line)


class _UdpHandler(socketserver.DatagramRequestHandler):
    server: Any

    def handle(self) -> None:
        self.wfile.write(self.server.name.encode() + b" " + self.rfile.read())


class TcpEcho(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, name: str, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _TcpHandler)
        self.name = name


class UdpEcho(socketserver.ThreadingUDPServer):
    daemon_threads = True

    def __init__(self, name: str, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _UdpHandler)
        self.name = name


@contextlib.contextmanager
def serving(*servers: socketserver.BaseServer) -> Iterator[None]:
    """Run servers in threads."""
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()

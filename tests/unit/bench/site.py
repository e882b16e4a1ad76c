"""A small web server to load."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Site(ThreadingHTTPServer):
    """Answers 200, at /busy 503, at /sometimes both in turn; counts requests and connections."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = 0
        self.hosts: set[str] = set()
        self.connections: set[tuple[str, int]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes
    server: Site

    def do_GET(self) -> None:
        self.server.requests += 1
        self.server.hosts.add(self.headers["Host"])
        self.server.connections.add(self.client_address)
        busy = self.path == "/busy" or (self.path == "/sometimes" and self.server.requests % 2)
        self.send_response(503 if busy else 200)
        self.send_header("Content-Length", "2")
        if self.headers["Connection"] == "close":
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

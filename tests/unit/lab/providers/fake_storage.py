"""Block blobs in memory behind TLS, for one account: enough to take what the plugin uploads."""

from __future__ import annotations

import re
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lab.azure.endpoints import certificates
from lab.azure.storage import shared_key
from tests.unit.lab.providers.fake_cloud import ACCOUNT_KEY


@dataclass
class Blob:
    content: bytes
    headers: dict[str, str]


@dataclass
class FakeStorage:
    """The blobs of all accounts by host and path."""

    ca: Path = Path()
    port: int = 0
    blobs: dict[str, Blob] = field(default_factory=dict)
    allows_keys: bool = True
    largest_body: int = 0
    _blocks: dict[str, bytes] = field(default_factory=dict)

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str]]:
        self.largest_body = max(self.largest_body, len(body))
        path, _, query = target.partition("?")
        account = headers["host"].partition(".")[0]
        expected = shared_key.authorization(
            account=account, key=ACCOUNT_KEY, method=method, path=path, query=query, headers=headers
        )
        if not self.allows_keys:
            return 403, {"x-ms-error-code": "KeyBasedAuthenticationNotPermitted"}
        if headers["authorization"] != expected:
            return 403, {"x-ms-error-code": "AuthenticationFailed"}
        key = headers["host"] + urllib.parse.unquote(path)
        parameters = dict(urllib.parse.parse_qsl(query))
        match method, parameters.get("comp"):
            case "PUT", "block":
                self._blocks[parameters["blockid"]] = body
                return 201, {}
            case "PUT", "blocklist":
                ids = re.findall("<Latest>(.*?)</Latest>", body.decode())
                content = b"".join(self._blocks[block] for block in ids)
                self.blobs[key] = Blob(content, headers)
                return 201, {}
        return self._answer_for_existing(method, parameters.get("comp"), key, headers)

    def _answer_for_existing(
        self, method: str, comp: str | None, key: str, headers: dict[str, str]
    ) -> tuple[int, dict[str, str]]:
        if key not in self.blobs:
            return 404, {"x-ms-error-code": "BlobNotFound"}
        blob = self.blobs[key]
        match method, comp:
            case "PUT", "properties":
                blob.headers["x-ms-blob-content-type"] = headers["x-ms-blob-content-type"]
                return 200, {}
            case "PUT", "metadata":
                metadata = {name: value for name, value in headers.items() if "x-ms-meta-" in name}
                blob.headers = {**_without_metadata(blob.headers), **metadata}
                return 200, {}
            case "DELETE", None:
                del self.blobs[key]
                return 202, {}
            case "HEAD", None:
                return 200, {
                    "Content-Type": blob.headers["x-ms-blob-content-type"],
                    "Content-MD5": blob.headers["x-ms-blob-content-md5"],
                    **{name: value for name, value in blob.headers.items() if "x-ms-meta" in name},
                }
        return 400, {"x-ms-error-code": "NotInThisFake"}


def _without_metadata(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if "x-ms-meta-" not in name}


@contextmanager
def serving_storage(folder: Path) -> Iterator[FakeStorage]:
    """The storage on a free port of the loopback address, with a certificate like the lab's."""
    authority = certificates.authority(folder)
    storage = FakeStorage(ca=authority.certificate)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer = storage.answer(self.command, self.path, headers, body)
            self.send_response(status)
            for name, value in {"Content-Length": "0", **answer}.items():
                self.send_header(name, value)
            self.end_headers()

        do_HEAD = do_PUT = do_DELETE = _respond

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet: pytest would show it beside every failure."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = authority.server_context().wrap_socket(server.socket, server_side=True)
    storage.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield storage
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

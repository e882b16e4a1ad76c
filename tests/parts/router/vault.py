"""A Key Vault over TLS, and the metadata service that gives tokens for it."""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.parts.router.backends import serving
from tests.parts.router.certificates import make_certificate

TOKEN = "token-for-the-vault"


class Vault(ThreadingHTTPServer):
    """Secrets by name and version; the newest is the last one put."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _VaultHandler)
        key, certificate = make_certificate("localhost")
        self.authority = folder / "vault-ca.pem"
        self.authority.write_text(certificate)
        (folder / "vault.pem").write_text(key + certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "vault.pem")
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.secrets: dict[str, dict[str, str]] = {}
        self.denies = False  # the role assignment has not spread
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_address[1]}"

    def put(self, name: str, version: str, value: str) -> None:
        self.secrets.setdefault(name, {})[version] = value


class _VaultHandler(BaseHTTPRequestHandler):
    server: Vault

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._answer(401, {"error": {"code": "Unauthorized", "message": "no token"}})
        elif self.server.denies:
            message = "Caller is not authorized to perform action on resource."
            self._answer(403, {"error": {"code": "Forbidden", "message": message}})
        else:
            _, kind, name, *version = urlsplit(self.path).path.split("/")
            versions = self.server.secrets.get(name, {})
            wanted = version[0] if version else next(reversed(versions), "")
            if kind == "secrets" and wanted in versions:
                secret_id = f"{self.server.url}/secrets/{name}/{wanted}"
                self._answer(200, {"value": versions[wanted], "id": secret_id})
            else:
                message = f"A secret with (name/id) {name}/{wanted} was not found"
                self._answer(404, {"error": {"code": "SecretNotFound", "message": message}})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


class Metadata(ThreadingHTTPServer):
    """Gives tokens to those who say `Metadata: true` and name the identity."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _MetadataHandler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _MetadataHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        is_right = (
            self.headers["Metadata"] == "true"
            and query["resource"] == ["https://vault.azure.net"]
            and query["client_id"] == ["the-nodes-identity"]
        )
        body = json.dumps({"access_token": TOKEN, "expires_in": "3600"}).encode()
        self.send_response(200 if is_right else 400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@contextlib.contextmanager
def running_vault(folder: Path) -> Iterator[tuple[Vault, dict[str, str]]]:
    """A vault, and the environment with which a router uses it."""
    vault, metadata = Vault(folder), Metadata()
    with serving(vault, metadata):
        yield (
            vault,
            {
                "VAULT_URL": vault.url,
                "IDENTITY_CLIENT_ID": "the-nodes-identity",
                "ROUTER_METADATA": metadata.url,
                "SSL_CERT_FILE": str(vault.authority),
            },
        )

"""One blob in storage with its leases, and the metadata service's tokens, over httpx."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx

from clients.azure.blob import Blob
from clients.azure.managed_identity import ManagedIdentity
from clients.clock import Clock, SystemClock


class SimulatedBlob:
    """As strict about leases and versions as Azure. `denials`: requests to answer with 403."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.version = 0
        self.denials = 0
        self.requests: list[str] = []
        self._lease: tuple[str, float] | None = None
        self._mutex = threading.Lock()

    def client(self, clock: Clock | None = None) -> Blob:
        """A node's blob client. Each node has its own."""
        clock = clock or SystemClock()
        tokens = httpx.MockTransport(_token)
        identity = ManagedIdentity("some-client-id", clock, transport=tokens)
        return Blob(
            "tokdata",
            "cluster",
            "members.json",
            identity,
            clock,
            transport=httpx.MockTransport(self._handle),
        )

    def _handle(self, request: httpx.Request) -> httpx.Response:
        with self._mutex:
            answer = self._answer(request)
        answer.headers["Date"] = format_datetime(datetime.now(UTC), usegmt=True)
        return answer

    def _answer(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Bearer token"
        assert request.url.host == "tokdata.blob.core.windows.net"
        action = request.headers.get("x-ms-lease-action", "")
        self.requests.append(f"{request.method} {action}".strip())
        if self.denials:
            self.denials -= 1
            return _error(403, "AuthorizationPermissionMismatch")
        if request.url.params.get("comp") == "lease":
            return self._change_lease(action, request.headers)
        if request.method == "GET":
            if self.text is None:
                return _error(404, "BlobNotFound")
            return httpx.Response(200, text=self.text, headers={"ETag": f'"{self.version}"'})
        return self._write(request)

    def _change_lease(self, action: str, headers: httpx.Headers) -> httpx.Response:
        if self.text is None:
            return _error(404, "BlobNotFound")
        held = self._holder()
        if action == "acquire":
            if held is not None and held != headers["x-ms-proposed-lease-id"]:
                return _error(409, "LeaseAlreadyPresent")
            duration = int(headers["x-ms-lease-duration"])
            assert 15 <= duration <= 60
            self._lease = (headers["x-ms-proposed-lease-id"], time.monotonic() + duration)
            return httpx.Response(201)
        if held != headers["x-ms-lease-id"]:
            return _error(409, "LeaseIdMismatchWithLeaseOperation")
        self._lease = None if action == "release" else (held, time.monotonic() + 60)
        return httpx.Response(200)

    def _write(self, request: httpx.Request) -> httpx.Response:
        if request.headers.get("If-None-Match") == "*" and self.text is not None:
            return _error(409, "BlobAlreadyExists")
        held = self._holder()
        if held is not None and request.headers.get("x-ms-lease-id") != held:
            return _error(412, "LeaseIdMissing")
        if "If-Match" in request.headers and request.headers["If-Match"] != f'"{self.version}"':
            return _error(412, "ConditionNotMet")
        self.text = request.content.decode()
        self.version += 1
        return httpx.Response(201)

    def _holder(self) -> str | None:
        if self._lease is None or self._lease[1] < time.monotonic():
            return None
        return self._lease[0]


def _error(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, headers={"x-ms-error-code": code})


def _token(request: httpx.Request) -> httpx.Response:
    assert request.headers["Metadata"] == "true"
    assert request.url.params["resource"] == "https://storage.azure.com"
    return httpx.Response(200, json={"access_token": "token", "expires_in": "3600"})

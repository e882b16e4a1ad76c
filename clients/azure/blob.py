"""One blob, read and written under a lease. https://learn.microsoft.com/rest/api/storageservices

Temporary problems (no token yet, a role assignment that has not spread, an outage) raise
BlobUnavailable: the caller tries again until they pass.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx

from clients.azure.managed_identity import STORAGE, ManagedIdentity, TokenUnavailable
from clients.azure.tls import trust
from clients.clock import Clock
from clients.errors import ClusterError

LEASE_SECONDS = 60  # the longest lease that Azure grants, apart from infinite ones
_API_VERSION = "2021-08-06"


class BlobUnavailable(Exception):
    """Storage can't be used now; the text says why. Try again."""


class LeaseTaken(BlobUnavailable):
    """Another node holds the lease."""


class BlobError(ClusterError):
    """Storage refused a wrong request."""


@dataclass(kw_only=True, frozen=True)
class Content:
    """A blob's text and its version."""

    text: str
    etag: str


class Lease:
    """The exclusive right to write the blob, for LEASE_SECONDS after the last renewal."""

    def __init__(self, blob: Blob, lease_id: str) -> None:
        self._blob = blob
        self._id = lease_id

    def renew(self) -> None:
        """Restart the lease's time. Raises LeaseTaken if it was lost."""
        self._blob.lease_action("renew", self._id)

    def write(self, text: str, etag: str) -> None:
        """Replace the blob if it is still at version `etag`."""
        self._blob.put(text, {"If-Match": etag, "x-ms-lease-id": self._id})


class Blob:
    """A blob in the data account, with the node's managed identity."""

    def __init__(
        self,
        account: str,
        container: str,
        name: str,
        identity: ManagedIdentity,
        clock: Clock,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._url = f"https://{account}.blob.core.windows.net/{container}/{name}"
        self._identity = identity
        self._clock = clock
        self._client = httpx.Client(
            transport=transport, verify=trust(), trust_env=False, timeout=20.0
        )
        self.clock_skew = 0.0  # this node's clock minus storage's, by the last answer

    def read(self) -> Content | None:
        """The blob, or None if there is none. A missing container raises BlobUnavailable: the
        program may still be making it."""
        answer = self._request("GET", {}, accept=(200, 404))
        if answer.status_code == 404:
            if answer.headers.get("x-ms-error-code") != "BlobNotFound":
                raise BlobUnavailable(_describe(answer))
            return None
        return Content(text=answer.text, etag=answer.headers["ETag"])

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """Hold the lease; makes an empty blob if there is none. Raises LeaseTaken."""
        lease_id = str(uuid.uuid4())
        if self.read() is None:
            self.put("", {"If-None-Match": "*"}, accept=(201, 409, 412))
        self.lease_action("acquire", lease_id)
        try:
            yield Lease(self, lease_id)
        finally:
            self._release(lease_id)

    def lease_action(self, action: str, lease_id: str) -> None:
        """acquire, renew or release. Raises LeaseTaken."""
        headers = {"x-ms-lease-action": action}
        if action == "acquire":
            headers["x-ms-lease-duration"] = str(LEASE_SECONDS)
            headers["x-ms-proposed-lease-id"] = lease_id
        else:
            headers["x-ms-lease-id"] = lease_id
        answer = self._request("PUT", headers, query={"comp": "lease"}, accept=(200, 201, 409, 412))
        if not answer.is_success:
            raise LeaseTaken(f"another node holds the lease ({_describe(answer)})")

    def put(
        self, text: str, headers: Mapping[str, str], *, accept: tuple[int, ...] = (201,)
    ) -> None:
        """Write the blob; `headers` carry the conditions."""
        blob = {"x-ms-blob-type": "BlockBlob", "Content-Type": "application/json"}
        answer = self._request("PUT", {**blob, **headers}, body=text, accept=(*accept, 409, 412))
        if answer.status_code not in accept:
            raise LeaseTaken(f"the blob changed or the lease is lost ({_describe(answer)})")

    def _release(self, lease_id: str) -> None:
        try:
            self.lease_action("release", lease_id)
        except BlobUnavailable:
            return  # it expires after LEASE_SECONDS

    def _request(
        self,
        method: str,
        headers: Mapping[str, str],
        *,
        query: Mapping[str, str] | None = None,
        body: str = "",
        accept: tuple[int, ...],
    ) -> httpx.Response:
        try:
            token = self._identity.token(STORAGE)
            answer = self._client.request(
                method,
                self._url,
                params=query,
                content=body.encode() if method == "PUT" else None,
                headers={
                    "Authorization": f"Bearer {token}",
                    "x-ms-version": _API_VERSION,
                    **headers,
                },
            )
        except TokenUnavailable as error:
            raise BlobUnavailable(str(error)) from error
        except httpx.TransportError as error:
            raise BlobUnavailable(f"{self._url}: {error or type(error).__name__}") from error
        self._note_time(answer)
        if answer.status_code in accept:
            return answer
        # 401 and 403: the role assignment needs minutes to spread; 404: the container is not there
        if answer.status_code in (401, 403, 404, 408, 429) or answer.status_code >= 500:
            raise BlobUnavailable(_describe(answer))
        raise BlobError(f"storage refuses {method} {self._url}: {_describe(answer)}")

    def _note_time(self, answer: httpx.Response) -> None:
        date = answer.headers.get("Date")
        if date:
            theirs = parsedate_to_datetime(date)
            self.clock_skew = (self._clock.date() - theirs).total_seconds()


def _describe(answer: httpx.Response) -> str:
    code = answer.headers.get("x-ms-error-code") or answer.text.strip()[:160]
    return f"{answer.status_code} {code} from {answer.request.url.host}"

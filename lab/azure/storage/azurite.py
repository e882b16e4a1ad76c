"""The blob store behind the storage front: an Azurite with the containers of all accounts.

Azurite has neither the lab's accounts nor its roles, and only the front has its key. Container
``c`` of account ``a`` is Azurite's ``a-c``: account names have no hyphen, so the first separates.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from email.utils import formatdate
from urllib.parse import quote

import aiohttp
from yarl import URL

from lab.azure.arm.errors import AzureError, not_modelled
from lab.azure.storage import shared_key
from lab.azure.storage.blob_request import Target
from lab.azure.storage.resource_types import STORAGE_SUFFIX

API_VERSION = "2021-08-06"
MAX_CONTAINER_NAME = 63

# Node closes idle connections after 5 s; a request sent into that moment would fail.
_KEEP_ALIVE = 2.0
_READ_BUFFER = 1 << 19

# aiohttp would add these after the request was signed.
_NO_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Azurite:
    """``url`` is ``http://host:port``. The host is an address or has no dot: Azurite would take
    the first label of a longer name for the account."""

    def __init__(self, url: str, account: str, key: str) -> None:
        self._origin = url.rstrip("/")
        self._account = account
        self._key = key
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def send(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: AsyncIterator[bytes] | None = None,
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """One signed request. ``path`` is below the account and, like ``query``, encoded."""
        full_path = f"/{self._account}{path}"
        complete = {"x-ms-version": API_VERSION, "x-ms-date": formatdate(usegmt=True)}
        complete |= headers or {}
        if body is None and method == "PUT":
            complete.setdefault("Content-Length", "0")
        complete["Authorization"] = shared_key.authorization(
            account=self._account,
            key=self._key,
            method=method,
            path=full_path,
            query=query,
            headers=complete,
            order=_collated,
        )
        url = f"{self._origin}{full_path}" + (f"?{query}" if query else "")
        return self._connected().request(
            method, URL(url, encoded=True), headers=complete, data=body, allow_redirects=False
        )

    def path(self, target: Target) -> str:
        """The target's path, below the account."""
        container = backing_container(target.account, target.container)
        return f"/{container}/{target.blob}" if target.blob else f"/{container}"

    def url(self, target: Target) -> str:
        """Azurite's own URL of a target, for copies."""
        return f"{self._origin}/{self._account}{self.path(target)}"

    def in_public_names(self, text: str) -> str:
        """A header or a list, with Azure's URLs and container names in place of Azurite's."""
        root = re.escape(f"{self._origin}/{self._account}")
        text = re.sub(rf"{root}/([a-z0-9]+)-", rf"https://\1{STORAGE_SUFFIX}/", text)
        name = re.search(r'ServiceEndpoint="[^"]*" ContainerName="([a-z0-9]+)-([^"]*)"', text)
        if name is None:
            return text
        endpoint = f'ServiceEndpoint="https://{name[1]}{STORAGE_SUFFIX}/"'
        return text.replace(name[0], f'{endpoint} ContainerName="{name[2]}"', 1)

    async def create_container(self, account: str, container: str) -> None:
        """Creates the container. It may exist already, after an interrupted creation."""
        path = f"/{backing_container(account, container)}"
        await self._manage("PUT", path, "restype=container", {201, 409})

    async def delete_container(self, account: str, container: str) -> None:
        path = f"/{backing_container(account, container)}"
        await self._manage("DELETE", path, "restype=container", {202, 404})

    async def _manage(self, method: str, path: str, query: str, expected: set[int]) -> None:
        try:
            async with self.send(method, path, query) as response:
                text = await response.text()
        except aiohttp.ClientError as error:
            raise unavailable(error) from error
        if response.status not in expected:
            raise AzureError(
                "InternalError", f"the blob store answered {response.status}: {text}", 500
            )

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=120),
                auto_decompress=False,
                read_bufsize=_READ_BUFFER,
                skip_auto_headers=_NO_AUTOMATIC,
            )
        return self._session


def backing_container(account: str, container: str) -> str:
    name = f"{account}-{container}"
    if container.startswith("$"):
        raise not_modelled(f"the system container {container}")
    if len(name) > MAX_CONTAINER_NAME:
        raise not_modelled(f"a container whose name and account's exceed 62 characters: {name}")
    return quote(name)


def unavailable(error: Exception) -> AzureError:
    """The answer while Azurite does not respond; the SDKs retry it."""
    return AzureError("ServerBusy", f"The server is currently unable: {error}", 503)


def _collated(header: str) -> str:
    # Azurite sorts by locale, which puts an underscore first.
    return header.replace("_", " ")

"""One storage account's blobs over HTTPS, as any client of Azure reaches them.

Host names and certificates are Azure's (`<account>.blob.core.windows.net`); only the address of the
connection is the lab's. Content is sent in blocks, so no file is in memory as a whole.
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import re
import ssl
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import grpc
import httpx

from lab.azure.storage import shared_key
from lab.azure.storage.resource_types import STORAGE_SUFFIX
from lab.providers.cloud_client import CloudError
from lab.providers.plugin import ProviderError

_SERVICE_VERSION = "2023-11-03"
_BLOCK = 8 * 1024 * 1024
_TIMEOUT = 120.0  # for one request; a block takes well under a second


@dataclass(frozen=True, kw_only=True)
class BlobEndpoint:
    """The lab's address of all storage accounts, and the certificate authority to trust."""

    host: str
    port: int
    ca: str

    def connect(self, account: str) -> httpx.Client:
        """A client that addresses the account's own host."""
        return httpx.Client(
            base_url=f"https://{self.host}:{self.port}",
            headers={"Host": f"{account}{STORAGE_SUFFIX}", "Accept-Encoding": "identity"},
            verify=ssl.create_default_context(cafile=self.ca),
            timeout=_TIMEOUT,
            trust_env=False,
        )


@dataclass(frozen=True, kw_only=True)
class BlobHeaders:
    """A blob's properties."""

    content_type: str
    content_md5: str
    metadata: Mapping[str, str]


class BlobClient:
    """The blobs of one account, with its key."""

    def __init__(self, endpoint: BlobEndpoint, account: str, key: str) -> None:
        self._account = account
        self._key = key
        self._client = endpoint.connect(account)

    def close(self) -> None:
        self._client.close()

    def head(self, container: str, name: str) -> BlobHeaders | None:
        """The properties of a blob; None if it does not exist."""
        try:
            found = self._call("HEAD", _blob_path(container, name))
        except CloudError as error:
            if error.status == 404:
                return None
            raise
        metadata = {
            header[len("x-ms-meta-") :]: value
            for header, value in found.items()
            if header.startswith("x-ms-meta-")
        }
        return BlobHeaders(
            content_type=found.get("content-type", ""),
            content_md5=found.get("content-md5", ""),
            metadata=metadata,
        )

    def upload(self, container: str, name: str, content: BinaryIO, headers: BlobHeaders) -> None:
        """Write a blob, or replace it. Its MD5 becomes that of the sent content."""
        path = _blob_path(container, name)
        digest = hashlib.md5(usedforsecurity=False)
        blocks: list[str] = []
        for block in _blocks(content):
            digest.update(block)
            blocks.append(base64.b64encode(b"%08d" % len(blocks)).decode())
            block_id = urllib.parse.quote(blocks[-1], safe="")
            self._call("PUT", f"{path}?comp=block&blockid={block_id}", block)
        content_md5 = base64.b64encode(digest.digest()).decode()
        if headers.content_md5 not in ("", content_md5):
            raise ProviderError(
                f"contentMd5 of '{name}' is '{headers.content_md5}' but the source has "
                f"'{content_md5}'",
                grpc.StatusCode.INVALID_ARGUMENT,
            )
        latest = "".join(f"<Latest>{block}</Latest>" for block in blocks)
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{latest}</BlockList>'
        described = _describing(headers.content_type, content_md5, headers.metadata)
        self._call("PUT", f"{path}?comp=blocklist", body.encode(), described)

    def describe(self, container: str, name: str, headers: BlobHeaders) -> None:
        """Change the content type and metadata of a blob."""
        path = _blob_path(container, name)
        properties = _describing(headers.content_type, headers.content_md5, {})
        self._call("PUT", f"{path}?comp=properties", b"", properties)
        self._call("PUT", f"{path}?comp=metadata", b"", _metadata_headers(headers.metadata))

    def delete(self, container: str, name: str) -> None:
        """Delete a blob. A missing one is no error."""
        try:
            self._call("DELETE", _blob_path(container, name))
        except CloudError as error:
            if error.status != 404:
                raise

    def _call(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        request = self._signed(method, url, body, headers or {})
        host = request.headers["Host"]
        request.extensions["sni_hostname"] = host
        try:
            response = self._client.send(request)
        except httpx.TransportError as error:
            raise ProviderError(
                f"the lab's storage does not answer for {host}: run make up ({error})",
                grpc.StatusCode.UNAVAILABLE,
            ) from error
        found = {name.lower(): value for name, value in response.headers.items()}
        if response.is_error:
            raise _storage_error(response.status_code, found, response.content)
        return found

    def _signed(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> httpx.Request:
        stamped = {
            **headers,
            "x-ms-date": email.utils.formatdate(usegmt=True),
            "x-ms-version": _SERVICE_VERSION,
        }
        request = self._client.build_request(method, url, content=body, headers=stamped)
        # As sent: httpx may encode the path in another way.
        path, _, query = request.url.raw_path.decode().partition("?")
        request.headers["Authorization"] = shared_key.authorization(
            account=self._account,
            key=self._key,
            method=method,
            path=path,
            query=query,
            headers=request.headers,
        )
        return request


def _blocks(content: BinaryIO) -> Iterator[bytes]:
    while block := content.read(_BLOCK):
        yield block


def _blob_path(container: str, name: str) -> str:
    return f"/{container}/{urllib.parse.quote(name, safe='/')}"


def _describing(content_type: str, content_md5: str, metadata: Mapping[str, str]) -> dict[str, str]:
    return {
        "x-ms-blob-content-type": content_type,
        "x-ms-blob-content-md5": content_md5,
        **_metadata_headers(metadata),
    }


def _metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    return {f"x-ms-meta-{name}": value for name, value in metadata.items()}


def _storage_error(status: int, headers: Mapping[str, str], content: bytes) -> CloudError:
    """Storage describes an error in XML; in the answer to a HEAD, with a header only."""
    text = content.decode(errors="replace")
    code = re.search(r"<Code>(.*?)</Code>", text)
    message = re.search(r"<Message>(.*?)</Message>", text, re.DOTALL)
    return CloudError(
        status,
        code[1] if code else headers.get("x-ms-error-code", f"HTTP{status}"),
        message[1].strip() if message else f"the storage service answered {status}",
    )

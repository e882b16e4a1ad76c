"""One storage account's blobs over HTTPS, the way any client of Azure reaches them.

Names and certificates are Azure's (`<account>.blob.core.windows.net`); only the address that the
connection goes to is the lab's. Content is sent in blocks: no file is ever in memory as a whole.
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import http.client
import re
import socket
import ssl
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import grpc

from lab.azure.storage import shared_key
from lab.providers.cloud_client import CloudError
from lab.providers.plugin import ProviderError

_SERVICE_VERSION = "2023-11-03"
_BLOCK = 8 * 1024 * 1024
_TIMEOUT = 120.0  # for one request; a block takes well under a second


@dataclass(frozen=True, kw_only=True)
class BlobEndpoint:
    """Where the lab answers for all storage accounts, and whom to trust there."""

    host: str
    port: int
    ca: str

    def connect(self, account: str) -> http.client.HTTPSConnection:
        """A connection that says it goes to the account's own host."""
        context = ssl.create_default_context(cafile=self.ca)
        return _Connection(f"{account}.blob.core.windows.net", self, context)


class _Connection(http.client.HTTPSConnection):
    def __init__(self, host: str, endpoint: BlobEndpoint, context: ssl.SSLContext) -> None:
        super().__init__(host, timeout=_TIMEOUT, context=context)
        self._endpoint = endpoint
        self._tls = context

    def connect(self) -> None:
        address = (self._endpoint.host, self._endpoint.port)
        plain = socket.create_connection(address, self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


@dataclass(frozen=True, kw_only=True)
class BlobHeaders:
    """What a blob says of itself."""

    content_type: str
    content_md5: str
    metadata: Mapping[str, str]


class BlobService:
    """The blobs of one account, with its key."""

    def __init__(self, endpoint: BlobEndpoint, account: str, key: str) -> None:
        self._account = account
        self._key = key
        self._connection = endpoint.connect(account)

    def close(self) -> None:
        self._connection.close()

    def head(self, container: str, name: str) -> BlobHeaders | None:
        """What there is under that name, None when there is nothing."""
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
        """Write a blob, replacing what is there. Its MD5 becomes that of what was sent."""
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
        """Remove a blob; one that is gone already is no error."""
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
        signed = self._signed(method, url, body, headers or {})
        try:
            self._connection.request(method, url, body, signed)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ProviderError(
                f"the lab's storage does not answer for {self._connection.host}: run make up "
                f"({error})",
                grpc.StatusCode.UNAVAILABLE,
            ) from error
        found = {name.lower(): value for name, value in response.getheaders()}
        if response.status >= 400:
            raise _storage_error(response.status, found, content)
        return found

    def _signed(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> dict[str, str]:
        path, _, query = url.partition("?")
        length = {} if body is None else {"Content-Length": str(len(body))}
        stamped = {
            **headers,
            **length,
            "x-ms-date": email.utils.formatdate(usegmt=True),
            "x-ms-version": _SERVICE_VERSION,
        }
        signature = shared_key.authorization(
            account=self._account,
            key=self._key,
            method=method,
            path=path,
            query=query,
            headers=stamped,
        )
        return {**stamped, "Authorization": signature}


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
    """Storage answers in XML; to a HEAD only with a header."""
    text = content.decode(errors="replace")
    code = re.search(r"<Code>(.*?)</Code>", text)
    message = re.search(r"<Message>(.*?)</Message>", text, re.DOTALL)
    return CloudError(
        status,
        code[1] if code else headers.get("x-ms-error-code", f"HTTP{status}"),
        message[1].strip() if message else f"the storage service answered {status}",
    )

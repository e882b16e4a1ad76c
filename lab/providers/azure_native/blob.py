"""`storage.Blob`: a file in a container, uploaded by the provider itself.

As in the real provider, the account's key signs every request, not the deployer's login: without
shared keys, the storage service answers KeyBasedAuthenticationNotPermitted. The simulated Azure has
a record of each blob, which is written after the upload and removed after the deletion. So the next
run finishes an interrupted one.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, BinaryIO

import grpc

from lab.azure.resource_types import RESOURCE_TYPES
from lab.azure.storage.resource_types import BLOB, LIST_ACCOUNT_KEYS, STORAGE_SUFFIX
from lab.providers.azure_native.blob_client import BlobClient, BlobEndpoint, BlobHeaders
from lab.providers.cloud_client import CloudClient, CloudError, CloudResource
from lab.providers.plugin import ProviderError
from lab.providers.wire import Asset, Props

_TYPE = RESOURCE_TYPES[BLOB]
_DEFAULT_CONTENT_TYPE = "application/octet-stream"


class BlobResources:
    """Create, read, update and delete for blobs, as in `CloudClient`."""

    def __init__(self, cloud: CloudClient) -> None:
        self._cloud = cloud

    def create(self, token: str, inputs: Props, timeout: float) -> CloudResource:
        blob_id = _TYPE.resource_id(inputs)
        container, name = inputs["containerName"], inputs["blobName"]
        recorded = self._cloud.read(blob_id) is not None
        with self._service(inputs) as service:
            if recorded and service.head(container, name) is not None:
                message = f"cannot create already existing resource '{blob_id}'"
                raise ProviderError(message, grpc.StatusCode.ALREADY_EXISTS)
            with _content(inputs.get("source")) as content:
                service.upload(container, name, content, _headers(inputs))
            if recorded:  # the blob was deleted without Pulumi
                self._cloud.update(blob_id, token, _without_source(inputs), timeout)
            else:
                self._cloud.create(token, _without_source(inputs), timeout)
            return _resource(blob_id, service)

    def read(self, resource_id: str) -> CloudResource | None:
        names = _names(resource_id)
        try:
            with self._service(names) as service:
                return _resource(resource_id, service)
        except CloudError as error:
            if error.status == 404:  # the blob, its container or the whole account
                return None
            raise

    def update(self, resource_id: str, token: str, inputs: Props, timeout: float) -> CloudResource:
        container, name = inputs["containerName"], inputs["blobName"]
        with self._service(inputs) as service:
            found = service.head(container, name)
            if found is None:
                raise CloudError(404, "BlobNotFound", f"there is no blob '{name}' any more")
            self._cloud.update(resource_id, token, _without_source(inputs), timeout)
            wanted = _headers({"contentMd5": found.content_md5, **inputs})
            service.describe(container, name, wanted)
            return _resource(resource_id, service)

    def delete(self, resource_id: str, timeout: float) -> None:
        names = _names(resource_id)
        try:
            with self._service(names) as service:
                service.delete(names["containerName"], names["blobName"])
        except CloudError as error:
            if error.status != 404:  # with the account, the blob is gone
                raise
        self._cloud.delete(resource_id, timeout)

    @contextmanager
    def _service(self, names: Props) -> Iterator[BlobClient]:
        """The account of these inputs, or of the names in a blob's id."""
        account = names["accountName"]
        group = names["resourceGroupName"]
        keys = self._cloud.invoke(
            LIST_ACCOUNT_KEYS, {"accountName": account, "resourceGroupName": group}
        )
        service = BlobClient(_endpoint(), account, keys["keys"][0]["value"])
        with closing(service):
            yield service


def _endpoint() -> BlobEndpoint:
    try:
        host, _, port = os.environ["LAB_BLOB_ENDPOINT"].rpartition(":")
        return BlobEndpoint(host=host, port=int(port), ca=os.environ["LAB_CA"])
    except KeyError as missing:
        raise ProviderError(
            f"{missing.args[0]} is not set: blobs go to the lab's storage only. "
            "Run pulumi as `python -m lab exec -- pulumi …`, or `make up`.",
            grpc.StatusCode.UNAVAILABLE,
        ) from None


def _names(resource_id: str) -> dict[str, Any]:
    names = _TYPE.parse_id(resource_id)
    if names is None:
        message = f"'{resource_id}' is not the id of a blob: {_TYPE.id_template}"
        raise ProviderError(message, grpc.StatusCode.INVALID_ARGUMENT)
    return dict(names)


def _resource(blob_id: str, service: BlobClient) -> CloudResource:
    """A blob's outputs. Raises a 404 if it does not exist."""
    names = _names(blob_id)
    container, name = names["containerName"], names["blobName"]
    found = service.head(container, name)
    if found is None:
        raise CloudError(404, "BlobNotFound", f"there is no blob '{name}' in '{container}'")
    url = f"https://{names['accountName']}{STORAGE_SUFFIX}/{container}/{name}"
    outputs = {
        "name": name,
        "type": "Block",
        "url": url,
        "contentType": found.content_type,
        "contentMd5": found.content_md5,
        "metadata": dict(found.metadata),
    }
    return CloudResource(blob_id, outputs)


def _headers(inputs: Props) -> BlobHeaders:
    return BlobHeaders(
        content_type=inputs.get("contentType") or _DEFAULT_CONTENT_TYPE,
        content_md5=inputs.get("contentMd5") or "",
        metadata=inputs.get("metadata") or {},
    )


def _without_source(inputs: Props) -> Props:
    return {name: value for name, value in inputs.items() if name != "source"}


def _content(source: Asset | None) -> BinaryIO:
    """The file to upload from. Without a source, the blob is empty."""
    if source is None:
        return io.BytesIO()
    if source.kind == "text":
        return io.BytesIO(str(source.value).encode())
    try:
        return open(source.value, "rb")
    except OSError as error:
        message = f"cannot read '{source.value}': {error.strerror}"
        raise ProviderError(message, grpc.StatusCode.INVALID_ARGUMENT) from error

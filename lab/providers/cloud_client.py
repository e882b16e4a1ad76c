"""The simulated Azure's API for the provider plugin.

Calls block, because they run in threads. Every failure is a `ProviderError` with the gRPC code that
the engine expects for it.
"""

from __future__ import annotations

import os
import urllib.parse
from dataclasses import dataclass
from typing import Any

import grpc

from lab.machine.azure_api import ApiError, ApiTimeout, ApiUnreachable, AzureApi
from lab.providers.plugin import ProviderError

_TWO_HOURS = 2 * 60 * 60  # azure-native's limit for an operation

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    412: grpc.StatusCode.FAILED_PRECONDITION,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
}


class CloudError(ProviderError):
    """The simulated Azure answered with an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.azure_code = code
        super().__init__(f"{code}: {message}", _grpc_code(status, message))


def _grpc_code(status: int, message: str) -> grpc.StatusCode:
    if status == 409 and "already exist" in message:
        return grpc.StatusCode.ALREADY_EXISTS
    return _CODES.get(status, grpc.StatusCode.ABORTED)


@dataclass(frozen=True)
class CloudResource:
    """A resource of the simulated Azure, with outputs in azure-native's shape."""

    id: str
    outputs: dict[str, Any]


class CloudClient:
    """The simulated Azure at a URL, with the lab's token."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._api = AzureApi(url, token)

    @classmethod
    def from_environment(cls) -> CloudClient:
        """The simulated Azure of LAB_API_URL and LAB_API_TOKEN. If they are missing, every call
        fails: the engine would report a plugin that does not start as a bug.
        """
        return cls(os.environ.get("LAB_API_URL", ""), os.environ.get("LAB_API_TOKEN", ""))

    def create(
        self, token: str, inputs: dict[str, Any], timeout: float = _TWO_HOURS
    ) -> CloudResource:
        """Create a resource. Raises ALREADY_EXISTS if it exists."""
        answer = self._call(
            "POST", "/resources", {"token": token, "inputs": inputs}, timeout=timeout
        )
        return CloudResource(answer["id"], answer["outputs"])

    def update(
        self, resource_id: str, token: str, inputs: dict[str, Any], timeout: float = _TWO_HOURS
    ) -> CloudResource:
        """Update a resource to these inputs."""
        body = {"id": resource_id, "token": token, "inputs": inputs}
        answer = self._call("PUT", "/resources", body, timeout=timeout)
        return CloudResource(answer["id"], answer["outputs"])

    def read(self, resource_id: str) -> CloudResource | None:
        """The resource as it is now; None if it does not exist."""
        try:
            answer = self._call("GET", _resource_path(resource_id))
        except CloudError as error:
            if error.status == 404:
                return None
            raise
        return CloudResource(answer["id"], answer["outputs"])

    def delete(self, resource_id: str, timeout: float = _TWO_HOURS) -> None:
        """Delete a resource. As in Azure (204), a missing one is no error."""
        try:
            self._call("DELETE", _resource_path(resource_id), timeout=timeout)
        except CloudError as error:
            if error.status != 404:
                raise

    def invoke(self, token: str, args: dict[str, Any]) -> dict[str, Any]:
        """The result of a function, such as listStorageAccountKeys."""
        answer = self._call("POST", "/invoke", {"token": token, "args": args})
        result: dict[str, Any] = answer["result"]
        return result

    def _call(
        self, method: str, path: str, body: Any = None, timeout: float = _TWO_HOURS
    ) -> dict[str, Any]:
        if not self._url:
            raise ProviderError(
                "LAB_API_URL is not set: this plugin reaches the lab's cloud only. "
                "Run pulumi as `python -m lab exec -- pulumi …`, or `make up`.",
                grpc.StatusCode.UNAVAILABLE,
            )
        try:
            answer = self._api.call(method, path, body, timeout=timeout)
        except ApiError as error:
            raise CloudError(error.status, error.code, error.message) from error
        except ApiTimeout:
            raise ProviderError(
                f"the lab's cloud did not finish within {timeout:g} s (custom_timeouts)",
                grpc.StatusCode.DEADLINE_EXCEEDED,
            ) from None
        except ApiUnreachable as error:
            raise ProviderError(
                f"the lab's cloud does not answer at {self._url}: run make up ({error})",
                grpc.StatusCode.UNAVAILABLE,
            ) from None
        return answer or {}


def _resource_path(resource_id: str) -> str:
    return f"/resources?id={urllib.parse.quote(resource_id, safe='')}"

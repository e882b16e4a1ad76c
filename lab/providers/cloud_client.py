"""The lab's cloud over HTTP, as its provider plugin sees it (see the API in `lab.azure`).

Blocking, on the standard library only: a plugin must start fast, and its calls run in threads.
Every failure comes out as a `ProviderError` whose code tells the engine what it means.
"""

from __future__ import annotations

import http.client
import json
import os
import urllib.parse
from dataclasses import dataclass
from typing import Any

import grpc

from lab.providers.plugin import ProviderError

_TWO_HOURS = 2 * 60 * 60  # azure-native's own limit for an operation

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
    """The cloud answered with an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.azure_code = code
        if status == 501:
            message = f"the lab's cloud does not model this: {message}"
        super().__init__(f"{code}: {message}", _grpc_code(status, message))


def _grpc_code(status: int, message: str) -> grpc.StatusCode:
    if status == 409 and "already exist" in message:
        return grpc.StatusCode.ALREADY_EXISTS
    return _CODES.get(status, grpc.StatusCode.ABORTED)


@dataclass(frozen=True)
class CloudResource:
    """A resource as the cloud has it: outputs in the shape that azure-native returns."""

    id: str
    outputs: dict[str, Any]


class CloudClient:
    """One cloud, at a URL, with the lab's token."""

    def __init__(self, url: str, token: str) -> None:
        self._address = urllib.parse.urlsplit(url)
        self._token = token

    @classmethod
    def from_environment(cls) -> CloudClient:
        """The cloud of LAB_API_URL and LAB_API_TOKEN. Where they are missing, every call says so:
        of a plugin that does not even start, the engine reports a bug.
        """
        return cls(os.environ.get("LAB_API_URL", ""), os.environ.get("LAB_API_TOKEN", ""))

    def create(
        self, token: str, inputs: dict[str, Any], timeout: float = _TWO_HOURS
    ) -> CloudResource:
        """Make a resource. ALREADY_EXISTS when the cloud has it."""
        answer = self._call(
            "POST", "/resources", {"token": token, "inputs": inputs}, timeout=timeout
        )
        return CloudResource(answer["id"], answer["outputs"])

    def update(
        self, resource_id: str, token: str, inputs: dict[str, Any], timeout: float = _TWO_HOURS
    ) -> CloudResource:
        """Change a resource to these inputs."""
        body = {"id": resource_id, "token": token, "inputs": inputs}
        answer = self._call("PUT", "/resources", body, timeout=timeout)
        return CloudResource(answer["id"], answer["outputs"])

    def read(self, resource_id: str) -> CloudResource | None:
        """The resource as it is now, None when it is gone."""
        try:
            answer = self._call("GET", _resource_path(resource_id))
        except CloudError as error:
            if error.status == 404:
                return None
            raise
        return CloudResource(answer["id"], answer["outputs"])

    def delete(self, resource_id: str, timeout: float = _TWO_HOURS) -> None:
        """Remove a resource; one that is gone already is no error, as in Azure (204)."""
        try:
            self._call("DELETE", _resource_path(resource_id), timeout=timeout)
        except CloudError as error:
            if error.status != 404:
                raise

    def invoke(self, token: str, args: dict[str, Any]) -> dict[str, Any]:
        """The result of a function such as listStorageAccountKeys."""
        answer = self._call("POST", "/invoke", {"token": token, "args": args})
        result: dict[str, Any] = answer["result"]
        return result

    def _call(
        self, method: str, path: str, body: Any = None, timeout: float = _TWO_HOURS
    ) -> dict[str, Any]:
        if not self._address.hostname:
            raise ProviderError(
                "LAB_API_URL is not set: this plugin reaches the lab's cloud only. "
                "Run pulumi as `python -m lab exec -- pulumi …`, or `make up`.",
                grpc.StatusCode.UNAVAILABLE,
            )
        connection = http.client.HTTPConnection(
            self._address.hostname, self._address.port, timeout=timeout
        )
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        payload = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            status, content = response.status, response.read()
        except TimeoutError:
            raise ProviderError(
                f"the lab's cloud did not finish within {timeout:g} s (custom_timeouts)",
                grpc.StatusCode.DEADLINE_EXCEEDED,
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise ProviderError(
                f"the lab's cloud does not answer at {self._address.geturl()}: run make up "
                f"({error})",
                grpc.StatusCode.UNAVAILABLE,
            ) from None
        finally:
            connection.close()
        return _answer(status, content)


def _resource_path(resource_id: str) -> str:
    return f"/resources?id={urllib.parse.quote(resource_id, safe='')}"


def _answer(status: int, content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content) if content else {}
        if status >= 400:
            raise CloudError(status, answer["error"]["code"], answer["error"]["message"])
    except (ValueError, KeyError, TypeError):
        text = content[:300].decode(errors="replace")
        raise CloudError(status, "UnreadableAnswer", f"HTTP {status}: {text}") from None
    if not isinstance(answer, dict):
        raise CloudError(status, "UnreadableAnswer", f"HTTP {status}: not an object")
    return answer

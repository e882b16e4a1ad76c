"""The client of the simulated Azure's API, for the lab's commands and its provider plugin."""

from __future__ import annotations

from typing import Any

import httpx


class ApiError(Exception):
    """An error answer, with Azure's code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message


class ApiUnreachable(OSError):
    """There was no answer."""


class ApiTimeout(ApiUnreachable):
    """There was no answer in time."""


class AzureApi:
    """One lab's API. Threads may share it."""

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            verify=False,  # plain HTTP on loopback: loading certificates would take longer
            trust_env=False,
        )

    def call(self, method: str, path: str, body: object | None = None, *, timeout: float) -> Any:
        """The parsed answer, None if it is empty. Raises ApiError and ApiUnreachable."""
        try:
            answer = self._client.request(method, path, json=body, timeout=timeout)
        except httpx.TimeoutException as error:
            raise ApiTimeout(f"no answer within {timeout:g} s") from error
        except httpx.TransportError as error:
            raise ApiUnreachable(str(error)) from error
        return _parsed(answer)


def _parsed(answer: httpx.Response) -> Any:
    try:
        content: Any = answer.json() if answer.content else None
        if answer.is_error:
            raise ApiError(
                answer.status_code, content["error"]["code"], content["error"]["message"]
            )
    except (ValueError, KeyError, TypeError):
        message = f"HTTP {answer.status_code}: {answer.text[:300]}"
        raise ApiError(answer.status_code, "UnreadableAnswer", message) from None
    return content

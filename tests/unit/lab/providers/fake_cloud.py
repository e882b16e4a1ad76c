"""The cloud's HTTP API in memory, without any of Azure's rules: enough to drive the plugin.

It stores what it is given and answers with the inputs and a few outputs of Azure's own. What a
test wants to go wrong is said in `failures`; what happened is in `requests`.
"""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lab.azure.arm.subscription import (
    DEPLOYER_CLIENT_ID,
    DEPLOYER_OBJECT_ID,
    SUBSCRIPTION_ID,
    TENANT_ID,
)
from lab.azure.identity.resource_types import GET_CLIENT_CONFIG
from lab.azure.resource_types import RESOURCE_TYPES
from lab.azure.storage.resource_types import LIST_ACCOUNT_KEYS

TOKEN = "a-token-for-tests"
ACCOUNT_KEY = "YW4tYWNjb3VudC1rZXktZm9yLXRlc3Rz"


class Refusal(Exception):
    """An error answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"code": code, "message": message}}


class FakeCloud:
    """The store behind the API."""

    def __init__(self) -> None:
        self.url = ""
        self.resources: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.failures: dict[str, Refusal] = {}
        """By resource type: what creating one is answered with."""
        self.made_in_spite: set[str] = set()
        """Resource types that exist although their creation failed."""
        self.stop: Callable[[], None] = lambda: None

    def id_of(self, name: str) -> str:
        """The id of the one resource with that name."""
        (found,) = [each for each in self.resources if each.rsplit("/", 1)[-1] == name]
        return found

    def writes(self) -> list[str]:
        """What was changed so far, as "POST Subnet", "DELETE Vault", …"""
        return [
            f"{method} {body.get('token', '').split(':')[-1]}".strip()
            for method, path, body in self.requests
            if path.startswith("/resources") and method != "GET"
        ]

    def answer(self, method: str, target: str, body: dict[str, Any]) -> tuple[int, Any]:
        self.requests.append((method, target, body))
        path, _, query = target.partition("?")
        resource_id = dict(urllib.parse.parse_qsl(query)).get("id", "")
        match method, path:
            case "POST", "/resources":
                return 201, self._create(body["token"], body["inputs"])
            case "PUT", "/resources":
                return 200, self._put(body["id"], body["token"], body["inputs"])
            case "GET", "/resources":
                if resource_id not in self.resources:
                    raise Refusal(404, "ResourceNotFound", f"'{resource_id}' was not found.")
                return 200, self.resources[resource_id]
            case "DELETE", "/resources":
                self.resources.pop(resource_id, None)
                return 204, None
            case "POST", "/invoke":
                return 200, {"result": _invoke(body["token"], body["args"])}
        raise Refusal(404, "NotFound", f"no {method} {path}")

    def _create(self, token: str, inputs: dict[str, Any]) -> dict[str, Any]:
        resource_id = RESOURCE_TYPES[token].resource_id(inputs)
        if resource_id in self.resources:
            message = f"cannot create already existing resource '{resource_id}'"
            raise Refusal(409, "ResourceExists", message)
        name = token.split(":")[-1]
        if name in self.failures and name not in self.made_in_spite:
            raise self.failures[name]
        made = self._put(resource_id, token, inputs)
        if name in self.failures:
            raise self.failures[name]
        return made

    def _put(self, resource_id: str, token: str, inputs: dict[str, Any]) -> dict[str, Any]:
        outputs = _outputs(resource_id, token, inputs)
        self.resources[resource_id] = {
            "id": resource_id,
            "token": token,
            "inputs": inputs,
            "outputs": outputs,
        }
        return self.resources[resource_id]


def _outputs(resource_id: str, token: str, inputs: dict[str, Any]) -> dict[str, Any]:
    resource_type = RESOURCE_TYPES[token]
    kept = {name: value for name, value in inputs.items() if name not in resource_type.id_names}
    outputs = json.loads(json.dumps(kept))
    outputs.update(
        name=resource_id.rsplit("/", 1)[-1],
        type=resource_type.arm_type,
        provisioningState="Succeeded",
        etag="an-etag",
    )
    match token.split(":")[-1]:
        case "Secret":
            outputs["properties"]["secretUri"] = f"https://vault/{outputs['name']}"
        case "UserAssignedIdentity":
            outputs.update(clientId="client-1", principalId="principal-1", tenantId=TENANT_ID)
        case "PublicIPAddress":
            outputs["ipAddress"] = "127.1.2.3"
        case "VirtualMachineScaleSet":
            ids = outputs.get("identity", {}).get("userAssignedIdentities", [])
            if ids:
                described = {"clientId": "client-1", "principalId": "principal-1"}
                outputs["identity"]["userAssignedIdentities"] = dict.fromkeys(ids, described)
    return dict(outputs)


def _invoke(token: str, args: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    if token == GET_CLIENT_CONFIG:
        return {
            "clientId": DEPLOYER_CLIENT_ID,
            "objectId": DEPLOYER_OBJECT_ID,
            "subscriptionId": SUBSCRIPTION_ID,
            "tenantId": TENANT_ID,
        }
    if token == LIST_ACCOUNT_KEYS:
        return {"keys": [{"keyName": "key1", "value": ACCOUNT_KEY, "permissions": "FULL"}]}
    raise Refusal(501, "NotModelled", token)


@contextmanager
def serving(cloud: FakeCloud) -> Iterator[None]:
    """The API on a free port of the loopback address, at `cloud.url`."""

    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else {}
            try:
                if self.headers["Authorization"] != f"Bearer {TOKEN}":
                    raise Refusal(401, "Unauthorized", "no valid token")
                status, answer = cloud.answer(self.command, self.path, body)
            except Refusal as refusal:
                status, answer = refusal.status, refusal.body
            payload = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PUT = do_DELETE = _respond

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet: pytest would show it beside every failure."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    cloud.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    cloud.stop = stop
    try:
        yield
    finally:
        if thread.is_alive():
            stop()

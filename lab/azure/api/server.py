"""The HTTP API: Azure's resource manager for Pulumi's provider, and the lab's own calls.

It translates between HTTP and the simulated Azure and decides nothing.
"""

import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from lab.azure.api.faults import FaultInjection
from lab.azure.api.status import Status
from lab.azure.arm.errors import AzureError, not_found, not_modelled
from lab.azure.arm.manager import ResourceManager
from lab.azure.arm.store import JsonObject, Resource, Store
from lab.azure.arm.subscription import (
    DEPLOYER_CLIENT_ID,
    DEPLOYER_OBJECT_ID,
    SUBSCRIPTION_ID,
    TENANT_ID,
)
from lab.azure.identity.resource_types import GET_CLIENT_CONFIG
from lab.azure.keyvault import secrets
from lab.azure.resource_types import RESOURCE_TYPES
from lab.azure.storage.accounts import account_keys
from lab.azure.storage.resource_types import ACCOUNT, LIST_ACCOUNT_KEYS

LOG = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Inputs contain custom data and certificates, but never blobs.
_MAX_BODY = 8 * 1024 * 1024


class Api:
    def __init__(
        self, store: Store, manager: ResourceManager, faults: FaultInjection, status: Status
    ) -> None:
        self._store = store
        self._manager = manager
        self._faults = faults
        self._status = status

    def application(self, token: str) -> web.Application:
        """Answers callers that present ``token``."""
        application = web.Application(
            middlewares=[_authenticated(token), _with_errors], client_max_size=_MAX_BODY
        )
        application.add_routes(
            [
                web.post("/resources", self._create),
                web.put("/resources", self._update),
                web.get("/resources", self._read),
                web.delete("/resources", self._delete),
                web.post("/invoke", self._invoke),
                web.get("/lab/status", self._show_status),
                web.post("/lab/fault", self._inject_fault),
                web.post("/lab/purge", self._purge),
            ]
        )
        return application

    async def _create(self, request: web.Request) -> web.Response:
        body = await _body(request)
        made = await self._manager.create(body["token"], body["inputs"])
        return web.json_response({"id": made.id, "outputs": made.outputs}, status=201)

    async def _update(self, request: web.Request) -> web.Response:
        body = await _body(request)
        made = await self._manager.update(body["id"], body["token"], body["inputs"])
        return web.json_response({"id": made.id, "outputs": made.outputs})

    async def _read(self, request: web.Request) -> web.Response:
        """One resource by its id; without an id, all resources of Pulumi's types."""
        id = request.query.get("id")
        if id is None:
            known = [each for each in self._store.list() if each.token in RESOURCE_TYPES]
            return web.json_response([_shown(resource) for resource in known])
        resource = self._store.get(id)
        if resource is None or resource.token not in RESOURCE_TYPES:
            raise not_found(id)
        return web.json_response(_shown(resource))

    async def _delete(self, request: web.Request) -> web.Response:
        await self._manager.delete(request.query["id"])
        return web.Response(status=204)

    async def _invoke(self, request: web.Request) -> web.Response:
        body = await _body(request)
        match body["token"]:
            case token if token == GET_CLIENT_CONFIG:
                result: Any = {
                    "clientId": DEPLOYER_CLIENT_ID,
                    "objectId": DEPLOYER_OBJECT_ID,
                    "subscriptionId": SUBSCRIPTION_ID,
                    "tenantId": TENANT_ID,
                }
            case token if token == LIST_ACCOUNT_KEYS:
                account = RESOURCE_TYPES[ACCOUNT].resource_id(body["args"])
                result = account_keys(self._store, account)
            case token:
                raise not_modelled(f"the function {token}")
        return web.json_response({"result": result})

    async def _show_status(self, _request: web.Request) -> web.Response:
        running = {"operations": self._manager.operations()}
        return web.json_response(self._status.now() | running)

    async def _inject_fault(self, request: web.Request) -> web.Response:
        body = await _body(request)
        return web.json_response(await self._faults.inject(body))

    async def _purge(self, request: web.Request) -> web.Response:
        """Removes a secret without trace, so that its name is free immediately."""
        secrets.purge(self._store, (await _body(request))["id"])
        return web.json_response({})


def _shown(resource: Resource) -> JsonObject:
    return {
        "id": resource.id,
        "token": resource.token,
        "inputs": resource.inputs,
        "outputs": resource.outputs,
    }


async def _body(request: web.Request) -> JsonObject:
    body: JsonObject = await request.json()
    return body


def _authenticated(token: str) -> Any:
    expected = f"Bearer {token}"

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), expected.encode()):
            return _refusal(AzureError("AuthenticationFailed", "Authentication failed.", 401))
        return await handler(request)

    return check


@web.middleware
async def _with_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except AzureError as error:
        return _refusal(error)
    except (KeyError, ValueError, AttributeError) as error:
        # The inputs have another shape than a rule expects.
        LOG.exception("%s %s", request.method, request.path)
        message = f"The request content was invalid: {type(error).__name__} {error}"
        return _refusal(AzureError("InvalidRequestContent", message))
    except web.HTTPException:
        raise
    except Exception as error:
        LOG.exception("%s %s", request.method, request.path)
        message = f"{type(error).__name__}: {error} (see the log of fleet-lab-cloud)"
        return _refusal(AzureError("InternalServerError", message, 500))


def _refusal(error: AzureError) -> web.Response:
    body = {"error": {"code": error.code, "message": error.message}}
    return web.json_response(body, status=error.status)

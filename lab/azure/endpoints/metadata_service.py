"""The instance metadata service on 169.254.169.254: tokens, and a VM's description.

It identifies VMs by source address only, so it must listen only where no other program has their
addresses. Developers' containers (callers.py) get tokens but no description.
"""

import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from lab.azure.arm.store import Store
from lab.azure.arm.subscription import DEPLOYER_CLIENT_ID, DEPLOYER_OBJECT_ID
from lab.azure.compute.vm_records import Vm
from lab.azure.endpoints.callers import Callers
from lab.azure.endpoints.instance_document import document, leaf
from lab.azure.identity.tokens import Principal, Tokens
from lab.azure.keyvault.resource_types import VAULT_AUDIENCE
from lab.azure.network.outages import Faults, hang_up
from lab.azure.storage.resource_types import STORAGE_AUDIENCE

AUDIENCES = frozenset({STORAGE_AUDIENCE, VAULT_AUDIENCE, "https://management.azure.com"})
"""What a token can be for, without the slash that clients may add."""

DEPLOYER = Principal(object_id=DEPLOYER_OBJECT_ID, client_id=DEPLOYER_CLIENT_ID)

_TOKEN_PATH = "/metadata/identity/oauth2/token"
_INSTANCE_PATH = "/metadata/instance"
_SELECTORS = {"client_id": "clientId", "object_id": "principalId", "mi_res_id": "id"}
_SELECTORS |= {"msi_res_id": "id"}
_OLDEST_VERSION = "2017-04-02"


class Refusal(Exception):
    """An answer other than 200, with Azure's body."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


class Metadata:
    """An aiohttp handler for the whole service."""

    def __init__(self, store: Store, callers: Callers, tokens: Tokens, faults: Faults) -> None:
        self._store = store
        self._callers = callers
        self._tokens = tokens
        self._faults = faults

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._faults.is_down("metadata"):
            return hang_up(request)
        try:
            return await self._answer(request)
        except Refusal as refusal:
            return web.json_response(refusal.body, status=refusal.status)

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        if "X-Forwarded-For" in request.headers:
            raise _bad_request("X-Forwarded-For header is not allowed")
        is_token = request.path.rstrip("/") == _TOKEN_PATH
        if request.headers.get("Metadata", "").lower() != "true":
            text = "Required metadata header not specified"
            raise _invalid(text) if is_token else _bad_request(text)
        if request.method != "GET":
            raise Refusal(405, {"error": "Method Not Allowed"})
        if is_token:
            return web.json_response(await self._token(request))
        if request.path.startswith(_INSTANCE_PATH):
            return self._instance(request)
        raise Refusal(404, {"error": "Not found"})

    async def _token(self, request: web.BaseRequest) -> dict[str, str]:
        resource = request.query.get("resource")
        if not resource:
            raise _invalid("Required query variable 'resource' is missing")
        if resource.rstrip("/") not in AUDIENCES:
            message = f"AADSTS500011: The resource principal named {resource} was not found."
            raise Refusal(400, {"error": "invalid_resource", "error_description": message})
        principal = await self._principal(request)
        token = self._tokens.issue(principal, resource)
        return {
            "access_token": token.text,
            "client_id": principal.client_id,
            "expires_in": str(token.expires - int(time.time())),
            "expires_on": str(token.expires),
            "ext_expires_in": str(token.expires - token.issued),
            "not_before": str(token.issued),
            "resource": resource,
            "token_type": "Bearer",
        }

    async def _principal(self, request: web.BaseRequest) -> Principal:
        address = request.remote or ""
        vm = self._callers.vm_at(address)
        if vm is not None:
            return self._identity(vm, request.query)
        if await self._callers.is_developer(address):
            return DEPLOYER
        raise _invalid(f"Identity not found: no VM has the address {address}")

    def _identity(self, vm: Vm, query: Mapping[str, str]) -> Principal:
        """The VM's identity that the query selects."""
        found = [self._store.get(id) for id in vm.identities]
        assigned = [{"id": one.id, **one.outputs} for one in found if one is not None]
        selectors = {_SELECTORS[name]: query[name] for name in _SELECTORS if query.get(name)}
        chosen = [
            one
            for one in assigned
            if all(str(one[key]).lower() == value.lower() for key, value in selectors.items())
        ]
        match chosen:
            case [one]:
                return Principal(object_id=one["principalId"], client_id=one["clientId"])
            case []:
                raise _invalid("Identity not found")
            case _:
                raise _invalid(
                    "Multiple user assigned identities exist, please specify the clientId / "
                    "resourceId of the identity in the token request"
                )

    def _instance(self, request: web.BaseRequest) -> web.Response:
        version = request.query.get("api-version", "")
        if version < _OLDEST_VERSION:
            raise _bad_request("api-version is invalid or was not specified in the request")
        vm = self._callers.vm_at(request.remote or "")
        if vm is None:
            raise Refusal(404, {"error": f"no VM has the address {request.remote}"})
        found = leaf(document(vm, self._store), request.path[len(_INSTANCE_PATH) :])
        if found is None:
            raise Refusal(404, {"error": "Not found"})
        wants_text = request.query.get("format") == "text"
        if isinstance(found, dict | list):
            if wants_text:
                return web.Response(text=_listing(found))
            return web.json_response(found)
        if not wants_text:
            raise _bad_request("json format is not supported for this request. Use format=text")
        return web.Response(text=str(found))


def _listing(found: dict[str, Any] | list[Any]) -> str:
    """A folder as text: one name per line, folders with a slash."""
    entries = found.items() if isinstance(found, dict) else enumerate(found)
    return "\n".join(
        f"{key}/" if isinstance(value, dict | list) else str(key) for key, value in entries
    )


def _invalid(description: str) -> Refusal:
    return Refusal(400, {"error": "invalid_request", "error_description": description})


def _bad_request(text: str) -> Refusal:
    return Refusal(400, {"error": f"Bad request. {text}"})

"""The data plane of Key Vault: secrets by name and version, for principals with the right role.

Nothing here logs a value or puts one into an error.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from lab.azure.arm import naming
from lab.azure.arm.errors import AzureError, not_modelled
from lab.azure.arm.store import JsonObject, Resource, Store
from lab.azure.identity import roles
from lab.azure.identity.roles import Roles
from lab.azure.identity.tokens import InvalidToken, Principal, Tokens, bearer
from lab.azure.keyvault import secrets
from lab.azure.keyvault.resource_types import SECRET, VAULT, VAULT_AUDIENCE, VAULT_SUFFIX
from lab.azure.keyvault.secrets import Version
from lab.azure.network import service_firewalls
from lab.azure.network.service_firewalls import Sender

_API_VERSIONS = ("7.", "2025-", "2026-")


class Forbidden(AzureError):
    """A 403; ``reason`` is Key Vault's inner error: ForbiddenByRbac, ForbiddenByFirewall, …"""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__("Forbidden", message, 403)
        self.reason = reason


class VaultService:
    """An aiohttp handler for ``https://<vault>.vault.azure.net/…``."""

    def __init__(self, store: Store, tokens: Tokens, rights: Roles) -> None:
        self._store = store
        self._tokens = tokens
        self._roles = rights

    async def handle(
        self, request: web.BaseRequest, host: str, sender: Sender
    ) -> web.StreamResponse:
        try:
            vault = self._vault(host.removesuffix(VAULT_SUFFIX))
            principal = self._authenticate(request)
            if not service_firewalls.of_vault(vault.inputs["properties"]).admit(
                sender, self._store
            ):
                raise Forbidden(
                    "ForbiddenByFirewall",
                    f"Client address is not authorized. Client address: {sender.address}",
                )
            return await self._answer(request, vault, principal)
        except AzureError as error:
            return self._refusal(error)

    def _vault(self, name: str) -> Resource:
        for vault in self._store.list(VAULT):
            if vault.name.lower() == name:
                return vault
        raise AzureError("ResourceNotFound", f"There is no vault {name}.", 404)

    def _authenticate(self, request: web.BaseRequest) -> Principal:
        token = bearer(request.headers.get("Authorization"))
        if token is None:
            message = "AKV10000: Request is missing a Bearer or PoP token."
            raise AzureError("Unauthorized", message, 401)
        try:
            return self._tokens.verify(token, frozenset({VAULT_AUDIENCE}))
        except InvalidToken as error:
            raise AzureError("Unauthorized", f"AKV10022: {error}", 401) from error

    async def _answer(
        self, request: web.BaseRequest, vault: Resource, principal: Principal
    ) -> web.Response:
        version = request.query.get("api-version", "")
        if not version.startswith(_API_VERSIONS):
            message = f"The api-version {version!r} is missing or not supported."
            raise AzureError("BadParameter", message)

        def allow(action: str, path: str) -> None:
            scope = f"{vault.id}/{path}"
            if not self._roles.allows(principal.object_id, action, scope):
                raise Forbidden("ForbiddenByRbac", _denial(principal, action, scope, vault))

        parts = request.path.strip("/").split("/")
        if parts[0] == "secrets":
            return await self._secrets(request, vault, parts[1:], allow)
        if parts[0] == "deletedsecrets":
            return self._deleted(request.method, vault, parts[1:], allow)
        raise not_modelled(f"the Key Vault path {request.path} (only secrets are)")

    async def _secrets(
        self,
        request: web.BaseRequest,
        vault: Resource,
        parts: list[str],
        allow: Callable[[str, str], None],
    ) -> web.Response:
        match request.method, parts:
            case "GET", []:
                allow(roles.SECRET_LIST, "secrets")
                found = self._store.list(SECRET, f"{vault.id}/secrets/")
                return _page([_item(vault, one.name, secrets.current(one)) for one in found])
            case "GET", [name, "versions"]:
                allow(roles.SECRET_LIST, f"secrets/{name}")
                known = secrets.versions(self._secret(vault, name))
                return _page([_item(vault, name, each, with_version=True) for each in known])
            case "GET", [name, *version] if len(version) <= 1:
                allow(roles.SECRET_GET, f"secrets/{name}")
                return _json(self._value(vault, name, *filter(None, version)))
            case "PUT", [name]:
                allow(roles.SECRET_SET, f"secrets/{name}")
                return _json(self._set(vault, name, await request.json()))
            case "DELETE", [name]:
                allow(roles.SECRET_DELETE, f"secrets/{name}")
                record = secrets.delete(self._store, self._secret(vault, name))
                return _json(_deleted_bundle(vault, record))
            case method, _:
                raise not_modelled(f"the Key Vault operation {method} secrets/{'/'.join(parts)}")

    def _deleted(
        self, method: str, vault: Resource, parts: list[str], allow: Callable[[str, str], None]
    ) -> web.Response:
        if not parts:
            raise not_modelled(f"the Key Vault operation {method} deletedsecrets")
        record = self._store.get(secrets.deleted_id(vault.id, parts[0]))
        action = {"GET": roles.SECRET_GET, "DELETE": roles.SECRET_PURGE}.get(method)
        allow(action or roles.SECRET_RECOVER, f"secrets/{parts[0]}")
        if record is None:
            raise _missing(f"deleted secret {parts[0]}")
        match method, parts[1:]:
            case "GET", []:
                return _json(_deleted_bundle(vault, record))
            case "DELETE", []:
                if vault.inputs["properties"].get("enablePurgeProtection"):
                    message = "Operation is not allowed because purge protection is enabled."
                    raise Forbidden("PurgeProtectionEnabled", message)
                self._store.delete(record.id)
                return web.Response(status=204)
            case "POST", ["recover"]:
                secret = secrets.recover(self._store, record)
                return _json(_item(vault, secret.name, secrets.current(secret), with_version=True))
            case _:
                raise not_modelled(f"the operation {method} deletedsecrets/{'/'.join(parts)}")

    def _secret(self, vault: Resource, name: str) -> Resource:
        secret = self._store.get(_secret_id(vault, name))
        if secret is None:
            raise _missing(f"secret with (name/id) {name}")
        return secret

    def _value(self, vault: Resource, name: str, version: str | None = None) -> JsonObject:
        known = secrets.versions(self._secret(vault, name))
        found = known[-1] if version is None else _by_id(known, name, version)
        if not found.enabled:
            message = f"Operation get is not allowed on a disabled secret ({name})."
            raise Forbidden("SecretDisabled", message)
        return {"value": found.value, **_item(vault, name, found, with_version=True)}

    def _set(self, vault: Resource, name: str, body: Mapping[str, Any]) -> JsonObject:
        naming.SECRET.check(name)
        secrets.check_name_is_free(self._store, vault.id, name)
        id = _secret_id(vault, name)
        before = self._store.get(id)
        private = secrets.with_version(before, body, body.get("tags"))
        inputs = before.inputs if before else {"vaultName": vault.name, "secretName": name}
        outputs = before.outputs if before else {}
        secret = Resource(id=id, token=SECRET, inputs=inputs, outputs=outputs, private=private)
        self._store.put(secret)
        return self._value(vault, name)

    def _refusal(self, error: AzureError) -> web.Response:
        body: JsonObject = {"code": error.code, "message": error.message}
        if isinstance(error, Forbidden):
            body["innererror"] = {"code": error.reason}
        headers = {}
        if error.status == 401:
            authority = f"https://login.microsoftonline.com/{self._tokens.tenant_id}"
            headers["WWW-Authenticate"] = (
                f'Bearer authorization="{authority}", resource="{VAULT_AUDIENCE}"'
            )
        return _json({"error": body}, error.status, headers)


def _json(
    body: JsonObject, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        status=status,
        headers=headers,
        body=json.dumps(body).encode(),
        content_type="application/json",
    )


def _page(items: list[JsonObject]) -> web.Response:
    return _json({"value": items, "nextLink": None})


def _item(
    vault: Resource, name: str, version: Version, *, with_version: bool = False
) -> JsonObject:
    """A secret without its value, as lists show it."""
    id = f"https://{vault.name}{VAULT_SUFFIX}/secrets/{name}"
    settings = vault.inputs["properties"]
    attributes = {
        "enabled": version.enabled,
        "nbf": version.not_before,
        "exp": version.expires,
        "created": int(version.created),
        "updated": int(version.updated),
        "recoveryLevel": "Recoverable"
        if settings.get("enablePurgeProtection")
        else "Recoverable+Purgeable",
        "recoverableDays": settings.get("softDeleteRetentionInDays", 90),
    }
    item = {
        "id": f"{id}/{version.id}" if with_version else id,
        "attributes": {key: value for key, value in attributes.items() if value is not None},
        "contentType": version.content_type,
        "tags": dict(version.tags) or None,
    }
    return {key: value for key, value in item.items() if value is not None}


def _deleted_bundle(vault: Resource, record: Resource) -> JsonObject:
    deleted = int(record.private["deletedAt"])
    days = vault.inputs["properties"].get("softDeleteRetentionInDays", 90)
    current = secrets.current(Resource(**record.private["secret"]))
    return {
        **_item(vault, record.name, current, with_version=True),
        "recoveryId": f"https://{vault.name}{VAULT_SUFFIX}/deletedsecrets/{record.name}",
        "deletedDate": deleted,
        "scheduledPurgeDate": deleted + int(days) * 86400,
    }


def _by_id(known: tuple[Version, ...], name: str, version: str) -> Version:
    for each in known:
        if each.id == version:
            return each
    raise _missing(f"secret with (name/id) {name}/{version}")


def _missing(what: str) -> AzureError:
    return AzureError("SecretNotFound", f"A {what} was not found in this key vault.", 404)


def _secret_id(vault: Resource, name: str) -> str:
    return f"{vault.id}/secrets/{name}"


def _denial(principal: Principal, action: str, scope: str, vault: Resource) -> str:
    return (
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny "
        "assignments or role definitions were changed recently, please observe propagation time."
        f"\r\nCaller: appid={principal.client_id};oid={principal.object_id}\r\n"
        f"Action: '{action}'\r\nResource: '{scope}'\r\nAssignment: (not found)\r\n"
        f"Vault: {vault.name};location={vault.inputs.get('location')}\r\n"
    )

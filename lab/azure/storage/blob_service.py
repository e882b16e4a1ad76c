"""The blob service: authenticates and authorises each request, then streams it to the blob store.

The order is Azure's: firewall, authentication, role, existence. Bodies are streamed, because images
are large and all VMs fetch them at the same time. Only lists are read whole, to rewrite names.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from xml.sax.saxutils import escape

import aiohttp
from aiohttp import web

from lab.azure.arm.errors import AzureError
from lab.azure.arm.store import Resource, Store
from lab.azure.identity import roles
from lab.azure.identity.roles import Roles
from lab.azure.identity.tokens import InvalidToken, Principal, Tokens, bearer
from lab.azure.network import service_firewalls
from lab.azure.network.outages import Faults, hang_up
from lab.azure.network.service_firewalls import Sender
from lab.azure.storage import blob_request, shared_key
from lab.azure.storage.azurite import Azurite, unavailable
from lab.azure.storage.blob_request import BlobRequest, Target
from lab.azure.storage.resource_types import ACCOUNT, STORAGE_AUDIENCE, STORAGE_SUFFIX

_CLOCK_SKEW = timedelta(minutes=15)
_CHUNK = 1 << 18
_FIRST_WITH_TOKENS = "2017-11-09"

# Hop by hop, or replaced.
_NOT_FORWARDED = frozenset(
    {
        *("authorization", "connection", "date", "expect", "host", "keep-alive"),
        *("te", "trailer", "transfer-encoding", "upgrade", "x-ms-copy-source"),
    }
)
_NOT_RETURNED = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


class BlobService:
    """An aiohttp handler for ``https://<account>.blob.core.windows.net/…``."""

    def __init__(
        self, store: Store, tokens: Tokens, rights: Roles, azurite: Azurite, faults: Faults
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._roles = rights
        self._azurite = azurite
        self._faults = faults

    async def handle(
        self, request: web.BaseRequest, host: str, sender: Sender
    ) -> web.StreamResponse:
        try:
            account = self._account(host.removesuffix(STORAGE_SUFFIX))
            asked = blob_request.parse(
                host=host, method=request.method, raw_path=request.raw_path, headers=request.headers
            )
            self._authorise(account, asked, request, sender)
            return await self._forward(request, asked)
        except AzureError as error:
            return self._refusal(error)

    def _account(self, name: str) -> Resource:
        for account in self._store.list(ACCOUNT):
            if account.name.lower() == name:
                return account
        raise AzureError("ResourceNotFound", f"There is no storage account {name}.", 404)

    def _authorise(
        self, account: Resource, asked: BlobRequest, request: web.BaseRequest, sender: Sender
    ) -> None:
        if not service_firewalls.of_account(account.inputs).admit(sender, self._store):
            raise AzureError(
                "AuthorizationFailure",
                "This request is not authorized to perform this operation.",
                403,
            )
        header = request.headers.get("Authorization", "")
        if header.startswith("SharedKey "):
            _check_shared_key(account, request, header)
        elif (token := bearer(header)) is not None:
            _check_version(request)
            principal = self._authenticated(account, token)
            self._check_roles(account, asked, principal)
        elif header:
            raise _unauthenticated("InvalidAuthenticationInfo", "Unknown authorization scheme.")
        else:
            _refuse_anonymous(account, request)
        self._check_exists(asked.target)
        if asked.copy_source is not None:
            if asked.copy_source.account != asked.target.account:
                # The credentials are for one account only.
                message = "The copy source is in another account."
                raise AzureError("CannotVerifyCopySource", message, 404)
            self._check_exists(asked.copy_source)

    def _authenticated(self, account: Resource, token: str) -> Principal:
        audiences = frozenset({STORAGE_AUDIENCE, f"https://{account.name}{STORAGE_SUFFIX}"})
        try:
            return self._tokens.verify(token, audiences)
        except InvalidToken as error:
            raise _unauthenticated("InvalidAuthenticationInfo", str(error)) from error

    def _check_roles(self, account: Resource, asked: BlobRequest, principal: Principal) -> None:
        needed = [(asked.action, asked.target)]
        if asked.copy_source is not None:
            needed += [(roles.BLOB_READ, asked.copy_source)]
        for action, target in needed:
            scope = _container_id(account, target.container)
            if not self._roles.allows(principal.object_id, action, scope):
                raise AzureError(
                    "AuthorizationPermissionMismatch",
                    "This request is not authorized to perform this operation using this "
                    f"permission ({principal.object_id} lacks {action} on {scope}).",
                    403,
                )

    def _check_exists(self, target: Target) -> None:
        account = self._account(target.account)
        if self._store.get(_container_id(account, target.container)) is None:
            raise AzureError("ContainerNotFound", "The specified container does not exist.", 404)

    async def _forward(self, request: web.BaseRequest, asked: BlobRequest) -> web.StreamResponse:
        if request.body_exists and request.content_length is None:
            raise AzureError("MissingContentLengthHeader", "Content-Length is required.", 411)
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in _NOT_FORWARDED
        }
        if asked.copy_source is not None:
            headers["x-ms-copy-source"] = self._azurite.url(asked.copy_source)
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
            assert isinstance(request.transport, asyncio.WriteTransport)
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self._watched(request) if request.body_exists else None
        try:
            async with self._azurite.send(
                asked.method, self._azurite.path(asked.target), asked.query, headers, body
            ) as answer:
                if asked.is_list:
                    return await self._listing(answer)
                return await self._stream(request, answer)
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            if self._faults.is_down("blob"):
                return hang_up(request)
            raise unavailable(error) from error

    async def _watched(self, request: web.BaseRequest) -> AsyncIterator[bytes]:
        async for chunk in request.content.iter_any():
            if self._faults.is_down("blob"):
                raise ConnectionResetError("the blob service went down")
            yield chunk

    async def _stream(
        self, request: web.BaseRequest, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, reason=answer.reason)
        response.headers.extend(self._returned(answer.headers))
        if "Content-Length" in answer.headers:
            response.content_length = int(answer.headers["Content-Length"])
        await response.prepare(request)
        try:
            async for chunk in answer.content.iter_chunked(_CHUNK):
                if self._faults.is_down("blob"):
                    raise ConnectionResetError("the blob service went down")
                await response.write(chunk)
        except (aiohttp.ClientError, ConnectionError, TimeoutError):
            # The answer is already half sent: only a reset shows the client that it failed.
            hang_up(request)
            return response
        await response.write_eof()
        return response

    async def _listing(self, answer: aiohttp.ClientResponse) -> web.Response:
        """A list with the account's names in place of Azurite's."""
        text = self._azurite.in_public_names(await answer.text())
        headers = self._returned(answer.headers)
        return web.Response(status=answer.status, headers=headers, body=text.encode())

    def _returned(self, headers: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in headers.items() if name.lower() not in _NOT_RETURNED}
        if source := kept.get("x-ms-copy-source"):
            kept["x-ms-copy-source"] = self._azurite.in_public_names(source)
        return kept

    def _refusal(self, error: AzureError) -> web.Response:
        body = (
            '<?xml version="1.0" encoding="utf-8"?>\n'
            f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
        )
        headers = {"x-ms-error-code": error.code, "x-ms-request-id": str(uuid.uuid4())}
        if error.status == 401:
            headers["WWW-Authenticate"] = (
                "Bearer authorization_uri=https://login.microsoftonline.com/"
                f"{self._tokens.tenant_id}/oauth2/authorize resource_id={STORAGE_AUDIENCE}"
            )
        return web.Response(
            status=error.status, body=body.encode(), headers=headers, content_type="application/xml"
        )


def _check_version(request: web.BaseRequest) -> None:
    """Without a version, the service uses that of 2009, which has no tokens."""
    if request.headers.get("x-ms-version", "") < _FIRST_WITH_TOKENS:
        raise AzureError(
            "AuthenticationFailed",
            "Authentication scheme Bearer is not supported in this version: set x-ms-version to "
            f"{_FIRST_WITH_TOKENS} or later.",
            403,
        )


def _check_shared_key(account: Resource, request: web.BaseRequest, header: str) -> None:
    if account.inputs.get("allowSharedKeyAccess") is False:
        raise AzureError(
            "KeyBasedAuthenticationNotPermitted",
            "Key based authentication is not permitted on this storage account.",
            403,
        )
    path, _, query = request.raw_path.partition("?")
    expected = {
        shared_key.authorization(
            account=account.name,
            key=key,
            method=request.method,
            path=path,
            query=query,
            headers=request.headers,
        )
        for key in account.private["keys"]
    }
    if header not in expected or not _is_recent(request.headers):
        raise AzureError(
            "AuthenticationFailed",
            "Server failed to authenticate the request. Make sure the value of Authorization "
            "header is formed correctly including the signature.",
            403,
        )


def _is_recent(headers: Mapping[str, str]) -> bool:
    text = headers.get("x-ms-date") or headers.get("Date")
    if not text:
        return False
    return abs(datetime.now(UTC) - parsedate_to_datetime(text)) <= _CLOCK_SKEW


def _refuse_anonymous(account: Resource, request: web.BaseRequest) -> None:
    if request.headers.get("x-ms-version") or account.inputs.get("allowBlobPublicAccess"):
        raise _unauthenticated(
            "NoAuthenticationInformation",
            "Server failed to authenticate the request. Please refer to the information in the "
            "www-authenticate header.",
        )
    raise AzureError(
        "PublicAccessNotPermitted",
        "Public access is not permitted on this storage account.",
        409,
    )


def _unauthenticated(code: str, message: str) -> AzureError:
    return AzureError(code, message, 401)


def _container_id(account: Resource, container: str) -> str:
    return f"{account.id}/blobServices/default/containers/{container}"

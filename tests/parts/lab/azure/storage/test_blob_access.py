"""Which callers the storage front admits, and how it refuses others."""

import time
from email.utils import formatdate

import pytest

from lab.azure.keyvault.resource_types import VAULT_AUDIENCE
from lab.azure.storage import shared_key
from tests.parts.lab.azure.conftest import Running
from tests.unit.lab.azure.stored_resources import BLOB_READER, KEY, NODE, SUBNET, StoredResources

HOST = "media.blob.core.windows.net"
VERSION = {"x-ms-version": "2025-11-05"}
OTHER = "22222222-2222-4222-8222-222222222222"


async def refusal(
    running: Running, method: str = "GET", path: str = "/films/one", **headers: str
) -> tuple[int, str]:
    """The status and the error code of an answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with running.client() as client:
        answer = await client.request(method, running.url(HOST, path), headers=VERSION | named)
    return answer.status, answer.headers.get("x-ms-error-code", "")


async def refusal_of(running: Running, token: str, method: str = "GET") -> tuple[int, str]:
    return await refusal(running, method, Authorization=f"Bearer {token}")


def signed(method: str, path: str, key: str = KEY, **headers: str) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named = {"x-ms-date": formatdate(usegmt=True), **VERSION, **named}
    bare, _, query = path.partition("?")
    return named | {
        "Authorization": shared_key.authorization(
            account="media", key=key, method=method, path=bare, query=query, headers=named
        )
    }


async def test_an_answer_without_credentials_names_the_token_endpoint(
    storage: Running,
) -> None:
    async with storage.client() as client:
        answer = await client.get(storage.url(HOST, "/films/one"), headers=VERSION)

    assert answer.status == 401
    assert answer.headers["x-ms-error-code"] == "NoAuthenticationInformation"
    assert "resource_id=https://storage.azure.com" in answer.headers["WWW-Authenticate"]


async def test_an_anonymous_browser_is_refused(storage: Running) -> None:
    async with storage.client() as client:
        answer = await client.get(storage.url(HOST, "/films/one"))
        body = await answer.text()

    assert answer.status == 409
    assert "<Code>PublicAccessNotPermitted</Code>" in body


async def test_a_token_without_a_role_is_refused(storage: Running) -> None:
    assert await refusal_of(storage, storage.token(OTHER)) == (
        403,
        "AuthorizationPermissionMismatch",
    )


async def test_a_reader_may_read_but_neither_write_nor_delete(storage: Running) -> None:
    account = next(iter(storage.stored.store.list("azure-native:storage:StorageAccount")))
    storage.stored.assign(BLOB_READER, account.id, principal=OTHER)
    token = storage.token(OTHER)

    mismatch = (403, "AuthorizationPermissionMismatch")
    assert await refusal_of(storage, token) == (404, "BlobNotFound")
    assert await refusal_of(storage, token, "PUT") == mismatch
    assert await refusal_of(storage, token, "DELETE") == mismatch


async def test_a_large_upload_that_is_refused_still_gets_its_answer(storage: Running) -> None:
    headers = {"Authorization": f"Bearer {storage.token(OTHER)}", "x-ms-blob-type": "BlockBlob"}

    async with storage.client() as client:
        url = storage.url(HOST, "/films/one")
        answer = await client.put(url, data=bytes(8 << 20), headers=VERSION | headers)

    assert answer.status == 403


async def test_a_token_needs_an_api_version_with_tokens(storage: Running) -> None:
    headers = {"Authorization": f"Bearer {storage.token()}"}

    async with storage.client() as client:
        answer = await client.get(storage.url(HOST, "/films/one"), headers=headers)

    assert (answer.status, answer.headers["x-ms-error-code"]) == (403, "AuthenticationFailed")


async def test_a_key_of_one_account_copies_from_no_other(storage: Running) -> None:
    storage.stored.container(storage.stored.account("other"), "films")
    source = "https://other.blob.core.windows.net/films/one"

    async with storage.client() as client:
        answer = await client.put(
            storage.url(HOST, "/films/two"),
            headers=signed(
                "PUT",
                "/films/two",
                Content_Type="application/octet-stream",
                x_ms_copy_source=source,
            ),
        )

    assert (answer.status, answer.headers["x-ms-error-code"]) == (404, "CannotVerifyCopySource")


async def test_a_role_on_one_container_does_not_apply_to_another(storage: Running) -> None:
    account = next(iter(storage.stored.store.list("azure-native:storage:StorageAccount")))
    series = storage.stored.container(account.id, "series")
    storage.stored.assign(BLOB_READER, series, principal=OTHER)

    assert (await refusal_of(storage, storage.token(OTHER)))[0] == 403


async def test_a_fresh_role_takes_a_while(storage: Running) -> None:
    account = next(iter(storage.stored.store.list("azure-native:storage:StorageAccount")))
    storage.stored.assign(BLOB_READER, account.id, principal=OTHER, created=time.time())

    assert (await refusal_of(storage, storage.token(OTHER)))[0] == 403


@pytest.mark.parametrize("kind", ["for the vault", "expired", "garbage"])
async def test_bad_tokens_are_refused(storage: Running, kind: str) -> None:
    token = {
        "for the vault": storage.token(audience=VAULT_AUDIENCE),
        "expired": storage.token(lifetime=-1),
        "garbage": "garbage",
    }[kind]

    assert await refusal_of(storage, token) == (401, "InvalidAuthenticationInfo")


async def test_a_copy_needs_the_right_to_read_its_source(storage: Running) -> None:
    account = next(iter(storage.stored.store.list("azure-native:storage:StorageAccount")))
    storage.stored.container(account.id, "secret")
    films = f"{account.id}/blobServices/default/containers/films"
    storage.stored.assign("ba92f5b4-2d11-453d-a403-e96b0029c9fe", films, principal=OTHER)

    found = await refusal(
        storage,
        "PUT",
        Authorization=f"Bearer {storage.token(OTHER)}",
        x_ms_copy_source=f"https://{HOST}/secret/one",
    )

    assert found == (403, "AuthorizationPermissionMismatch")


async def test_a_shared_key_opens_the_account(storage: Running) -> None:
    async with storage.client() as client:
        put = await client.put(
            storage.url(HOST, "/films/a%20b"),
            data=b"signed",
            headers=signed(
                "PUT", "/films/a%20b", Content_Length="6", x_ms_blob_type="BlockBlob",
                Content_Type="application/octet-stream",
            ),
        )  # fmt: skip
        path = "/films?restype=container&comp=list&prefix=a%20"
        listing = await client.get(storage.url(HOST, path), headers=signed("GET", path))
        text = await listing.text()

    assert (put.status, listing.status) == (201, 200)
    assert "<Name>a b</Name>" in text


@pytest.mark.parametrize(
    "headers",
    [
        signed("GET", "/films/one", key="b3RoZXI="),
        signed("GET", "/films/two"),
        signed("PUT", "/films/one"),
        signed("GET", "/films/one", x_ms_date="Mon, 01 Jan 2024 00:00:00 GMT"),
    ],
    ids=["another key", "another path", "another method", "an old date"],
)
async def test_a_wrong_signature_is_refused(storage: Running, headers: dict[str, str]) -> None:
    async with storage.client() as client:
        answer = await client.get(storage.url(HOST, "/films/one"), headers=headers)

    assert (answer.status, answer.headers["x-ms-error-code"]) == (403, "AuthenticationFailed")


async def test_shared_keys_can_be_switched_off(storage: Running) -> None:
    account = storage.stored.account("media", allowSharedKeyAccess=False)
    assert account

    async with storage.client() as client:
        answer = await client.get(
            storage.url(HOST, "/films/one"), headers=signed("GET", "/films/one")
        )

    assert answer.status == 403
    assert answer.headers["x-ms-error-code"] == "KeyBasedAuthenticationNotPermitted"


async def test_the_firewall_comes_before_everything_else(storage: Running) -> None:
    rules = {"defaultAction": "Deny", "ipRules": [{"iPAddressOrRange": "203.0.113.7"}]}
    storage.stored.account("media", networkRuleSet=rules)

    assert await refusal_of(storage, storage.token()) == (403, "AuthorizationFailure")


async def test_the_firewall_lets_a_vms_subnet_in(storage: Running) -> None:
    storage.stored.subnet("Microsoft.Storage")
    storage.stored.vm("127.0.0.1")
    rules = {
        "defaultAction": "Deny",
        "virtualNetworkRules": [{"virtualNetworkResourceId": SUBNET}],
    }
    storage.stored.account("media", networkRuleSet=rules)

    assert await refusal_of(storage, storage.token()) == (404, "BlobNotFound")


async def test_a_container_must_be_made_through_arm(storage: Running) -> None:
    token = f"Bearer {storage.token()}"

    missing = await refusal(storage, path="/none/one", Authorization=token)
    made = await refusal(storage, "PUT", "/none?restype=container", Authorization=token)

    assert missing == (404, "ContainerNotFound")
    assert made == (501, "NotModelled")


@pytest.mark.parametrize(
    "path",
    [
        "/films/one?versionid=2024",
        "/films/one?sv=2020&sig=abc",
        "/films?restype=container&comp=list&include=versions",
        "/films/one?comp=tags",
        "/?comp=list",
        "/?restype=service&comp=userdelegationkey",
    ],
)
async def test_unsupported_operations_are_refused_by_name(storage: Running, path: str) -> None:
    found = await refusal(storage, path=path, Authorization=f"Bearer {storage.token()}")

    assert found == (501, "NotModelled")


async def test_an_unknown_account_does_not_exist(storage: Running) -> None:
    async with storage.client() as client:
        answer = await client.get(storage.url("none.blob.core.windows.net", "/c/b"))

    assert answer.status == 404


async def test_without_its_store_the_service_is_busy(
    running: Running, stored: StoredResources
) -> None:
    account = stored.account("media")
    stored.container(account, "films")
    stored.assign(BLOB_READER, account, principal=NODE)

    assert await refusal_of(running, running.token()) == (503, "ServerBusy")


async def test_an_unknown_host_name_is_refused(running: Running) -> None:
    async with running.client() as client:
        url = running.url("x.blob.core.windows.net", "/")
        answer = await client.get(url, headers={"Host": "example.com"})

    assert answer.status == 400

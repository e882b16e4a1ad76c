"""The vault's data plane over TLS."""

import asyncio
from typing import Any

import pytest

from lab.azure.arm.errors import AzureError
from lab.azure.keyvault import secrets
from lab.azure.keyvault.resource_types import VAULT_AUDIENCE
from lab.azure.storage.resource_types import STORAGE_AUDIENCE
from tests.parts.lab.azure.conftest import Running
from tests.unit.lab.azure.stored_resources import (
    SECRETS_OFFICER,
    SECRETS_USER,
    SUBNET,
    StoredResources,
)

HOST = "safe.vault.azure.net"


@pytest.fixture
def vault(stored: StoredResources) -> str:
    return stored.vault("safe")


async def ask(
    running: Running,
    path: str,
    method: str = "GET",
    *,
    token: str | None = None,
    json: dict[str, Any] | None = None,
) -> tuple[int, dict[str, Any]]:
    separator = "&" if "?" in path else "?"
    headers = {"Authorization": f"Bearer {token or running.token(audience=VAULT_AUDIENCE)}"}
    async with running.client() as client:
        answer = await client.request(
            method,
            running.url(HOST, f"{path}{separator}api-version=7.4"),
            headers=headers,
            json=json,
        )
        body = await answer.json() if answer.status != 204 else {}
    return answer.status, body


def code(body: dict[str, Any]) -> str:
    """The inner error's code if there is one, else the error's."""
    error = body["error"]
    return str(error.get("innererror", error)["code"])


async def test_a_client_without_a_token_is_challenged(running: Running, vault: str) -> None:
    async with running.client() as client:
        answer = await client.get(running.url(HOST, "/secrets/tls-key?api-version=7.4"))

    assert vault
    assert answer.status == 401
    assert 'resource="https://vault.azure.net"' in answer.headers["WWW-Authenticate"]


async def test_a_token_for_storage_is_refused(running: Running, vault: str) -> None:
    token = running.token(audience=STORAGE_AUDIENCE)

    assert vault
    assert (await ask(running, "/secrets/tls-key", token=token))[0] == 401


async def test_a_secrets_user_gets_the_current_value(running: Running, vault: str) -> None:
    running.stored.secret(vault, "tls-key", "old")
    running.stored.secret(vault, "tls-key", "new")
    running.stored.assign(SECRETS_USER, vault)

    status, body = await ask(running, "/secrets/tls-key")

    assert (status, body["value"]) == (200, "new")
    assert body["id"].startswith(f"https://{HOST}/secrets/tls-key/")
    assert body["attributes"]["enabled"] is True


async def test_older_versions_can_still_be_read(running: Running, vault: str) -> None:
    running.stored.secret(vault, "tls-key", "old")
    running.stored.secret(vault, "tls-key", "new")
    running.stored.assign(SECRETS_USER, vault)

    _, listed = await ask(running, "/secrets/tls-key/versions")
    ids = [each["id"].rsplit("/", 1)[-1] for each in listed["value"]]
    values = [(await ask(running, f"/secrets/tls-key/{each}"))[1]["value"] for each in ids]

    assert values == ["old", "new"]


async def test_writing_the_same_value_again_makes_no_version(running: Running, vault: str) -> None:
    running.stored.secret(vault, "tls-key", "same")
    id = running.stored.secret(vault, "tls-key", "same")

    secret = running.stored.store.get(id)

    assert secret is not None
    assert len(secrets.versions(secret)) == 1


async def test_lists_hold_no_values(running: Running, vault: str) -> None:
    running.stored.secret(vault, "tls-key", "hush")
    running.stored.assign(SECRETS_USER, vault)

    status, body = await ask(running, "/secrets")

    assert status == 200
    assert [each["id"] for each in body["value"]] == [f"https://{HOST}/secrets/tls-key"]
    assert "hush" not in str(body)


async def test_without_a_role_the_refusal_names_caller_and_action(
    running: Running, vault: str
) -> None:
    running.stored.secret(vault, "tls-key", "hush")

    status, body = await ask(running, "/secrets/tls-key")

    assert (status, code(body)) == (403, "ForbiddenByRbac")
    assert "getSecret/action" in body["error"]["message"]
    assert "hush" not in str(body)


async def test_a_role_on_one_secret_opens_that_one(running: Running, vault: str) -> None:
    tls = running.stored.secret(vault, "tls-key", "a")
    running.stored.secret(vault, "ssh-key", "b")
    running.stored.assign(SECRETS_USER, tls)

    assert (await ask(running, "/secrets/tls-key"))[0] == 200
    assert (await ask(running, "/secrets/ssh-key"))[0] == 403


@pytest.mark.parametrize("path", ["/secrets/none", "/secrets/none/versions"])
async def test_a_missing_secret_is_not_found(running: Running, vault: str, path: str) -> None:
    running.stored.assign(SECRETS_USER, vault)

    status, body = await ask(running, path)

    assert (status, code(body)) == (404, "SecretNotFound")


async def test_an_officer_sets_reads_deletes_and_recovers(running: Running, vault: str) -> None:
    running.stored.assign(SECRETS_OFFICER, vault)

    assert (await ask(running, "/secrets/a", "PUT", json={"value": "1"}))[0] == 200
    _, deleted = await ask(running, "/secrets/a", "DELETE")
    gone, _ = await ask(running, "/secrets/a")
    taken, refusal = await ask(running, "/secrets/a", "PUT", json={"value": "2"})
    await ask(running, "/deletedsecrets/a/recover", "POST")
    _, back = await ask(running, "/secrets/a")

    assert deleted["recoveryId"] == f"https://{HOST}/deletedsecrets/a"
    assert gone == 404
    assert (taken, code(refusal)) == (409, "ObjectIsDeletedButRecoverable")
    assert back["value"] == "1"


async def test_a_purged_secret_frees_its_name(running: Running, vault: str) -> None:
    running.stored.assign(SECRETS_OFFICER, vault)
    await ask(running, "/secrets/a", "PUT", json={"value": "1"})
    await ask(running, "/secrets/a", "DELETE")

    assert (await ask(running, "/deletedsecrets/a", "DELETE"))[0] == 204
    assert (await ask(running, "/secrets/a", "PUT", json={"value": "2"}))[0] == 200


async def test_purge_protection_keeps_deleted_secrets(
    running: Running, stored: StoredResources
) -> None:
    vault = stored.vault("safe", enablePurgeProtection=True)
    stored.assign(SECRETS_OFFICER, vault)
    await ask(running, "/secrets/a", "PUT", json={"value": "1"})
    await ask(running, "/secrets/a", "DELETE")

    assert (await ask(running, "/deletedsecrets/a", "DELETE"))[0] == 403


async def test_a_user_may_not_set_or_delete(running: Running, vault: str) -> None:
    running.stored.secret(vault, "a", "1")
    running.stored.assign(SECRETS_USER, vault)

    assert (await ask(running, "/secrets/a", "PUT", json={"value": "2"}))[0] == 403
    assert (await ask(running, "/secrets/a", "DELETE"))[0] == 403


async def test_a_disabled_secret_is_not_given_out(running: Running, vault: str) -> None:
    running.stored.assign(SECRETS_OFFICER, vault)
    disabled = {"value": "1", "attributes": {"enabled": False}}
    await ask(running, "/secrets/a", "PUT", json=disabled)

    status, body = await ask(running, "/secrets/a")

    assert (status, code(body)) == (403, "SecretDisabled")


async def test_the_firewall_identifies_callers_by_address(
    running: Running, stored: StoredResources
) -> None:
    acls = {"defaultAction": "Deny", "virtualNetworkRules": [{"id": SUBNET}]}
    vault = stored.vault("safe", networkAcls=acls)
    stored.secret(vault, "a", "1")
    stored.assign(SECRETS_USER, vault)
    stored.subnet("Microsoft.KeyVault")

    status, body = await ask(running, "/secrets/a")
    stored.vm("127.0.0.1")
    from_machine, _ = await ask(running, "/secrets/a")

    assert (status, code(body)) == (403, "ForbiddenByFirewall")
    assert from_machine == 200


async def test_a_slow_vault_answers_late_and_a_healed_one_at_once(
    running: Running, vault: str
) -> None:
    assert vault
    running.plane.faults.delay["vault"] = 60.0
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(running, "/secrets/a"), 0.3)

    running.plane.faults.delay.clear()

    assert (await asyncio.wait_for(ask(running, "/secrets/a"), 20))[0] == 403


@pytest.mark.parametrize("path", ["/keys", "/certificates/a", "/deletedsecrets"])
async def test_what_is_not_modelled_is_refused_by_name(
    running: Running, vault: str, path: str
) -> None:
    status, body = await ask(running, path)

    assert vault
    assert (status, code(body)) == (501, "NotModelled")


async def test_a_request_without_api_version_is_refused(running: Running, vault: str) -> None:
    headers = {"Authorization": f"Bearer {running.token(audience=VAULT_AUDIENCE)}"}
    async with running.client() as client:
        answer = await client.get(running.url(HOST, "/secrets/a"), headers=headers)

    assert vault
    assert answer.status == 400


def test_a_secret_longer_than_25_kilobytes_is_refused() -> None:
    with pytest.raises(AzureError, match="25600"):
        secrets.with_version(None, {"value": "x" * 25_601})


def test_a_secret_that_was_never_given_a_value_is_refused() -> None:
    with pytest.raises(AzureError, match="value"):
        secrets.with_version(None, {"contentType": "text/plain"})


def test_a_deleted_vault_leaves_no_records(stored: StoredResources) -> None:
    vault = stored.vault("safe")
    secret = stored.store.get(stored.secret(vault, "a", "1"))
    assert secret is not None
    secrets.delete(stored.store, secret)

    secrets.forget_vault(stored.store, vault)

    secrets.check_name_is_free(stored.store, vault, "a")

"""Storage accounts, containers, vaults and secrets, as the resource manager has them."""

import functools
import time
from typing import Any

import pytest

from lab.azure.arm.store import Store
from lab.azure.arm.subscription import DEPLOYER_OBJECT_ID
from lab.azure.identity import roles
from lab.azure.identity.roles import SECRET_DELETE, Roles
from lab.azure.keyvault import secrets, vaults
from lab.azure.storage.accounts import account_keys
from tests.unit.lab.azure.azure import ACCOUNT, CONTAINER, GROUP, ROLES, Azure, inputs_of
from tests.unit.lab.azure.conftest import refusal

VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/fleet1234"
SECRET = f"{VAULT}/secrets/tls-key"
OFFICER = {
    "scope": VAULT,
    "principalId": DEPLOYER_OBJECT_ID,
    "roleDefinitionId": f"{ROLES}/b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
}


def _roles_act_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.time() + roles.PROPAGATION
    monkeypatch.setattr(vaults, "Roles", functools.partial(Roles, clock=lambda: later + 1))


@pytest.fixture
async def group(azure: Azure) -> Azure:
    await azure.create("resources:ResourceGroup")
    return azure


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"accountName": "Fleet-Data"}, "AccountNameInvalid"),
        ({"sku": {"name": "Cheap"}}, "InvalidSkuName"),
        ({"kind": "BlobStorage"}, "NotModelled"),
        ({"minimumTlsVersion": "TLS1_0"}, "NotModelled"),
    ],
)
async def test_an_account_that_is_refused(group: Azure, changes: dict[str, Any], code: str) -> None:
    error = await refusal(group.create("storage:StorageAccount", **changes))

    assert error.code == code


async def test_account_names_are_unique_worldwide(group: Azure) -> None:
    await group.create("storage:StorageAccount")
    await group.cloud.manager.create(
        "azure-native:resources:ResourceGroup",
        {"resourceGroupName": "other", "location": "westeurope"},
    )

    error = await refusal(group.create("storage:StorageAccount", resourceGroupName="other"))

    assert error.code == "StorageAccountAlreadyTaken"


async def test_keys_survive_an_update_and_are_no_outputs(group: Azure) -> None:
    await group.create("storage:StorageAccount")
    before = account_keys(group.store, ACCOUNT)

    account = await group.update("storage:StorageAccount", allowSharedKeyAccess=False)

    assert account_keys(group.store, ACCOUNT) == before
    assert before["keys"][0]["value"] not in str(account.outputs)


async def test_containers_are_made_and_deleted_where_blobs_are_kept(group: Azure) -> None:
    await group.create("storage:StorageAccount")

    await group.create("storage:BlobContainer")
    made = set(group.blobs.containers)
    await group.cloud.manager.delete(CONTAINER)

    assert made == {"fleetdata/registry"}
    assert group.blobs.containers == set()


async def test_the_blob_service_exists_with_its_account(group: Azure) -> None:
    await group.create("storage:StorageAccount")

    await group.create("storage:BlobServiceProperties")
    again = await group.create("storage:BlobServiceProperties", isVersioningEnabled=False)

    assert again.outputs["isVersioningEnabled"] is False


async def test_deleting_the_settings_of_the_blob_service_leaves_its_containers(
    group: Azure,
) -> None:
    """Their ids lie below the singleton's, but they belong to the account."""
    await group.create("storage:StorageAccount")
    await group.create("storage:BlobServiceProperties")
    await group.create("storage:BlobContainer")

    await group.cloud.manager.delete(CONTAINER.split("/containers/")[0])

    assert group.blobs.containers == {"fleetdata/registry"}


@pytest.mark.parametrize("kind", ["storage:BlobServiceProperties", "storage:ManagementPolicy"])
async def test_singletons_are_named_default(group: Azure, kind: str) -> None:
    await group.create("storage:StorageAccount")
    name = {"blobServicesName": "mine", "managementPolicyName": "mine"}

    error = await refusal(group.create(kind, **name))

    assert error.status == 501


async def test_a_vault_needs_role_based_access(group: Azure) -> None:
    properties = {"tenantId": "x", "sku": {"family": "A", "name": "standard"}}

    error = await refusal(group.create("keyvault:Vault", properties=properties))

    assert "enableRbacAuthorization" in error.message


async def test_a_deleted_vaults_name_stays_taken(group: Azure) -> None:
    await group.create("keyvault:Vault")
    await group.cloud.manager.delete(VAULT)

    error = await refusal(group.create("keyvault:Vault"))

    assert error.status == 409
    assert "deleted state" in error.message


async def test_a_vault_takes_its_deleted_secrets_along(group: Azure) -> None:
    await group.create_all("keyvault:Vault", "keyvault:Secret")

    await group.cloud.manager.delete(VAULT)

    assert group.store.list(secrets.DELETED_SECRET) == ()


async def test_deleting_a_secret_needs_a_role_in_the_vault(
    group: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Making one does not: the resource manager does that, and the data plane deletes."""
    await group.create("keyvault:Vault")
    await group.create("keyvault:Secret")
    without = await refusal(group.cloud.manager.delete(SECRET))
    await group.create("authorization:RoleAssignment", **OFFICER)
    too_early = await refusal(group.cloud.manager.delete(SECRET))
    _roles_act_at_once(monkeypatch)

    await group.cloud.manager.delete(SECRET)

    assert (without.code, too_early.code) == ("Forbidden", "Forbidden")
    assert SECRET_DELETE in without.message
    assert group.store.get(SECRET) is None


async def test_deleting_a_secret_is_the_vaults_firewalls_business(
    group: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    _roles_act_at_once(monkeypatch)
    closed = {"defaultAction": "Deny", "bypass": "None", "ipRules": [{"value": "203.0.113.7/32"}]}
    properties = inputs_of("keyvault:Vault")["properties"] | {"networkAcls": closed}
    await group.create("keyvault:Vault", properties=properties)
    await group.create("keyvault:Secret")
    await group.create("authorization:RoleAssignment", **OFFICER)

    error = await refusal(group.cloud.manager.delete(SECRET))

    assert error.message == "Client address is not authorized. Client address: 127.0.0.1"


async def test_a_deleted_secrets_name_stays_taken(
    group: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    _roles_act_at_once(monkeypatch)
    await group.create("keyvault:Vault")
    await group.create("keyvault:Secret")
    await group.create("authorization:RoleAssignment", **OFFICER)
    await group.cloud.manager.delete(SECRET)

    error = await refusal(group.create("keyvault:Secret"))

    assert error.code == "ObjectIsDeletedButRecoverable"


async def test_a_secret_gets_a_version_when_its_value_changes(group: Azure) -> None:
    await group.create("keyvault:Vault")
    first = await group.create("keyvault:Secret")

    same = await group.update("keyvault:Secret", tags={})
    other = await group.update("keyvault:Secret", properties={"value": "changed"})

    versions = [each.outputs["properties"]["secretUriWithVersion"] for each in (first, same, other)]
    assert versions[0] == versions[1] != versions[2]
    assert first.outputs["properties"]["secretUri"] == (
        "https://fleet1234.vault.azure.net/secrets/tls-key"
    )


async def test_files_of_the_store_are_for_root_only(group: Azure) -> None:
    await group.create_all("keyvault:Vault", "keyvault:Secret")

    folder = group.folder / "resources"

    assert {path.stat().st_mode & 0o777 for path in folder.glob("*.json")} == {0o600}
    secret = Store(folder).get(SECRET)
    assert secret is not None
    assert secret.private["versions"][0]["value"] == "hush"

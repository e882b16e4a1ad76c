"""Which principal may do what, where and when."""

import pytest

from lab.azure.arm.store import Store
from lab.azure.identity import roles
from lab.azure.identity.roles import PROPAGATION, Roles
from tests.unit.lab.azure.stored_resources import (
    BLOB_CONTRIBUTOR,
    BLOB_READER,
    CONTRIBUTOR,
    GROUP,
    NODE,
    SECRETS_OFFICER,
    SECRETS_USER,
    StoredResources,
)

ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/media"
CONTAINER = f"{ACCOUNT}/blobServices/default/containers/films"


@pytest.fixture
def rights(store: Store) -> Roles:
    return Roles(store)


@pytest.mark.parametrize("scope", [CONTAINER, ACCOUNT, GROUP, GROUP.upper(), f"{ACCOUNT}/"])
def test_an_assignment_counts_on_its_scope_and_below(
    stored: StoredResources, rights: Roles, scope: str
) -> None:
    stored.assign(BLOB_READER, scope)

    assert rights.allows(NODE, roles.BLOB_READ, CONTAINER)


@pytest.mark.parametrize(
    "scope", [CONTAINER[:-1], ACCOUNT[:-1], f"{CONTAINER}s", f"{CONTAINER}/blobs/one"]
)
def test_an_assignment_elsewhere_does_not_count(
    stored: StoredResources, rights: Roles, scope: str
) -> None:
    stored.assign(BLOB_READER, scope)

    assert not rights.allows(NODE, roles.BLOB_READ, CONTAINER)


def test_an_assignment_is_its_principals_alone(stored: StoredResources, rights: Roles) -> None:
    stored.assign(BLOB_READER, ACCOUNT, principal="another")

    assert not rights.allows(NODE, roles.BLOB_READ, CONTAINER)


BLOB_ACTIONS = {roles.BLOB_READ, roles.BLOB_WRITE, roles.BLOB_DELETE}
SECRET_ACTIONS = {
    *(roles.SECRET_GET, roles.SECRET_LIST, roles.SECRET_SET),
    *(roles.SECRET_DELETE, roles.SECRET_PURGE, roles.SECRET_RECOVER),
}


@pytest.mark.parametrize(
    ("role", "gives"),
    [
        (BLOB_READER, {roles.BLOB_READ}),
        (BLOB_CONTRIBUTOR, BLOB_ACTIONS),
        (SECRETS_USER, {roles.SECRET_GET, roles.SECRET_LIST}),
        (SECRETS_OFFICER, SECRET_ACTIONS),
        (CONTRIBUTOR, set()),
        ("00000000-0000-0000-0000-000000000000", set()),
    ],
)
def test_a_role_gives_its_data_actions_and_no_others(
    stored: StoredResources, rights: Roles, role: str, gives: set[str]
) -> None:
    stored.assign(role, GROUP)

    found = {
        action for action in BLOB_ACTIONS | SECRET_ACTIONS if rights.allows(NODE, action, CONTAINER)
    }

    assert found == gives


def test_a_fresh_assignment_takes_a_while(stored: StoredResources, store: Store) -> None:
    now = 1_700_000_000.0
    stored.assign(BLOB_READER, ACCOUNT, created=now)

    early = Roles(store, clock=lambda: now + PROPAGATION - 0.1)
    late = Roles(store, clock=lambda: now + PROPAGATION)

    assert not early.allows(NODE, roles.BLOB_READ, CONTAINER)
    assert late.allows(NODE, roles.BLOB_READ, CONTAINER)

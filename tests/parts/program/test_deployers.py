"""Who may delete secrets, while the list of those who deploy changes: on the real engine.

Azure refuses a second assignment of one role to one principal, so the order matters.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lab.azure.identity.resource_types import ROLE_ASSIGNMENT
from tests.parts.lab.providers.attached import attached_plugins
from tests.parts.lab.providers.pulumi_stack import PulumiStack
from tests.parts.lab.providers.simulated_azure import SimulatedAzure, serving
from tests.unit.lab.azure.azure import ACCOUNT, GROUP

ANNA, BERT = ("aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002")
PROGRAM = """
    from pulumi_azure_native import resources

    from components.identity import Identity, IdentityArgs

    group = resources.ResourceGroup("group", resource_group_name="group", location="westeurope")
    containers = "{account}/blobServices/default/containers/"
    Identity(
        "identity",
        IdentityArgs(
            resource_group_name=group.name,
            subscription_id="5ab50000-1ab0-4000-8000-000000000002",
            deployer_id="{now}",
            deployers={deployers},
            developers=[],
            nodes_container=containers + "nodes",
            registry_container=containers + "registry",
            cluster_container=containers + "cluster",
            backups_container=containers + "backups",
            vault_id="{group}/providers/Microsoft.KeyVault/vaults/fleet1234",
        ),
        None,
    )
"""


class Deployed:
    """A stack with the identity component only."""

    def __init__(self, stack: PulumiStack, cloud: SimulatedAzure) -> None:
        self._stack = stack
        self._cloud = cloud

    def by(self, now: str, deployers: Sequence[str] = ()) -> list[str]:
        """Who may delete secrets after an `up` by this one."""
        names = {"group": GROUP, "account": ACCOUNT}
        self._stack.program(PROGRAM.format(**names, now=now, deployers=list(deployers)))
        outcome = self._stack.up()
        assert outcome.succeeded, outcome.text
        return sorted(
            one.inputs["principalId"]
            for one in self._cloud.resources.values()
            if one.token == ROLE_ASSIGNMENT
            and "/vaults/" in one.id
            and one.inputs["principalId"] in (ANNA, BERT)
        )

    def writes(self) -> int:
        return len(self._cloud.writes())


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[Deployed]:
    with serving(tmp_path / "azure") as cloud, attached_plugins(cloud) as environment:
        cloud.create("resources:ResourceGroup", "storage:StorageAccount", "keyvault:Vault")
        for name in ("nodes", "registry", "cluster", "backups"):
            cloud.run(cloud.azure.create("storage:BlobContainer", containerName=name))
        stack = PulumiStack(tmp_path, environment)
        stack.init()
        yield Deployed(stack, cloud)


@pytest.mark.parametrize("deployers", [(ANNA, BERT), (BERT, ANNA)])
def test_a_list_of_deployers_inherits_the_role_in_any_order(
    deployed: Deployed, deployers: Sequence[str]
) -> None:
    assert deployed.by(ANNA) == [ANNA]

    assert deployed.by(ANNA, deployers) == [ANNA, BERT]

    before = deployed.writes()
    assert deployed.by(BERT, deployers) == [ANNA, BERT]
    assert deployed.by(ANNA, deployers[::-1]) == [ANNA, BERT]
    assert deployed.writes() == before
    assert deployed.by(ANNA, [BERT]) == [BERT]

"""Secrets stay secret: encrypted in the state, plain only where the cloud needs them."""

from __future__ import annotations

import pytest

from lab.azure.keyvault import secrets
from tests.parts.lab.providers.pulumi_stack import PulumiStack
from tests.parts.lab.providers.simulated_azure import SimulatedAzure

PROGRAM = """
    import pulumi
    from pulumi_azure_native import keyvault, storage

    key = {value}
    keyvault.Secret(
        "ssh-host-key",
        resource_group_name="fleet-dev",
        vault_name="fleet1234",
        properties=keyvault.SecretPropertiesArgs(value=key, content_type="text/plain"),
    )
    found = storage.list_storage_account_keys_output(
        account_name="fleetdata", resource_group_name="fleet-dev"
    )
    pulumi.export("key", found.keys[0].value)
"""

TAGGED = """
    import pulumi
    from pulumi_azure_native import resources

    resources.ResourceGroup(
        "group",
        location="westeurope",
        tags={"owner": pulumi.Output.secret("a-hidden-owner"), "project": "shown"},
    )
"""


@pytest.fixture(autouse=True)
def surroundings(cloud: SimulatedAzure) -> None:
    cloud.create("resources:ResourceGroup", "keyvault:Vault", "storage:StorageAccount")


def test_a_vault_secret_is_encrypted_in_the_state_and_known_to_the_cloud(
    stack: PulumiStack, cloud: SimulatedAzure
) -> None:
    stack.program(PROGRAM.format(value='pulumi.Output.secret("the-private-key")'))

    outcome = stack.up()
    again = stack.preview("--expect-no-changes")

    assert outcome.succeeded, outcome.text
    assert again.succeeded, again.text
    assert "the-private-key" not in stack.exported()
    assert secrets.current(cloud.named("ssh-host-key")).value == "the-private-key"


def test_a_vault_secret_is_secret_even_when_the_program_forgets_to_say_so(
    stack: PulumiStack,
) -> None:
    stack.program(PROGRAM.format(value='"the-private-key"'))

    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    assert "the-private-key" not in stack.exported() + outcome.text


def test_account_keys_are_secret(stack: PulumiStack, cloud: SimulatedAzure) -> None:
    stack.program(PROGRAM.format(value='"the-private-key"'))

    stack.up()

    assert stack.outputs()["key"] == "[secret]"
    assert cloud.named("fleetdata").private["keys"][0] not in stack.exported()


def test_a_new_secret_value_is_an_update_that_shows_nothing(
    stack: PulumiStack, cloud: SimulatedAzure
) -> None:
    stack.program(PROGRAM.format(value='pulumi.Output.secret("the-private-key")'))
    stack.up()

    stack.program(PROGRAM.format(value='pulumi.Output.secret("another-key")'))
    preview = stack.preview()
    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    assert "~ properties" in preview.text
    assert "-key" not in preview.text.replace("ssh-host-key", "")
    assert cloud.writes()[-1] == "PUT Secret"


def test_refresh_keeps_the_value_that_azure_does_not_return(stack: PulumiStack) -> None:
    stack.program(PROGRAM.format(value='pulumi.Output.secret("the-private-key")'))
    stack.up()

    refreshed = stack.refresh()
    again = stack.preview("--expect-no-changes")

    assert refreshed.succeeded, refreshed.text
    assert again.succeeded, again.text
    assert "the-private-key" not in stack.exported()


def test_only_what_is_secret_is_hidden(stack: PulumiStack) -> None:
    stack.program(TAGGED)

    stack.up()
    stack.refresh()
    state = stack.exported()

    assert "a-hidden-owner" not in state
    assert stack.resource("group")["outputs"]["tags"]["project"] == "shown"

"""Secrets by way of the real Pulumi engine: how they are set, what its state and its words hold."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.azure.arm.store import Resource
from lab.azure.arm.subscription import DEPLOYER_OBJECT_ID, TENANT_ID
from lab.azure.keyvault import secrets
from lab.azure.keyvault.resource_types import SECRET, VAULT
from tests.parts.lab.providers.attached import attached_plugins
from tests.parts.lab.providers.pulumi_stack import PulumiStack
from tests.parts.lab.providers.simulated_azure import SimulatedAzure, serving
from tests.program.recorded_stack import PROJECT
from tests.unit.lab.azure.azure import GROUP, SUBNET
from tests.unit.lab.azure.stored_resources import SECRETS_OFFICER, StoredResources

VALUE = "correct-horse-battery"
PROGRAM = f"""
    import hashlib
    from ipaddress import IPv4Network

    import pulumi
    from pulumi_azure_native import resources

    import settings
    from components.rendering import service_secrets
    from components.key_vault import KeyVault, KeyVaultArgs
    from components.rendering.requests import apply_request

    config = settings.load()
    vault = KeyVault(
        "key-vault",
        KeyVaultArgs(
            resource_group_name="fleet-dev",
            tenant_id="{TENANT_ID}",
            subnet_id="{SUBNET}",
            public_admin_cidrs=[IPv4Network("127.0.0.1/32")],
            secrets={{}},
            versioned_secrets=service_secrets.for_vault(config),
            protect=config.protect,
        ),
        pulumi.ResourceOptions(),
    )
    for one in config.instance_sets:
        order = service_secrets.with_references(
            vault.references,
            {{each: service_secrets.service_secret(each) for each in one.secrets.values()}},
            lambda known, one=one: apply_request(one, 10, known),
        )
        unit = order.apply(lambda known: known.units.app)
        # In place of the rollout: it changes whenever the unit does.
        digest = unit.apply(lambda text: hashlib.sha256(text.encode()).hexdigest())
        resources.ResourceGroup(f"{{one.name}}-rollout", tags={{"unit": digest}})
        pulumi.export(one.name, unit)
"""


class Vault:
    """The program's vault in the simulated Azure."""

    def __init__(self, cloud: SimulatedAzure) -> None:
        self.cloud = cloud

    def all(self, token: str) -> list[Resource]:
        return [each for each in self.cloud.resources.values() if each.token == token]

    def secrets(self) -> dict[str, str]:
        """The values by name."""
        return {each.name: secrets.current(each).value for each in self.all(SECRET)}

    def version_of(self, value: str) -> str:
        """The current version of the secret with this value."""
        known = [secrets.current(each) for each in self.all(SECRET)]
        (found,) = [version.id for version in known if version.value == value]
        return found


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with serving(tmp_path / "azure") as cloud:
        cloud.create("resources:ResourceGroup", "network:VirtualNetwork")
        endpoints = [{"service": "Microsoft.KeyVault"}]
        plain = {"networkSecurityGroup": None, "natGateway": None}
        cloud.run(cloud.azure.create("network:Subnet", serviceEndpoints=endpoints, **plain))
        StoredResources(cloud.azure.store).assign(SECRETS_OFFICER, GROUP, DEPLOYER_OBJECT_ID)
        yield Vault(cloud)


@pytest.fixture
def engine(tmp_path: Path, vault: Vault) -> Iterator[PulumiStack]:
    """A stack with a service that wants a secret, and the project's own way of naming things."""
    with attached_plugins(vault.cloud) as environment:
        yield configured(PulumiStack(tmp_path, environment))


def configured(made: PulumiStack) -> PulumiStack:
    names = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"]["pulumi:autonaming"]
    project = {"name": "tests", "runtime": "python", "config": {"pulumi:autonaming": names}}
    made.file("Pulumi.yaml", yaml.safe_dump(project).encode())
    made.program(PROGRAM)
    made.init()
    settings = {
        "azure-native:location": "westeurope",
        "fleet:location": "westeurope",
        "fleet:ownerTag": "team",
        "fleet:adminCidrs": '["203.0.113.7/32"]',
        "fleet:services": json.dumps(
            {"api": {"image": "a:1", "http": {}, "secrets": {"PASSWORD": "db", "PIN": "0-pin"}}}
        ),
    }
    made.configure(settings)
    return made


def run(engine: PulumiStack, *command: str) -> str:
    done = engine.run(*command)
    assert done.succeeded, done.text
    return done.text


def set_secret(engine: PulumiStack, name: str, value: str) -> None:
    run(engine, "config", "set", "--secret", "--path", f"fleet:secrets.{name}", "--", value)


def test_secrets_set_as_preview_advises_are_plain_in_the_vault_only(
    engine: PulumiStack, vault: Vault, tmp_path: Path
) -> None:
    refused = engine.preview()
    advised = re.findall(r"pulumi config set --secret --path (\S+) VALUE", refused.text)
    for path in advised:
        run(engine, "config", "set", "--secret", "--path", path, f"{VALUE}-{path}")

    outcome = engine.up()
    again = engine.preview("--expect-no-changes")

    assert not refused.succeeded
    assert advised == ["fleet:secrets.0-pin", "fleet:secrets.db"]
    assert outcome.succeeded, outcome.text
    assert again.succeeded, again.text
    assert sorted(vault.secrets().values()) == [f"{VALUE}-{path}" for path in advised]
    everything = outcome.text + again.text + engine.exported() + run(engine, "stack", "output")
    assert VALUE not in everything
    assert VALUE not in (tmp_path / "project/Pulumi.test.yaml").read_text()


def test_units_are_readable_in_the_state_and_name_the_version(
    engine: PulumiStack, vault: Vault
) -> None:
    set_secret(engine, "db", VALUE)
    set_secret(engine, "0-pin", "0042")

    run(engine, "up", "--yes", "--skip-preview")

    unit = engine.outputs()["api"]
    assert re.search(rf"PASSWORD=service-db-[0-9a-f]{{6}}/{vault.version_of(VALUE)}", unit)


def test_a_text_that_looks_like_a_number_stays_text(engine: PulumiStack, vault: Vault) -> None:
    set_secret(engine, "db", "true")
    set_secret(engine, "0-pin", "0042")

    run(engine, "up", "--yes", "--skip-preview")

    assert sorted(vault.secrets().values()) == ["0042", "true"]


def test_a_new_value_changes_the_unit_but_not_the_secrets_name(
    engine: PulumiStack, vault: Vault
) -> None:
    set_secret(engine, "0-pin", "1")
    set_secret(engine, "db", VALUE)
    run(engine, "up", "--yes", "--skip-preview")
    names, unit = set(vault.secrets()), engine.outputs()["api"]

    set_secret(engine, "db", "another")
    preview = engine.preview()
    run(engine, "up", "--yes", "--skip-preview")

    assert set(vault.secrets()) == names
    assert engine.outputs()["api"] != unit
    assert "another" not in preview.text
    assert "~ azure-native:resources:ResourceGroup: (update)" in preview.text


def test_a_secret_that_is_added_again_gets_another_name(engine: PulumiStack, vault: Vault) -> None:
    set_secret(engine, "0-pin", "1")
    set_secret(engine, "db", VALUE)
    run(engine, "up", "--yes", "--skip-preview")
    before = set(vault.secrets())
    services = {"api": {"image": "a:1", "http": {}, "secrets": {"PIN": "0-pin"}}}
    with_both = run(engine, "config", "get", "fleet:services").strip()
    run(engine, "config", "set", "fleet:services", json.dumps(services))
    run(engine, "up", "--yes", "--skip-preview")

    run(engine, "config", "set", "fleet:services", with_both)
    run(engine, "up", "--yes", "--skip-preview")

    # Azure refuses the old one for days
    assert len(before) == len(set(vault.secrets())) == 2
    assert len(before & set(vault.secrets())) == 1


def test_protection_can_be_switched_off_and_the_vault_destroyed(
    engine: PulumiStack, vault: Vault
) -> None:
    """Azure refuses to switch its protection against purging off again."""
    set_secret(engine, "0-pin", "1")
    set_secret(engine, "db", VALUE)
    run(engine, "config", "set", "fleet:protect", "true")
    run(engine, "up", "--yes", "--skip-preview")
    refused = engine.run("destroy", "--yes", "--skip-preview")

    run(engine, "config", "set", "fleet:protect", "false")
    run(engine, "up", "--yes", "--skip-preview")

    assert not refused.succeeded
    (made,) = vault.all(VAULT)
    assert made.inputs["properties"]["enablePurgeProtection"] is True
    run(engine, "destroy", "--yes", "--skip-preview")
    assert vault.all(VAULT) == []


def test_a_secret_in_plain_text_is_refused_and_not_repeated(
    engine: PulumiStack, vault: Vault
) -> None:
    for name in ("db", "0-pin"):
        run(engine, "config", "set", "--path", f"fleet:secrets.{name}", VALUE)

    refused = engine.preview()

    assert not refused.succeeded
    assert "fleet:secrets: must be secret. This one was in a file in plain text" in refused.text
    assert VALUE not in refused.text
    assert vault.all(VAULT) == []

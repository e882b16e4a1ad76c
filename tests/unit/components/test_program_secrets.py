"""Where secrets and certificates go in the whole program: into the vault, and nowhere else."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.program import pem
from tests.program.fixtures import Config, least
from tests.program.recorded_stack import Recorded

Run = Callable[[Config], Recorded]
COMMAND = "command:remote:Command"
SECRET = "azure-native:keyvault:Secret"
PASSWORD = "correct-horse-battery"


def with_secrets() -> Config:
    """Two customers, of whom one has a secret, and a certificate for one of them."""
    config = least()
    config["services"]["lms"] = {
        "image": "lms:1",
        "http": {"httpsRedirect": True},
        "customers": {
            "acme": {"hosts": ["acme.example"], "secrets": {"DB_PASSWORD": "db"}},
            "globex": {"hosts": ["globex.example"]},
        },
    }
    config["secrets"] = {"db": PASSWORD, "unused": "never-used", "pem": pem.chain("acme.example")}
    config["certificates"] = {"acme": {"secret": "pem"}}
    return config


@pytest.fixture(name="secrets")
def _secrets() -> Config:
    return with_secrets()


@pytest.fixture(scope="module")
def told(run: Run) -> Recorded:
    return run(with_secrets())


def order(stack: Recorded, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(stack.one(COMMAND, name).inputs["stdin"])
    return loaded


def changed(before: Recorded, after: Recorded) -> set[str]:
    """The names of resources that are new, gone or other."""
    inputs = [
        # files to upload are equal by their names, which are among the inputs
        {one.urn: json.dumps(one.inputs, default=lambda _: "") for one in stack.resources}
        for stack in (before, after)
    ]
    urns = inputs[0].keys() | inputs[1].keys()
    return {urn.rsplit("::")[-1] for urn in urns if inputs[0].get(urn) != inputs[1].get(urn)}


def test_values_reach_secrets_of_the_vault_and_nothing_else(told: Recorded) -> None:
    holding = {
        one.name for one in told.resources if PASSWORD in json.dumps(one.inputs, default=str)
    }

    assert holding == {"service-db"}
    assert PASSWORD not in json.dumps(told.outputs)


def test_secrets_are_secret_outputs(told: Recorded) -> None:
    for name in ("service-db", "certificate-acme"):
        secret = told.one(SECRET, name)
        assert "properties" in secret.secret_inputs
        assert secret.deleted_with.endswith("keyvault:Vault::fleet")


def test_an_unused_secret_is_not_stored_in_the_vault(told: Recorded) -> None:
    assert {one.name for one in told.all(SECRET) if not one.name.startswith("key-vault")} == {
        "service-db",
        "certificate-acme",
    }


def test_pulumi_names_them_since_a_deleted_one_keeps_its_name(told: Recorded) -> None:
    assert "secretName" not in told.one(SECRET, "service-db").inputs


def test_a_unit_names_secret_and_version_and_its_order_is_no_secret(told: Recorded) -> None:
    unit = order(told, "lms-acme-rollout")["units"]["app"]

    assert "DB_PASSWORD=service-db-1a2b3c/" in unit
    assert "stdin" not in told.one(COMMAND, "lms-acme-rollout").secret_inputs


def test_a_new_value_rolls_out_only_the_services_that_use_it(
    run: Run, secrets: Config, told: Recorded
) -> None:
    secrets["secrets"]["db"] = "another"
    secrets["secrets"]["pem"] = told.one(SECRET, "certificate-acme").inputs["properties"]["value"]

    assert changed(told, run(secrets)) == {"service-db", "lms-acme-rollout"}


def test_a_new_certificate_rolls_out_no_service(run: Run, secrets: Config, told: Recorded) -> None:
    assert changed(told, run(secrets)) == {"certificate-acme", "fleet-certificates"}


def test_routers_get_the_references_of_certificates(told: Recorded) -> None:
    (certificate,) = order(told, "fleet-certificates")["certificates"].values()

    assert certificate["secret"] == "certificate-acme-1a2b3c"
    assert certificate["hosts"] == ["acme.example"]
    assert certificate["version"]


def test_a_stack_without_certificates_takes_away_those_it_had(stack: Recorded) -> None:
    assert order(stack, "fleet-certificates") == {"certificates": {}}


def test_a_failing_certificate_does_not_block_services(told: Recorded) -> None:
    certificates = told.one(COMMAND, "fleet-certificates")

    assert told.one(COMMAND, "fleet-platform").urn in certificates.dependencies
    assert certificates.urn not in told.one(COMMAND, "lms-acme-rollout").dependencies


def test_nodes_do_not_wait_for_secrets_of_services(told: Recorded) -> None:
    machines = told.one("azure-native:compute:VirtualMachineScaleSet")

    assert told.one(SECRET, "service-db").urn not in machines.dependencies


def test_adding_a_customer_changes_nothing_of_others(
    run: Run, secrets: Config, told: Recorded
) -> None:
    pem_text = told.one(SECRET, "certificate-acme").inputs["properties"]["value"]
    secrets["secrets"]["pem"] = pem_text
    secrets["services"]["lms"]["customers"]["aaa"] = {
        "hosts": ["aaa.example"],
        "env": {"THEME": "a"},
        "secrets": {"DB_PASSWORD": "aaa-db"},
    }
    secrets["secrets"]["aaa-db"] = "new"

    # a Service is its component and its rollout
    assert changed(told, run(secrets)) == {"lms-aaa", "lms-aaa-rollout", "service-aaa-db"}


def test_customers_do_not_wait_for_each_other(told: Recorded) -> None:
    acme, globex = (told.one(COMMAND, f"lms-{name}-rollout") for name in ("acme", "globex"))

    assert not acme.dependencies & {globex.urn}
    assert not globex.dependencies & {acme.urn, told.one(SECRET, "service-db").urn}


def test_outputs_say_who_may_read_other_vaults_and_where_https_is(told: Recorded) -> None:
    assert told.outputs["nodesIdentity"] == "p-r-i-n-c-i-p-a-l"
    assert told.outputs["services"]["lms-acme"] == ["https://acme.example"]

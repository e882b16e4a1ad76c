"""Customers come, change, break and go; the others notice nothing."""

from __future__ import annotations

import copy
import json
from typing import Any

from lab.scratch_stack import Change, Config
from tests.lab.stack import LabStack, succeeded
from tests.lab.web import Browser, Failure, steady_visits

SITES = {
    "acme": "https://acme.docebo.example",
    "globex": "https://globex.docebo.example",
    "initech": "https://initech.docebo.example",
}
HOOLI = {
    "hosts": ["hooli.docebo.example"],
    "instances": 2,
    "env": {"TITLE": "Hooli", "THEME": "plum"},
    "secrets": {"ADMIN_PASSWORD": "hooli-admin"},
}


def test_a_new_customer_changes_only_its_own_resources(docebo: LabStack) -> None:
    before = docebo.starts("lms")
    with docebo.changed(customers(hooli=HOOLI)):
        assert changes(docebo) == {
            "lms-hooli": "create",
            "lms-hooli-rollout": "create",
            "service-hooli-admin": "create",
        }
        with steady_visits(docebo, *SITES.values()) as visits:
            docebo.up()
        with Browser(docebo, "https://hooli.docebo.example") as visitor:
            assert visitor.get("/health").headers["X-Customer"] == "hooli"
        with_hooli = docebo.starts("lms")

        docebo.configure()
        assert changes(docebo) == {
            "lms-hooli": "delete",
            "lms-hooli-rollout": "delete",
            "service-hooli-admin": "delete",
        }
        with steady_visits(docebo, *SITES.values()) as later_visits:
            docebo.up()

    assert {unit.split("-")[1] for unit in with_hooli.keys() - before.keys()} == {"hooli"}
    assert with_hooli | before == with_hooli, "the others' instances were left alone"
    assert docebo.starts("lms") == before, "nothing of hooli is left"
    assert not any("hooli" in unit["name"] for unit in fleet_units(docebo))
    assert_all_went_well(visits.failures + later_visits.failures, visits.answered)
    with Browser(docebo, "http://hooli.docebo.example") as visitor:
        assert visitor.get("/").status_code == 404


def test_only_a_changed_customer_is_rolled_out(docebo: LabStack) -> None:
    before = docebo.starts("lms")

    with docebo.changed(customer("globex", image="docebo/lms:7.1.0")):
        assert changes(docebo) == {"lms-globex-rollout": "update"}
        with steady_visits(docebo, *SITES.values()) as visits:
            docebo.up()
        after = docebo.starts("lms")
        with Browser(docebo, SITES["globex"]) as visitor:
            assert visitor.get("/health").json()["version"] == "7.1.0"

    gone = {unit.split("-")[1] for unit in before.keys() - after.keys()}
    assert gone == {"globex"}
    assert {unit: one for unit, one in after.items() if "globex" not in unit} == {
        unit: one for unit, one in before.items() if "globex" not in unit
    }
    assert_all_went_well(visits.failures, visits.answered)


def test_broken_customers_do_not_block_others(docebo: LabStack) -> None:
    """One image is missing, one instance never gets well, one customer just grows."""
    docebo.configure(
        customer("acme", env={"TITLE": "Acme Academy", "THEME": "neon"}),
        customer("globex", image="docebo/nothing:1.0.0"),
        customer("initech", instances=2),
    )
    try:
        with steady_visits(docebo, *SITES.values()) as visits:
            said = docebo.up_fails()
        initech = docebo.instances("lms-initech")
    finally:
        docebo.configure()
        docebo.up()

    assert "lms-acme-rollout" in said
    assert "THEME is 'neon', allowed are" in said
    assert "lms-globex-rollout" in said
    assert "docebo/nothing:1.0.0" in said
    assert [one["announced"] for one in initech] == [True, True]
    assert_all_went_well(visits.failures, visits.answered)
    succeeded(docebo.pulumi("preview", "--expect-no-changes"))


def customer(name: str, **values: object) -> Change:
    """A change of one customer's settings."""

    def change(config: Config) -> None:
        config["fleet:services"]["lms"]["customers"][name].update(values)

    return change


def customers(**added: dict[str, Any]) -> Change:
    def change(config: Config) -> None:
        config["fleet:services"]["lms"]["customers"].update(copy.deepcopy(added))

    return change


def changes(stack: LabStack) -> dict[str, str]:
    """The planned operations of a preview, by resource."""
    steps = json.loads(succeeded(stack.pulumi("preview", "--json")))["steps"]
    return {step["urn"].split("::")[-1]: step["op"] for step in steps if step["op"] != "same"}


def fleet_units(stack: LabStack) -> list[dict[str, Any]]:
    ask = "curl -fsS --unix-socket /var/run/fleet.sock http://fleet/fleet/v1/units"
    found: list[dict[str, Any]] = json.loads(stack.node(stack.nodes[0], ask))["units"]
    return found


def assert_all_went_well(failures: list[Failure], answered: dict[str, int]) -> None:
    assert failures == []
    assert all(count > 10 for count in answered.values()), "there were visitors"

"""The nodes that `make up` still waits for."""

from __future__ import annotations

from typing import Any

import pytest

from lab.commands.readiness import unready

DEV = "/subscriptions/1/resourceGroups/fleet-dev/providers"
MACHINES = f"{DEV}/Microsoft.Compute/virtualMachineScaleSets/core/virtualMachines"
PROBES = f"{DEV}/Microsoft.Network/loadBalancers/lb/probes"


def status(probes: dict[str, dict[str, bool]], power: str = "running") -> dict[str, Any]:
    """Two machines; by probe, what it found of each."""
    instances = [{"id": f"{MACHINES}/{n}", "node": f"core-{n}", "power": power} for n in "01"]
    found = {
        f"{PROBES}/{probe}": {
            f"{MACHINES}/{n}": {"healthy": healthy} for n, healthy in states.items()
        }
        for probe, states in probes.items()
    }
    return {"vms": instances, "probes": {"probes": found}}


@pytest.mark.parametrize(
    ("probes", "missing"),
    [
        ({"router": {"0": True, "1": True}, "ssh": {"0": True, "1": True}}, []),
        ({"router": {"0": True, "1": False}, "ssh": {"0": True, "1": True}}, ["core-1"]),
        ({"router": {"0": True}, "ssh": {"0": True, "1": True}}, ["core-1"]),
        ({}, ["core-0", "core-1"]),
    ],
)
def test_every_probe_must_find_every_node_healthy(
    probes: dict[str, dict[str, bool]], missing: list[str]
) -> None:
    assert unready("dev", status(probes)) == missing


def test_nodes_that_are_off_do_not_count() -> None:
    assert unready("dev", status({"router": {"0": False, "1": False}}, power="stopped")) == []


def test_nodes_of_other_stacks_do_not_count() -> None:
    assert unready("de", status({})) == []


def test_without_a_report_of_the_load_balancer_no_node_is_ready() -> None:
    assert unready("dev", {**status({}), "probes": {}}) == ["core-0", "core-1"]

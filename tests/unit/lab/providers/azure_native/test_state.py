"""Outputs and inputs as they are stored."""

from __future__ import annotations

from lab.azure.resource_types import RESOURCE_TYPES
from lab.providers.azure_native.state import (
    imported_inputs,
    preview_outputs,
    refreshed_inputs,
    stored_outputs,
)
from lab.providers.wire import UNKNOWN, Secret

BALANCER = RESOURCE_TYPES["azure-native:network:LoadBalancer"]
SCALE_SET = RESOURCE_TYPES["azure-native:compute:VirtualMachineScaleSet"]
SECRET = RESOURCE_TYPES["azure-native:keyvault:Secret"]
NETWORK = RESOURCE_TYPES["azure-native:network:VirtualNetwork"]
IDENTITY_ID = "/subscriptions/s/resourceGroups/g/providers/…/userAssignedIdentities/nodes"


def test_a_preview_shows_only_outputs_that_follow_from_inputs() -> None:
    inputs = {"loadBalancerName": "lb", "probes": [{"name": "health", "port": 8089}]}

    outputs = preview_outputs(BALANCER, inputs)

    (probe,) = outputs["probes"]
    assert probe["port"] == 8089
    assert probe["id"] is UNKNOWN
    assert outputs["name"] is UNKNOWN
    assert outputs["provisioningState"] is UNKNOWN
    assert "loadBalancerName" not in outputs


def test_the_preview_of_an_update_shows_name_and_location() -> None:
    outputs = preview_outputs(BALANCER, {}, {"name": "lb", "location": "westeurope", "etag": "x"})

    assert outputs["name"] == "lb"
    assert outputs["location"] == "westeurope"
    assert outputs["etag"] is UNKNOWN


def test_a_preview_does_not_guess_what_changes_its_form() -> None:
    inputs = {"identity": {"type": "UserAssigned", "userAssignedIdentities": [IDENTITY_ID]}}

    outputs = preview_outputs(SCALE_SET, inputs)

    assert outputs["identity"]["type"] == "UserAssigned"
    assert outputs["identity"]["userAssignedIdentities"] is UNKNOWN


def test_a_secret_input_is_a_secret_output() -> None:
    inputs = {"tags": {"a": Secret("x"), "b": "y"}, "probes": Secret([{"name": "p"}])}
    answer = {"tags": {"a": "x", "b": "y"}, "probes": [{"name": "p", "id": "1"}]}

    outputs = stored_outputs(BALANCER, inputs, answer)

    assert outputs["tags"] == {"a": Secret("x"), "b": "y"}
    assert outputs["probes"] == Secret([{"name": "p", "id": "1"}])


def test_a_list_with_a_secret_that_comes_back_in_another_form_is_secret_as_a_whole() -> None:
    inputs = {"identity": {"userAssignedIdentities": [Secret(IDENTITY_ID)]}}
    answer = {"identity": {"userAssignedIdentities": {IDENTITY_ID: {"clientId": "c"}}}}

    outputs = stored_outputs(SCALE_SET, inputs, answer)

    assert outputs["identity"]["userAssignedIdentities"] == Secret({IDENTITY_ID: {"clientId": "c"}})


def test_a_write_only_property_is_never_an_output() -> None:
    outputs = stored_outputs(SECRET, {}, {"properties": {"value": "x", "contentType": "y"}})

    assert outputs["properties"] == {"contentType": "y"}


def test_a_refresh_carries_over_what_changed_and_no_defaults() -> None:
    inputs = {"tags": {"a": "1"}, "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}
    before = {**inputs, "flowTimeoutInMinutes": 4, "etag": "1"}
    after = {**before, "tags": {"a": "2"}, "etag": "2"}

    assert refreshed_inputs(NETWORK, inputs, before, after) == {**inputs, "tags": {"a": "2"}}


def test_a_refresh_notices_what_was_added_and_removed() -> None:
    inputs = {"tags": {"a": "1"}, "enableDdosProtection": False}
    before = {"tags": {"a": "1"}, "enableDdosProtection": False}
    after = {"tags": {"a": "1", "b": "2"}}

    assert refreshed_inputs(NETWORK, inputs, before, after) == {"tags": {"a": "1", "b": "2"}}


def test_a_refresh_compares_lists_by_element() -> None:
    inputs = {"probes": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]}
    before = {"probes": [{"name": "a", "port": 1, "id": "x"}, {"name": "b", "port": 2, "id": "y"}]}
    after = {"probes": [{"name": "a", "port": 3, "id": "x"}]}

    assert refreshed_inputs(BALANCER, inputs, before, after) == {
        "probes": [{"name": "a", "port": 3}]
    }


def test_a_refresh_leaves_lists_of_standalone_resources_alone() -> None:
    after = {"subnets": [{"name": "core"}]}

    assert refreshed_inputs(NETWORK, {}, {}, after) == {}
    assert refreshed_inputs(NETWORK, {"subnets": []}, {"subnets": []}, after) == after


def test_a_refresh_keeps_secrets_wrapped() -> None:
    inputs = {"tags": Secret({"a": "1"}), "properties": {"value": Secret("x")}}
    before = {"tags": Secret({"a": "1"})}
    after = {"tags": Secret({"a": "2"})}

    assert refreshed_inputs(SECRET, inputs, before, after) == {
        "tags": Secret({"a": "2"}),
        "properties": {"value": Secret("x")},
    }


def test_an_imported_resource_has_inputs_that_would_make_it() -> None:
    resource_id = (
        "/subscriptions/s/resourceGroups/group/providers/Microsoft.Compute"
        "/virtualMachineScaleSets/core"
    )
    outputs = {
        "name": "core",
        "location": "westeurope",
        "uniqueId": "x",
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY_ID: {}}},
    }

    assert imported_inputs(SCALE_SET, resource_id, outputs) == {
        "resourceGroupName": "group",
        "vmScaleSetName": "core",
        "location": "westeurope",
        "identity": {"type": "UserAssigned", "userAssignedIdentities": [IDENTITY_ID]},
        "azureApiVersion": "2024-11-01",
    }

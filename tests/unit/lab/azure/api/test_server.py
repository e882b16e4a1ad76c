"""The HTTP API: the wire format, who may call, how refusals look."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from lab.azure.api.faults import FaultInjection
from lab.azure.api.server import Api
from lab.azure.api.status import Status
from lab.azure.arm.subscription import DEPLOYER_OBJECT_ID
from lab.azure.identity.resource_types import GET_CLIENT_CONFIG
from lab.azure.network.outages import Faults
from lab.azure.storage.resource_types import LIST_ACCOUNT_KEYS
from tests.unit.lab.azure.azure import EVERYTHING_BUT_VMS, GROUP, Azure, inputs_of

GROUP_TOKEN = "azure-native:resources:ResourceGroup"


class Caller:
    def __init__(self, client: Any, token: str) -> None:
        self._client = client
        self._token = token

    async def __call__(
        self, method: str, path: str, body: Any = None, token: str | None = None
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token or self._token}"}
        response: ClientResponse = await self._client.request(
            method, path, json=body, headers=headers
        )
        text = await response.text()
        return response.status, await response.json() if text else None


@pytest.fixture
async def call(azure: Azure) -> AsyncIterator[Caller]:
    faults = FaultInjection(azure.store, azure.cloud.lifecycle, azure.cloud.scale_sets, Faults())
    status = Status(azure.store, azure.folder / "probes.json")
    api = Api(azure.store, azure.cloud.manager, faults, status)
    async with TestClient(TestServer(api.application("right"))) as client:
        yield Caller(client, "right")


async def test_requests_without_the_token_are_refused(call: Caller) -> None:
    status, body = await call("GET", "/lab/status", token="wrong")

    assert (status, body["error"]["code"]) == (401, "AuthenticationFailed")


async def test_a_resource_through_its_life(call: Caller) -> None:
    inputs = inputs_of("resources:ResourceGroup")

    created = await call("POST", "/resources", {"token": GROUP_TOKEN, "inputs": inputs})
    again = await call("POST", "/resources", {"token": GROUP_TOKEN, "inputs": inputs})
    tagged = inputs | {"tags": {"owner": "me"}}
    updated = await call("PUT", "/resources", {"id": GROUP, "token": GROUP_TOKEN, "inputs": tagged})
    read = await call("GET", f"/resources?id={GROUP}")
    listed = await call("GET", "/resources")
    deleted = await call("DELETE", f"/resources?id={GROUP}")
    gone = await call("GET", f"/resources?id={GROUP}")

    assert (created[0], created[1]["id"]) == (201, GROUP)
    assert (again[0], again[1]["error"]["code"]) == (409, "ResourceExists")
    assert (updated[0], updated[1]["outputs"]["tags"]) == (200, {"owner": "me"})
    assert read == (200, {"id": GROUP, "token": GROUP_TOKEN, "inputs": tagged,
                          "outputs": updated[1]["outputs"]})  # fmt: skip
    assert listed == (200, [read[1]])
    assert deleted == (204, None)
    assert gone[0] == 404


async def test_whole_numbers_from_the_wire_become_integers(azure: Azure, call: Caller) -> None:
    await azure.create("resources:ResourceGroup")
    inputs = inputs_of("network:NetworkSecurityGroup")
    inputs["securityRules"][0]["priority"] = 100.0

    _, body = await call(
        "POST",
        "/resources",
        {"token": "azure-native:network:NetworkSecurityGroup", "inputs": inputs},
    )

    assert str(body["outputs"]["securityRules"][0]["priority"]) == "100"


async def test_a_type_that_is_not_modelled_is_refused_by_name(call: Caller) -> None:
    order = {"token": "azure-native:sql:Server", "inputs": {}}

    status, body = await call("POST", "/resources", order)

    assert status == 501
    assert "azure-native:sql:Server" in body["error"]["message"]


async def test_inputs_of_another_shape_are_a_bad_request(azure: Azure, call: Caller) -> None:
    await azure.create("resources:ResourceGroup")
    inputs = inputs_of("network:VirtualNetwork", addressSpace="10.0.0.0/8")

    status, body = await call(
        "POST", "/resources", {"token": "azure-native:network:VirtualNetwork", "inputs": inputs}
    )

    assert status in (400, 501)
    assert body["error"]["message"]


async def test_who_the_deployer_is(call: Caller) -> None:
    _, body = await call("POST", "/invoke", {"token": GET_CLIENT_CONFIG, "args": {}})

    assert body["result"]["objectId"] == DEPLOYER_OBJECT_ID


async def test_a_purged_secret_does_not_keep_its_name(azure: Azure, call: Caller) -> None:
    await azure.create_all("resources:ResourceGroup", "keyvault:Vault")
    secret = await azure.create("keyvault:Secret")

    status, _ = await call("POST", "/lab/purge", {"id": secret.id})

    assert status == 200
    await azure.create("keyvault:Secret")


async def test_the_keys_of_an_account(azure: Azure, call: Caller) -> None:
    await azure.create_all("resources:ResourceGroup", "storage:StorageAccount")
    args = {"accountName": "fleetdata", "resourceGroupName": "fleet-dev"}

    _, body = await call("POST", "/invoke", {"token": LIST_ACCOUNT_KEYS, "args": args})

    assert [key["keyName"] for key in body["result"]["keys"]] == ["key1", "key2"]


async def test_a_function_that_is_not_modelled_is_refused_by_name(call: Caller) -> None:
    status, body = await call("POST", "/invoke", {"token": "azure-native:x:getY", "args": {}})

    assert (status, body["error"]["message"]) == (
        501,
        "the lab does not model the function azure-native:x:getY",
    )


async def test_the_status_names_vms_and_services(azure: Azure, call: Caller) -> None:
    await azure.create_all(*EVERYTHING_BUT_VMS, "compute:VirtualMachineScaleSet")
    (azure.folder / "probes.json").write_text('{"probes": {}}')

    _, body = await call("GET", "/lab/status")

    first = body["vms"][0]
    assert (first["node"], first["ip"], first["power"]) == ("core-0", "10.20.0.4", "running")
    assert first["model"] == "current"
    assert body["publicIps"][0]["fqdn"] == "fleet.westeurope.cloudapp.azure.com"


async def test_pulumi_has_no_resources_for_vms(azure: Azure, call: Caller) -> None:
    await azure.create_all(*EVERYTHING_BUT_VMS, "compute:VirtualMachineScaleSet")

    _, listed = await call("GET", "/resources")

    assert len(listed) == len(EVERYTHING_BUT_VMS) + 1

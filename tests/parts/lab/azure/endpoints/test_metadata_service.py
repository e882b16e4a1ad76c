"""The metadata service, asked as Azure's SDKs and the node's scripts do."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from lab.azure.arm.subscription import DEPLOYER_OBJECT_ID
from lab.azure.compute.vm_records import STOPPED
from lab.azure.storage.resource_types import STORAGE_AUDIENCE
from tests.parts.lab.azure.conftest import Running
from tests.unit.lab.azure.stored_resources import NODE, StoredResources

TOKEN = f"/metadata/identity/oauth2/token?api-version=2018-02-01&resource={STORAGE_AUDIENCE}"
ADDRESS = "network/interface/0/ipv4/ipAddress/0/privateIpAddress"


async def ask(
    running: Running, path: str, *, source: str = "127.0.0.1", **headers: str
) -> tuple[int, str]:
    sent = {"Metadata": "true"} | {name.replace("_", "-"): text for name, text in headers.items()}
    async with running.client(source) as client:
        answer = await client.get(
            f"http://127.0.0.1:{running.metadata_port}{path}",
            headers={name: text for name, text in sent.items() if text},
        )
        return answer.status, await answer.text()


def description(text: str) -> str:
    return str(json.loads(text)["error_description"])


async def test_the_sdks_probe_without_header_is_answered_with_400(running: Running) -> None:
    status, text = await ask(running, "/metadata/identity/oauth2/token", Metadata="")

    assert (status, description(text)) == (400, "Required metadata header not specified")


async def test_a_forwarded_request_is_refused(running: Running, stored: StoredResources) -> None:
    stored.vm("127.0.0.1", stored.identity("nodes"))

    status, _ = await ask(running, TOKEN, X_Forwarded_For="10.0.0.1")

    assert status == 400


async def test_a_vm_gets_a_token_of_its_identity(running: Running, stored: StoredResources) -> None:
    stored.vm("127.0.0.1", stored.identity("nodes"))

    status, text = await ask(running, TOKEN)

    answer = json.loads(text)
    principal = running.plane.tokens.verify(answer["access_token"], frozenset({STORAGE_AUDIENCE}))
    assert (status, principal.object_id) == (200, NODE)
    assert answer["client_id"] == "client-of-nodes"
    assert answer["token_type"] == "Bearer"
    assert 86_000 < int(answer["expires_in"]) <= 86_400
    assert all(isinstance(answer[name], str) for name in ("expires_on", "not_before"))


@pytest.mark.parametrize(
    "selector",
    ["client_id=client-of-one", "object_id=first", "client_id=CLIENT-OF-ONE", "msi_res_id={id}"],
)
async def test_one_of_several_identities_is_chosen(
    running: Running, stored: StoredResources, selector: str
) -> None:
    one, two = stored.identity("one", "first"), stored.identity("two", "second")
    stored.vm("127.0.0.1", one, two)

    status, text = await ask(running, f"{TOKEN}&{selector.format(id=one)}")

    assert (status, json.loads(text)["client_id"]) == (200, "client-of-one")


async def test_several_identities_without_a_choice_are_refused(
    running: Running, stored: StoredResources
) -> None:
    stored.vm("127.0.0.1", stored.identity("one", "first"), stored.identity("two", "second"))

    status, text = await ask(running, TOKEN)

    assert status == 400
    assert description(text).startswith("Multiple user assigned identities exist")


async def test_an_identity_of_others_is_not_found(
    running: Running, stored: StoredResources
) -> None:
    stored.identity("foreign", "another")
    stored.vm("127.0.0.1", stored.identity("nodes"))

    status, text = await ask(running, f"{TOKEN}&client_id=client-of-foreign")

    assert (status, description(text)) == (400, "Identity not found")


async def test_a_vm_without_identity_gets_none(running: Running, stored: StoredResources) -> None:
    stored.vm("127.0.0.1")

    assert (await ask(running, TOKEN))[0] == 400


async def test_vms_are_identified_by_address(running: Running, stored: StoredResources) -> None:
    stored.vm("127.0.0.2", stored.identity("one", "first"), index=0)
    stored.vm("127.0.0.3", stored.identity("two", "second"), index=1)

    found = [
        json.loads((await ask(running, TOKEN, source=source))[1])["client_id"]
        for source in ("127.0.0.2", "127.0.0.3")
    ]

    assert found == ["client-of-one", "client-of-two"]


@pytest.mark.parametrize(
    "query", ["", "&resource=", "&resource=https://example.com"], ids=["none", "empty", "unknown"]
)
async def test_a_resource_must_be_named_and_known(
    running: Running, stored: StoredResources, query: str
) -> None:
    stored.vm("127.0.0.1", stored.identity("nodes"))

    status, _ = await ask(running, f"/metadata/identity/oauth2/token?api-version=2018-02-01{query}")

    assert status == 400


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (ADDRESS, "127.0.0.1"),
        ("network/interface/0/ipv4/subnet/0/prefix", "24"),
        ("compute/name", "core_0"),
        ("compute/zone", "1"),
        ("compute/location", "westeurope"),
        ("compute/vmScaleSetName", "core"),
        ("compute/osProfile/computerName", "core000000"),
        ("compute/userData", "dXNlciBkYXRh"),
        ("network/interface/", "0/"),
    ],
)
async def test_a_leaf_is_read_as_text(
    running: Running, stored: StoredResources, path: str, text: str
) -> None:
    stored.subnet()
    stored.vm("127.0.0.1")

    found = await ask(running, f"/metadata/instance/{path}?api-version=2021-02-01&format=text")

    assert found == (200, text)


async def test_the_whole_instance_is_read_as_json(
    running: Running, stored: StoredResources
) -> None:
    stored.subnet()
    stored.vm("127.0.0.1", zone=None)

    _, text = await ask(running, "/metadata/instance?api-version=2021-02-01")

    document: dict[str, Any] = json.loads(text)
    assert document["compute"]["resourceGroupName"] == "fleet-dev"
    assert document["compute"]["zone"] == ""
    assert document["network"]["interface"][0]["ipv4"]["subnet"][0]["address"] == "10.31.0.0"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("compute/none?api-version=2021-02-01&format=text", 404),
        ("network/interface/1?api-version=2021-02-01", 404),
        ("compute/name", 400),
        ("compute/name?api-version=2021-02-01", 400),
        ("compute/name/deeper?api-version=2021-02-01&format=text", 404),
    ],
)
async def test_requests_that_are_refused(
    running: Running, stored: StoredResources, path: str, status: int
) -> None:
    stored.vm("127.0.0.1")

    assert (await ask(running, f"/metadata/instance/{path}"))[0] == status


async def test_a_stopped_vm_gets_no_token(running: Running, stored: StoredResources) -> None:
    stored.vm("127.0.0.1", power=STOPPED)
    path = f"/metadata/instance/{ADDRESS}?api-version=2021-02-01&format=text"

    assert (await ask(running, path))[0] == 404


async def test_the_metadata_service_can_be_switched_off(running: Running) -> None:
    running.plane.faults.down.add("metadata")

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await ask(running, TOKEN)


async def test_the_developers_container_acts_as_the_deployer(
    running: Running, tmp_path: Path
) -> None:
    async with DockerWith("127.0.0.7", tmp_path / "docker.sock"):
        status, text = await ask(running, TOKEN, source="127.0.0.7")
        stranger, _ = await ask(running, TOKEN, source="127.0.0.8")

    token = json.loads(text)["access_token"]
    principal = running.plane.tokens.verify(token, frozenset({STORAGE_AUDIENCE}))
    assert (status, principal.object_id) == (200, DEPLOYER_OBJECT_ID)
    assert stranger == 400


class DockerWith:
    """A Docker API with one labelled container. It fails a request without the label."""

    def __init__(self, address: str, path: Path) -> None:
        self._address = address
        self._path = path

    async def _list(self, request: web.Request) -> web.Response:
        filters = json.loads(request.query["filters"])
        assert filters["label"] == ["fleet-azure.lab.identity=deployer"]
        networks = {"fleet-lab": {"IPAddress": self._address}}
        return web.json_response([{"NetworkSettings": {"Networks": networks}}])

    async def __aenter__(self) -> None:
        application = web.Application()
        application.router.add_get("/containers/json", self._list)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self._path)).start()

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

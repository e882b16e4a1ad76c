"""Tok.tv's stack: its API by HTTPS and WebSocket, and calls by TCP and UDP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from lab.commands import shell
from lab.scratch_stack import service
from tests.lab.stack import LabStack, eventually
from tests.lab.users.calls import Call, call_where, place
from tests.lab.web import Browser, websockets
from tests.visitors.voice_client import VoiceClient

API = "https://api.tok.tv"


def test_all_three_instances_serve_the_api(toktv: LabStack) -> None:
    met = set()
    for _ in range(30):
        with Browser(toktv, API) as stranger:
            answer = stranger.get("/health")
        assert answer.status_code == 200
        assert set(answer.json()["checks"].values()) == {"ok"}, "the ticket key is one of them"
        met.add(answer.headers["X-Instance"])

    assert met == {"1", "2", "3"}


def test_a_client_stays_with_the_instance_that_has_its_session(toktv: LabStack) -> None:
    with Browser(toktv, API) as ada:
        ada.put("/session", json={"name": "Ada"}).raise_for_status()
        sessions = [ada.get("/session").json()["session"] for _ in range(20)]

    assert {one["name"] for one in sessions} == {"Ada"}
    assert sessions[-1]["visits"] == 21


async def test_a_live_channel_works_through_the_routers(toktv: LabStack) -> None:
    with Browser(toktv, API) as ada:
        ada.put("/session", json={"name": "Ada"}).raise_for_status()
        live = ada.post("/rooms/lobby/ticket").raise_for_status().json()["live"]

    async with (
        websockets(toktv) as session,
        session.ws_connect(f"wss://live.tok.tv{live}") as room,
    ):
        welcome = await told(room, "welcome")
        await room.send_json({"text": "good evening"})
        message = await told(room, "message")

    assert welcome["you"] == "Ada"
    assert message["text"] == "good evening"


def test_a_clients_tcp_and_udp_reach_the_same_instance(toktv: LabStack) -> None:
    """A datagram that reaches another instance than the control connection is not understood."""
    instances = set()
    for last in range(1, 13):
        with call(toktv, "ada", source=f"127.0.3.{last}") as ada:
            assert ada.has_media(), f"from 127.0.3.{last}"
            instances.add(place(ada)["instance"])

    assert instances == {"1", "2"}


def test_every_router_takes_a_client_to_the_same_instance(toktv: LabStack) -> None:
    met = set()
    for address in shell.nodes(toktv.name).values():
        with VoiceClient(address, "ada") as ada:
            assert ada.has_media(), f"by the router {address}"
            met.add(place(ada)["instance"])

    assert len(met) == 1


@pytest.fixture
def talk(toktv: LabStack) -> Iterator[Call]:
    """A call that enters through another node than that of its instance."""
    with call_where(toktv, lambda call: call.entrance != call.node) as found:
        yield found


def test_a_call_survives_the_restart_of_another_nodes_router(toktv: LabStack, talk: Call) -> None:
    talk.goes_on()

    for node in set(toktv.nodes) - {talk.entrance}:
        toktv.node(node, "sudo systemctl restart 'router-*'")

    talk.goes_on()


def test_a_call_survives_changes_of_its_router(toktv: LabStack, talk: Call) -> None:
    """An API instance that crashes and comes back is two new configurations for every router."""
    crashed = next(one for one in toktv.instances("api"))
    container = f"api-{crashed['release']}-{crashed['n']}"
    before = announced_at(toktv, "api", crashed)

    toktv.node(crashed["machine"], f"docker kill {container}")
    eventually(lambda: announced_at(toktv, "api", crashed) > before, "it went, and is back")

    talk.goes_on()


def test_a_call_survives_the_loss_of_the_other_instance(toktv: LabStack, talk: Call) -> None:
    other = next(one for one in toktv.instances("voice") if str(one["n"]) != talk.instance)
    container = f"voice-{other['release']}-{other['n']}"
    before = announced_at(toktv, "voice", other)

    toktv.node(other["machine"], f"docker kill {container}")
    talk.goes_on()
    eventually(lambda: announced_at(toktv, "voice", other) > before, "it went, and is back")

    talk.goes_on()


def test_a_published_port_follows_the_config(toktv: LabStack) -> None:
    url = f"http://{toktv.public_ip}:8080"

    with toktv.changed(service("api", tcp=[{"port": 8080}])):
        toktv.up()
        with Browser(toktv, url) as anyone:
            assert anyone.get("/health").status_code == 200

    with pytest.raises(OSError, match="refused"), VoiceClient(toktv.public_ip, "ada", port=8080):
        pass


def call(stack: LabStack, name: str, *, source: str) -> VoiceClient:
    return VoiceClient(stack.public_ip, name, source=source)


def announced_at(stack: LabStack, service: str, instance: dict[str, Any]) -> int:
    """etcd's index when the instance came to the routers; what renews it does not change that."""
    key = f"/v2/keys/services/{service}/instances/{instance['release']}-{instance['n']}"
    index: int = stack.etcd(key)["node"]["createdIndex"]
    return index


async def told(room: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    """The next event of a kind."""
    while True:
        event: dict[str, Any] = json.loads(await room.receive_str(timeout=10))
        if event["type"] == kind:
            return event

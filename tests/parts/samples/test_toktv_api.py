"""Tok.tv's API: JSON, sessions, live channels, health, and how it ends."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.eventually import eventually
from tests.parts.samples.container import Container, running

KEY = "a-key-that-nobody-may-see"
Start = Callable[..., AbstractContextManager[Container]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts an instance; its number, and other secrets, can be given."""

    @contextlib.contextmanager
    def started(instance: str = "1", **secrets: str) -> Iterator[Container]:
        with running(
            "toktv-api",
            env={
                "SERVICE": "api",
                "INSTANCE": instance,
                "NODE_NAME": "core-1",
                "RELEASE": "0a1b2c3d",
                "VERSION": "1.4.2",
                "VOICE_HOST": "voice.tok.example",
            },
            secrets=secrets or {"TICKET_KEY": KEY},
            folder=tmp_path,
            memory="128m",
            state="/var/lib/app",
        ) as api:
            api.wait_until_healthy()
            yield api

    return started


@pytest.fixture
def api(start: Start) -> Iterator[Container]:
    with start() as api:
        yield api


def ticket_for(api: Container, name: str, room: str = "lobby") -> str:
    """Where someone who has signed in on this instance can speak."""
    with api.browser() as browser:
        browser.put("/session", json={"name": name}).raise_for_status()
        answer = browser.post(f"/rooms/{room}/ticket").raise_for_status()
    live: str = answer.json()["live"]
    return live


@contextlib.asynccontextmanager
async def joined(api: Container, path: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with aiohttp.ClientSession() as session, session.ws_connect(api.url + path) as room:
        yield room


async def told(room: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    """The next event of a kind."""
    while True:
        event: dict[str, Any] = json.loads(await room.receive_str(timeout=10))
        if event["type"] == kind:
            return event


# who answers


def test_every_answer_says_who_gave_it(api: Container) -> None:
    for path, status in (("/", 200), ("/rooms", 200), ("/nothing", 404), ("/live/nothing", 426)):
        answer = api.get(path)

        assert answer.status_code == status
        assert answer.headers["X-Instance"] == "1"
        assert answer.headers["X-Node"] == "core-1"
        assert answer.headers["X-Release"] == "0a1b2c3d"


def test_json_says_it_too(api: Container) -> None:
    who = api.get("/").json()
    served_by = api.get("/rooms").json()["served_by"]

    assert who | served_by == who
    assert served_by["instance"] == "1"
    assert served_by["version"] == "1.4.2"


def test_a_room_says_where_it_talks(api: Container) -> None:
    room = api.get("/rooms/lobby").json()

    assert room["voice"] == "mumble://voice.tok.example:64738"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/rooms/none", 404),
        ("GET", "/rooms/lobby/ticket", 405),
        ("POST", "/rooms/lobby/ticket", 401),
        ("PUT", "/session", 400),
    ],
)
def test_invalid_requests_are_refused_with_a_reason(
    api: Container, method: str, path: str, status: int
) -> None:
    with api.browser() as browser:
        answer = browser.request(method, path)

    assert answer.status_code == status
    assert answer.json()["error"]


# sessions


def test_a_session_stays_with_its_instance(start: Start) -> None:
    with start("1") as one, start("2") as two, one.browser() as browser:
        browser.put("/session", json={"name": "Ada"})
        here = browser.get("/session").json()["session"]
        there = browser.get(f"{two.url}/session").json()["session"]

    assert here == {"name": "Ada", "began_on": "1", "visits": 2}
    assert there == {"name": None, "began_on": "2", "visits": 1}


def test_the_cookie_is_for_https_only_where_the_client_came_by_https(api: Container) -> None:
    by_http = api.get("/session").headers["Set-Cookie"]
    by_https = api.get("/session", headers={"X-Forwarded-Proto": "https"}).headers["Set-Cookie"]

    assert "HttpOnly" in by_http
    assert "secure" not in by_http.lower()
    assert "secure" in by_https.lower()


# live channels


async def test_a_message_reaches_everyone_in_the_room(api: Container) -> None:
    async with (
        joined(api, "/live/lobby") as listener,
        joined(api, "/live/derby") as elsewhere,
        joined(api, ticket_for(api, "Ada")) as ada,
    ):
        await ada.send_json({"text": "good evening"})

        heard = [await told(room, "message") for room in (listener, ada)]

        assert {event["text"] for event in heard} == {"good evening"}
        assert {event["from"] for event in heard} == {"Ada"}
        assert {event["served_by"]["instance"] for event in heard} == {"1"}
        assert (await told(elsewhere, "welcome"))["room"] == "derby"
        with pytest.raises(TimeoutError):
            await elsewhere.receive(timeout=0.5)


async def test_everyone_sees_who_is_there(api: Container) -> None:
    async with joined(api, "/live/lobby") as listener:
        async with joined(api, ticket_for(api, "Ada")):
            assert (await told(listener, "presence"))["present"] == ["Ada"]
            assert api.get("/rooms/lobby").json()["present"] == ["Ada"]
        assert (await told(listener, "presence"))["present"] == []
        assert api.get("/rooms/lobby").json()["present"] == []


async def test_a_client_without_a_ticket_only_listens(api: Container) -> None:
    async with joined(api, "/live/lobby") as listener:
        await listener.send_json({"text": "let me in"})

        assert "only listen" in (await told(listener, "error"))["error"]


async def test_a_ticket_of_one_instance_is_good_at_another(start: Start) -> None:
    with start("1") as one, start("2") as two:
        async with joined(two, ticket_for(one, "Ada")) as room:
            assert (await told(room, "welcome"))["you"] == "Ada"


@pytest.mark.parametrize("other", ["another key", "another room"])
async def test_a_ticket_for_something_else_is_refused(start: Start, other: str) -> None:
    key = "something else" if other == "another key" else KEY
    with start() as api, start(TICKET_KEY=key) as issuer:
        live = ticket_for(issuer, "Ada", room="derby" if other == "another room" else "lobby")

        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with joined(api, live.replace("derby", "lobby")):
                pass

    assert refused.value.status == 403


async def test_a_message_that_is_too_long_ends_only_its_own_connection(api: Container) -> None:
    async with joined(api, "/live/lobby") as other:
        async with joined(api, ticket_for(api, "Ada")) as ada:
            await ada.send_str("x" * 9000)
            while (message := await ada.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1009)
        await other.ping()
        async with joined(api, ticket_for(api, "Bob")) as bob:
            await bob.send_json({"text": "still here?"})
            assert (await told(other, "message"))["from"] == "Bob"


# health


def test_health_names_the_session_store_that_is_full(api: Container) -> None:
    api.run("sh", "-c", "cat /dev/zero >/var/lib/app/filler 2>/dev/null || true")

    answer = api.get("/health")

    assert answer.status_code == 503
    assert answer.json()["checks"]["sessions"] == "sessions cannot be written"


def test_health_names_the_secret_that_cannot_be_read(api: Container) -> None:
    api.run("rm", "/dev/shm/secrets/TICKET_KEY")

    answer = api.get("/health")

    assert answer.status_code == 503
    assert "TICKET_KEY" in answer.json()["checks"]["tickets"]


def test_without_a_secret_it_serves_all_but_tickets(tmp_path: Path) -> None:
    with running("toktv-api", folder=tmp_path, memory="128m", state="/var/lib/app") as api:
        api.wait_until_healthy()
        with api.browser() as browser:
            browser.put("/session", json={"name": "Ada"})
            answer = browser.post("/rooms/lobby/ticket")

    assert answer.status_code == 503
    assert "TICKET_KEY" in answer.json()["error"]


def test_the_secret_shows_nowhere(api: Container) -> None:
    ticket_for(api, "Ada")

    assert KEY not in json.dumps(api.attributes)
    assert KEY not in api.logs
    everyone = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'"
    assert KEY not in api.run("sh", "-c", everyone)


# how it ends


@pytest.mark.parametrize("process", ["nginx: master", "php-fpm: master", "^php /srv/app/live.php"])
def test_it_ends_when_a_part_of_it_does(api: Container, process: str) -> None:
    api.kill(process)

    assert api.exit_code() == 1
    assert "a process has ended unexpectedly" in api.logs


async def test_a_stop_says_goodbye_to_live_channels(api: Container) -> None:
    async with joined(api, "/live/lobby") as room:
        assert api.stop() == 0
        await told(room, "welcome")
        farewell = await room.receive(timeout=10)

    assert (farewell.type, farewell.data) == (aiohttp.WSMsgType.CLOSE, 1001)


def test_a_stop_lets_an_open_request_finish(api: Container) -> None:
    body = b'{"name": "Ada"}'
    head = f"PUT /session HTTP/1.1\r\nHost: api\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", api.port("8080/tcp"))) as request:
        request.settimeout(20)
        request.sendall(head + body[:5])
        eventually(lambda: is_being_read(api), "nginx has the request", log=lambda: api.logs)
        api.run("kill", "-TERM", "1")
        eventually(lambda: not accepts(api), "nginx takes no new ones", log=lambda: api.logs)

        request.sendall(body[5:])
        answer = request.recv(4096)

    assert answer.startswith(b"HTTP/1.1 200")
    assert api.exit_code() == 0


def is_being_read(api: Container) -> bool:
    """Whether nginx has a connection from outside whose bytes it has taken."""
    established = [line.split() for line in api.run("cat", "/proc/net/tcp").splitlines()[1:]]
    queues = [line[4] for line in established if line[1].endswith(":1F90") and line[3] == "01"]
    return queues == ["00000000:00000000"]


def accepts(api: Container) -> bool:
    """Whether the container listens on its port."""
    return any(
        line.split()[1].endswith(":1F90") and line.split()[3] == "0A"
        for line in api.run("cat", "/proc/net/tcp").splitlines()[1:]
    )

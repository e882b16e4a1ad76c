"""Tok.tv's voice server: calls, who is let in, its certificate, its health."""

from __future__ import annotations

import contextlib
import datetime
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.eventually import eventually
from tests.parts.samples.container import Container, running
from tests.visitors.voice_client import Heard, Refused, VoiceClient

PASSWORD = 'quotes " and \\ and; all'
Start = Callable[..., AbstractContextManager[Container]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts an instance, with secrets and more environment if they are given."""

    @contextlib.contextmanager
    def started(
        instance: str = "1", secrets: dict[str, str] | None = None, **env: str
    ) -> Iterator[Container]:
        with running(
            "toktv-voice",
            env={
                "SERVICE": "voice",
                "INSTANCE": instance,
                "NODE_NAME": "core-1",
                "RELEASE": "0a1b2c3d",
                "VERSION": "2.0",
                **env,
            },
            secrets=secrets,
            folder=tmp_path,
            memory="64m",
            state="/var/lib/mumble-server",
            ports=("64738/tcp", "64738/udp"),
        ) as voice:
            eventually(
                lambda: "Server listening" in voice.logs, "it listens", log=lambda: voice.logs
            )
            yield voice

    return started


@pytest.fixture
def voice(start: Start) -> Iterator[Container]:
    with start() as voice:
        yield voice


def call(voice: Container, name: str, **options: Any) -> VoiceClient:
    return VoiceClient("127.0.0.1", name, port=voice.port("64738/tcp"), **options)


def test_two_clients_hear_each_other_by_udp(voice: Container) -> None:
    with call(voice, "ada") as ada, call(voice, "bob") as bob:
        assert ada.has_media()
        assert bob.has_media()
        for here, there in ((ada, bob), (bob, ada)):
            eventually(lambda: len(datagrams(here, there)) > 50, "a second's talk")  # noqa: B023 (called at once)
            first = datagrams(here, there)[0]
            # what the control connection carried before can be read after it
            heard = [frame for frame in here.hears(there) if frame.number >= first.number]
            numbers = [frame.number for frame in heard]

            assert all(frame.by_udp for frame in heard)
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def datagrams(here: VoiceClient, there: VoiceClient) -> list[Heard]:
    return [frame for frame in here.hears(there) if frame.by_udp]


def test_a_client_is_told_which_instance_it_is_on(voice: Container) -> None:
    with call(voice, "ada") as ada:
        assert "instance=1 node=core-1 release=0a1b2c3d version=2.0" in ada.welcome


def test_a_call_has_one_port_for_its_datagrams_for_as_long_as_it_lasts(voice: Container) -> None:
    """Why the routers keep a client's port through a reload: mumble-server knows a caller by the
    address and port of its first datagram, and takes no other until it logs in again."""
    with call(voice, "ada") as ada, call(voice, "bob") as bob:
        assert ada.has_media()
        eventually(lambda: bob.hears(ada), "ada is heard", log=lambda: voice.logs)

        ada.change_port()
        moved = time.monotonic()

        eventually(
            lambda: "nonce resync" in voice.logs, "ada misses the others", log=lambda: voice.logs
        )
        assert bob.hears(ada, since=moved + 0.5) == []
        assert ada.ended is None


def test_the_password_decides_who_is_let_in(start: Start) -> None:
    with start(secrets={"SERVER_PASSWORD": PASSWORD}) as voice:
        with pytest.raises(Refused, match="password"):
            call(voice, "eve", password="guess")

        with call(voice, "ada", password=PASSWORD) as ada:
            assert ada.has_media()
        assert PASSWORD not in str(voice.attributes)
        assert PASSWORD not in voice.logs


def test_no_more_users_than_allowed(start: Start) -> None:
    with start(MAX_USERS="1") as voice, call(voice, "ada"), pytest.raises((Refused, OSError)):
        call(voice, "bob")


def test_all_instances_show_the_certificate_of_the_secret(start: Start) -> None:
    pem, der = certificate("voice.tok.example")
    secrets = {"CERTIFICATE": pem}
    with (
        start("1", secrets) as one,
        start("2", secrets) as two,
        call(one, "ada") as ada,
        call(two, "bob") as bob,
    ):
        assert ada.certificate == bob.certificate == der


def test_without_a_certificate_each_instance_generates_one(start: Start) -> None:
    with start("1") as one, start("2") as two, call(one, "ada") as ada, call(two, "bob") as bob:
        assert ada.certificate != bob.certificate


def test_frequent_connections_cause_no_ban(voice: Container) -> None:
    """All clients come from the routers' few addresses: a ban would hit everyone."""
    for _ in range(30):
        socket.create_connection(("127.0.0.1", voice.port("64738/tcp"))).close()

    with call(voice, "ada") as ada:
        assert ada.has_media()


def test_there_is_no_superuser(voice: Container) -> None:
    assert "Password for 'SuperUser'" not in voice.logs
    with pytest.raises(Refused):
        call(voice, "SuperUser", password="")


def test_docker_says_that_it_is_healthy(voice: Container) -> None:
    eventually(
        lambda: voice.attributes["State"]["Health"]["Status"] == "healthy",
        "it is healthy",
        log=lambda: voice.logs,
    )


def test_a_stop_ends_it_at_once(voice: Container) -> None:
    with call(voice, "ada") as ada:
        assert voice.stop() == 0
        eventually(lambda: ada.ended, "the call is over", log=lambda: voice.logs)


def certificate(name: str) -> tuple[str, bytes]:
    """A certificate and its key as PEM, and the certificate as clients see it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode(), made.public_bytes(serialization.Encoding.DER)

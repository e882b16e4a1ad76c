"""What the voice image's health check says about servers that answer, and that do not."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator

from tools.paths import PROJECT

CHECK = PROJECT / "samples" / "toktv-voice" / "check-voice"
Answer = Callable[[bytes], bytes]


def pong(ping: bytes) -> bytes:
    """As mumble-server answers: version, the ping's eight bytes, users, their limit, bandwidth."""
    return struct.pack(">I8sIII", 0x010506, ping[4:], 2, 100, 558_000)


@contextlib.contextmanager
def server(*, answer: Answer | None = pong, listening: bool = True) -> Iterator[int]:
    """Something on a TCP and a UDP port of the same number; yields that number."""
    with socket.socket() as control, socket.socket(type=socket.SOCK_DGRAM) as media:
        control.bind(("127.0.0.1", 0))
        port: int = control.getsockname()[1]
        if listening:
            control.listen()
        media.bind(("127.0.0.1", port))

        def serve() -> None:
            ping, client = media.recvfrom(64)
            if answer:
                media.sendto(answer(ping), client)

        threading.Thread(target=serve, daemon=True).start()
        yield port


def check(port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run([CHECK, str(port)], capture_output=True, text=True, timeout=10)


def test_a_server_that_answers_is_healthy() -> None:
    with server() as port:
        done = check(port)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_server_without_control_connections_is_not() -> None:
    with server(listening=False) as port:
        done = check(port)

    assert done.returncode == 1
    assert done.stderr == f"check-voice: the server does not listen on TCP port {port}\n"


def test_a_server_without_media_is_not() -> None:
    with server(answer=None) as port:
        done = check(port)

    assert done.returncode == 1
    assert done.stderr == f"check-voice: no answer to a ping on UDP port {port}\n"


def test_an_answer_to_another_ping_does_not_count() -> None:
    with server(answer=lambda ping: pong(bytes(len(ping)))) as port:
        done = check(port)

    assert done.returncode == 1

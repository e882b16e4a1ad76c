"""A voice server as mumble-server behaves, and its callers.

A caller has a TCP connection, and sends datagrams from the same address. The first one that the
server takes binds the caller to its port: datagrams from anywhere else are dropped, silently.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
from collections.abc import Iterator
from typing import Any

from tests.parts.router.backends import serving


class VoiceServer:
    """One instance: TCP and UDP on ports of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.registered: dict[str, str] = {}  # caller → address of its TCP connection
        self.bound: dict[str, tuple[str, int]] = {}  # caller → where its datagrams come from
        self._control = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Control)
        self._control.daemon_threads = True
        self._media = socketserver.UDPServer(("127.0.0.1", 0), _Media)
        for server in (self._control, self._media):
            server.voice = self  # type: ignore[union-attr]

    def key(self, port: int) -> dict[str, object]:
        """Its instance key, for a service published on this port."""
        return {
            "tcp": {str(port): f"127.0.0.1:{self._control.server_address[1]}"},
            "udp": {str(port): f"127.0.0.1:{self._media.server_address[1]}"},
        }

    def speak_to(self, caller: str, text: str) -> None:
        """Of its own accord, as when somebody else in the room speaks."""
        self._media.socket.sendto(text.encode(), self.bound[caller])

    @contextlib.contextmanager
    def running(self) -> Iterator[VoiceServer]:
        with serving(self._control, self._media):
            yield self


class _Control(socketserver.StreamRequestHandler):
    server: Any

    def handle(self) -> None:
        voice: VoiceServer = self.server.voice
        for line in self.rfile:
            voice.registered[line.decode().strip()] = self.client_address[0]
            self.wfile.write(f"{voice.name}\n".encode())


class _Media(socketserver.BaseRequestHandler):
    server: Any

    def handle(self) -> None:
        voice: VoiceServer = self.server.voice
        data, media = self.request
        caller = data.decode()
        if voice.registered.get(caller) != self.client_address[0]:
            return
        if voice.bound.setdefault(caller, self.client_address) == self.client_address:
            media.sendto(f"{voice.name} heard {caller}".encode(), self.client_address)


class Caller:
    """A client from an address, and maybe a port, of its own."""

    def __init__(self, address: str, port: int, *, udp_port: int = 0) -> None:
        """Call the service published on `port`."""
        self.control = socket.create_connection(
            ("127.0.0.2", port), timeout=10, source_address=(address, 0)
        )
        self.media = socket.socket(type=socket.SOCK_DGRAM)
        self.media.bind((address, udp_port))
        self.media.connect(("127.0.0.2", port))
        self.name = "{}:{}".format(*self.media.getsockname())
        self.instance = self.register()

    def register(self) -> str:
        """The instance at the other end of the TCP connection."""
        self.control.sendall(f"{self.name}\n".encode())
        return self.control.recv(100).decode().strip()

    def speak(self) -> str | None:
        """Who hears it; None if nobody does. A datagram may be lost in a reload, a call may not."""
        for _ in range(10):
            self.media.send(self.name.encode())
            if answer := self.listen(timeout=0.3):
                heard, _, what = answer.partition(" heard ")
                assert what == self.name, "somebody else's answer"
                return heard
        return None

    def listen(self, *, timeout: float) -> str | None:
        self.media.settimeout(timeout)
        try:
            return self.media.recv(100).decode()
        except (TimeoutError, ConnectionRefusedError):
            return None

    def hang_up(self) -> None:
        self.control.close()
        self.media.close()

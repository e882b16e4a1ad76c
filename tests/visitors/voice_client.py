"""A Mumble client that holds a call: TLS control connection, UDP voice, one frame every 20 ms.

pymumble 1.6.1, the one packaged client for this Python, sends all voice through the control
connection, so it says nothing about UDP. Messages and their numbers: Mumble.proto and
MumbleUDP.proto of Mumble 1.5.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import TracebackType

from tests.visitors.voice_crypt import Crypt

PORT = 64738
FRAME_SECONDS = 0.02
MEDIA_PING_SECONDS = 1.0
CONTROL_PING_SECONDS = 5.0
RESYNC_AFTER = 5.0
"""Seconds without a datagram that could be read, after which a client asks for a new counter."""
VERSION = (1, 5, 0)

Address = tuple[str, int]
Fields = Mapping[int, int | bytes | str]
Message = dict[int, int | bytes]


class Kind(IntEnum):
    """Of control messages."""

    VERSION = 0
    UDP_TUNNEL = 1
    AUTHENTICATE = 2
    PING = 3
    REJECT = 4
    SERVER_SYNC = 5
    USER_REMOVE = 8
    USER_STATE = 9
    CRYPT_SETUP = 15


AUDIO, MEDIA_PING = b"\x00", b"\x01"
"""The first byte of what is in a datagram."""


class Refused(Exception):
    """The server does not let the client in; the text is its reason."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One frame of another client's voice."""

    at: float
    """On the monotonic clock."""
    name: str
    number: int
    by_udp: bool
    """False: it came through the control connection, for the server has no way by UDP to us."""


class VoiceClient:
    """A client in the server's root channel. `with VoiceClient(…) as client:` is a call."""

    def __init__(
        self,
        address: str,
        name: str,
        *,
        port: int = PORT,
        password: str = "",
        patience: float = 10.0,
        source: str = "",
    ) -> None:
        """`source` is the address to come from, by which a load balancer knows its clients."""
        self.name = name
        self.welcome = ""
        self.heard: list[Heard] = []
        self.ended: str | None = None
        """Why the call has ended; None while it continues."""
        self._users: dict[int, str] = {}
        self._crypt: Crypt | None = None
        self._readable = time.monotonic()
        self._answered = threading.Event()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._source = (source, 0)
        self._control = _connect((address, port), self._source, patience)
        self.certificate = self._control.getpeercert(binary_form=True)
        self._address = (address, port)
        self._media = self._open_media()
        self._log_in(password)
        self._control.settimeout(None)
        self._threads = [
            threading.Thread(target=work, daemon=True, name=f"{name} {work.__name__}")
            for work in (self._read_control, self._read_media, self._talk)
        ]

    def __enter__(self) -> VoiceClient:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._control.close()
        self._media.close()

    def has_media(self, patience: float = 5.0) -> bool:
        """Whether the server answers by UDP, which takes a moment after the start."""
        return self._answered.wait(patience)

    def hears(self, other: VoiceClient, *, since: float = 0.0) -> list[Heard]:
        """The frames of another client's voice that came after a moment."""
        return [one for one in self.heard if one.name == other.name and one.at > since]

    def change_port(self) -> None:
        """Continue from another port, as behind a router that has forgotten this client."""
        before, self._media = self._media, self._open_media()
        before.close()

    # the control connection

    def _log_in(self, password: str) -> None:
        major, minor, patch = VERSION
        self._tell(
            Kind.VERSION,
            {
                1: major << 16 | minor << 8 | patch,
                2: "fleet tests",
                5: major << 48 | minor << 32 | patch << 16,
            },
        )
        self._tell(Kind.AUTHENTICATE, {1: self.name, 2: password, 5: True})
        while not self.welcome:
            self._handle(*self._receive())

    def _read_control(self) -> None:
        try:
            while True:
                self._handle(*self._receive())
        except (OSError, Refused) as error:
            self.ended = "left" if self._closing.is_set() else f"control connection: {error!r}"
            self._closing.set()

    def _handle(self, kind: int, body: bytes) -> None:
        if kind == Kind.UDP_TUNNEL:
            self._take(body, by_udp=False)
            return
        message = decode(body)
        match kind:
            case Kind.REJECT:
                raise Refused(_text(message.get(2, b"no reason")))
            case Kind.CRYPT_SETUP:
                self._set_up_crypt(message)
            case Kind.USER_STATE if 3 in message:
                self._users[_number(message[1])] = _text(message[3])
            case Kind.USER_REMOVE:
                self._users.pop(_number(message[1]), None)
            case Kind.SERVER_SYNC:
                self.welcome = _text(message.get(3, b"")) or "no welcome"

    def _set_up_crypt(self, message: Message) -> None:
        if 1 in message:
            self._crypt = Crypt(*(_bytes(message[number]) for number in (1, 2, 3)))
        elif self._crypt and 3 in message:
            self._crypt.resynchronize(_bytes(message[3]))
        elif self._crypt:  # the server can't read us any more
            self._tell(Kind.CRYPT_SETUP, {2: self._crypt.client_nonce})

    def _receive(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">HI", _exactly(self._control, 6))
        return kind, _exactly(self._control, length)

    def _tell(self, kind: Kind, fields: Fields) -> None:
        body = encode(fields)
        with self._lock:
            self._control.sendall(struct.pack(">HI", kind, len(body)) + body)

    # the media

    def _open_media(self) -> socket.socket:
        media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        media.settimeout(0.5)
        media.bind(self._source)
        media.connect(self._address)
        return media

    def _talk(self) -> None:
        """A frame every 20 ms, pings in between, until the call is over."""
        number, next_frame, next_media_ping, next_ping = 0, time.monotonic(), 0.0, 0.0
        while not self._closing.is_set():
            now = time.monotonic()
            if now >= next_media_ping:
                self._send(MEDIA_PING, {1: int(now * 1000)})
                next_media_ping = now + MEDIA_PING_SECONDS
            if now >= next_ping:
                self._look_after_control(now)
                next_ping = now + CONTROL_PING_SECONDS
            # Opus's silence, made unlike any other frame; the server passes on what it gets.
            self._send(AUDIO, {4: number, 5: b"\xf8\xff\xfe" + struct.pack(">QQ", number, number)})
            number += 1
            next_frame += FRAME_SECONDS
            self._closing.wait(max(0.0, next_frame - time.monotonic()))

    def _look_after_control(self, now: float) -> None:
        with contextlib.suppress(OSError):  # whoever reads it tells how it ended
            self._tell(Kind.PING, {1: int(now * 1000)})
            if now - self._readable > RESYNC_AFTER:
                self._tell(Kind.CRYPT_SETUP, {})

    def _send(self, head: bytes, fields: Fields) -> None:
        assert self._crypt is not None
        # a refused datagram is a lost one
        with contextlib.suppress(OSError):
            self._media.send(self._crypt.encrypt(head + encode(fields)))

    def _read_media(self) -> None:
        while not self._closing.is_set():
            try:
                datagram = self._media.recv(2048)
            except OSError:
                continue  # nothing came for a moment, or nobody was there
            plain = self._crypt and self._crypt.decrypt(datagram)
            if plain:
                self._readable = time.monotonic()
                self._answered.set()
                self._take(plain, by_udp=True)

    def _take(self, plain: bytes, *, by_udp: bool) -> None:
        if plain[:1] != AUDIO:
            return
        audio = decode(plain[1:])
        name = self._users.get(_number(audio[3]), "?")
        number = _number(audio.get(4, 0))
        self.heard.append(Heard(at=time.monotonic(), name=name, number=number, by_udp=by_udp))


def _connect(address: Address, source: Address, patience: float) -> ssl.SSLSocket:
    # Mumble's servers are known by their certificate itself, not by who signed it.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = socket.create_connection(address, timeout=patience, source_address=source)
    return context.wrap_socket(connection)


def _exactly(connection: ssl.SSLSocket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        part = connection.recv(length - len(found))
        if not part:
            raise ConnectionError("the server closed it")
        found += part
    return found


# protobuf: the few kinds of fields that these messages have


def encode(fields: Fields) -> bytes:
    """A message from the numbers of its fields."""
    out = b""
    for number, value in fields.items():
        if isinstance(value, int):
            out += _varint(number << 3) + _varint(value)
        else:
            text = value.encode() if isinstance(value, str) else value
            out += _varint(number << 3 | 2) + _varint(len(text)) + text
    return out


def decode(message: bytes) -> Message:
    """The fields of a message; of a repeated one, the last."""
    fields: Message = {}
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        match tag & 7:
            case 0:
                fields[tag >> 3], at = _read_varint(message, at)
            case 2:
                length, at = _read_varint(message, at)
                fields[tag >> 3] = message[at : at + length]
                at += length
            case 1 | 5 as fixed:
                length = 8 if fixed == 1 else 4
                fields[tag >> 3] = message[at : at + length]
                at += length
            case other:
                raise ValueError(f"protobuf type {other} in {message.hex()}")
    return fields


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _number(value: int | bytes) -> int:
    assert isinstance(value, int)
    return value


def _bytes(value: int | bytes) -> bytes:
    assert isinstance(value, bytes)
    return value


def _text(value: int | bytes) -> str:
    return _bytes(value).decode()

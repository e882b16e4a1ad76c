"""OCB2-AES128 as Mumble uses it for its datagrams: one byte of the counter and three of the tag.

Written after Rogaway's "OCB2" (2004) and Mumble's description of its packets. Good for tests: it
does not guard against the attacks on OCB2 that Mumble's own clients guard against.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

BLOCK = 16
HEAD = 4
AHEAD, BEHIND = 128, 30
"""How far a datagram's counter may be from the last one's; Mumble takes the same."""


class Crypt:
    """Both directions of one client's datagrams."""

    def __init__(self, key: bytes, client_nonce: bytes, server_nonce: bytes) -> None:
        cipher = Cipher(AES(key), ECB())
        self._encryptor, self._decryptor = cipher.encryptor(), cipher.decryptor()
        self._sent = int.from_bytes(client_nonce, "little")
        self._received = int.from_bytes(server_nonce, "little")

    @property
    def client_nonce(self) -> bytes:
        return self._sent.to_bytes(BLOCK, "little")

    def resynchronize(self, server_nonce: bytes) -> None:
        self._received = int.from_bytes(server_nonce, "little")

    def encrypt(self, plain: bytes) -> bytes:
        self._sent = (self._sent + 1) % (1 << 128)
        nonce = self.client_nonce
        encrypted, tag = self._encrypt(nonce, plain)
        return nonce[:1] + tag[:3] + encrypted

    def decrypt(self, datagram: bytes) -> bytes | None:
        """The content; None if the datagram was not made for this client now."""
        if len(datagram) < HEAD:
            return None
        ahead = (datagram[0] - self._received) % 256
        if ahead == 0 or AHEAD < ahead <= 256 - BEHIND:
            return None
        counter = self._received + (ahead if ahead <= AHEAD else ahead - 256)
        nonce = (counter % (1 << 128)).to_bytes(BLOCK, "little")
        plain, tag = self._decrypt(nonce, datagram[HEAD:])
        if tag[:3] != datagram[1:HEAD]:
            return None
        self._received = max(self._received, counter)
        return plain

    def _encrypt(self, nonce: bytes, plain: bytes) -> tuple[bytes, bytes]:
        offset, checksum, out = self._cipher(_number(nonce)), 0, bytearray()
        blocks, last = _split(plain)
        for block in blocks:
            offset = _double(offset)
            out += _bytes(offset ^ self._cipher(offset ^ block))
            checksum ^= block
        offset = _double(offset)
        pad = _bytes(self._cipher(offset ^ len(last) * 8))
        checksum ^= _number(last + pad[len(last) :])
        out += _mix(last, pad)
        return bytes(out), self._tag(offset, checksum)

    def _decrypt(self, nonce: bytes, encrypted: bytes) -> tuple[bytes, bytes]:
        offset, checksum, out = self._cipher(_number(nonce)), 0, bytearray()
        blocks, last = _split(encrypted)
        for block in blocks:
            offset = _double(offset)
            plain = offset ^ _number(self._decryptor.update(_bytes(offset ^ block)))
            out += _bytes(plain)
            checksum ^= plain
        offset = _double(offset)
        pad = _bytes(self._cipher(offset ^ len(last) * 8))
        rest = _mix(last, pad)
        checksum ^= _number(rest + pad[len(rest) :])
        return bytes(out + rest), self._tag(offset, checksum)

    def _tag(self, offset: int, checksum: int) -> bytes:
        return _bytes(self._cipher(_double(offset) ^ offset ^ checksum))

    def _cipher(self, block: int) -> int:
        return _number(self._encryptor.update(_bytes(block)))


def _double(block: int) -> int:
    """Twice a block, in the field of 2^128 elements."""
    return (block << 1) % (1 << 128) ^ (0x87 if block >> 127 else 0)


def _split(text: bytes) -> tuple[list[int], bytes]:
    """All blocks but the last, which may be shorter."""
    whole = max(0, (len(text) - 1) // BLOCK) * BLOCK
    return [_number(text[at : at + BLOCK]) for at in range(0, whole, BLOCK)], text[whole:]


def _mix(text: bytes, pad: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(text, pad, strict=False))


def _number(block: bytes) -> int:
    return int.from_bytes(block, "big")


def _bytes(block: int) -> bytes:
    return block.to_bytes(BLOCK, "big")

"""The tests' own voice client encrypts as Mumble does, and copes with loss as Mumble does."""

from __future__ import annotations

import pytest

from tests.visitors.voice_crypt import Crypt

KEY = bytes(range(16))


def pair() -> tuple[Crypt, Crypt]:
    """Both ends of one client's datagrams."""
    here, there = bytes(16), b"\xff" * 16
    return Crypt(KEY, here, there), Crypt(KEY, there, here)


def test_the_cipher_matches_the_papers_test_vectors() -> None:
    # appendix of "Efficient Instantiations of Tweakable Blockciphers and Refinements to Modes OCB
    # and PMAC" (Rogaway). Its nonce comes after this one.
    nonce_before = (int.from_bytes(KEY, "little") - 1).to_bytes(16, "little")
    crypt = Crypt(KEY, nonce_before, bytes(16))

    datagram = crypt.encrypt(bytes(range(40)))

    assert datagram[:4].hex() == "00" + "9db0cd"
    assert datagram[4:].hex() == (
        "f75d6bc8b4dc8d66b836a2b08b32a6369f1cd3c5228d79fd6c267f5f6aa7b231c7dfb9d59951ae9c"
    )


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 32, 33, 200])
def test_one_end_decrypts_the_others_packets(length: int) -> None:
    client, server = pair()

    assert server.decrypt(client.encrypt(b"x" * length)) == b"x" * length


def test_a_changed_datagram_is_not_read() -> None:
    client, server = pair()
    datagram = bytearray(client.encrypt(b"hello"))
    datagram[-1] ^= 1

    assert server.decrypt(bytes(datagram)) is None


def test_lost_and_late_datagrams_do_no_harm() -> None:
    client, server = pair()
    sent = [client.encrypt(bytes([number])) for number in range(100)]

    read = [server.decrypt(sent[number]) for number in (0, 60, 50, 61, 99)]

    assert read == [bytes([number]) for number in (0, 60, 50, 61, 99)]


def test_a_repeated_datagram_is_not_read() -> None:
    client, server = pair()
    datagram = client.encrypt(b"once")
    server.decrypt(datagram)

    assert server.decrypt(datagram) is None


def test_after_a_long_loss_a_new_counter_helps() -> None:
    client, server = pair()
    for _ in range(200):
        client.encrypt(b"lost")
    assert server.decrypt(client.encrypt(b"too far ahead")) is None

    server.resynchronize(client.client_nonce)

    assert server.decrypt(client.encrypt(b"heard")) == b"heard"

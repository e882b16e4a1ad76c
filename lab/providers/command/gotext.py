"""Values and errors in the words of Go's standard library, as the real plugin prints them.

Users search for these messages, and tests compare them.
"""

from __future__ import annotations

import errno
import os

_ESCAPES = {
    "\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v",
    "\\": r"\\", '"': r"\"",
}  # fmt: skip


def quote(text: str) -> str:
    """The text as Go's `%q` prints it: in double quotes, with what is not printable escaped."""
    return '"' + "".join(_quoted(char) for char in text) + '"'


def _quoted(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char == " " or (char.isprintable() and not char.isspace()):
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def os_error(error: OSError) -> str:
    """The system's reason, as in `connection refused`: C's text in Go's lower case."""
    if error.errno is None:
        return str(error)
    if error.errno == errno.EIO:
        return "input/output error"
    text = os.strerror(error.errno)
    return text[:1].lower() + text[1:]


def address(host: str, port: int) -> str:
    """host:port, an IPv6 host in brackets, as Go's `net.JoinHostPort`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

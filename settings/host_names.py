"""Host names that routers can serve, and advice for names that they can't."""

import re

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"


def is_host(name: str) -> bool:
    """Whether routers can serve a name. RFC 1123, in lower case."""
    return len(name) <= 253 and re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", name) is not None


def host(value: str) -> str:
    """The name, if routers can serve it. ValueError says what to write instead."""
    if is_host(value):
        return value
    hint = ""
    if "*" in value:
        hint = (
            ". Routers can't match wildcards: name each host, or omit `hosts`, and the service "
            "answers for every host that no other service names"
        )
    elif is_host(value.lower()):
        hint = f": write {value.lower()}"
    elif not value.isascii():
        hint = f": write {_punycode(value) or 'its form in ASCII, which starts with xn--'}"
    elif "_" in value:
        hint = ": host names can't contain _"
    raise ValueError(f"must be a DNS name in lower case, like api.tok.tv{hint}")


def _punycode(name: str) -> str:
    """The ASCII form of a name, or empty where Python's IDNA 2003 might be wrong."""
    if any(character in name for character in "ßς\u200c\u200d"):
        return ""
    try:
        ascii_form = name.lower().encode("idna").decode()
    except UnicodeError:
        return ""
    return ascii_form if is_host(ascii_form) else ""

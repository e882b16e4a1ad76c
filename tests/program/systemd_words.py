"""How systemd reads a command line, written from its manual and not from our renderer.

systemd.service(5), "Command lines": words are split at white space, quotes group and vanish,
backslash escapes, `%%` is a percent sign, `$$` a dollar, `${NAME}` a variable.
"""

import re
from collections.abc import Iterator, Mapping


def words(command: str, variables: Mapping[str, str]) -> list[str]:
    """The arguments that the program gets."""
    line = re.sub(r"\\\n\s*", " ", command)
    return [_expanded(word, variables) for word in _split(line)]


def _split(line: str) -> Iterator[str]:
    word, quote, started = "", "", False
    characters = iter(line)
    for character in characters:
        if character == "\\":
            escaped = next(characters)
            assert escaped in "\\\"'", f"an escape that the tests do not know: \\{escaped}"
            word, started = word + escaped, True
        elif quote:
            if character == quote:
                quote = ""
            else:
                word += character
        elif character in "\"'":
            quote, started = character, True
        elif character in " \t":
            if started:
                yield word
            word, started = "", False
        else:
            word, started = word + character, True
    assert not quote, "a quote is not closed"
    if started:
        yield word


def _expanded(word: str, variables: Mapping[str, str]) -> str:
    def replacement(match: re.Match[str]) -> str:
        match match[0]:
            case "%%" | "$$":
                return match[0][0]
            case specifier if specifier.startswith("%"):
                return f"<{specifier}>"
            case _:
                return variables.get(match["name"] or "", "")

    return re.sub(r"%.|\$\$|\$\{(?P<name>\w+)\}|\$\w+", replacement, word)

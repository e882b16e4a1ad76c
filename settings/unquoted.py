"""Finds unquoted text that Pulumi's YAML reader has changed.

The reader converts 2024-11-05 to a time, and prints it in Go's format: 2024-11-05 00:00:00 +0000
UTC. `pulumi config set` writes that text into the file, and the original is lost. Pulumi never
writes it in double quotes, so with double quotes the user wrote it. Numbers in maps and lists
arrive as numbers, and other rules refuse them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from settings.problems import Problem, path

# https://pkg.go.dev/time#Time.String
_GO_TIME = re.compile(
    r"(?P<date>-?\d{4,}-\d\d-\d\d) (?P<time>\d\d:\d\d:\d\d(\.\d{1,9})?) "
    r"(?P<offset>[+-]\d{4}) ([A-Z]{1,5}|[+-]\d\d(\d\d)?)"
)
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?|true|false")
_MEANT = ('"', "|", ">")
"""Styles of scalars that Pulumi never uses for a date. Inside {…} and […] it uses single quotes."""
SECRET = ("secrets", "sshPrivateKey")
"""Encrypted values: never read as YAML, and never shown."""


def written(file: Path) -> yaml.Node | None:
    """The configuration in the stack's file, if that is at Pulumi's usual path."""
    try:
        root = yaml.compose(file.read_text(), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None  # the file is missing, or only Pulumi can read it
    return _item(root, "config")[1]


def numbers(raw: Mapping[str, object], config: yaml.Node | None) -> Iterator[Problem]:
    """A problem for every top-level text that was written as a number and changed by YAML.

    For example, 007 arrives as "7". Only the stack's file still has the original.
    """
    for name, arrived in raw.items():
        _, node = _setting(config, name)
        if (
            isinstance(arrived, str)
            and _NUMBER.fullmatch(arrived)
            and isinstance(node, yaml.ScalarNode)
            and node.style is None  # not in quotes
            and node.value != arrived
            and (node.value[:1] in "+-.0123456789" or node.tag.endswith(":bool"))
        ):
            yield Problem(
                path=path((name,)),
                value=arrived,
                message=f"was written as {node.value}, which YAML reads as a number or a truth "
                f'value. Put it in quotes: "{node.value}"',
            )


def dates(raw: Mapping[str, object], config: yaml.Node | None) -> Iterator[Problem]:
    """A problem for every date in the configuration, in keys and in values."""
    for name, value in raw.items():
        if name not in SECRET:
            yield from _within((name,), value, *_setting(config, name))


_Entry = tuple[yaml.Node | None, yaml.Node | None]
"""A name and its value in the file."""


def _setting(config: yaml.Node | None, name: str) -> _Entry:
    entry = _item(config, f"fleet:{name}")
    return entry if entry[1] else _item(config, name)


def _item(node: yaml.Node | None, name: int | str) -> _Entry:
    match node:
        case yaml.MappingNode():
            return next(((key, value) for key, value in node.value if key.value == name), _NOWHERE)
        case yaml.SequenceNode() if isinstance(name, int) and name < len(node.value):
            return None, node.value[name]
        case yaml.ScalarNode():
            return node, node  # a text with JSON contains the whole value
    return _NOWHERE


_NOWHERE: _Entry = (None, None)


def _within(
    location: tuple[int | str, ...], value: object, key: yaml.Node | None, node: yaml.Node | None
) -> Iterator[Problem]:
    yield from _told(location, location[-1], key)
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _within((*location, name), inner, *_item(node, name))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number, inner in enumerate(value):
            yield from _within((*location, number), inner, *_item(node, number))
    else:
        yield from _told(location, value, node)


def _told(
    location: tuple[int | str, ...], value: object, node: yaml.Node | None
) -> Iterator[Problem]:
    if not isinstance(value, str) or not (match := _GO_TIME.fullmatch(value)):
        return
    shown = node if isinstance(node, yaml.ScalarNode) and value in node.value else None
    if shown and (shown.value != value or shown.style in _MEANT):
        return  # inside JSON, or in double quotes
    zone = "Z" if match["offset"] == "+0000" else f"{match['offset'][:3]}:{match['offset'][3:]}"
    is_day = (match["time"], zone) == ("00:00:00", "Z")
    day = match["date"] if is_day else f"{match['date']}T{match['time']}{zone}"
    message = (
        "is a date, which YAML has changed into this text. Put the text that you want in double "
        f'quotes, like "{day}"'
    )
    if not shown:
        message += (
            ". (The stack's file does not have the text in this place, or can't be read; then text "
            "of this form is refused even in quotes)"
        )
    yield Problem(path=path(location), value=value, message=message)

"""Text that was written without quotes, of which Pulumi hands over another one.

Its YAML reader takes 2024-11-05 for a time and prints that as Go does: 2024-11-05 00:00:00 +0000
UTC. `pulumi config set` writes the same text back into the file. What stood there is lost.
Numbers inside of maps and lists arrive as numbers, and are refused as such.
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
SECRET = ("secrets", "sshPrivateKey")
"""Encrypted, hence never read as YAML, and never shown."""


def numbers(raw: Mapping[str, object], file: Path) -> Iterator[Problem]:
    """A problem for every text at the top, where all is text, that was written as another number.

    Only the stack's file knows, if it lies where Pulumi looks first: 007 arrives as 7.
    """
    try:
        root = yaml.compose(file.read_text(), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return  # none, or one that only Pulumi can read
    for section, config in _pairs(root):
        for key, node in _pairs(config) if section == "config" else ():
            name = key.removeprefix("fleet:")
            arrived = raw.get(name)
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
                    message=f"was written as {node.value}, which YAML reads as a number or truth "
                    f'value: put it in quotes, like "{node.value}"',
                )


def _pairs(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        yield str(key.value), value


def dates(raw: Mapping[str, object]) -> Iterator[Problem]:
    """A problem for every date in the configuration, names of things included."""
    for name, value in raw.items():
        if name not in SECRET:
            yield from _within((name,), value)


def _within(location: tuple[int | str, ...], value: object) -> Iterator[Problem]:
    yield from _told(location, location[-1])
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _within((*location, name), inner)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number, inner in enumerate(value):
            yield from _within((*location, number), inner)
    else:
        yield from _told(location, value)


def _told(location: tuple[int | str, ...], value: object) -> Iterator[Problem]:
    if isinstance(value, str) and (match := _GO_TIME.fullmatch(value)):
        zone = "Z" if match["offset"] == "+0000" else f"{match['offset'][:3]}:{match['offset'][3:]}"
        is_day = (match["time"], zone) == ("00:00:00", "Z")
        written = match["date"] if is_day else f"{match['date']}T{match['time']}{zone}"
        yield Problem(
            path=path(location),
            value=value,
            message="is a date that YAML has turned into another text: put it in quotes, as it "
            f'shall arrive, like "{written}"',
        )

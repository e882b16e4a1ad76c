"""What applications say, made safe to print: on a terminal, and in the log of a build pipeline.

Both obey commands in what they print: terminals escape sequences, pipelines lines such as
`##vso[task.setvariable …]` (Azure), `::set-env …` and `##[group]` (GitHub). Pure.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST_LINE = 400
MOST_LINES = 20
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, the cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f]).*?(?:\x07|\x1b\\|\x9c|$)"  # titles, links, strings
    r"|\x1b[ -/]*[0-~]",
    re.S,
)
# https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands: anywhere in a line
_AZURE = re.compile(r"##(?=\s*\w*\[)")
# https://docs.github.com/actions/reference/workflow-commands-for-github-actions: at its beginning
_GITHUB = re.compile(r"^(\s*)::")
_BREAKS = re.compile(r"\r\n|[\r\n\v\f\x85\u2028\u2029]")


def printable(text: str, *, lines: int = MOST_LINES) -> str:
    """The last lines of `text`, without control sequences and commands, cut to a maximum."""
    found = _BREAKS.split(_ESCAPES.sub("", text).rstrip())
    return "\n".join(_line(line) for line in found[-lines:])


def printable_line(text: str) -> str:
    """The same as one line."""
    return _line(" ".join(_BREAKS.split(_ESCAPES.sub("", text))))


def _line(text: str) -> str:
    shown = "".join(_character(character) for character in text)
    shown = _GITHUB.sub(r"\1: :", _AZURE.sub("# #", shown))
    return shown if len(shown) <= LONGEST_LINE else shown[: LONGEST_LINE - 1] + "…"


def _character(character: str) -> str:
    """Nothing for what is not seen and may change what is: control and format characters (the
    latter turn the direction of text around)."""
    category = unicodedata.category(character)
    if character == "\t" or category == "Zs":
        return " "
    return "" if category in ("Cc", "Cf", "Cs", "Co", "Cn") else character

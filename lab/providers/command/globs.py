"""The globs of `assetPaths` and `archivePaths`, with the rules of github.com/gobwas/glob.

`*` and `?` match anything but a slash, `**` anything, `[abc]`, `[!abc]`, `[a-z]`, `{one,two}`; a
backslash takes the next character literally.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path


class GlobError(ValueError):
    """The pattern cannot be read."""


def matching_files(folder: Path, patterns: list[str]) -> list[str]:
    """Files below the folder, relative to it, that the patterns select.

    A pattern that starts with `!` takes away what earlier ones selected.
    """
    rules = [(pattern.startswith("!"), compiled(pattern.removeprefix("!"))) for pattern in patterns]
    selected = []
    for path in _files(folder):
        hits = [excludes for excludes, rule in rules if rule.fullmatch(path)]
        if hits and not hits[-1]:
            selected.append(path)
    return selected


def _files(folder: Path) -> Iterator[str]:
    for root, folders, files in os.walk(folder):
        linked = [name for name in folders if Path(root, name).is_symlink()]
        for name in sorted([*files, *linked]):
            yield Path(root, name).relative_to(folder).as_posix()
        folders[:] = sorted(set(folders) - set(linked))


def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression. GlobError if it is malformed."""
    return re.compile(_Translation(pattern).regex(), re.DOTALL)


class _Translation:
    """One pass over a pattern. The alternatives' nesting is the only state besides the position."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._depth = 0

    def regex(self) -> str:
        parts = []
        while self._at < len(self._pattern):
            parts.append(self._next())
        return "".join(parts) + ")" * self._depth  # an open `{` closes at the end, as upstream

    def _take(self) -> str:
        char = self._pattern[self._at : self._at + 1]
        self._at += 1
        return char

    def _next(self) -> str:
        match self._take():
            case "*" if self._pattern.startswith("*", self._at):
                self._at += 1
                return ".*"
            case "*":
                return "[^/]*"
            case "?":
                return "[^/]"
            case "[":
                return self._characters()
            case "{":
                self._depth += 1
                return "(?:"
            case "," if self._depth:
                return "|"
            case "}" if self._depth:
                self._depth -= 1
                return ")"
            case "\\":
                return re.escape(self._take())
            case char:
                return re.escape(char)

    def _characters(self) -> str:
        negated = "^" if self._pattern.startswith("!", self._at) else ""
        self._at += len(negated)
        span = re.compile(r"(.)-(.)(.?)", re.DOTALL).match(self._pattern, self._at)
        if span:
            low, high, close = span.groups()
            self._at = span.end()
            self._expect_close(close)
            if high < low:
                raise GlobError(f"hi character '{high}' should be greater than lo '{low}'")
            return f"[{negated}{re.escape(low)}-{re.escape(high)}]"
        chars = self._listed()
        self._expect_close(self._take())
        if not chars:
            raise GlobError("could not parse range")
        return f"[{negated}{''.join(map(re.escape, chars))}]"

    def _listed(self) -> list[str]:
        chars = []
        while self._at < len(self._pattern) and self._pattern[self._at] != "]":
            char = self._take()
            chars.append(self._take() if char == "\\" else char)
        return chars

    def _expect_close(self, char: str) -> None:
        if not char:
            raise GlobError("unexpected end of input")
        if char != "]":
            raise GlobError("expected close range character")

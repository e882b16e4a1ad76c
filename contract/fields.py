"""Takes typed values out of a JSON object and collects what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Fields:
    """A JSON object under inspection. A wrong field yields a harmless value and a problem."""

    def __init__(
        self, raw: Mapping[str, Any], *, path: str = "", problems: list[str] | None = None
    ) -> None:
        self.raw = raw
        self.problems = problems if problems is not None else []
        self._path = path
        self._known: set[str] = set()

    def problem(self, name: str, text: str) -> None:
        """Note that the field `name` is wrong."""
        self.problems.append(f"{self._path}{name} {text}")

    def text(self, name: str) -> str:
        value = self._take(name)
        if isinstance(value, str) and value:
            return value
        self.problem(name, f"must be text, not {value!r}" if value is not None else "is missing")
        return ""

    def integer(self, name: str, *, minimum: int, default: int | None = None) -> int:
        value = self._take(name)
        if value is None and default is not None:
            return default
        if isinstance(value, int) and not isinstance(value, bool) and value >= minimum:
            return value
        self.problem(name, f"must be a whole number, {minimum} or more, not {value!r}")
        return minimum

    def number(self, name: str, *, default: float) -> float:
        value = self._take(name)
        if value is None:
            return default
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            return float(value)
        self.problem(name, f"must be a number of seconds, not {value!r}")
        return default

    def object(self, name: str) -> Fields:
        value = self._take(name)
        if not isinstance(value, dict):
            self.problem(name, f"must be an object, not {value!r}")
            value = {}
        return Fields(value, path=f"{self._path}{name}.", problems=self.problems)

    def reject_unknown(self) -> None:
        """Note every field that nobody asked for: it may be a misspelt one."""
        for name in self.raw:
            if name not in self._known:
                self.problem(name, f"is unknown here; known: {', '.join(sorted(self._known))}")

    def _take(self, name: str) -> Any:
        self._known.add(name)
        return self.raw.get(name)

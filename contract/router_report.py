"""A router's report: the etcd index that it has applied, and the entries that it leaves out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True, frozen=True)
class Problem:
    """A key, or a part of a route, that a router must leave out."""

    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}"


@dataclass(kw_only=True, frozen=True)
class RouterReport:
    """`error` of an earlier release also names what that router leaves out."""

    node: str
    applied: int  # its nginx reflects /services up to this index
    error: str | None = None  # why it applies nothing new
    problems: tuple[Problem, ...] = ()  # the entries that it leaves out
    boot: str = ""  # ids of the start of its node and of docker; "": unknown
    docker: str = ""
    kept: tuple[str, ...] = ()  # keys of instances that it serves although they are gone
    expired: tuple[str, ...] = ()  # certificates that it serves, with nothing else wrong

    def why_left_out(self, key: str) -> str:
        """Empty for a key that it uses. A route can have several hosts and ports of others."""
        return "; ".join(one.reason for one in self.problems if one.key == key)

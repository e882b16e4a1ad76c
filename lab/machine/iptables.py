"""Removes what the lab's Docker daemon added to the machine's iptables.

dockerd leaves its chains and rules behind when it stops. Only rules that came after `save` and that
name Docker's chains or bridges are removed. All others stay.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

DOCKERS = re.compile(r" -j DOCKER| (docker0|br-[0-9a-f]{12})( |$)")
"""A rule that jumps to one of Docker's chains or names one of its bridges."""


@dataclass
class Table:
    """One table as iptables-save prints it: chain → policy (`-` for own chains), and the rules."""

    chains: dict[str, str] = field(default_factory=dict)
    rules: list[str] = field(default_factory=list)


def save(path: Path) -> None:
    """Save the present rules."""
    partial = path.with_suffix(".partial")  # with half a file, rules of others would look new
    partial.write_text(_dump())
    partial.rename(path)


def restore(path: Path) -> None:
    """Remove Docker's rules and chains that were not there at `save`; reset the policies."""
    if not path.exists():
        return
    before, now = parse(path.read_text()), parse(_dump())
    script = difference(before, now)
    if script:
        subprocess.run(["iptables-restore", "--noflush"], input=script, text=True, check=True)


def difference(before: dict[str, Table], now: dict[str, Table]) -> str:
    """The iptables-restore script that takes `now` back to `before`; empty if there is nothing."""
    lines: list[str] = []
    for name, table in now.items():
        old = before.get(name, Table())
        own = [
            chain
            for chain in table.chains
            if chain.startswith("DOCKER") and chain not in old.chains
        ]
        commands = [
            *_policy_resets(old, table),
            # rules inside new chains are removed with their chains
            *(
                rule.replace("-A", "-D", 1)
                for rule in table.rules
                if rule not in old.rules and _chain(rule) not in own and DOCKERS.search(rule)
            ),
            *(f"-F {chain}" for chain in own),
            *(f"-X {chain}" for chain in own),
        ]
        if commands:
            lines += [f"*{name}", *commands, "COMMIT"]
    return "".join(f"{line}\n" for line in lines)


def parse(dump: str) -> dict[str, Table]:
    """Parse the output of iptables-save."""
    tables: dict[str, Table] = {}
    table = Table()
    for line in dump.splitlines():
        match line[:1]:
            case "*":
                table = tables.setdefault(line[1:], Table())
            case ":":
                chain, policy = line[1:].split()[:2]
                table.chains[chain] = policy
            case "-":
                table.rules.append(line)
    return tables


def _policy_resets(old: Table, table: Table) -> list[str]:
    """Commands for the built-in chains whose policy changed (own chains have none)."""
    # a table that did not exist had the kernel's default, ACCEPT
    before = {chain: old.chains.get(chain, "ACCEPT") for chain in table.chains}
    return [
        f"-P {chain} {before[chain]}"
        for chain, policy in table.chains.items()
        if policy != "-" and policy != before[chain]
    ]


def _chain(rule: str) -> str:
    return rule.split()[1]


def _dump() -> str:
    return subprocess.run(["iptables-save"], check=True, capture_output=True, text=True).stdout

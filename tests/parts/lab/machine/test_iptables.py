"""Removing a Docker daemon's iptables rules, in the test's own network namespace."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab.machine import iptables

# What dockerd adds, in short: chains, rules that lead into them, and a policy.
DOCKER_STARTS = """
iptables -N DOCKER
iptables -N DOCKER-USER
iptables -A DOCKER-USER -j RETURN
iptables -I FORWARD -j DOCKER-USER
iptables -A FORWARD -o docker0 -j DOCKER
iptables -P FORWARD DROP
iptables -t nat -N DOCKER
iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
iptables -t nat -A DOCKER -i docker0 -j RETURN
"""

USER_RULES = """
iptables -A INPUT -p tcp --dport 22 -j ACCEPT
iptables -A FORWARD -s 10.9.0.0/16 -j ACCEPT
"""


def in_namespace(tmp_path: Path, *, before: str, while_running: str = "") -> tuple[str, str]:
    """Run the whole story in an empty network namespace; return the rules before and after."""
    restore = (
        "from pathlib import Path; from lab.machine import iptables; "
        f"iptables.restore(Path('{tmp_path}/saved'))"
    )
    script = f"""set -euo pipefail
    {before}
    iptables-save >{tmp_path}/saved
    {DOCKER_STARTS}
    {while_running}
    {sys.executable} -c "{restore}"
    iptables-save >{tmp_path}/after
    """
    subprocess.run(["unshare", "--net", "bash", "-c", script], check=True)
    return (tmp_path / "saved").read_text(), (tmp_path / "after").read_text()


@pytest.mark.parametrize("before", ["", USER_RULES])
def test_only_rules_of_docker_are_removed(tmp_path: Path, before: str) -> None:
    saved, after = in_namespace(tmp_path, before=before)

    assert _rules(after) == _rules(saved)
    assert "DOCKER" not in after


def test_a_rule_that_another_program_added_stays(tmp_path: Path) -> None:
    _, after = in_namespace(
        tmp_path, before="", while_running="iptables -A FORWARD -s 10.9.0.0/16 -j ACCEPT"
    )

    assert _rules(after) == ["-A FORWARD -s 10.9.0.0/16 -j ACCEPT"]


def _rules(dump: str) -> list[str]:
    tables = iptables.parse(dump)
    return sorted(rule for table in tables.values() for rule in table.rules)

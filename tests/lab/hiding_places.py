"""Where on a node a secret could have got to, and whether it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

PLACES = {
    "etcd": "curl -fsS 'http://127.0.0.1:2379/v2/keys/?recursive=true&quorum=true'",
    "fleet": "curl -fsS --unix-socket /var/run/fleet.sock http://fleet/fleet/v1/units",
    "units": "sudo cat /{run,etc}/systemd/system/*.service /run/fleet/units/*",
    "containers": "docker ps --all --quiet | xargs docker inspect",
    "images": "docker image ls --quiet | xargs docker image inspect",
    "processes": "sudo cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'",
    "logs": "sudo journalctl --no-pager --output=cat; sudo cat /var/log/router/*",
    "custom data": "sudo cat /var/lib/waagent/CustomData /var/lib/lab-provisioning/CustomData",
    "node settings": "cat /etc/fleet-node.conf /run/node.env",
}
"""Commands that show all that is there."""


def material(pem: str) -> list[str]:
    """The secret part of a PEM file's keys: lines that are neither a frame nor short."""
    key = pem[pem.rindex("-----BEGIN", 0, pem.index("PRIVATE KEY-----")) :]
    lines = [line for line in key.splitlines() if "-----" not in line and len(line) >= 40]
    if "OPENSSH" in key:
        lines = lines[1:]  # the first one is the same in every unencrypted key
    assert lines, "a key has lines"
    return lines


def leaked(text: str, secrets: Mapping[str, Iterable[str]]) -> list[str]:
    """The secrets that show in a text: each is known by its parts."""
    return [name for name, parts in secrets.items() if any(part in text for part in parts)]

"""Stores certificates for nginx: hosts/<host>.pem for every host with a certificate.

The template looks only for that file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from router.tls.fetch import Certificate


def choose(hosts: Iterable[str], certificates: Mapping[str, Certificate]) -> dict[str, Certificate]:
    """The certificate of each host, by its name or by a wildcard for its first label.

    The settings refuse two certificates for one host. If there are two, the first by name wins.
    """
    by_host: dict[str, Certificate] = {}
    for _, certificate in sorted(certificates.items()):
        for host in certificate.hosts:
            by_host.setdefault(host, certificate)
    chosen = {}
    for host in hosts:
        wildcard = "*." + host.partition(".")[2]
        if found := by_host.get(host) or by_host.get(wildcard):
            chosen[host] = found
    return chosen


def lay_out(folder: Path, chosen: Mapping[str, Certificate]) -> str:
    """Make the links in `folder`/hosts. Returns a hash of them."""
    links = folder / "hosts"
    links.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = {f"{host}.pem": str(one.file) for host, one in chosen.items()}
    for link in links.iterdir():
        if wanted.get(link.name) != str(link.readlink()):
            link.unlink()
    for name, target in wanted.items():
        if not (links / name).is_symlink():
            (links / name).symlink_to(target)
    return hashlib.sha256(repr(sorted(wanted.items())).encode()).hexdigest()[:16]

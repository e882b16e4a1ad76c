"""The keys /certificates/<name>: which secret of which vault holds a certificate, and its hosts.

Written by `fleet-cluster certificates`. Two kinds, both JSON:

  {"secret": "certificate-<name>", "version": "…", "hosts": […]}   in the stack's own vault
  {"secretId": "https://OTHER.vault.azure.net/secrets/X"}           elsewhere; hosts by the PEM
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clients.etcd import Node
from contract.route import Malformed, parse_hosts

CERTIFICATES = "/certificates"
NAME = re.compile(r"[a-z0-9-]{1,60}")
_SECRET = re.compile(r"[A-Za-z0-9-]{1,127}")
_VERSION = re.compile(r"[A-Za-z0-9]{1,64}")
_SECRET_ID = re.compile(
    r"https://[A-Za-z0-9.-]+(:[0-9]+)?/secrets/[A-Za-z0-9-]{1,127}(/[A-Za-z0-9]{1,64})?"
)


@dataclass(kw_only=True, frozen=True)
class Source:
    """Where a certificate comes from."""

    secret: str = ""
    version: str = ""
    secret_id: str = ""
    hosts: tuple[str, ...] = ()  # none: those that the certificate itself names

    @property
    def may_change(self) -> bool:
        """Whether there may be another certificate there one day."""
        return not self.version and self.secret_id.count("/") < 5

    def __str__(self) -> str:
        return self.secret_id or f"{self.secret}/{self.version}"


def parse_source(value: object) -> Source:
    """Raises Malformed."""
    if not isinstance(value, dict):
        raise Malformed("must be an object")
    if unknown := sorted(value.keys() - {"secret", "version", "secretId", "hosts"}):
        raise Malformed(f"{unknown[0]} is unknown here; known: secret, version, hosts or secretId")
    if ("secret" in value) == ("secretId" in value):
        raise Malformed("needs either secret (with version and hosts) or secretId")
    hosts = parse_hosts(value)
    if "secretId" in value:
        if "version" in value:
            raise Malformed("the version of a secretId is its last part")
        return Source(secret_id=_text(value, "secretId", _SECRET_ID), hosts=hosts)
    if not hosts:
        raise Malformed("hosts must name the certificate's hosts")
    return Source(
        secret=_text(value, "secret", _SECRET),
        version=_text(value, "version", _VERSION),
        hosts=hosts,
    )


def read_sources(directory: Node | None) -> tuple[dict[str, Source], list[str]]:
    """The certificates by name, and what is wrong with the others."""
    sources, problems = {}, []
    for node in directory.nodes if directory else ():
        try:
            if not NAME.fullmatch(node.name):
                raise Malformed("its name must be 1 to 60 characters of a-z, 0-9 and -")
            sources[node.name] = parse_source(json.loads(node.value))
        except (ValueError, Malformed) as error:
            problems.append(f"{node.key}: {error}")
    return sources, problems


def _text(value: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str:
    text = value.get(name)
    if not isinstance(text, str) or not form.fullmatch(text):
        raise Malformed(f"{name} {text!r} is not of the form that Key Vault gives it")
    return text

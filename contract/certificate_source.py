"""The etcd entry of a certificate: the vault and secret that hold it, never its content.

`fleet-cluster certificates` writes it, routers fetch the certificate from there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from contract.codec import Malformed, optional
from contract.host import check_host

_NAME = re.compile(r"[a-z0-9-]{1,60}")
_FORMS = {
    "secret": re.compile(r"[A-Za-z0-9-]{1,127}"),
    "version": re.compile(r"[A-Za-z0-9]{1,64}"),
    "secret_id": re.compile(
        r"https://[A-Za-z0-9.-]+(:[0-9]+)?/secrets/[A-Za-z0-9-]{1,127}(/[A-Za-z0-9]{1,64})?"
    ),
}


@dataclass(kw_only=True, frozen=True)
class CertificateSource:
    """Either `secret` with `version` and `hosts`, in the stack's own vault, or `secret_id`."""

    secret: str = optional("")
    version: str = optional("")
    secret_id: str = optional("", formerly="secretId")
    hosts: tuple[str, ...] = optional(())  # empty: the hosts that the certificate names

    def __post_init__(self) -> None:
        if bool(self.secret) == bool(self.secret_id):
            raise Malformed("needs either secret (with version and hosts) or secret_id")
        if self.secret_id and self.version:
            raise Malformed("the version of a secret_id is its last part")
        for name in ("secret_id",) if self.secret_id else ("secret", "version"):
            text = getattr(self, name)
            if not _FORMS[name].fullmatch(text):
                raise Malformed(f"{name} {text!r} is not of the form that Key Vault gives it")
        if self.secret and not self.hosts:
            raise Malformed("hosts must name the certificate's hosts")
        for host in self.hosts:
            check_host(host)

    @property
    def may_change(self) -> bool:
        """Whether a later version of the certificate may appear there."""
        return not self.version and self.secret_id.count("/") < 5

    def __str__(self) -> str:
        return self.secret_id or f"{self.secret}/{self.version}"


def check_certificate_name(name: str) -> None:
    """Raises Malformed."""
    if not _NAME.fullmatch(name):
        raise Malformed(
            f"certificate {name!r}: its name must be 1 to 60 characters of a-z, 0-9 and -"
        )

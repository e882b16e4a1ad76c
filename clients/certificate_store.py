"""Reads the certificates' keys: where each certificate is stored."""

from __future__ import annotations

from clients.etcd import Node
from contract.certificate_source import CertificateSource, check_certificate_name
from contract.codec import Malformed, decode
from contract.router_report import Problem


def read_sources(directory: Node | None) -> tuple[dict[str, CertificateSource], list[Problem]]:
    """The valid certificates by name, and the problems of the others."""
    sources, problems = {}, []
    for node in directory.nodes if directory else ():
        try:
            check_certificate_name(node.name)
            sources[node.name] = decode(CertificateSource, node.value)
        except Malformed as error:
            problems.append(Problem(key=node.key, reason=str(error)))
    return sources, problems

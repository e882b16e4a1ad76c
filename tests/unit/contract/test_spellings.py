"""A port or a key of etcd stands in contract/ and nowhere else in Python; files that can't import
it spell the same."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from contract import keys, ports
from contract.certificate_source import CertificateSource
from contract.failure import FailureNote
from contract.instance import Instance
from contract.ledger import LedgerEntry
from contract.lock_holder import LockHolder
from contract.requests import (
    ApplyService,
    Certificates,
    Platform,
    RemoveService,
    ServiceUnits,
    WaitForCluster,
)
from contract.rollout_mark import Before, Mark
from contract.route import Route
from contract.router_report import Problem, RouterReport
from policy.__main__ import PLATFORM_PORTS, SSH
from tools.paths import PROJECT

FOLDERS = ("bench", "clients", "cluster", "components", "router", "settings", "sidekick")
ROOTS = (
    keys.SERVICES,
    keys.CERTIFICATES,
    keys.ROUTERS,
    keys.ROLLOUTS,
    keys.LOCKS,
    keys.PLATFORM_IMAGES,
)
NUMBERS = {
    ports.SSH,
    ports.PUBLIC_SSH,
    ports.ROUTER_HEALTH,
    ports.ETCD_CLIENT,
    ports.ETCD_PEER,
    ports.REGISTRY,
    ports.REGISTRY_DEBUG,
    *(port for span in (ports.HOST_PORTS, ports.INSTANCE_PORTS) for port in (span[0], span[-1])),
}

HOST_PORTS = ports.span(ports.HOST_PORTS)
DATAGRAMS = ports.ROUTER_DATAGRAM_PORTS
ETCD_PORTS = f"{ports.ETCD_CLIENT}:{ports.ETCD_PEER}"
OTHER_FILES = [
    ("cloud-config/bin/host-ports", f"FIRST={ports.HOST_PORTS[0]}\nLAST={ports.HOST_PORTS[-1]}\n"),
    ("cloud-config/cloud-config.yaml", f"net.ipv4.ip_local_reserved_ports={HOST_PORTS}"),
    ("cloud-config/bin/container-firewall", f"--destination-port {ETCD_PORTS}"),
    ("cloud-config/bin/etcd-prepare", f"http://127.0.0.1:{ports.ETCD_CLIENT},"),
    ("cloud-config/bin/etcd-prepare", f"http://$NODE_IP:{ports.ETCD_PEER}"),
    ("cloud-config/bin/node-prune", f"localhost:{ports.REGISTRY}/"),
    ("images/registry/config.yml", f"addr: 127.0.0.1:{ports.REGISTRY}\n"),
    ("images/registry/config.yml", f'addr: "127.0.0.1:{ports.REGISTRY_DEBUG}"'),
    ("router/image/affinity.js", f"FIRST_PORT = {DATAGRAMS[0]};\nconst PORTS = {len(DATAGRAMS)};"),
    ("router/image/templates/http.conf.tmpl", f'"ROUTER_HEALTH_PORT" "{ports.ROUTER_HEALTH}"'),
    ("router/image/templates/http.conf.tmpl", f'gets "{keys.route_key("*")}"'),
    ("router/image/templates/http.conf.tmpl", f'"{keys.instance_key("%s", "*")}"'),
    ("router/image/templates/stream.conf.tmpl", f'gets "{keys.route_key("*")}"'),
    ("router/image/templates/stream.conf.tmpl", f'"{keys.instance_key("%s", "*")}"'),
    ("router/image/conf.d/http.toml", f'keys = ["{keys.SERVICES}"]'),
    ("router/image/conf.d/stream.toml", f'keys = ["{keys.SERVICES}"]'),
    ("cloud-config/bin/fleet-cluster", f"/v2/keys{keys.platform_image_key('cluster')} "),
    ("cloud-config/bin/rollout-settle", f'ask "{keys.lock_key("$service")[1:]}"'),
    ("cloud-config/bin/rollout-settle", f"ask {keys.ROLLOUTS[1:]} "),
]


def test_no_other_python_file_spells_a_key_or_a_port() -> None:
    spelled = [
        f"{path.relative_to(PROJECT)}:{constant.lineno}: {constant.value!r}"
        for folder in FOLDERS
        for path in sorted((PROJECT / folder).rglob("*.py"))
        for constant in _constants(ast.parse(path.read_text()))
        if _is_spelled(constant.value)
    ]

    assert spelled == []


@pytest.mark.parametrize(("file", "text"), OTHER_FILES)
def test_files_that_can_not_import_the_contract_agree_with_it(file: str, text: str) -> None:
    assert text in (PROJECT / file).read_text()


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (Route, "- **Route**"),
        (Instance, "- **Instance**"),
        (FailureNote, "- **Failure**"),
        (LedgerEntry, "- **Ledger entry**"),
        (CertificateSource, "- **Certificate**"),
        (RouterReport, "- **Report**"),
        (Problem, "- **Report**"),
        (Mark, "- **Mark**"),
        (Before, "- **Mark**"),
        (LockHolder, "| `/locks/<name>`"),
        (WaitForCluster, "| `wait` |"),
        (Platform, "| `platform` |"),
        (Certificates, "| `certificates` |"),
        (ApplyService, "| `apply` |"),
        (ServiceUnits, "| `apply` |"),
        (RemoveService, "| `remove` |"),
    ],
)
def test_the_documents_list_every_field(kind: Any, line: str) -> None:
    page = (PROJECT / "docs/architecture.md").read_text().splitlines()

    (text,) = (one for one in page if one.startswith(line))

    assert not [one.name for one in fields(kind) if f"`{one.name}`" not in text]


def test_the_policy_pack_which_trusts_no_code_of_the_program_agrees() -> None:
    registry = (ports.REGISTRY, ports.REGISTRY_DEBUG)

    assert SSH == ports.SSH
    assert set(PLATFORM_PORTS) == {*ports.ETCD, *registry, ports.ROUTER_HEALTH}


def _constants(tree: ast.Module) -> Iterator[ast.Constant]:
    """Without docstrings and other texts that stand alone."""
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in alone:
            yield node


def _is_spelled(value: object) -> bool:
    if isinstance(value, str):
        of_etcd = (f":{ports.ETCD_CLIENT}", f":{ports.ETCD_PEER}", f":{ports.REGISTRY}")
        return value.endswith(of_etcd) or any(
            value == root or value.startswith(f"{root}/") for root in ROOTS
        )
    return isinstance(value, int) and not isinstance(value, bool) and value in NUMBERS

"""What earlier releases left in etcd is read, exactly as commit a422720 wrote it."""

from __future__ import annotations

import json

import pytest

from contract.certificate_source import CertificateSource
from contract.codec import Malformed, decode, encode
from contract.instance import Instance
from contract.ledger import LedgerEntry
from contract.rollout_mark import Mark, Option
from contract.route import PublicPort, Route

ROUTE = (
    '{"customer": "acme", "health": "/up", "hosts": ["acme.test"], "http": true, '
    '"https_redirect": true, "sticky": false, "tcp": [{"port": 7000}], "udp": [], '
    '"underscore_headers": false}'
)
ENTRY = {
    "release": "0badcafe",
    "image": "toktv/api:1.0",
    "digest": "sha256:12",
    "instances": 2,
    "route": ROUTE,
    "started": "2026-01-01T00:00:00Z",
    "finished": "2026-01-01T00:01:00Z",
    "outcome": "serving",
}
OPTION = {"section": "Service", "name": "ExecStart", "value": "/bin/true"}
MARK = {
    "verb": "remove",
    "since": "2026-01-01T00:00:00Z",
    "id": "0a1b",
    "before": {"entry": ENTRY, "app": [OPTION], "announce": []},
}


def test_a_route_is_read_and_written_unchanged() -> None:
    route = decode(Route, ROUTE)

    assert route.tcp == (PublicPort(port=7000),)
    assert (route.hosts, route.customer, route.https_redirect) == (("acme.test",), "acme", True)
    assert encode(route) == ROUTE


def test_an_instance_as_the_shell_script_wrote_it() -> None:
    text = (
        '{"http":"10.0.0.4:32768","tcp":{"7000":"10.0.0.4:32769"},"udp":{},"node":"core-0",'
        '"boot":"b","docker":"d"}'
    )

    instance = decode(Instance, text)

    assert instance.http == "10.0.0.4:32768"
    assert instance.tcp == {7000: "10.0.0.4:32769"}
    assert (instance.node, instance.boot, instance.docker) == ("core-0", "b", "d")
    assert json.loads(encode(instance)) == json.loads(text)


def test_instances_without_optional_fields_are_read() -> None:
    assert decode(Instance, '{"http": null, "tcp": null}') == Instance()
    assert decode(Instance, "{}") == Instance()


def test_a_certificate_of_another_vault_under_its_earlier_name() -> None:
    place = "https://docebo.vault.azure.net/secrets/wildcard"

    source = decode(CertificateSource, json.dumps({"secretId": place}))

    assert source == CertificateSource(secret_id=place)
    assert json.loads(encode(source)) == {"secret_id": place}


def test_a_certificate_of_the_stacks_vault_is_written_unchanged() -> None:
    text = '{"hosts": ["a.test"], "secret": "certificate-a", "version": "0a1b"}'

    assert encode(decode(CertificateSource, text)) == text


def test_a_ledger_entry_is_read_and_written_unchanged() -> None:
    text = json.dumps(ENTRY, sort_keys=True)

    entry = decode(LedgerEntry, text)

    assert (entry.release, entry.instances, entry.outcome) == ("0badcafe", 2, "serving")
    assert encode(entry) == text


def test_a_mark_is_read_and_written_unchanged() -> None:
    text = json.dumps(MARK, sort_keys=True)

    mark = decode(Mark, text)

    assert mark.before is not None
    assert mark.before.entry.route == ROUTE
    assert mark.before.app == (Option(**OPTION),)
    assert encode(mark) == text


def test_a_mark_of_a_service_that_was_not_there_before() -> None:
    assert decode(Mark, json.dumps({**MARK, "before": None})).before is None


def test_unknown_fields_are_ignored_in_etcd_and_refused_in_requests() -> None:
    text = '{"http": true, "new": 1}'

    assert decode(Route, text) == Route(http=True)
    with pytest.raises(Malformed, match="new is unknown here"):
        decode(Route, text, is_strict=True)

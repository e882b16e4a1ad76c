"""What `make up` prints at its end."""

from __future__ import annotations

from pathlib import Path

from lab.commands.next_steps import SHOWN, hint

URL = "http://fleet-dev-1.westeurope.cloudapp.azure.com"
ADDRESS = "127.1.2.3"


def shown(services: dict[str, list[str]], certificates: Path | None = None) -> str:
    outputs = {"url": URL, "publicIp": ADDRESS, "services": services}
    return hint("dev", outputs, certificates)


def test_the_default_site_is_shown_as_the_address() -> None:
    text = shown({"hello": [URL]})

    assert f"\n    http://{ADDRESS}/\n" in text
    assert "curl" not in text


def test_tcp_services_are_shown_as_ports_of_the_address() -> None:
    text = shown({"voice": [f"{URL.replace('http', 'tcp')}:64738"]})

    assert f"    voice   tcp://{ADDRESS}:64738\n" in text


def test_host_names_come_with_a_way_to_ask_for_them() -> None:
    text = shown({"lms-acme": ["https://acme.example"]}, Path("/state/own.crt"))

    assert "    lms-acme   https://acme.example\n" in text
    assert f"curl --cacert /state/own.crt --connect-to ::{ADDRESS}: https://acme.example/\n" in text


def test_many_services_are_counted() -> None:
    text = shown({f"lms-{n}": [f"https://{n}.example"] for n in range(SHOWN + 3)})

    assert f"lms-{SHOWN - 1} " in text
    assert f"lms-{SHOWN} " not in text
    assert "… and 3 more: make status" in text

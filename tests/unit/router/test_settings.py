from __future__ import annotations

from pathlib import Path

import pytest

from router.settings import SettingsError, from_environment, machine_id

NODE = {"NODE_NAME": "core-0", "NODE_IP": "10.0.0.4", "MACHINE_ID": "abc"}


def test_defaults_are_those_of_a_node() -> None:
    settings = from_environment(NODE)

    assert settings.etcd == "http://127.0.0.1:2379"
    assert settings.own_ports == (80, 443, 8089)
    assert settings.ready_file == Path("/run/router/ready")


def test_missing_node_name_is_reported() -> None:
    with pytest.raises(SettingsError, match="NODE_NAME"):
        from_environment({"MACHINE_ID": "abc"})


def test_invalid_number_is_reported() -> None:
    with pytest.raises(SettingsError, match="ROUTER_DRAIN must be a number, not 'long'"):
        from_environment(NODE | {"ROUTER_DRAIN": "long"})


def test_machine_id_is_read_from_the_nodes_file(tmp_path: Path) -> None:
    path = tmp_path / "machine-id"
    path.write_text("0123456789abcdef\n")

    assert machine_id({}, path) == "0123456789abcdef"


def test_empty_machine_id_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "machine-id"
    path.write_text("\n")

    with pytest.raises(SettingsError, match="MACHINE_ID"):
        machine_id({}, path)

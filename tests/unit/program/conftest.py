"""Configurations and recorded runs of the program."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from components import artefacts
from tests.unit.program.recorded_stack import PROJECT, Recorded, run_program

Config = dict[str, Any]

# a busy machine is no failure
hypothesis.settings.register_profile("program", deadline=None)
hypothesis.settings.load_profile("program")


@pytest.fixture
def config() -> Config:
    """The least that a stack must say, and one service."""
    return {
        "location": "westeurope",
        "ownerTag": "team",
        "adminCidrs": ["203.0.113.7/32", "198.51.100.0/24", "10.8.0.0/16"],
        "services": {
            "hello": {"image": "example-app:1.0.0", "instances": 2, "http": {"port": 8080}},
        },
    }


@pytest.fixture
def voice() -> Config:
    """A service with TCP and UDP ports."""
    return {
        "image": "toktv/voice:2.0",
        "instances": 2,
        "tcp": [{"port": 64738}],
        "udp": [{"port": 64738}, {"port": 64739}],
    }


@pytest.fixture
def built(tmp_path: Path) -> artefacts.Artefacts:
    """Artefacts as `make artefacts` leaves them, with little in them."""
    file = tmp_path / "artefact.tar.gz"
    file.write_bytes(b"")

    def artefact(name: str, digit: str) -> artefacts.Artefact:
        return artefacts.Artefact(name=name, path=str(file), sha256=digit * 64)

    return artefacts.Artefacts(
        bundle=artefact("bundle", "b"),
        images={
            name: artefact(f"image-{name}", digit)
            for name, digit in (("cluster", "c"), ("registry", "e"), ("router", "f"))
        },
    )


@pytest.fixture
def run(
    built: artefacts.Artefacts, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Config], Recorded]:
    """Runs the whole program with a configuration."""
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr(artefacts, "read", lambda: built)
    return lambda config: run_program(config)

"""Configurations and recorded runs of the program."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from components.rendering import artefacts
from tests.program.node_folder import NodeFolder, node_folder
from tests.program.recorded_stack import PROJECT, Recorded, run_program

Config = dict[str, Any]

# a busy machine is no failure
hypothesis.settings.register_profile("program", deadline=None)
hypothesis.settings.load_profile("program")


def least() -> Config:
    """The least that a stack must say, and one service."""
    return {
        "location": "westeurope",
        "ownerTag": "team",
        "adminCidrs": ["203.0.113.7/32", "198.51.100.0/24", "10.8.0.0/16"],
        "services": {
            "hello": {"image": "example-app:1.0.0", "instances": 2, "http": {"port": 8080}},
        },
    }


def voice_service() -> Config:
    """A service with TCP and UDP ports."""
    return {
        "image": "toktv/voice:2.0",
        "instances": 2,
        "tcp": [{"port": 64738}],
        "udp": [{"port": 64738}, {"port": 64739}],
    }


config = pytest.fixture(least, name="config")
voice = pytest.fixture(voice_service, name="voice")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> artefacts.Artefacts:
    """Artefacts as `make artefacts` leaves them, with nothing in them."""
    file = tmp_path_factory.mktemp("artefacts") / "artefact.tar.gz"
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


@pytest.fixture(scope="session")
def run(built: artefacts.Artefacts) -> Iterator[Callable[[Config], Recorded]]:
    """Runs the whole program with a configuration."""
    with pytest.MonkeyPatch.context() as patch:
        # as Pulumi does for the project's own packages
        patch.syspath_prepend(PROJECT)
        patch.setattr(artefacts, "read", lambda: built)
        yield run_program


@pytest.fixture(scope="session")
def stack(run: Callable[[Config], Recorded]) -> Recorded:
    """A run with a web service and one that publishes ports. Only to be looked at."""
    settings = least()
    settings["services"]["voice"] = voice_service()
    return run(settings)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeFolder]:
    """A node that has booted as far as cloud-config."""
    with node_folder(tmp_path) as folder:
        yield folder

"""Programs are built from pinned modules, with nothing of this machine in them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tools.programs import PROGRAMS, build_command, ensure_program


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_has_pinned_modules(name: str) -> None:
    folder = PROGRAMS[name].folder

    assert (folder / "go.mod").exists()
    assert (folder / "go.sum").exists()


def test_a_build_command_sets_the_version_and_hides_paths() -> None:
    fleet = PROGRAMS["fleet"]

    command = build_command(fleet, fleet.binaries["fleetd"], Path("/out/fleetd"))

    assert command == [
        *("go", "build", "-trimpath"),
        *("-ldflags", "-s -w -X github.com/coreos/fleet/version.Version=1.0.0"),
        *("-o", "/out/fleetd", "github.com/coreos/fleet"),
    ]


def test_what_the_user_has_installed_is_used(command: Callable[[str, str], None]) -> None:
    command("pulumi", "exit 0")

    folder = ensure_program("pulumi")

    assert folder.name == "commands"


def test_what_nodes_run_is_never_taken_from_the_users_machine(
    command: Callable[[str, str], None],
) -> None:
    command("confd", "exit 0")
    command("go", 'while [ "$1" != -o ]; do shift; done; echo built > "$2"')

    folder = ensure_program("confd")

    assert (folder / "confd").read_text() == "built\n"


def test_every_program_has_a_key_of_its_own() -> None:
    keys = {program.key for program in PROGRAMS.values()}

    assert len(keys) == len(PROGRAMS)

"""Programs are built from pinned modules, with nothing of this machine in them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tools import go_toolchain
from tools.build import ensure_program
from tools.programs import PROGRAMS, build_command

FAKE_GO = """
case "$1" in
  version) echo "go version $GOTOOLCHAIN linux/amd64" ;;
  env) echo go1.99.0 ;;
  *) while [ "$1" != -o ]; do shift; done; echo "built by $GOTOOLCHAIN" > "$2" ;;
esac
"""
"""It can be every version."""
GO_WITHOUT_OTHERS = f"""
if [ "$1 $GOTOOLCHAIN" = "version {go_toolchain.VERSION}" ]; then exit 1; fi
{FAKE_GO}
"""


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


def test_a_program_that_the_user_installed_is_used(command: Callable[[str, str], None]) -> None:
    command("pulumi", "exit 0")

    folder = ensure_program("pulumi")

    assert folder.name == "commands"


def test_programs_of_nodes_never_come_from_the_users_machine(
    command: Callable[[str, str], None],
) -> None:
    command("confd", "exit 0")
    command("go", FAKE_GO)

    folder = ensure_program("confd")

    assert (folder / "confd").read_text() == f"built by {go_toolchain.VERSION}\n"


def test_another_version_of_go_means_other_keys(
    command: Callable[[str, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command("go", GO_WITHOUT_OTHERS)
    pinned = PROGRAMS["confd"].key

    folder = ensure_program("confd")

    assert (folder / "confd").read_text() == "built by local\n"
    assert pinned not in folder.name
    go_toolchain.warn_if_substituted()
    assert "go1.99.0" in capsys.readouterr().err


def test_every_program_has_a_different_key() -> None:
    keys = {program.key for program in PROGRAMS.values()}

    assert len(keys) == len(PROGRAMS)

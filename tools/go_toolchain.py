"""The version of Go that builds programs: only one, because each makes different binaries.

Go downloads that version if another one is installed. If it cannot, the installed version builds,
and the programs get other keys.
"""

import os
import subprocess
import sys
from pathlib import Path

from tools.commands import capture
from tools.debian.pins import PinsChangedError
from tools.paths import cache_root

VERSION = "go1.26.8"
ADVICE = "Install Go as the README says, then run this again."


def current() -> str:
    """Return the version in use."""
    substitute = _substitute()
    return substitute.read_text() if substitute.exists() else VERSION


def choice() -> str:
    """Return the GOTOOLCHAIN for that version (https://go.dev/doc/toolchain)."""
    return VERSION if current() == VERSION else "local"


def ensure() -> None:
    """Check that Go can be the version in use. Raises PinsChangedError if another replaces it."""
    if current() != VERSION or _answers(VERSION):
        return
    installed = capture(
        ["go", "env", "GOVERSION"], what="asking Go for its version", advice=ADVICE
    ).strip()
    substitute = _substitute()
    substitute.parent.mkdir(parents=True, exist_ok=True)
    substitute.write_text(installed)
    raise PinsChangedError


def warn_if_substituted() -> None:
    """Warn if programs differ from those of other machines at this commit."""
    if current() != VERSION:
        print(
            f"WARNING: Go could not download {VERSION}, so {current()} built the programs.\n"
            "Deploying them replaces the nodes of a stack that was deployed with others.\n"
            f"Install {VERSION}, remove {_substitute()}, and run this again.",
            file=sys.stderr,
        )


def _answers(version: str) -> bool:
    try:
        done = subprocess.run(
            ["go", "version"],
            env={**os.environ, "GOTOOLCHAIN": version},
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        return True  # the build will say that Go is missing
    return done.returncode == 0 and version in done.stdout.split()


def _substitute() -> Path:
    return cache_root() / "pins" / f"instead-of-{VERSION}"

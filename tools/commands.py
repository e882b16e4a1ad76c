"""Runs other programs with their output in a log, whose end is part of a failure's message."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.progress import StepFailed

NOT_INSTALLED = (
    "Install it from your distribution's packages (see the README), then run this again."
)
RUN_AGAIN = "Fix what the log reports, then run the same command again: it continues."


def run(
    command: Sequence[str | Path],
    *,
    what: str,
    log: Path,
    advice: str = RUN_AGAIN,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a command, appending its output to `log`. Raises StepFailed unless it exits 0."""
    with log.open("ab") as output:
        output.write(f"$ {' '.join(map(str, command))}\n".encode())
        output.flush()
        try:
            subprocess.run(
                command,
                check=True,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        except FileNotFoundError as error:
            raise StepFailed(
                what, why=f"{command[0]} is not installed", advice=NOT_INSTALLED
            ) from error
        except subprocess.CalledProcessError as error:
            why = f"{Path(command[0]).name} exited with {error.returncode}"
            raise StepFailed(what, why=why, advice=advice, log=log) from error


def capture(
    command: Sequence[str | Path], *, what: str, advice: str, cwd: Path | None = None
) -> str:
    """Run a command with little output and return what it printed. Raises StepFailed."""
    try:
        done = subprocess.run(command, check=True, cwd=cwd, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise StepFailed(
            what, why=f"{command[0]} is not installed", advice=NOT_INSTALLED
        ) from error
    except subprocess.CalledProcessError as error:
        why = error.stderr.strip() or f"{command[0]} exited with {error.returncode}"
        raise StepFailed(what, why=why, advice=advice) from error
    return done.stdout

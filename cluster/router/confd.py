"""Runs confd once: it reads etcd, renders the templates, lets nginx test each, swaps the files."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable

from cluster.router.settings import Settings

# confd itself has no time limit for its check command (confd issue 346).
_TIMEOUT = 15.0


class RenderError(Exception):
    """There is no new configuration; the one before is still in place."""


def render(
    settings: Settings,
    *,
    etcd: str,
    skip: Iterable[str],
    waiting: Iterable[str],
) -> None:
    """Bring the configuration up to date with the etcd at this URL, without the keys (and parts of
    routes) in `skip`; those in `waiting` get no TCP and UDP.

    Raises RenderError when etcd doesn't answer, the template fails or nginx refuses the result.
    """
    command = [
        "confd", "-onetime", "-backend", "etcd", "-node", etcd,
        "-confdir", str(settings.confd_dir), "-log-level", "error",
    ]  # fmt: skip
    process = subprocess.Popen(
        command,
        env=dict(os.environ)
        | _variables(settings)
        | {
            # the templates look for " <key> " and " <key>#<part> "
            "ROUTER_SKIP": f" {' '.join(skip)} ",
            "ROUTER_WAITING": f" {' '.join(waiting)} ",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that a hung check command dies with it
    )
    try:
        output, _ = process.communicate(timeout=_TIMEOUT)
    except subprocess.TimeoutExpired as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise RenderError(f"confd took longer than {_TIMEOUT:.0f} s") from error
    if process.returncode != 0:
        raise RenderError(f"confd: {' / '.join(output.split())}"[:1000])


def _variables(settings: Settings) -> dict[str, str]:
    return {
        "ROUTER_RUN_DIR": str(settings.run_dir),
        "ROUTER_TLS_CERTIFICATE": str(settings.certificate),
        "ROUTER_HTTP_PORT": str(settings.http_port),
        "ROUTER_HTTPS_PORT": str(settings.https_port),
        "ROUTER_HEALTH_PORT": str(settings.health_port),
    }

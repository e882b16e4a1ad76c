"""Runs confd once: it renders the templates, lets nginx test them, and replaces the files.

confd reads the agent's route table from a file instead of etcd. So it renders exactly the values
that the agent has checked, including instances that are kept through an outage.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from typing import Any

from router.route_table import Served
from router.settings import Settings

# confd itself has no time limit for its check command (confd issue 346).
_TIMEOUT = 15.0


class RenderError(Exception):
    """There is no new configuration. The previous configuration is still in use."""


def render(settings: Settings, services: Mapping[str, Served]) -> None:
    """Render the configuration of both nginx from the route table.

    Raises RenderError when a template fails or nginx refuses the result.
    """
    settings.served_file.write_text(json.dumps(keys(services), indent=1))
    command = [
        "confd", "-onetime", "-backend", "file", "-file", str(settings.served_file),
        "-confdir", str(settings.confd_dir), "-log-level", "error",
    ]  # fmt: skip
    process = subprocess.Popen(
        command,
        env=dict(os.environ) | _variables(settings),
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


def keys(services: Mapping[str, Served]) -> dict[str, Any]:
    """The keys that the templates see: /services/<name>/route, …/instances/<instance>.

    confd reads the file as YAML, of which JSON is a subset. Each value is a text with JSON.
    """
    return {
        "services": {
            name: {
                "route": json.dumps(
                    {
                        "hosts": one.route.hosts,
                        "http": one.route.http,
                        "default_site": one.is_default_site,
                        "sticky": one.route.sticky,
                        "https_redirect": one.route.https_redirect,
                        "underscore_headers": one.route.underscore_headers,
                        "tcp": [public.port for public in one.route.tcp],
                        "udp": [public.port for public in one.route.udp],
                    }
                ),
                "instances": {
                    instance: json.dumps({"http": at.http, "tcp": at.tcp, "udp": at.udp})
                    for instance, at in one.instances.items()
                },
            }
            for name, one in services.items()
        }
    }


def _variables(settings: Settings) -> dict[str, str]:
    return {
        "ROUTER_RUN_DIR": str(settings.run_dir),
        "ROUTER_TLS_CERTIFICATE": str(settings.certificate),
        "ROUTER_HTTP_PORT": str(settings.http_port),
        "ROUTER_HTTPS_PORT": str(settings.https_port),
        "ROUTER_HEALTH_PORT": str(settings.health_port),
    }

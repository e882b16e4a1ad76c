"""The router's nginx accepts the configuration that the router is compared with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.bare_nginx import back_end_config, bare_config
from tests.parts.router.harness import image

LOG = "access_log /dev/stdout json buffer=4k flush=1s;"


@pytest.mark.parametrize("config", [back_end_config(), bare_config(LOG)], ids=["back-end", "bare"])
def test_nginx_takes_the_configuration(config: str, tmp_path: Path) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text(config)

    done = subprocess.run(
        [
            *("docker", "run", "--rm", "--network", "none", "--volume", f"{file}:{file}:ro"),
            *("--entrypoint", "nginx", image(), "-t", "-c", file),
        ],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr


def test_bare_nginx_writes_the_same_log_as_the_router() -> None:
    config = bare_config(LOG)

    assert LOG in config
    assert '"upstream":"$upstream_addr"' in config

"""How programs on this machine reach a running lab, and the call they make.

The address and the token of the simulated Azure's API, its TLS front for blobs and secrets, and
the certificate authority behind it.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import NotFound
from docker.models.containers import Container

from lab.machine.azure_api import ApiError, AzureApi
from lab.machine.paths import state_root
from tools.progress import StepFailed

CLOUD = "fleet-lab-cloud"
API_PORT, FRONT_PORT = "8900/tcp", "443/tcp"


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """How programs on this machine reach the simulated Azure."""

    api_url: str
    api_token: str
    blob_endpoint: str
    ca_file: str


def find(client: docker.DockerClient) -> Endpoints:
    """How to reach the running lab. Raises StepFailed when it does not run."""
    cloud = get_container(client, CLOUD)
    if cloud is None or cloud.status != "running":
        raise StepFailed(
            "Reaching the lab", why="the simulated Azure does not run", advice="Run `make up`."
        )
    return Endpoints(
        api_url=f"http://127.0.0.1:{_published(cloud, API_PORT)}",
        api_token=keys()["api"],
        blob_endpoint=f"127.0.0.1:{_published(cloud, FRONT_PORT)}",
        ca_file=str(state_root() / "ca.pem"),
    )


def were_started() -> bool:
    """Whether a lab was started on this machine and not removed since."""
    return keys_file().exists()


def call(
    endpoints: Endpoints, method: str, path: str, body: object | None = None, timeout: float = 600
) -> object:
    """One call of the simulated Azure's API. Raises StepFailed with Azure's code and message, and
    OSError if there is no answer."""
    api = AzureApi(endpoints.api_url, endpoints.api_token)
    try:
        answer: object = api.call(method, path, body, timeout=timeout)
    except ApiError as error:
        raise StepFailed(f"{method} {path}", why=str(error), advice="See the message.") from error
    return answer


def get_container(client: docker.DockerClient, name: str) -> Container | None:
    """The container of this name, running or not."""
    try:
        return client.containers.get(name)
    except NotFound:
        return None


def _published(container: Container, port: str) -> str:
    container.reload()
    bindings = container.attrs["NetworkSettings"]["Ports"].get(port)
    if not bindings:
        raise StepFailed(
            "Reaching the lab",
            why=f"{container.name} publishes no port {port}",
            advice="Run `make up` again.",
        )
    return str(bindings[0]["HostPort"])


def keys() -> dict[str, str]:
    """Secrets between the lab's parts, made once for each lab."""
    path = keys_file()
    if not path.exists():
        partial = path.with_suffix(".partial")  # an interruption must not leave half of it
        partial.touch(mode=0o600)
        partial.write_text(
            json.dumps(
                {
                    "api": secrets.token_urlsafe(32),
                    "account": "fleetlab",
                    "blob": base64.b64encode(secrets.token_bytes(64)).decode(),
                }
            )
        )
        partial.rename(path)
    found: dict[str, str] = json.loads(path.read_text())
    return found


def keys_file() -> Path:
    """The file exists from the lab's start to its removal."""
    return state_root() / "keys.json"

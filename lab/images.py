"""The developer's side of the registry: build an image of this project and push it.

A registry like the nodes' own, but writable and with the developer's identity, runs on
localhost:5000 of this machine and stores into the stack's blob container.
"""

from __future__ import annotations

import io
import time
import urllib.error
import urllib.request
from collections.abc import Iterable

import docker

from lab import containers
from tools import base_image, build
from tools.images import IMAGES
from tools.paths import PROJECT
from tools.progress import StepFailed, step

PORT = 5000
READY_TIMEOUT = 60.0
MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
)


def push_missing(client: docker.DockerClient, account: str, images: Iterable[str]) -> None:
    """Build and push those images of this project that the stack's registry lacks.

    An image `toktv/api:1.4` is of this project if there is a folder images/toktv-api. Others are
    left alone: the rollout names what is missing.
    """
    own = [image for image in sorted(set(images)) if _folder(image)]
    if not own:
        return
    containers.start_registry(client, account, PORT)
    _wait_until_ready()
    for image in own:
        if not _has(image):
            with step(f"Building and pushing {image}"):
                _push(client, image)


def forget_old(client: docker.DockerClient) -> None:
    """Remove this project's images that are not of its present content, and those pushed from here.

    Every change of the code makes new ones. What another clone still needs is in the cache.
    """
    current = {base_image.reference(), *(image.reference for image in IMAGES.values())}
    used = {container["ImageID"] for container in client.api.containers(all=True)}
    for image in client.images.list():
        for tag in image.tags:
            pushed = tag.removeprefix(f"localhost:{PORT}/")
            ours = tag.startswith("fleet/") or (pushed != tag and _folder(pushed))
            if ours and tag not in current and image.id not in used:
                client.images.remove(tag)


def _folder(image: str) -> str | None:
    repository, _, _tag = image.rpartition(":")
    name = repository.replace("/", "-")
    return name if name and (PROJECT / "images" / name / "Dockerfile").exists() else None


def _push(client: docker.DockerClient, image: str) -> None:
    repository, _, tag = image.rpartition(":")
    name = _folder(image)
    assert name is not None
    target = f"localhost:{PORT}/{repository}"
    # The tag is the version that the application shows: two tags are two images.
    stamped = f"FROM {build.ensure_image(name)}\nENV VERSION={tag}\n"
    client.images.build(fileobj=io.BytesIO(stamped.encode()), tag=f"{target}:{tag}", rm=True)
    for line in client.images.push(target, tag=tag, stream=True, decode=True):
        if "error" in line:
            raise StepFailed(
                f"Pushing {image}",
                why=line["error"],
                advice="See `docker logs fleet-lab-registry`.",
            )


def _has(image: str) -> bool:
    repository, _, tag = image.rpartition(":")
    return _status(f"/v2/{repository}/manifests/{tag}") == 200


def _wait_until_ready() -> None:
    """Wait until the registry reaches its storage: /v2/ answers long before that."""
    deadline = time.monotonic() + READY_TIMEOUT
    while (status := _status("/v2/any/tags/list")) not in (200, 404):
        if time.monotonic() > deadline:
            raise StepFailed(
                "Starting the developer's registry",
                why=f"it answers {status or 'nothing'}",
                advice=f"See `docker logs {containers.REGISTRY}`.",
            )
        time.sleep(0.3)


def _status(path: str) -> int:
    request = urllib.request.Request(
        f"http://localhost:{PORT}{path}", headers={"Accept": MANIFESTS}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0

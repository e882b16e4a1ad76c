"""Builds and pushes images of this project that services name and a stack lacks."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import docker
from docker.models.images import Image

from lab.machine import registry
from lab.machine.registry import Registry
from tools import build
from tools.images import base_image
from tools.images.catalogue import IMAGES
from tools.paths import PROJECT
from tools.progress import StepFailed, step

KEPT = timedelta(days=1)


def push_missing(
    client: docker.DockerClient, stack_name: str, account: str, images: Iterable[str]
) -> None:
    """Build and push those images of this project that the stack's registry lacks.

    An image `toktv/api:1.4` belongs to this project if there is a folder samples/toktv-api. Others
    are skipped: the rollout reports what is missing.
    """
    own = [image for image in sorted(set(images)) if _folder(image)]
    if not own:
        return
    target = registry.start(client, stack_name, account)
    target.wait_until_ready()
    for image in own:
        repository, _, tag = image.rpartition(":")
        if not target.has(repository, tag):
            with step(f"Building {image} and pushing it to {stack_name} ({target.address})"):
                _push(client, target, image)


def forget_old(client: docker.DockerClient, *, kept: timedelta = KEPT) -> None:
    """Remove this project's images of other contents than the present, and those pushed from here.

    Every change of the code makes new images. Younger ones stay: another clone may be building on
    them.
    """
    current = {base_image.reference(), *(image.reference for image in IMAGES.values())}
    used = {container["ImageID"] for container in client.api.containers(all=True)}
    for image in client.images.list():
        for tag in image.tags:
            pushed = _pushed(tag)
            ours = tag.startswith("fleet/") or (pushed and _folder(pushed))
            if ours and tag not in current and image.id not in used and _age(image) >= kept:
                client.images.remove(tag)


def _age(image: Image) -> timedelta:
    """The time since the image was built, loaded or tagged last."""
    tagged = datetime.fromisoformat(image.attrs["Metadata"]["LastTagTime"])
    return datetime.now(UTC) - tagged


def forget(client: docker.DockerClient, image: str) -> None:
    """Remove local tags of this image as it was pushed to any stack."""
    for one in client.images.list():
        for tag in one.tags:
            if _pushed(tag) == image:
                client.images.remove(tag)


def _pushed(tag: str) -> str | None:
    """The image's name in the registry that a local tag was pushed to."""
    found = re.fullmatch(r"localhost:\d+/(.+)", tag)
    return found[1] if found else None


def _folder(image: str) -> str | None:
    repository, _, _tag = image.rpartition(":")
    name = repository.replace("/", "-")
    return name if name and (PROJECT / "samples" / name / "Dockerfile").exists() else None


def _push(client: docker.DockerClient, to: Registry, image: str) -> None:
    repository, _, tag = image.rpartition(":")
    name = _folder(image)
    assert name is not None
    target = f"{to.address}/{repository}"
    # the application shows its tag as its version, so two tags are two images
    stamped = f"FROM {build.ensure_image(name)}\nENV VERSION={tag}\n"
    client.images.build(fileobj=io.BytesIO(stamped.encode()), tag=f"{target}:{tag}", rm=True)
    for line in client.images.push(target, tag=tag, stream=True, decode=True):
        if "error" in line:
            raise StepFailed(
                f"Pushing {image}",
                why=line["error"],
                advice=f"Read `docker logs {to.container}`.",
            )

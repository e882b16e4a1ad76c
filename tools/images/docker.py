"""The docker commands that build, load and save images."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tools.commands import capture, run
from tools.compression import gzipped
from tools.progress import StepFailed

GZIP_LEVEL = 1
DAEMON_ADVICE = "Check that `docker version` answers for you, then run this again."
# the classic builder: BuildKit is a plugin, and not every machine has it
CLASSIC_BUILDER = {"DOCKER_BUILDKIT": "0"}


def has_image(reference: str) -> bool:
    """Tell whether the daemon has an image. Raises StepFailed if no daemon answers."""
    found = _ask("image", "ls", "--quiet", reference, what="asking Docker")
    return bool(found.strip())


def build(context: Path, reference: str, *, base: str, log: Path) -> None:
    """Build an image from a context folder, with the host's network so that apt works inside."""
    # --force-rm: a failed build leaves no container behind, too
    options = ["--network=host", "--force-rm", f"--build-arg=BASE_IMAGE={base}"]
    run(
        ["docker", "build", *options, f"--tag={reference}", context],
        what=f"building {reference}",
        log=log,
        env=CLASSIC_BUILDER,
    )


def remove_image(reference: str) -> None:
    """Remove an image, and its parents that no other image needs."""
    _ask("image", "rm", "--force", reference, what=f"removing {reference}")


def settings(reference: str) -> dict[str, Any]:
    """Return an image's settings for containers (`Config`)."""
    found = _ask("image", "inspect", "--format={{json .Config}}", reference, what="asking Docker")
    config: dict[str, Any] = json.loads(found)
    return config


def layers(reference: str) -> tuple[str, ...]:
    """Return the digests of an image's layers, the lowest first."""
    found = _ask(
        "image", "inspect", "--format={{json .RootFS.Layers}}", reference, what="asking Docker"
    )
    return tuple(json.loads(found))


def export(reference: str, archive: Path) -> None:
    """Write an image's whole file system to a tar file."""
    # the command does not run, but docker refuses an image without one
    container = _ask("create", reference, "/", what=f"opening {reference}").strip()
    try:
        _ask("export", f"--output={archive}", container, what=f"reading {reference}")
    finally:
        _ask("rm", container, what=f"closing {reference}")


def load(archive: Path, reference: str) -> None:
    """Load an image from a `docker save` archive, which may be gzipped."""
    what = f"loading {archive.name}"
    _ask("load", "--input", str(archive), what=what)
    # Docker records the time of tagging, not of loading; the lab keeps images of the last day
    _ask("tag", reference, reference, what=what)


def save(reference: str, archive: Path) -> None:
    """Write an image to a gzipped archive in this Docker's own format."""
    with gzipped(archive, level=GZIP_LEVEL) as stream:
        code = subprocess.run(["docker", "save", reference], stdout=stream).returncode
    if code != 0:
        raise StepFailed(
            f"saving {reference}", why=f"docker save exited with {code}", advice=DAEMON_ADVICE
        )


def _ask(*arguments: str, what: str) -> str:
    return capture(["docker", *arguments], what=what, advice=DAEMON_ADVICE)

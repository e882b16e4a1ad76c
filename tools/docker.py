"""The few docker commands that building and keeping images takes."""

import subprocess
from pathlib import Path

from tools.commands import capture, run
from tools.progress import StepFailed

DAEMON_ADVICE = "Check that `docker version` answers for you, then run this again."
# the classic builder: BuildKit is a plugin that is not everywhere, and it keeps its own network
CLASSIC_BUILDER = {"DOCKER_BUILDKIT": "0"}


def has_image(reference: str) -> bool:
    """Tell whether the daemon has an image. Raises StepFailed if no daemon answers."""
    found = _ask("image", "ls", "--quiet", reference, what="asking Docker")
    return bool(found.strip())


def import_archive(archive: Path, reference: str, *, change: str) -> None:
    """Make an image of one layer from the tar file of a root file system."""
    _ask("import", "--change", change, str(archive), reference, what="importing the base")


def build(context: Path, reference: str, *, arguments: dict[str, str], log: Path) -> None:
    """Build an image from a context folder, with the host's network so that apt works inside."""
    build_arguments = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    # --force-rm: a failed build leaves no container behind either
    options = ["--network=host", "--force-rm", *build_arguments, f"--tag={reference}"]
    run(
        ["docker", "build", *options, context],
        what=f"building {reference}",
        log=log,
        env=CLASSIC_BUILDER,
    )


def load(archive: Path) -> None:
    """Load the images of a `docker save` archive, which may be gzipped."""
    _ask("load", "--input", str(archive), what=f"loading {archive.name}")


def save(reference: str, archive: Path) -> None:
    """Write an image to a gzipped archive. Level 1: three nodes on two cores unpack it at boot."""
    with archive.open("wb") as file:
        saving = subprocess.Popen(["docker", "save", reference], stdout=subprocess.PIPE)
        # -n: no time of writing in the header
        packing = subprocess.run(["gzip", "-1", "-n"], stdin=saving.stdout, stdout=file)
        if saving.stdout is not None:
            saving.stdout.close()
        if saving.wait() != 0 or packing.returncode != 0:
            raise StepFailed(
                f"saving {reference}",
                why=f"docker save exited with {saving.returncode}, gzip {packing.returncode}",
                advice=f"Check the space left for {archive.parent}. {DAEMON_ADVICE}",
            )


def _ask(*arguments: str, what: str) -> str:
    return capture(["docker", *arguments], what=what, advice=DAEMON_ADVICE)

"""The base of every image: a minimal Debian trixie, made from packages, never pulled.

It is kept as a file too, so that a Docker daemon with nothing in it needs no new one.
"""

from pathlib import Path

from tools import cache, docker
from tools.commands import run
from tools.content_key import key_of
from tools.progress import step

RELEASE = 1
"""Raise it to make a new base, with the distribution's newest packages."""
SUITE = "trixie"
PACKAGES = ("ca-certificates",)
# documentation and translations are a quarter of the files, and no container reads them
LEFT_OUT = ("doc", "man", "info", "locale", "lintian", "bug", "doc-base")
DPKG_OPTIONS = (
    *(f"path-exclude=/usr/share/{folder}/*" for folder in LEFT_OUT),
    "path-include=/usr/share/doc/*/copyright",
)
LANGUAGE = "ENV LANG=C.UTF-8"


def key() -> str:
    """Return the base's content key."""
    return key_of(str(RELEASE), SUITE, *PACKAGES, *DPKG_OPTIONS, LANGUAGE)


def reference() -> str:
    """Return the base's name in Docker."""
    return f"fleet/base:{key()}"


def ensure_base() -> str:
    """Return the reference of the base image, making or loading it if it is missing."""
    if not docker.has_image(reference()):
        archive = cache.ensure(
            cache.Entry(kind="base", name=SUITE, key=key(), suffix=".tar"), _bootstrap
        )
        docker.import_archive(archive, reference(), change=LANGUAGE)
    return reference()


def _bootstrap(archive: Path) -> None:
    with step(f"making the base image (Debian {SUITE})"):
        run(
            mmdebstrap_command(archive),
            what="making the base image",
            log=cache.new_log("base"),
            advice="Check that `apt-get update` works on this machine, then run this again.",
        )


def mmdebstrap_command(archive: Path) -> list[str]:
    """Return the mmdebstrap call; it takes the mirror from this machine's own apt sources."""
    options = [f"--dpkgopt={option}" for option in DPKG_OPTIONS]
    return [
        "mmdebstrap",
        "--variant=minbase",
        "--format=tar",  # told, because the .partial suffix of the cache tells it nothing
        f"--include={','.join(PACKAGES)}",
        *options,
        SUITE,
        str(archive),
    ]

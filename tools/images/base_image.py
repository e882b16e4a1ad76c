"""The base of every image: a minimal Debian, made from packages, never pulled.

It names no mirror: each build adds that of its machine, so the bytes are the same everywhere. It is
also kept as a file, which an empty Docker daemon loads.
"""

import tempfile
from pathlib import Path

from tools import cache
from tools.commands import run
from tools.content_key import key_of
from tools.debian import apt, pins
from tools.images import docker, file_tree, image_archive
from tools.paths import PROJECT
from tools.progress import StepFailed, step

FORMAT = "2"
"""Increase it when the same packages make another base."""
SCRIPT = PROJECT / "images" / "base" / "add-packages"
# documentation and translations are a quarter of the files, and no container reads them
LEFT_OUT = ("doc", "man", "info", "locale", "lintian", "bug", "doc-base")
DPKG_OPTIONS = (
    *(f"path-exclude=/usr/share/{folder}/*" for folder in LEFT_OUT),
    "path-include=/usr/share/doc/*/copyright",
)
SETTINGS = {"Env": ["LANG=C.UTF-8"]}


def key() -> str:
    """Return the base's content key."""
    return key_of(
        FORMAT,
        pins.current().key,
        *pins.BASE_PACKAGES,
        *DPKG_OPTIONS,
        repr(SETTINGS),
        SCRIPT.read_bytes(),
    )


def reference() -> str:
    """Return the base's name in Docker."""
    return f"fleet/base:{key()}"


def ensure_base() -> str:
    """Return the reference of the base image, making or loading it if it is missing."""
    archive = ensure_archive()
    if not docker.has_image(reference()):
        docker.load(archive, reference())
    return reference()


def ensure_archive() -> Path:
    """Return the base's image file, making it if it is missing."""
    entry = cache.Entry(kind="images", name="base", key=key(), suffix=".tar.gz")
    return cache.ensure(entry, _make)


def _make(archive: Path) -> None:
    lock = pins.current()
    with (
        step(f"making the base image (Debian {apt.SUITE})"),
        tempfile.TemporaryDirectory() as temporary,
    ):
        folder = Path(temporary)
        apt.write_preferences(folder, lock.preferences)
        root = folder / "root.tar"
        try:
            run(
                mmdebstrap_command(root, folder, apt.signed_sources()),
                what="making the base image",
                log=cache.new_log("base"),
                advice=apt.ADVICE,
                env={"SOURCE_DATE_EPOCH": str(lock.epoch)},
            )
            tree = file_tree.read([root], latest=lock.epoch)
            pins.check(file_tree.text(tree, pins.DPKG_STATUS), what="the base image")
        except StepFailed as failure:
            pins.reconsider(failure)
        _write(archive, folder, tree, lock)


def _write(archive: Path, folder: Path, tree: file_tree.Tree, lock: pins.Lock) -> None:
    ours = {"usr/local/sbin/add-packages": (0o755, SCRIPT.read_bytes())}
    layer = folder / "layer.tar"
    file_tree.write_layer(layer, file_tree.with_files(tree, ours, folder, mtime=lock.epoch), {})
    image_archive.write(archive, reference(), settings=SETTINGS, layers=[layer], created=lock.epoch)


def mmdebstrap_command(archive: Path, preferences: Path, sources: str) -> list[str]:
    """Return the mmdebstrap call, with the locked versions."""
    return apt.bootstrap_command(
        archive,
        pins.BASE_PACKAGES,
        preferences=preferences,
        sources=sources,
        options=["--format=tar", *(f"--dpkgopt={option}" for option in DPKG_OPTIONS)],
    )

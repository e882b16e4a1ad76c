"""Builds one image: what Docker has is used, what the cache has is loaded, the rest is built."""

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tools import cache, docker
from tools.base_image import ensure_base
from tools.content_key import files_below
from tools.images import IMAGES, Image
from tools.paths import PROJECT
from tools.programs import ensure_program
from tools.progress import step


def ensure_image(name: str) -> str:
    """Return an image's reference (`fleet/NAME:KEY`), once Docker has it."""
    image = IMAGES[name]
    if not docker.has_image(image.reference):
        archive = _archive_entry(image).path
        if archive.exists():
            with step(f"loading image {name}"):
                docker.load(archive)
        else:
            _build(image)
    if image.archived:
        ensure_archive(name)
    return image.reference


def ensure_archive(name: str) -> Path:
    """Return an image's `docker save` file, writing it if it is missing.

    The file of a key is written once: its checksum is part of what is deployed.
    """
    image = IMAGES[name]

    def save(path: Path) -> None:
        if not docker.has_image(image.reference):
            _build(image)
        with step(f"packing image {name}"):
            docker.save(image.reference, path)

    return cache.ensure(_archive_entry(image), save)


def _archive_entry(image: Image) -> cache.Entry:
    return cache.Entry(kind="images", name=image.name, key=image.key, suffix=".tar.gz")


def _build(image: Image) -> None:
    parent = ensure_image(image.parent) if image.parent else ensure_base()
    binaries = {binary: ensure_program(name) / binary for binary, name in image.programs.items()}
    packages = image.packages.ensure() if image.packages else None
    with step(f"building image {image.name}"), tempfile.TemporaryDirectory() as temporary:
        context = Path(temporary)
        _copy_files(files_below(image.folder), image.folder, context)
        _copy_files(image.source_files(), PROJECT, context)
        for binary, source in binaries.items():
            _copy(source, context / "bin" / binary)
        if image.packages and packages:
            _copy_packages(packages, context / image.packages.target)
        docker.build(
            context,
            image.reference,
            arguments={"BASE_IMAGE": parent},
            log=cache.new_log(f"image-{image.name}"),
        )


def _copy_files(files: Iterable[Path], root: Path, context: Path) -> None:
    for file in files:
        _copy(file, context / file.relative_to(root))


def _copy(source: Path, target: Path) -> None:
    """Copy a file with one of two modes, so that the umask of a clone changes no image."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)


def _copy_packages(packages: Path, target: Path) -> None:
    if packages.is_dir():
        shutil.copytree(packages, target)
    else:
        shutil.copyfile(packages, target)

"""Builds an image, unless Docker has it or the cache has its file."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools import cache
from tools.content_key import files_below
from tools.debian import apt, pins
from tools.images import base_image, docker, file_tree, image_archive
from tools.images.catalogue import IMAGES, Image
from tools.paths import PROJECT
from tools.programs import ensure_program
from tools.progress import StepFailed, step


def ensure_image(name: str) -> str:
    """Return an image's reference (`fleet/NAME:KEY`), once Docker has it."""
    image = IMAGES[name]
    if image.for_nodes:
        ensure_archive(name)
    if not docker.has_image(image.reference):
        archive = _archive_entry(image).path
        if archive.exists():
            with step(f"loading image {name}"):
                docker.load(archive, image.reference)
        else:
            _build(image)
    if image.archived:
        ensure_archive(name)
    return image.reference


def ensure_archive(name: str) -> Path:
    """Return an image's file, writing it if it is missing."""
    image = IMAGES[name]

    def save(path: Path) -> None:
        if image.for_nodes:
            _build_for_nodes(image, path)
            return
        if not docker.has_image(image.reference):
            _build(image)
        with step(f"packing image {name}"):
            docker.save(image.reference, path)

    return cache.ensure(_archive_entry(image), save)


def _archive_entry(image: Image) -> cache.Entry:
    return cache.Entry(kind="images", name=image.name, key=image.key, suffix=".tar.gz")


def _build(image: Image) -> None:
    """Build an image of the lab's own, with the newest packages."""
    with tempfile.TemporaryDirectory() as temporary, _with_mirror(image, pinned=False) as base:
        _docker_build(image, Path(temporary), image.reference, base=base)


def _build_for_nodes(image: Image, archive: Path) -> None:
    """Write an image file whose bytes depend on nothing but the image's key."""
    built = _temporary_name(image, "built")
    with tempfile.TemporaryDirectory() as temporary, _with_mirror(image, pinned=True) as base:
        folder = Path(temporary)
        try:
            _docker_build(image, folder / "context", built, base=base)
            with step(f"packing image {image.name}"):
                _pack(image, built, folder, archive)
        except StepFailed as failure:
            if not apt.added_packages(image.dockerfile):
                raise
            pins.reconsider(failure)
        finally:
            _remove(built)


@contextmanager
def _with_mirror(image: Image, *, pinned: bool) -> Iterator[str]:
    """Yield the parent; for apt, an image like it with this machine's mirror and, if `pinned`, the
    locked versions. Neither is packed."""
    parent = ensure_image(image.parent) if image.parent else base_image.ensure_base()
    if not image.installs_packages:
        yield parent
        return
    reference = _temporary_name(image, "mirror")
    with tempfile.TemporaryDirectory() as temporary:
        context = Path(temporary)
        apt.write_preferences(context, pins.current().preferences if pinned else "")
        (context / "sources.list").write_text(apt.sources())
        (context / "Dockerfile").write_text(
            f"FROM {parent}\n"
            "COPY pins /etc/apt/preferences.d/pins\n"
            "COPY sources.list /etc/apt/sources.list\n"
        )
        try:
            docker.build(context, reference, base=parent, log=cache.new_log("image-mirror"))
            yield reference
        finally:
            _remove(reference)


def _temporary_name(image: Image, purpose: str) -> str:
    """A reference for one process: another clone may build the same image."""
    return f"{image.reference}-{os.getpid()}-{purpose}"


def _remove(reference: str) -> None:
    if docker.has_image(reference):
        docker.remove_image(reference)


def _pack(image: Image, built: str, folder: Path, archive: Path) -> None:
    lock = pins.current()
    root = folder / "root.tar"
    docker.export(built, root)
    tree = file_tree.read([root], latest=lock.epoch)
    pins.check(file_tree.text(tree, pins.DPKG_STATUS), what=f"image {image.name}")
    below = image_archive.unpack(_parent_archive(image), folder / "parent")
    if docker.layers(built)[: len(below.layers)] != below.digests:
        below = image_archive.Unpacked(layers=(), digests=())  # it has no parent's layers
    layer = folder / "layer.tar"
    file_tree.write_layer(layer, tree, file_tree.read(below.layers, latest=lock.epoch))
    image_archive.write(
        archive,
        image.reference,
        settings=docker.settings(built),
        layers=[*below.layers, layer],
        created=lock.epoch,
    )


def _parent_archive(image: Image) -> Path:
    return ensure_archive(image.parent) if image.parent else base_image.ensure_archive()


def _docker_build(image: Image, context: Path, reference: str, *, base: str) -> None:
    binaries = {binary: ensure_program(name) / binary for binary, name in image.programs.items()}
    packages = image.packages.ensure() if image.packages else None
    with step(f"building image {image.name}"):
        _copy_files(files_below(image.folder), image.folder, context)
        _copy_files(image.code_files(), PROJECT, context / "code")
        for binary, source in binaries.items():
            _copy(source, context / "bin" / binary)
        if image.packages and packages:
            _copy_packages(packages, context / image.packages.target)
        _set_folder_modes(context)
        docker.build(context, reference, base=base, log=cache.new_log(f"image-{image.name}"))


def _copy_files(files: Iterable[Path], root: Path, context: Path) -> None:
    for file in files:
        _copy(file, context / file.relative_to(root))


def _copy(source: Path, target: Path) -> None:
    """Copy a file with one of two modes: a clone's umask must not change an image."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)


def _copy_packages(packages: Path, target: Path) -> None:
    if packages.is_dir():
        shutil.copytree(packages, target)
    else:
        shutil.copyfile(packages, target)


def _set_folder_modes(context: Path) -> None:
    """Nor must the umask of the build."""
    for path in context.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)

"""The artefacts that nodes fetch, and the manifest through which the program finds them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.artefacts.bundle import ensure_bundle
from tools.content_key import sha256_of
from tools.images.catalogue import IMAGES, PLATFORM_IMAGES
from tools.images.image_build import ensure_archive
from tools.paths import PROJECT

MANIFEST = PROJECT / ".artefacts" / "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """A file that nodes fetch. They check its sha256 before they use it."""

    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ImageArtefact(Artefact):
    """A `docker save` file, and the image's reference after loading it."""

    reference: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything that a deployment uploads for its nodes."""

    bundle: Artefact
    images: Mapping[str, ImageArtefact]


def ensure_artefacts() -> Manifest:
    """Build what is missing; write the manifest and return it."""
    bundle = ensure_bundle()
    images = {}
    for name in PLATFORM_IMAGES:
        archive = ensure_archive(name)
        images[name] = ImageArtefact(
            path=str(archive), sha256=sha256_of(archive), reference=IMAGES[name].reference
        )
    manifest = Manifest(bundle=Artefact(path=str(bundle), sha256=sha256_of(bundle)), images=images)
    _write(manifest, MANIFEST)
    return manifest


def _write(manifest: Manifest, path: Path) -> None:
    """Replace the manifest in one step: the program may be reading it."""
    path.parent.mkdir(exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(manifest), indent=2) + "\n")
    partial.rename(path)

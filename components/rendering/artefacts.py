"""The files that nodes fetch: the node bundle and the platform images, built by `make artefacts`.

This module only reads the build's manifest. A blob's name contains the content's hash, so a new
file never replaces one that nodes may be fetching.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi

MANIFEST = Path(".artefacts/manifest.json")


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """A file on this machine, and the name of its blob."""

    name: str
    path: str
    sha256: str

    @property
    def blob_name(self) -> str:
        """`bundle-<12 digits>.tar.gz`. Nodes build an image's blob name in the same way."""
        return f"{self.name}-{self.sha256[:12]}.tar.gz"


@dataclass(frozen=True, kw_only=True)
class Artefacts:
    """The node bundle, and the platform images by name."""

    bundle: Artefact
    images: Mapping[str, Artefact]

    def all(self) -> tuple[Artefact, ...]:
        """Everything to upload."""
        return (self.bundle, *self.images.values())

    def image_hashes(self) -> dict[str, str]:
        """The sha256 of each platform image's file, by name."""
        return {name: image.sha256 for name, image in self.images.items()}


def read(manifest: Path = MANIFEST) -> Artefacts:
    """The artefacts of the last build. RunError if there was none, or its files are gone."""
    if not manifest.exists():
        raise pulumi.RunError(f"{manifest} is missing: run `make artefacts` first")
    content = json.loads(manifest.read_text())
    found = Artefacts(
        bundle=_artefact("bundle", content["bundle"]),
        images={
            name: _artefact(f"image-{name}", image)
            for name, image in sorted(content["images"].items())
        },
    )
    missing = [one.path for one in found.all() if not Path(one.path).exists()]
    if missing:
        raise pulumi.RunError(
            f"{', '.join(missing)} of {manifest} are gone: run `make artefacts` again"
        )
    return found


def _artefact(name: str, entry: Mapping[str, str]) -> Artefact:
    return Artefact(name=name, path=entry["path"], sha256=entry["sha256"])

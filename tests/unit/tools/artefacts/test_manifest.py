"""The manifest names every file that nodes fetch, with the sha256 they check."""

import hashlib
import json
from pathlib import Path

import pytest

from tools.artefacts import manifest
from tools.images.catalogue import PLATFORM_IMAGES


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files as a build would leave them; the manifest goes beside them."""
    for name in ("bundle", *PLATFORM_IMAGES):
        (tmp_path / f"{name}.tar.gz").write_text(name)
    monkeypatch.setattr(manifest, "ensure_bundle", lambda: tmp_path / "bundle.tar.gz")
    monkeypatch.setattr(manifest, "ensure_archive", lambda name: tmp_path / f"{name}.tar.gz")
    monkeypatch.setattr(manifest, "MANIFEST", tmp_path / ".artefacts" / "manifest.json")
    return tmp_path


def test_the_manifest_has_path_checksum_and_reference(built: Path) -> None:
    manifest.ensure_artefacts()

    written = json.loads((built / ".artefacts" / "manifest.json").read_text())
    assert set(written["images"]) == {"cluster", "registry", "router"}
    assert written["bundle"] == {
        "path": str(built / "bundle.tar.gz"),
        "sha256": hashlib.sha256(b"bundle").hexdigest(),
    }
    router = written["images"]["router"]
    assert router["sha256"] == hashlib.sha256(b"router").hexdigest()
    assert router["reference"].startswith("fleet/router:")


def test_writing_the_manifest_leaves_nothing_else(built: Path) -> None:
    manifest.ensure_artefacts()
    manifest.ensure_artefacts()

    assert [path.name for path in (built / ".artefacts").iterdir()] == ["manifest.json"]

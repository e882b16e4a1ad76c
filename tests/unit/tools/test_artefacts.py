"""The manifest names every file that nodes fetch, with the sha256 they check."""

import hashlib
import json
from pathlib import Path

import pytest

from tools import artefacts
from tools.images import PLATFORM_IMAGES


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files as a build would leave them; the manifest goes beside them."""
    for name in ("bundle", *PLATFORM_IMAGES):
        (tmp_path / f"{name}.tar.gz").write_text(name)
    monkeypatch.setattr(artefacts, "ensure_bundle", lambda: tmp_path / "bundle.tar.gz")
    monkeypatch.setattr(artefacts, "ensure_archive", lambda name: tmp_path / f"{name}.tar.gz")
    monkeypatch.setattr(artefacts, "MANIFEST", tmp_path / ".artefacts" / "manifest.json")
    return tmp_path


def test_the_manifest_has_path_checksum_and_reference(built: Path) -> None:
    artefacts.ensure_artefacts()

    manifest = json.loads((built / ".artefacts" / "manifest.json").read_text())
    assert set(manifest["images"]) == {"cluster", "registry", "router"}
    assert manifest["bundle"] == {
        "path": str(built / "bundle.tar.gz"),
        "sha256": hashlib.sha256(b"bundle").hexdigest(),
    }
    router = manifest["images"]["router"]
    assert router["sha256"] == hashlib.sha256(b"router").hexdigest()
    assert router["reference"].startswith("fleet/router:")


def test_writing_the_manifest_leaves_nothing_else(built: Path) -> None:
    artefacts.ensure_artefacts()
    artefacts.ensure_artefacts()

    assert [path.name for path in (built / ".artefacts").iterdir()] == ["manifest.json"]

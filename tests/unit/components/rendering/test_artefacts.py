"""The manifest that `make artefacts` writes, as the program reads it."""

import json
from pathlib import Path

import pulumi
import pytest

from components.rendering.artefacts import read


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    file = tmp_path / "file.tar.gz"
    file.write_bytes(b"")
    path = tmp_path / "manifest.json"
    path.write_text(
        json.dumps(
            {
                "bundle": {"path": str(file), "sha256": "b" * 64},
                "images": {"cluster": {"path": str(file), "sha256": "c" * 64, "reference": "x:1"}},
            }
        )
    )
    return path


def test_a_blobs_name_holds_the_hash_of_its_content(manifest: Path) -> None:
    found = read(manifest)

    assert found.bundle.blob_name == "bundle-bbbbbbbbbbbb.tar.gz"
    assert found.images["cluster"].blob_name == "image-cluster-cccccccccccc.tar.gz"


def test_without_a_build_the_user_is_told_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(pulumi.RunError, match="run `make artefacts` first"):
        read(tmp_path / "nothing.json")


def test_files_that_were_cleaned_away_are_named(manifest: Path) -> None:
    (manifest.parent / "file.tar.gz").unlink()

    with pytest.raises(pulumi.RunError, match=r"file\.tar\.gz.* run `make artefacts` again"):
        read(manifest)

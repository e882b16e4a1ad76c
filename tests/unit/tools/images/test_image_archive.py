"""An image file's bytes depend on its layers and settings only, whatever Docker built them."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tools.images import image_archive

CREATED = 1_700_000_000


@pytest.fixture
def layers(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "lower", tmp_path / "upper"]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


def written(path: Path, layers: list[Path], **settings: Any) -> Path:
    image_archive.write(path, "fleet/app:key", settings=settings, layers=layers, created=CREATED)
    return path


def test_settings_that_a_builder_adds_change_nothing(layers: list[Path], tmp_path: Path) -> None:
    classic = written(
        tmp_path / "classic",
        layers,
        Env=["LANG=C", image_archive.USUAL_PATH],
        Cmd=["app"],
        Hostname="3f2a",
        Image="sha256:3f2a",
        WorkingDir="",
        Labels=None,
    )
    buildkit = written(
        tmp_path / "buildkit",
        layers,
        Env=[image_archive.USUAL_PATH, "LANG=C"],
        Cmd=["app"],
        WorkingDir="/",
    )

    assert classic.read_bytes() == buildkit.read_bytes()


def test_archives_contain_no_time_or_machine_name(layers: list[Path], tmp_path: Path) -> None:
    archive = written(tmp_path / "image", layers, Cmd=["app"])

    with tarfile.open(archive) as tar:
        assert {member.mtime for member in tar} == {0}
    header = archive.read_bytes()[:10]
    assert header[3:8] == b"\0\0\0\0\0"  # neither name nor time


def test_docker_finds_reference_settings_and_layers(layers: list[Path], tmp_path: Path) -> None:
    archive = written(tmp_path / "image", layers, Cmd=["app"], User="nobody")

    with tarfile.open(archive) as tar:
        (entry,) = json.load(tar.extractfile("manifest.json") or pytest.fail("no manifest"))
        config = json.load(tar.extractfile(entry["Config"]) or pytest.fail("no config"))
    assert entry["RepoTags"] == ["fleet/app:key"]
    assert config["config"]["User"] == "nobody"
    assert config["created"] == "2023-11-14T22:13:20Z"
    assert len(config["rootfs"]["diff_ids"]) == len(config["history"]) == len(entry["Layers"])


def test_unpacking_returns_the_layers(layers: list[Path], tmp_path: Path) -> None:
    archive = written(tmp_path / "image", layers, Cmd=["app"])

    unpacked = image_archive.unpack(archive, tmp_path / "unpacked")

    assert [layer.read_bytes() for layer in unpacked.layers] == [b"lower", b"upper"]
    assert all(digest.startswith("sha256:") for digest in unpacked.digests)


def test_a_users_options_for_gzip_change_nothing(
    layers: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = written(tmp_path / "plain", layers)
    monkeypatch.setenv("GZIP", "-9")

    assert written(tmp_path / "other", layers).read_bytes() == plain.read_bytes()

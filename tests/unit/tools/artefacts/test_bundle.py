"""The bundle's bytes depend on its files only: else every build would renew all nodes."""

import os
import tarfile
from pathlib import Path

import pytest

from tools.artefacts.bundle import pack


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    etcd, script = tmp_path / "etcd", tmp_path / "script"
    etcd.write_bytes(b"\x7fELF")
    script.write_text("#!/bin/bash\n")
    script.chmod(0o600)
    return {"node-env": script, "etcd": etcd}


def test_the_same_files_make_the_same_archive_at_any_time(
    files: dict[str, Path], tmp_path: Path
) -> None:
    pack(files, tmp_path / "first.tar.gz")
    for path in files.values():
        os.utime(path, (1, 1))
        path.chmod(0o700)

    pack(dict(sorted(files.items())), tmp_path / "second.tar.gz")

    assert (tmp_path / "first.tar.gz").read_bytes() == (tmp_path / "second.tar.gz").read_bytes()


def test_all_members_are_executables_of_root_in_bin(files: dict[str, Path], tmp_path: Path) -> None:
    pack(files, tmp_path / "bundle.tar.gz")

    with tarfile.open(tmp_path / "bundle.tar.gz") as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == ["bin/etcd", "bin/node-env"]
    assert {(member.mode, member.uid, member.gid) for member in members} == {(0o755, 0, 0)}

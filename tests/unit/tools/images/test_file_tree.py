"""An image's layer depends on what the image holds, not on when, where and how it was built."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.images import file_tree

LATEST = 1_700_000_000

Export = Callable[..., Path]


@pytest.fixture
def exported(tmp_path: Path) -> Export:
    """Write files (content by path) as `docker export` does; None makes a folder."""

    def write(
        name: str, files: dict[str, bytes | None], *, time: float = LATEST - 10, owner: str = "root"
    ) -> Path:
        archive = tmp_path / name
        with tarfile.open(archive, "w") as tar:
            for path, data in files.items():
                member = tarfile.TarInfo(path)
                member.mtime, member.uname = time, owner
                member.mode = 0o644 if data is not None else 0o755
                member.type = tarfile.REGTYPE if data is not None else tarfile.DIRTYPE
                member.size = len(data or b"")
                tar.addfile(member, io.BytesIO(data or b""))
        return archive

    return write


def layer_of(archive: Path, *below: Path) -> Path:
    layer = archive.with_suffix(".layer")
    file_tree.write_layer(
        layer, file_tree.read([archive], latest=LATEST), file_tree.read(below, latest=LATEST)
    )
    return layer


def members(layer: Path) -> list[str]:
    with tarfile.open(layer) as tar:
        return tar.getnames()


def test_order_owners_and_times_do_not_change_a_layer(exported: Export) -> None:
    files = {"etc": None, "etc/b": b"2", "etc/a": b"1"}
    first = exported("first", files, time=LATEST + 100.5)
    second = exported("second", dict(reversed(files.items())), time=LATEST + 9000, owner="me")

    assert layer_of(first).read_bytes() == layer_of(second).read_bytes()


def test_times_of_packages_stay(exported: Export) -> None:
    layer = layer_of(exported("image", {"module.py": b"x = 1"}, time=12345))

    with tarfile.open(layer) as tar:
        assert tar.getmember("module.py").mtime == 12345


@pytest.mark.parametrize(
    "noise",
    [
        ".dockerenv",
        "dev/console",
        "etc/hostname",
        "etc/hosts",
        "etc/resolv.conf",
        "etc/passwd-",
        "etc/apt/preferences.d/pins",
        "etc/apt/sources.list",
        "run/adduser",
        "tmp/left",
        "var/cache/apt/archives/lock",
        "var/cache/debconf/config.dat-old",
        "var/cache/ldconfig/aux-cache",
        "var/lib/apt/lists/mirror_InRelease",
        "var/lib/dpkg/status-old",
        "var/log/dpkg.log",
    ],
)
def test_files_that_differ_between_builds_are_left_out(exported: Export, noise: str) -> None:
    clean = exported("clean", {"etc/passwd": b"root"})
    noisy = exported("noisy", {"etc/passwd": b"root", noise: b"of this build"})

    assert layer_of(noisy).read_bytes() == layer_of(clean).read_bytes()


def test_folders_for_logs_stay(exported: Export) -> None:
    layer = layer_of(exported("image", {"var/log/nginx": None, "var/log/nginx/error.log": b"x"}))

    assert members(layer) == ["var/log/nginx"]


def test_a_layer_holds_only_what_differs_and_the_folders_around_it(exported: Export) -> None:
    below = exported("below", {"bin": None, "bin/sh": b"sh", "srv": None, "srv/old": b"1"})
    image = exported("image", {"bin": None, "bin/sh": b"sh", "srv": None, "srv/new": b"2"})

    layer = layer_of(image, below)

    assert members(layer) == ["srv", "srv/new", "srv/.wh.old"]


def test_a_different_time_is_no_difference(exported: Export) -> None:
    below = exported("below", {"bin/sh": b"sh"}, time=1)
    image = exported("image", {"bin/sh": b"sh"}, time=2)

    assert members(layer_of(image, below)) == []


def test_a_removed_folder_is_hidden_as_a_whole(exported: Export) -> None:
    below = exported("below", {"srv": None, "srv/old": None, "srv/old/file": b"1"})
    image = exported("image", {"srv": None})

    assert members(layer_of(image, below)) == ["srv", "srv/.wh.old"]


def test_layers_make_the_tree_again(exported: Export) -> None:
    below = exported("below", {"srv": None, "srv/old": None, "srv/old/file": b"1", "top": b"1"})
    image = exported("image", {"srv": None, "srv/new": b"2"})

    layers = [layer_of(below), layer_of(image, below)]

    tree = file_tree.read(layers, latest=LATEST)
    assert set(tree) == {"srv", "srv/new"}
    assert file_tree.content(tree["srv/new"]) == b"2"


def test_a_hard_link_is_a_file_like_its_copy(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "perl").write_bytes(b"perl")
    os.link(root / "perl", root / "perl5")
    with tarfile.open(tmp_path / "linked", "w") as tar:
        tar.add(root, "")
    (root / "perl5").unlink()
    (root / "perl5").write_bytes(b"perl")
    with tarfile.open(tmp_path / "copied", "w") as tar:
        tar.add(root, "")

    linked, copied = layer_of(tmp_path / "linked"), layer_of(tmp_path / "copied")

    assert linked.read_bytes() == copied.read_bytes()


def test_capabilities_of_a_file_stay(tmp_path: Path) -> None:
    capability = "\x01\udc80\x00"  # bytes that are no text
    with tarfile.open(tmp_path / "image", "w") as tar:
        member = tarfile.TarInfo("ping")
        member.pax_headers = {"SCHILY.xattr.security.capability": capability, "comment": "mine"}
        tar.addfile(member)

    layer = layer_of(tmp_path / "image")

    with tarfile.open(layer) as tar:
        kept = tar.getmember("ping").pax_headers
    assert kept["SCHILY.xattr.security.capability"] == capability
    assert "comment" not in kept

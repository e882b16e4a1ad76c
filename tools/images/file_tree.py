"""An image's file system, read from tar files, without what differs between builds.

An image's layer is the difference between its tree and its parent's. So it depends only on the two
trees, not on Docker's version, its storage driver, or the steps of the Dockerfile.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO

Tree = Mapping[str, "Entry"]
"""Entries by path, without a slash before or after it."""

WHITEOUT = ".wh."
"""The prefix of a file that hides one of a lower layer (OCI image specification)."""
KEPT_ATTRIBUTES = "SCHILY.xattr."
EMPTIED = ("dev", "proc", "sys", "tmp")
"""Folders whose content every container makes again."""
WITHOUT_FILES = ("run/", "var/log/")
"""Folders in which only subfolders stay: programs expect theirs."""
LEFT_OUT = (
    # Docker makes these in every container
    ".dockerenv",
    "etc/hostname",
    "etc/hosts",
    "etc/mtab",
    "etc/resolv.conf",
    # for the build only
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/apt/preferences.d/pins",
    "etc/apt/sources.list",
    "etc/apt/sources.list.d/*",
    "var/cache/apt/*",
    "var/lib/apt/lists/*",
    # inode numbers and times of the build's machine
    "var/cache/ldconfig/aux-cache",
    # backups of files
    "etc/.pwd.lock",
    "etc/group-",
    "etc/gshadow-",
    "etc/passwd-",
    "etc/shadow-",
    "etc/subgid-",
    "etc/subuid-",
    "var/cache/debconf/*-old",
    "var/lib/dpkg/*-old",
)


@dataclass(frozen=True, kw_only=True)
class Content:
    """The bytes of a file, within a tar file."""

    archive: Path
    offset: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file, folder or link. Each hard link is a separate file: which names share one depends on
    the storage driver."""

    kind: bytes
    """One of tarfile's types."""
    mode: int
    uid: int
    gid: int
    mtime: int
    target: str = ""
    """The target of a symbolic link."""
    attributes: tuple[tuple[str, str], ...] = ()
    digest: str = ""
    """The content's sha256."""
    content: Content | None = None

    def is_as(self, other: "Entry | None") -> bool:
        """Tell whether both are the same, apart from the time of their last change."""
        if other is None:
            return False
        return replace(self, mtime=0, content=None) == replace(other, mtime=0, content=None)


def read(archives: Iterable[Path], *, latest: int) -> Tree:
    """Return the tree of these layers, the lowest first. No time in it is after `latest`."""
    tree: dict[str, Entry] = {}
    for archive in archives:
        with tarfile.open(archive, "r:") as tar, archive.open("rb") as file:
            for member in tar:
                path = _path(member.name)
                folder, name = path.rpartition("/")[::2]
                if name.startswith(WHITEOUT):
                    _forget(tree, f"{folder}/{name.removeprefix(WHITEOUT)}".lstrip("/"))
                elif member.islnk():
                    tree[path] = tree[_path(member.linkname)]
                else:
                    tree[path] = _entry(member, archive, file, latest)
    return {path: entry for path, entry in tree.items() if path and not _is_left_out(path, entry)}


def content(entry: Entry) -> bytes:
    """Return the bytes of a file."""
    if entry.content is None:
        return b""
    with entry.content.archive.open("rb") as file:
        file.seek(entry.content.offset)
        return file.read(entry.content.size)


def text(tree: Tree, path: str) -> str | None:
    """Return the text of a file; None if there is none."""
    return content(tree[path]).decode() if path in tree else None


def with_files(
    tree: Tree, files: Mapping[str, tuple[int, bytes]], folder: Path, *, mtime: int
) -> Tree:
    """Return the tree with more files of root, given as mode and content, written to `folder`."""
    added = {}
    for number, (path, (mode, data)) in enumerate(files.items()):
        file = folder / f"file-{number}"
        file.write_bytes(data)
        added[path] = Entry(
            kind=tarfile.REGTYPE,
            mode=mode,
            uid=0,
            gid=0,
            mtime=mtime,
            digest=hashlib.sha256(data).hexdigest(),
            content=Content(archive=file, offset=0, size=len(data)),
        )
    return {**tree, **added}


def write_layer(layer: Path, tree: Tree, below: Tree) -> None:
    """Write the tar file that turns `below` into `tree`."""
    changed = {path for path, entry in tree.items() if not entry.is_as(below.get(path))}
    gone = {path for path in below if path not in tree and _is_folder(tree, _folder(path))}
    # a folder without an entry would get Docker's default mode
    around = {parent for path in changed | gone for parent in _parents(path)}
    with tarfile.open(layer, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(changed | gone | (around & tree.keys())):
            if path in gone:
                folder, name = path.rpartition("/")[::2]
                tar.addfile(tarfile.TarInfo(f"{folder}/{WHITEOUT}{name}".lstrip("/")))
            else:
                entry = tree[path]
                tar.addfile(_member(path, entry), io.BytesIO(content(entry)))


def _member(path: str, entry: Entry) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.type = entry.kind
    member.mode = entry.mode
    member.uid, member.gid = entry.uid, entry.gid
    member.mtime = entry.mtime
    member.linkname = entry.target
    member.size = entry.content.size if entry.content else 0
    member.pax_headers = dict(entry.attributes)
    return member


def _entry(member: tarfile.TarInfo, archive: Path, file: IO[bytes], latest: int) -> Entry:
    place, digest = None, ""
    if member.isreg():
        place = Content(archive=archive, offset=member.offset_data, size=member.size)
        file.seek(member.offset_data)
        digest = hashlib.sha256(file.read(member.size)).hexdigest()
    attributes = [
        (name, value)
        for name, value in member.pax_headers.items()
        if name.startswith(KEPT_ATTRIBUTES)
    ]
    return Entry(
        kind=tarfile.REGTYPE if member.isreg() else member.type,
        mode=member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        mtime=min(int(member.mtime), latest),
        target=member.linkname,
        attributes=tuple(sorted(attributes)),
        digest=digest,
        content=place,
    )


def _is_left_out(path: str, entry: Entry) -> bool:
    top = path.partition("/")[0]
    if top != path and top in EMPTIED:
        return True
    if entry.kind != tarfile.DIRTYPE and path.startswith(WITHOUT_FILES):
        return True
    return any(fnmatchcase(path, pattern) for pattern in LEFT_OUT)


def _forget(tree: dict[str, Entry], path: str) -> None:
    for one in [one for one in tree if one == path or one.startswith(f"{path}/")]:
        del tree[one]


def _is_folder(tree: Tree, path: str) -> bool:
    return not path or (path in tree and tree[path].kind == tarfile.DIRTYPE)


def _path(name: str) -> str:
    return PurePosixPath("/", name).as_posix()[1:]


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _parents(path: str) -> Iterator[str]:
    while path := _folder(path):
        yield path

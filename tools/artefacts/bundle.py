"""The node bundle: the binaries and scripts that every node unpacks under /opt at boot."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tools import cache
from tools.compression import gzipped
from tools.content_key import key_of
from tools.paths import PROJECT
from tools.programs import PROGRAMS, ensure_program
from tools.progress import step

BUNDLED_PROGRAMS = ("etcd", "fleet")
SCRIPTS = PROJECT / "cloud-config" / "bin"
FORMAT = 2
"""Increase it when the layout of the archive changes."""


def ensure_bundle() -> Path:
    """Return the bundle of the current programs and scripts, writing it if it is missing."""
    program_keys = [PROGRAMS[name].key for name in BUNDLED_PROGRAMS]
    scripts = {path.name: path for path in sorted(SCRIPTS.glob("*")) if path.is_file()}
    script_parts = [part for name, path in scripts.items() for part in (name, path.read_bytes())]
    key = key_of(str(FORMAT), *program_keys, *script_parts)

    def make(archive: Path) -> None:
        binaries = {
            binary: ensure_program(name) / binary
            for name in BUNDLED_PROGRAMS
            for binary in PROGRAMS[name].binaries
        }
        with step("packing the node bundle"):
            pack({**binaries, **scripts}, archive)

    return cache.ensure(cache.Entry(kind="bundles", name="node", key=key, suffix=".tar.gz"), make)


def pack(files: Mapping[str, Path], archive: Path) -> None:
    """Write `files` as bin/NAME into a tar.gz whose bytes depend only on them."""
    with (
        gzipped(archive, level=6) as stream,
        tarfile.open(fileobj=stream, mode="w|", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, path in sorted(files.items()):
            content = path.read_bytes()
            member = tarfile.TarInfo(f"bin/{name}")  # owner root, time 0
            member.mode = 0o755
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

"""Packages from language registries, installed on the host into an image's build context.

A build has only apt: no pip, no npm, and none of the user's settings for them.
"""

import shutil
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tools import cache
from tools.commands import run
from tools.content_key import key_of
from tools.progress import step

LOCK_FILES = ("package.json", "package-lock.json")
NEVER_LOADED_FILES = ("*.map", "*.ts", "*.mts", "*.cts", "*.md")
NEVER_LOADED_FOLDERS = ("build/esm", "build/esnext", "dist/esm", "dist/browser")
IMAGE_PYTHON = "3.13"
"""The Python of the base, not the Python that runs this."""


@dataclass(frozen=True, kw_only=True)
class PythonPackages:
    """Pinned wheels, unpacked into the context's python/."""

    requirements: Path
    """Every package with its exact version, including indirect ones."""
    target: str = "python"

    @property
    def key(self) -> str:
        return key_of(self.requirements.read_bytes(), IMAGE_PYTHON)

    def ensure(self) -> Path:
        """Return the folder with the packages, installing them if they are missing."""
        entry = cache.Entry(kind="packages", name="python", key=self.key)
        return cache.ensure(entry, self._install)

    def _install(self, folder: Path) -> None:
        with step("fetching the lab's Python packages"):
            run(
                self.command(folder),
                what="fetching Python packages",
                log=cache.new_log("python-packages"),
            )

    def command(self, folder: Path) -> list[str]:
        """Return the pip call. Only wheels: a source package would be built for this machine."""
        return [
            *(sys.executable, "-m", "pip", "install", "--no-deps", "--no-compile"),
            *("--only-binary=:all:", f"--python-version={IMAGE_PYTHON}", "--implementation=cp"),
            *("--platform=manylinux2014_x86_64", "--platform=manylinux_2_28_x86_64"),
            *("--platform=manylinux_2_34_x86_64", "--platform=any"),
            *(f"--target={folder}", f"--requirement={self.requirements}"),
        ]


@dataclass(frozen=True, kw_only=True)
class NodePackages:
    """The packages of a package-lock.json, as the context's node_modules.tar.

    One file, because Docker takes minutes to copy tens of thousands.
    """

    folder: Path
    """Holds package.json and package-lock.json."""
    target: str = "node_modules.tar"

    @property
    def key(self) -> str:
        files = [(self.folder / name).read_bytes() for name in LOCK_FILES]
        return key_of(*files, *NEVER_LOADED_FILES, *NEVER_LOADED_FOLDERS)

    def ensure(self) -> Path:
        """Return the tar file with node_modules, installing them if they are missing."""
        entry = cache.Entry(kind="packages", name="node", key=self.key, suffix=".tar")
        return cache.ensure(entry, self._install)

    def _install(self, archive: Path) -> None:
        folder = archive.with_suffix(".folder")
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
        folder.mkdir()
        try:
            with step("fetching the lab's Node packages"):
                self._fetch(folder)
                with tarfile.open(archive, "w") as tar:
                    tar.add(folder / "node_modules", "node_modules", filter=_owned_by_root)
        finally:
            shutil.rmtree(folder)

    def _fetch(self, folder: Path) -> None:
        for name in LOCK_FILES:
            shutil.copyfile(self.folder / name, folder / name)
        run(
            ["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-fund", "--no-audit"],
            what="fetching Node packages",
            log=cache.new_log("node-packages"),
            cwd=folder,
        )
        _drop_what_node_never_loads(folder / "node_modules")


def _drop_what_node_never_loads(modules: Path) -> None:
    """Delete declarations, source maps and builds for browsers: two thirds of all files."""
    for pattern in NEVER_LOADED_FOLDERS:
        for path in list(modules.rglob(pattern)):
            shutil.rmtree(path)
    for pattern in NEVER_LOADED_FILES:
        for path in list(modules.rglob(pattern)):
            if path.is_file():
                path.unlink()


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member

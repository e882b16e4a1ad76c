"""The versions of all Debian packages in the images of nodes: those of images/debian.lock.

Debian's mirrors drop a version after the next one. If one of the lock is gone, Debian's archive
of old versions is used; if that does not answer either, a lock of what is served now takes the
place of the repository's, in the cache only, and the build goes on. The lock that counts is part
of every key: different contents never share a name.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from tools.content_key import key_of
from tools.debian import apt
from tools.images import file_tree
from tools.paths import PROJECT, cache_root
from tools.progress import StepFailed, step

LOCK = PROJECT / "images" / "debian.lock"
DOCKERFILES = ("images/*/Dockerfile", "samples/*/Dockerfile", "router/image/Dockerfile")
"""Of all images that nodes run."""
BASE_PACKAGES = ("ca-certificates",)
HEADER = f"""\
# Versions of Debian {apt.SUITE}'s packages in the images of nodes, and the time of the package
# lists that they are from. Written by `make pins`.
"""
DPKG_STATUS = "var/lib/dpkg/status"
TIME = "%Y-%m-%dT%H:%M:%SZ"


class PinsChangedError(Exception):
    """Another lock counts from now on, and with it other keys: begin again."""


@dataclass(frozen=True, kw_only=True)
class Lock:
    """Versions by package, and the time of the newest of the package lists."""

    time: datetime
    versions: Mapping[str, str]

    @property
    def epoch(self) -> int:
        """The time in seconds: no file in an image is younger."""
        return int(self.time.timestamp())

    @property
    def text(self) -> str:
        packages = [f"{name} {version}" for name, version in sorted(self.versions.items())]
        return "\n".join((f"time {self.time.strftime(TIME)}", *packages, ""))

    @property
    def key(self) -> str:
        return key_of(self.text)

    @property
    def preferences(self) -> str:
        """For apt: each package in its version, if that is served (apt_preferences(5))."""
        return "\n".join(
            f"Package: {name}\nPin: version {version}\nPin-Priority: 1001\n"
            for name, version in sorted(self.versions.items())
        )

    def deviations(self, versions: Mapping[str, str]) -> list[str]:
        """Say which of some packages are not as in this lock."""
        return [
            f"{name} {version} (locked: {self.versions.get(name, 'none')})"
            for name, version in sorted(versions.items())
            if self.versions.get(name) != version
        ]


def current() -> Lock:
    """Return the lock that counts."""
    substitute = _substitute()
    return _parse(substitute.read_text() if substitute.exists() else LOCK.read_text())


def sources() -> str:
    """Return apt's lines for Debian's archive of old versions, if it is needed; else ""."""
    return _archive_in_use[-1] if _archive_in_use else ""


def check(tree: file_tree.Tree, *, what: str) -> None:
    """Raise StepFailed if an image has packages in other versions than the lock."""
    if DPKG_STATUS not in tree:
        raise StepFailed(
            f"building {what}",
            why=f"it has no /{DPKG_STATUS}, so nothing says which packages are in it",
            advice="Let its Dockerfile copy that file from the stage that installs packages.",
        )
    status = file_tree.content(tree[DPKG_STATUS]).decode()
    deviations = current().deviations(apt.installed_versions(status))
    if deviations:
        raise StepFailed(
            f"building {what}",
            why="it has other packages than images/debian.lock: " + ", ".join(deviations),
            advice="Run `make pins`, and commit what it writes.",
        )


def reconsider(failure: StepFailed) -> NoReturn:
    """Find out if a build failed because locked versions are not served any more.

    Raises the failure if that is not why, and PinsChangedError once the cause is removed.
    """
    lock = current()
    with step("asking Debian's mirrors for the locked versions"):
        is_served = _is_served(lock)
    if is_served:
        raise failure
    archive = "" if sources() else apt.snapshot_sources(lock.time)
    if archive:
        _archive_in_use.append(archive)
    else:
        _archive_in_use.clear()
        _write(Lock(time=apt.time_of_lists(), versions=_newest()), _substitute())
    raise PinsChangedError


def renew() -> Path:
    """Write the lock anew, with what Debian's mirrors serve now (`make pins`)."""
    _write(Lock(time=apt.time_of_lists(), versions=_newest()), LOCK)
    return LOCK


def warn_if_substituted() -> None:
    """Say so if artefacts differ from those of other machines at this commit."""
    if _substitute().exists():
        print(
            "WARNING: Debian no longer serves all versions of images/debian.lock, so these\n"
            "artefacts hold newer ones. A deployment of them renews the routers and machines of a\n"
            "stack that was deployed with others. Run `make pins` and commit images/debian.lock.",
            file=sys.stderr,
        )


def wanted() -> tuple[str, ...]:
    """Return what the images of nodes install, without what only depends on it."""
    found = set(BASE_PACKAGES)
    for dockerfile in (path for glob in DOCKERFILES for path in PROJECT.glob(glob)):
        found.update(apt.added_packages(dockerfile.read_text()))
    return tuple(sorted(found))


_archive_in_use: list[str] = []


def _is_served(lock: Lock) -> bool:
    try:
        served = apt.versions_to_install(wanted(), lock.preferences, sources())
    except StepFailed:
        if not sources():
            raise
        return False  # the archive answered at first, but does not deliver
    return not lock.deviations(served)


def _newest() -> dict[str, str]:
    with step("asking Debian's mirrors for the newest versions"):
        return apt.versions_to_install(wanted(), "", "")


def _substitute() -> Path:
    """Where the lock is that counts instead of the repository's as it is now."""
    key = key_of(LOCK.read_text(), *wanted())
    return cache_root() / "pins" / f"{apt.SUITE}-{key}.lock"


def _write(lock: Lock, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(HEADER + lock.text)
    partial.replace(path)


def _parse(text: str) -> Lock:
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    (_, time), *packages = lines
    return Lock(
        time=datetime.strptime(time, TIME).replace(tzinfo=UTC),
        versions=dict(packages),
    )

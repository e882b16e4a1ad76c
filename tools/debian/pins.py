"""The versions of all Debian packages in the images of nodes: those of images/debian.lock.

Mirrors drop a version some time after the next one. If a locked version is gone, a lock of what is
served now replaces the repository's, in the cache only, and the build continues. `make pins` renews
the repository's. The lock in use is part of every key: different contents never share a name.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from tools.content_key import key_of
from tools.debian import apt
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
    """Another lock is in use from now on, and with it other keys: begin again."""


@dataclass(frozen=True, kw_only=True)
class Lock:
    """Versions by package, and the time of the newest of the package lists."""

    time: datetime
    versions: Mapping[str, str]

    @property
    def epoch(self) -> int:
        """The time in seconds: no file in an image is newer."""
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
        """Describe the packages whose version is not the locked one."""
        return [
            f"{name} {version} (locked: {self.versions.get(name, 'none')})"
            for name, version in sorted(versions.items())
            if self.versions.get(name) != version
        ]


def current() -> Lock:
    """Return the lock in use."""
    substitute = _substitute()
    return _parse(substitute.read_text() if substitute.exists() else LOCK.read_text())


def check(status: str | None, *, what: str) -> None:
    """Raise StepFailed if an image has packages in other versions than the lock.

    `status` is its file /var/lib/dpkg/status; None without one.
    """
    if status is None:
        raise StepFailed(
            f"building {what}",
            why=f"it has no /{DPKG_STATUS}, which lists its packages",
            advice="Let its Dockerfile copy that file from the stage that installs packages.",
        )
    deviations = current().deviations(apt.installed_versions(status))
    if deviations:
        raise StepFailed(
            f"building {what}",
            why="it has other packages than images/debian.lock: " + ", ".join(deviations),
            advice="Run `make pins`, and commit what it writes.",
        )


def reconsider(failure: StepFailed) -> NoReturn:
    """Find out whether a build failed because a locked version is not served any more.

    Raises the failure if that is not the reason; else PinsChangedError, after the lock of what is
    served now has been put into use.
    """
    lock = current()
    with step("asking the Debian mirror for the locked versions"):
        served = apt.versions_to_install(wanted(), lock.preferences)
    if not lock.deviations(served):
        raise failure
    _write(Lock(time=apt.time_of_lists(), versions=_newest()), _substitute())
    raise PinsChangedError


def renew() -> Path:
    """Write the lock again, with what the Debian mirror serves now (`make pins`)."""
    _write(Lock(time=apt.time_of_lists(), versions=_newest()), LOCK)
    return LOCK


def warn_if_substituted() -> None:
    """Warn if artefacts differ from those of other machines at this commit."""
    if _substitute().exists():
        print(
            "WARNING: Debian no longer serves all versions of images/debian.lock, so these\n"
            "artefacts hold newer ones. Deploying them replaces the routers and nodes of a stack\n"
            "that was deployed with others. Run `make pins` and commit images/debian.lock.",
            file=sys.stderr,
        )


def wanted() -> tuple[str, ...]:
    """Return the packages that the images of nodes ask for, without their dependencies."""
    found = set(BASE_PACKAGES)
    for dockerfile in (path for glob in DOCKERFILES for path in PROJECT.glob(glob)):
        found.update(apt.added_packages(dockerfile.read_text()))
    return tuple(sorted(found))


def _newest() -> dict[str, str]:
    with step("asking the Debian mirror for the newest versions"):
        return apt.versions_to_install(wanted(), "")


def _substitute() -> Path:
    """The file of the lock that replaces the repository's present one."""
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

"""Images hold the locked versions of Debian's packages; where that can't be, their keys say so."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tools import build
from tools.debian import apt, pins
from tools.images import base_image
from tools.images.catalogue import IMAGES
from tools.progress import StepFailed

LOCKED = """\
# a comment
time 2026-11-29T00:53:14Z
ca-certificates 1
nginx 1.26
"""
NEWER = {"ca-certificates": "1", "nginx": "1.28"}
LATER = datetime(2027, 1, 1, tzinfo=UTC)
FAILURE = StepFailed("building image nginx", why="it has nginx 1.28", advice="")


class Mirrors:
    """What Debian serves: the newest versions, older ones if asked for, and old lists."""

    def __init__(self) -> None:
        self.versions = NEWER
        self.has_locked = False
        self.archive = ""
        self.archive_has_locked = True
        self.archive_is_broken = False

    def versions_to_install(
        self, _packages: tuple[str, ...], preferences: str, sources: str
    ) -> dict[str, str]:
        if sources and self.archive_is_broken:
            raise StepFailed("asking Debian's mirrors for versions", why="", advice="")
        if preferences and (self.has_locked or (sources and self.archive_has_locked)):
            return dict(pins.current().versions)
        return dict(self.versions)


@pytest.fixture
def mirrors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirrors:
    """Mirrors that have nginx 1.28, with a lock in the repository that has 1.26."""
    found = Mirrors()
    lock = tmp_path / "debian.lock"
    lock.write_text(LOCKED)
    monkeypatch.setattr(pins, "LOCK", lock)
    monkeypatch.setattr(pins, "_archive_in_use", [])
    monkeypatch.setattr(apt, "versions_to_install", found.versions_to_install)
    monkeypatch.setattr(apt, "time_of_lists", lambda: LATER)
    monkeypatch.setattr(apt, "snapshot_sources", lambda _time: found.archive)
    return found


def keys() -> set[str]:
    return {base_image.key(), *(image.key for image in IMAGES.values())}


def test_a_failure_that_has_nothing_to_do_with_versions_stays_one(mirrors: Mirrors) -> None:
    mirrors.has_locked = True

    with pytest.raises(StepFailed, match="building image nginx"):
        pins.reconsider(FAILURE)

    assert pins.current().versions["nginx"] == "1.26"


def test_a_version_that_mirrors_dropped_comes_from_the_archive(mirrors: Mirrors) -> None:
    mirrors.archive = "deb http://archive trixie main\n"
    before = keys()

    with pytest.raises(pins.PinsChangedError):
        pins.reconsider(FAILURE)

    assert pins.sources() == mirrors.archive
    assert keys() == before


@pytest.mark.usefixtures("mirrors")
def test_without_the_archive_the_newest_versions_get_other_keys() -> None:
    before = keys()

    with pytest.raises(pins.PinsChangedError):
        pins.reconsider(FAILURE)

    assert pins.current().versions == NEWER
    assert pins.current().time == LATER
    assert keys().isdisjoint(before)


@pytest.mark.parametrize("fault", ["lacks it, too", "is broken"])
def test_an_archive_that_does_not_help_is_not_asked_again(mirrors: Mirrors, fault: str) -> None:
    mirrors.archive = "deb http://archive trixie main\n"
    mirrors.archive_has_locked = fault != "lacks it, too"
    mirrors.archive_is_broken = fault == "is broken"

    for _attempt in range(2):
        with pytest.raises(pins.PinsChangedError):
            pins.reconsider(FAILURE)

    assert pins.current().versions == NEWER
    assert pins.sources() == ""


@pytest.mark.usefixtures("mirrors")
def test_other_versions_than_the_locked_ones_cause_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pins.warn_if_substituted()
    assert capsys.readouterr().err == ""
    with pytest.raises(pins.PinsChangedError):
        pins.reconsider(FAILURE)

    pins.warn_if_substituted()

    warning = capsys.readouterr().err
    assert "WARNING" in warning
    assert "make pins" in warning


def test_a_renewed_lock_counts_again(mirrors: Mirrors) -> None:
    with pytest.raises(pins.PinsChangedError):
        pins.reconsider(FAILURE)
    mirrors.versions = {"ca-certificates": "2", "nginx": "1.30"}

    pins.renew()

    assert pins.current().versions == mirrors.versions


@pytest.mark.usefixtures("mirrors")
def test_committing_what_the_build_went_on_with_builds_nothing_again() -> None:
    with pytest.raises(pins.PinsChangedError):
        pins.reconsider(FAILURE)
    keys_of_the_substitute = keys()

    pins.renew()

    assert keys() == keys_of_the_substitute


@pytest.mark.usefixtures("mirrors")
def test_a_build_begins_again_with_the_versions_that_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ensure_image(_name: str) -> str:
        if pins.current().versions["nginx"] == "1.26":
            pins.reconsider(FAILURE)
        return IMAGES["nginx"].reference

    monkeypatch.setattr("tools.images.image_build.ensure_image", ensure_image)

    assert build.ensure_image("nginx") == IMAGES["nginx"].reference


def test_the_lock_has_every_package_that_an_image_of_nodes_installs() -> None:
    lock = pins.current()

    assert set(pins.wanted()) <= set(lock.versions)


@pytest.mark.parametrize("name", [name for name, image in IMAGES.items() if image.for_nodes])
def test_images_of_nodes_install_packages_only_where_the_lock_knows(name: str) -> None:
    assert "apt-get" not in IMAGES[name].dockerfile


def test_apt_prefers_the_locked_version_also_to_a_newer_one() -> None:
    lock = pins.Lock(time=LATER, versions={"nginx": "1.26"})

    assert lock.preferences == "Package: nginx\nPin: version 1.26\nPin-Priority: 1001\n"


def test_the_archive_is_asked_for_lists_of_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(apt, "_fetch", asked.append)

    lines = apt.snapshot_sources(LATER).splitlines()

    url = f"{apt.SNAPSHOT}/debian/20270101T120000Z"
    assert lines[0] == f"deb [check-valid-until=no] {url} trixie main"
    assert asked[0].endswith("/dists/trixie-security/InRelease")


def test_an_archive_that_does_not_answer_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "SNAPSHOT", "http://127.0.0.1:9/archive")

    assert apt.snapshot_sources(LATER) == ""


def test_an_image_that_does_not_say_its_packages_is_refused() -> None:
    with pytest.raises(StepFailed, match="no /var/lib/dpkg/status"):
        pins.check({}, what="image app")


def test_packages_are_read_from_a_dockerfile_as_docker_reads_it() -> None:
    dockerfile = (
        "RUN add-packages nginx \\\n"
        "    # a comment && more\n"
        "        php8.4-fpm \\\n"
        "    && rm -f /etc/default\n"
        "RUN true\n"
        "RUN add-packages jq\n"
    )

    assert apt.added_packages(dockerfile) == ["nginx", "php8.4-fpm", "jq"]


def test_only_installed_packages_count() -> None:
    status = (
        "Package: nginx\nStatus: install ok installed\nVersion: 1.26-3\nDescription: web\n more\n\n"
        "Package: apache\nStatus: deinstall ok config-files\nVersion: 2\n\n"
    )

    assert apt.installed_versions(status) == {"nginx": "1.26-3"}

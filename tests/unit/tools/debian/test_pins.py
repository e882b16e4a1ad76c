"""Images hold the locked versions of Debian's packages; other versions mean other keys."""

from collections.abc import Callable
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


class Mirror:
    """What Debian serves: the newest versions, and the locked ones while it still has them."""

    def __init__(self) -> None:
        self.versions = NEWER
        self.has_locked = False

    def versions_to_install(self, _packages: tuple[str, ...], preferences: str) -> dict[str, str]:
        if preferences and self.has_locked:
            return dict(pins.current().versions)
        return dict(self.versions)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """A mirror that has nginx 1.28, with a lock in the repository that has 1.26."""
    found = Mirror()
    lock = tmp_path / "debian.lock"
    lock.write_text(LOCKED)
    monkeypatch.setattr(pins, "LOCK", lock)
    monkeypatch.setattr(apt, "versions_to_install", found.versions_to_install)
    monkeypatch.setattr(apt, "time_of_lists", lambda: LATER)
    return found


def keys() -> set[str]:
    return {base_image.key(), *(image.key for image in IMAGES.values())}


def test_a_failure_without_a_missing_version_is_raised(mirror: Mirror) -> None:
    mirror.has_locked = True

    with pytest.raises(StepFailed, match="building image nginx"):
        pins.reconsider(FAILURE)

    assert pins.current().versions["nginx"] == "1.26"


@pytest.mark.usefixtures("mirror")
def test_newer_versions_than_the_locked_ones_get_keys_of_their_own() -> None:
    before = keys()

    with pytest.raises(pins.PinsChangedError):
        pins.reconsider(FAILURE)

    assert pins.current().versions == NEWER
    assert pins.current().time == LATER
    assert keys().isdisjoint(before)


@pytest.mark.usefixtures("mirror")
def test_other_versions_than_the_locked_ones_draw_a_warning(
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


def test_a_renewed_lock_is_in_use_again(mirror: Mirror) -> None:
    with pytest.raises(pins.PinsChangedError):
        pins.reconsider(FAILURE)
    mirror.versions = {"ca-certificates": "2", "nginx": "1.30"}

    pins.renew()

    assert pins.current().versions == mirror.versions


@pytest.mark.usefixtures("mirror")
def test_committing_the_lock_that_a_build_used_builds_nothing_again() -> None:
    with pytest.raises(pins.PinsChangedError):
        pins.reconsider(FAILURE)
    keys_of_the_substitute = keys()

    pins.renew()

    assert keys() == keys_of_the_substitute


@pytest.mark.usefixtures("mirror")
def test_a_build_begins_again_with_the_versions_in_use(
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
def test_images_of_nodes_install_packages_only_through_the_lock(name: str) -> None:
    assert "apt-get" not in IMAGES[name].dockerfile


def test_apt_prefers_the_locked_version_even_to_a_newer_one() -> None:
    lock = pins.Lock(time=LATER, versions={"nginx": "1.26"})

    assert lock.preferences == "Package: nginx\nPin: version 1.26\nPin-Priority: 1001\n"


def test_each_suite_comes_from_the_mirror_of_this_machine() -> None:
    listed = ["http://mirror.example/debian/", "http://safe.example/debian-security/"]

    archives = apt.choose_archives(["http://docker.example/linux/", *listed])

    assert archives == {
        "trixie": "http://mirror.example/debian",
        "trixie-updates": "http://mirror.example/debian",
        "trixie-security": "http://safe.example/debian-security",
    }


def test_security_updates_are_expected_beside_the_mirror_if_apt_has_no_other() -> None:
    archives = apt.choose_archives(["http://mirror.example/debian"])

    assert archives["trixie-security"] == "http://mirror.example/debian-security"


def test_a_machine_without_a_debian_mirror_is_refused() -> None:
    with pytest.raises(StepFailed, match="no address ends with /debian"):
        apt.choose_archives(["http://mirror.example/ubuntu"])


def test_of_a_file_with_mirrors_the_first_is_taken(
    tmp_path: Path, command: Callable[[str, str], None]
) -> None:
    file = tmp_path / "mirror.list"
    file.write_text("http://one.example/debian\nhttp://two.example/debian\n")
    command("apt-get", f"echo mirror+file:{file}/; echo cdrom:x/debian")

    assert apt.archives()["trixie"] == "http://one.example/debian"


def test_an_image_that_does_not_list_its_packages_is_refused() -> None:
    with pytest.raises(StepFailed, match="no /var/lib/dpkg/status"):
        pins.check(None, what="image app")


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

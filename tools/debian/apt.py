"""Where the images' Debian packages come from, and what apt would install today."""

import re
import tempfile
import urllib.request
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

from tools import cache
from tools.commands import run
from tools.progress import StepFailed

SUITE = "trixie"
ARCHIVES = {
    SUITE: "http://deb.debian.org/debian",
    f"{SUITE}-updates": "http://deb.debian.org/debian",
    f"{SUITE}-security": "http://security.debian.org/debian-security",
}
"""Suite → where it is."""
SOURCES = "".join(f"deb {archive} {suite} main\n" for suite, archive in ARCHIVES.items())
SNAPSHOT = "http://snapshot.debian.org/archive"
SNAPSHOT_DELAY = timedelta(hours=12)
"""How much later than on the mirrors a list may be in the archive of old versions."""
ANSWER_TIMEOUT = 20.0
ADVICE = "Check that `apt-get update` works on this machine, then run this again."


def bootstrap_command(
    target: str | Path,
    packages: Iterable[str],
    *,
    preferences: Path | None = None,
    sources: str = "",
    options: Iterable[str] = (),
) -> list[str]:
    """Return the mmdebstrap call for a minimal Debian with some packages.

    `preferences`: a folder of apt_preferences(5) files; `sources`: more lines for apt.
    """
    pinned = [f'--aptopt=Dir::Etc::PreferencesParts "{preferences}"'] if preferences else []
    # without a mirror it takes Debian's, and finds out by which key they are signed
    mirrors = [*SOURCES.splitlines(), *sources.splitlines()] if sources else []
    return [
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join(packages)}",
        *pinned,
        *options,
        SUITE,
        str(target),
        *mirrors,
    ]


def versions_to_install(packages: Iterable[str], preferences: str, sources: str) -> dict[str, str]:
    """Return the version of each package that an image with `packages` would get now."""
    log = cache.new_log("debian-versions")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_preferences(folder, preferences)
        run(
            bootstrap_command(
                "/dev/null",
                packages,
                preferences=folder,
                sources=sources,
                options=("--simulate", "--verbose"),
            ),
            what="asking Debian's mirrors for versions",
            log=log,
            advice=ADVICE,
        )
    return dict(re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+)", log.read_text(), re.MULTILINE))


def write_preferences(folder: Path, preferences: str) -> None:
    """Write apt's preferences where any user's apt may read them."""
    folder.chmod(0o755)
    file = folder / "pins"
    file.write_text(preferences)
    file.chmod(0o644)


def time_of_lists() -> datetime:
    """Return the time of the newest of the package lists that mirrors serve now."""
    times = []
    for suite, archive in ARCHIVES.items():
        release = _fetch(f"{archive}/dists/{suite}/InRelease")
        found = re.search(r"^Date: (.+)$", release, re.MULTILINE)
        assert found is not None, f"{archive} has a list of {suite} without a date"
        times.append(parsedate_to_datetime(found[1]).astimezone(UTC))
    return max(times)


def snapshot_sources(time: datetime) -> str:
    """Return apt's lines for what mirrors served at a time; "" if the archive does not answer."""
    moment = (time + SNAPSHOT_DELAY).strftime("%Y%m%dT%H%M%SZ")
    lines = ""
    for suite, archive in ARCHIVES.items():
        url = f"{SNAPSHOT}/{archive.rpartition('/')[2]}/{moment}"
        lines += f"deb [check-valid-until=no] {url} {suite} main\n"
    try:
        _fetch(f"{url}/dists/{suite}/InRelease")
    except StepFailed:
        return ""
    return lines


def installed_versions(status: str) -> dict[str, str]:
    """Return the version of each installed package, from dpkg's status file."""
    versions = {}
    for block in status.split("\n\n"):
        fields = dict(re.findall(r"^(\S+): (.*)$", block, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            versions[fields["Package"]] = fields["Version"]
    return versions


def added_packages(dockerfile: str) -> list[str]:
    """Return the packages that a Dockerfile installs (see images/base/add-packages)."""
    commands = re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE)
    joined = commands.replace("\\\n", " ")
    calls = re.findall(r"^RUN add-packages ([^&\n]*)", joined, re.MULTILINE)
    return [package for call in calls for package in call.split()]


def _fetch(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_TIMEOUT) as answer:
            return bytes(answer.read()).decode(errors="replace")
    except OSError as error:
        raise StepFailed(f"fetching {url}", why=str(error), advice=ADVICE) from error

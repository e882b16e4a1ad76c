"""Where the images' Debian packages come from, and what apt would install today.

The mirror is the one that this machine's own apt uses.
"""

import re
import tempfile
import urllib.request
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from tools import cache
from tools.commands import capture, run
from tools.progress import StepFailed

SUITE = "trixie"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
ANSWER_TIMEOUT = 20.0
ADVICE = "Check that `apt-get update` works on this machine, then run this again."
MIRROR_LIST = "mirror+file:"
"""How the address of a file begins that lists mirrors, one a line (apt-transport-mirror(1))."""


def archives() -> dict[str, str]:
    """Return the address of each suite: that of this machine's own mirror. Raises StepFailed."""
    listed = capture(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"],
        what="asking apt for its mirrors",
        advice=ADVICE,
    )
    return choose_archives(_addresses(listed.split()))


def choose_archives(addresses: Iterable[str]) -> dict[str, str]:
    """Return the address of each suite, of those in apt's configuration. Raises StepFailed.

    Mirrors have Debian below `debian`, and its security updates below `debian-security`.
    """
    found: dict[str, str] = {}
    for address in addresses:
        plain = address.rstrip("/")
        found.setdefault(plain.rpartition("/")[2], plain)
    if "debian" not in found:
        raise StepFailed(
            "finding a Debian mirror",
            why="the apt of this machine has none: no address ends with /debian",
            advice="Add a `deb` line for Debian to /etc/apt/sources.list.d, then run this again.",
        )
    debian = found["debian"]
    return {
        SUITE: debian,
        f"{SUITE}-updates": debian,
        f"{SUITE}-security": found.get("debian-security", f"{debian}-security"),
    }


def sources(options: str = "") -> str:
    """Return apt's lines for the images, with apt's options for each."""
    return source_lines(archives(), options)


def source_lines(archives: Mapping[str, str], options: str = "") -> str:
    """Return lines for sources.list(5)."""
    return "".join(f"deb {options}{address} {suite} main\n" for suite, address in archives.items())


def bootstrap_command(
    target: str | Path,
    packages: Iterable[str],
    *,
    sources: str,
    preferences: Path | None = None,
    options: Iterable[str] = (),
) -> list[str]:
    """Return the mmdebstrap call for a minimal Debian with some packages.

    `sources`: lines for apt; `preferences`: a folder of apt_preferences(5) files.
    """
    pinned = [f'--aptopt=Dir::Etc::PreferencesParts "{preferences}"'] if preferences else []
    return [
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join(packages)}",
        *pinned,
        *options,
        SUITE,
        str(target),
        *sources.splitlines(),
    ]


def signed_sources() -> str:
    """Return the lines for mmdebstrap: this machine's apt may not trust Debian's key by default."""
    return sources(f"[signed-by={KEYRING}] ")


def versions_to_install(packages: Iterable[str], preferences: str) -> dict[str, str]:
    """Return the version of each package that an image with `packages` would get now."""
    log = cache.new_log("debian-versions")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_preferences(folder, preferences)
        run(
            bootstrap_command(
                "/dev/null",
                packages,
                sources=signed_sources(),
                preferences=folder,
                options=("--simulate", "--verbose"),
            ),
            what="asking the Debian mirror for versions",
            log=log,
            advice=ADVICE,
        )
    return dict(re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+)", log.read_text(), re.MULTILINE))


def write_preferences(folder: Path, preferences: str) -> None:
    """Write apt's preferences so that any user's apt can read them."""
    folder.chmod(0o755)
    file = folder / "pins"
    file.write_text(preferences)
    file.chmod(0o644)


def time_of_lists() -> datetime:
    """Return the time of the newest of the package lists that the mirror serves now."""
    times = []
    for suite, archive in archives().items():
        release = _fetch(f"{archive}/dists/{suite}/InRelease")
        found = re.search(r"^Date: (.+)$", release, re.MULTILINE)
        assert found is not None, f"{archive} has a list of {suite} without a date"
        times.append(parsedate_to_datetime(found[1]).astimezone(UTC))
    return max(times)


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


def _addresses(listed: Iterable[str]) -> Iterable[str]:
    """Yield mirrors over HTTP; of a file with several mirrors, the first."""
    for address in listed:
        if address.startswith("http"):
            yield address
        elif address.startswith(MIRROR_LIST):
            file = Path("/", address.removeprefix(MIRROR_LIST).strip("/"))
            yield from file.read_text().split()[:1]


def _fetch(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_TIMEOUT) as answer:
            return bytes(answer.read()).decode(errors="replace")
    except OSError as error:
        raise StepFailed(f"fetching {url}", why=str(error), advice=ADVICE) from error

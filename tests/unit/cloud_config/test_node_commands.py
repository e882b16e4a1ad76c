"""Nodes start only what Flatcar has: the lab's nodes are Debian, where more would work."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.program import rendered
from tests.program.recorded_stack import PROJECT
from tests.program.shell_commands import calls

# What stable has, checked in flatcar/scripts at stable-4593.2.5: a package is on the image if
# coreos-base/coreos-0.0.1.ebuild names it, and its version is the newest one that the ebuilds and
# profiles of that tag accept. But for patch releases and nc, none is older than Debian 13's: an
# option that works in the lab works there. All are the same implementations, except for awk: gawk
# there, mawk in the lab, so only what POSIX says of it may be used.
#
# Flags of the build that scripts could notice (profiles/coreos/*/package.use):
#   bash         -net          no /dev/tcp, no /dev/udp (the lab's nodes are made the same)
#   jq           oniguruma     test() and capture() work
#   iptables     nftables      the nft back end, as Debian's
#   curl         -http3 -quic -websockets; openssl is its TLS, HTTP/2 works
#   util-linux   -su           sudo and su come from other packages
# There and not used: dig, git, rsync, socat, strace, tcpdump, vim. Not there: python, perl,
# ncat, cron, bc. (The Azure agent brings a Python of its own, which is not for others.)
FLATCAR = {
    "app-arch/tar-1.35": "tar",
    "app-containers/docker-cli-28.0.4": "docker",  # a system extension, as docker itself
    "app-misc/jq-1.8.1": "jq",
    "dev-libs/openssl-3.5.5": "openssl",
    "net-analyzer/openbsd-netcat-1.219_p1": "nc",
    "net-firewall/iptables-1.8.11-r1": "iptables",
    "net-misc/curl-8.16.0-r1": "curl",
    "net-misc/openssh-10.4_p1-r1": "ssh-keygen",
    "sys-apps/coreutils-9.8-r1": "basename cat chmod chown cp cut date dirname env head id install"
    " ln mkdir mktemp mv nproc od printf readlink rm rmdir seq sha256sum shuf sleep sort stat sync"
    " tail tee timeout touch tr uniq wc",
    "sys-apps/diffutils-3.12": "cmp",
    "sys-apps/findutils-4.10.0": "find",
    "sys-apps/gawk-5.3.2": "awk",
    "sys-apps/grep-3.12": "grep",
    "sys-apps/iproute2-6.17.0": "ip ss",
    "sys-apps/sed-4.9-r1": "sed",
    "sys-apps/systemd-257.9": "journalctl systemctl systemd-notify systemd-run",
    "sys-apps/util-linux-2.41.2": "blkid flock logger mount mountpoint umount uuidgen",
    "sys-fs/e2fsprogs-1.47.3-r1": "mkfs.ext4",
    "sys-process/procps-4.0.5-r2": "sysctl",
}
PROGRAMS = {program for programs in FLATCAR.values() for program in programs.split()}

OPTIONS = {"nc": {"-n", "-u", "-v", "-w", "-z"}}
"""Options of programs that are older on Flatcar than in the lab."""

OURS = {path.name for path in (PROJECT / "cloud-config" / "bin").iterdir()} | {
    *("etcd", "fleetd", "fleetctl", "confd"),
}
"""In /opt/bin: the bundle brings them."""

SCRIPTS = {path.name: path.read_text() for path in (PROJECT / "cloud-config" / "bin").iterdir()}


def unit_files() -> Iterator[tuple[str, str]]:
    """All units of a node by name: those of the cloud-config and those that fleet gets."""
    document: dict[str, Any] = yaml.safe_load(rendered.cloud_config())
    for unit in document["coreos"]["units"]:
        for part in (unit, *unit.get("drop_ins", [])):
            yield unit["name"], part.get("content", "")
    yield from rendered.fleet_units().items()


UNITS = dict(unit_files())


def command_lines(unit: str) -> Iterator[str]:
    """What systemd runs, without its own prefixes."""
    joined = unit.replace("\\\n", " ")
    for line in re.findall(r"^Exec\w+=[-+!@:]*(.+)$", joined, re.MULTILINE):
        yield line.replace(";", r"\;")


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_start_only_programs_of_flatcar(name: str) -> None:
    assert unknown(SCRIPTS[name]) == []


@pytest.mark.parametrize("name", UNITS)
def test_units_start_only_programs_of_flatcar(name: str) -> None:
    assert [one for line in command_lines(UNITS[name]) for one in unknown(line)] == []


@pytest.mark.parametrize("name", [*SCRIPTS, *UNITS])
def test_nothing_opens_connections_with_bash(name: str) -> None:
    text = SCRIPTS.get(name) or UNITS[name]
    code = re.sub(r"^\s*#.*", "", text, flags=re.MULTILINE)

    assert not re.search(r"/dev/(tcp|udp)\b", code), "Flatcar's bash has no such files: use nc"


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_say_that_they_are_bash(name: str) -> None:
    """`sh` is bash on Flatcar and dash in the lab."""
    assert SCRIPTS[name].startswith(("#!/bin/bash\n", "#!/usr/bin/env bash\n"))


def unknown(script: str) -> list[str]:
    """What a script starts and Flatcar has not: programs, and options of those that differ."""
    found = []
    for name, words in calls(script):
        if name.removeprefix("/opt/bin/") not in (OURS if "/" in name else PROGRAMS):
            found.append(name)
        options = {word for word in words[1:] if word.startswith("-")}
        found += [f"{name} {one}" for one in options - OPTIONS.get(name, options)]
    return found


class TestReading:
    """The reader itself: what it misses, no test above would see."""

    @pytest.mark.parametrize(
        "script",
        [
            "found",
            "a=1 b=$(x) found --option",
            "/usr/bin/found",
            "if found; then :; fi",
            "until ! found; do :; done",
            "true && found || true",
            "true | found",
            "true & found",
            "( found )",
            "f() { found; }",
            "a=$(found)",
            'echo "text $(found "$(true)") ${b:-$(true)}"',
            'echo "${a:-$(found)}"',
            "read -r a < <(found)",
            "curl --header @<(found)",
            "echo $(( $(found) * (2 + 1) ))",
            "((a = $(found)))",
            "for a in $(found); do :; done",
            "for ((i = 0; i < 3; i++)); do found; done",
            "case $a in\n  x | y) true ;;\n  *)\n    found\n    ;;\nesac",
            "[[ $a == $(found) && ! -e b ]]",
            "[[ a && b ]] && found",
            "local -a x=(\n  # why\n  --a $(found)\n)",
            "exec found",
            "exec {lock}>file; found",
            "env A=b found",
            "timeout --kill-after=1 3 found",
            "trap 'found \"$a\"' EXIT",
            "cat <<END\n$(found)\nEND",
            "cat <<'END' | found\ntext (\nEND",
            "true 2>/dev/null >&2 <<<text; found",
            "echo a#b; found # 'comment",
        ],
    )
    def test_it_finds_a_program(self, script: str) -> None:
        assert "found" in {name for name, _ in calls(script)}

    @pytest.mark.parametrize(
        "script",
        [
            "# lost",
            "echo lost 'lost; lost' \"lost | lost\"",
            "for lost in lost; do :; done",
            "case lost in\n  lost) ;;\nesac",
            "[[ lost && lost ]]",
            "lost() { true; }\nlost",
            "a=(lost lost)",
            "read -r lost <lost 2>lost",
            "cat <<'END'\nlost $(lost)\nEND",
            "docker exec c sh -c lost",
        ],
    )
    def test_it_takes_nothing_else_for_one(self, script: str) -> None:
        assert "lost" not in {name for name, _ in calls(script)}

    @pytest.mark.parametrize("script", ["bash -c lost", "eval lost", "xargs lost", "`lost`"])
    def test_what_hides_programs_is_refused(self, script: str) -> None:
        assert unknown(script)

    def test_an_option_that_another_netcat_lacks_is_refused(self) -> None:
        assert unknown("nc -z -w 3 127.0.0.1 80") == []
        assert unknown("nc -N 127.0.0.1 80") == ["nc -N"]

"""Unit texts become the options that fleet itself would make of them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from clients.etcd import Etcd
from clients.fleet import Option
from clients.fleet.unit_file import UnitFileError, check_name, parse
from tools.build import ensure_program

TRICKY = """\
# a comment \\
swallowed=by the comment
[Unit]
Description = spaces around   the sign
After=a.service
After=b.service

[Service]
; another comment
Environment="A=1" "B=x=y"
ExecStart=/bin/sh -c 'echo one; \\
    echo two' \\
  and three
ExecStop=/bin/true \\

Empty=
   Indented=yes
# the end

[X-Fleet]
MachineMetadata="role=core" "zone=1"
Conflicts=api@*.service
"""


def serialize(options: Iterable[Option]) -> str:
    """As go-systemd writes a unit: sections in the order in which they came first."""
    sections: dict[str, list[Option]] = {}
    for option in options:
        sections.setdefault(option.section, []).append(option)
    blocks = [
        f"[{section}]\n" + "".join(f"{o.name}={o.value}\n" for o in members)
        for section, members in sections.items()
    ]
    return "\n".join(blocks)


def fleetctl() -> Path:
    installed = shutil.which("fleetctl", path=os.environ.get("FLEET_TOOLS_BIN"))
    return Path(installed) if installed else ensure_program("fleet") / "fleetctl"


@pytest.mark.parametrize(
    "text", [TRICKY, TRICKY.replace("and three", "and \\\n\n"), TRICKY.strip()]
)
def test_options_are_those_that_fleet_reads(text: str, real_etcd_url: str, tmp_path: Path) -> None:
    name = f"tricky-{hashlib.sha1(text.encode()).hexdigest()[:8]}.service"
    (tmp_path / name).write_text(text)
    endpoint = ["--driver=etcd", f"--endpoint={real_etcd_url}"]
    subprocess.run([fleetctl(), *endpoint, "submit", tmp_path / name], check=True, timeout=60)

    with Etcd([real_etcd_url]) as etcd:
        job = json.loads(etcd.get(f"/_coreos.com/fleet/job/{name}/object").node.value)
        sha1 = bytes(job["UnitHash"]).hex()
        raw = json.loads(etcd.get(f"/_coreos.com/fleet/unit/{sha1}").node.value)["Raw"]
    assert serialize(parse(text, origin=name)) == raw


def test_continued_lines_stay_one_value() -> None:
    text = "[Unit]\nDescription=x\n[Service]\nExecStart=/bin/a \\\n  b\n"

    options = parse(text, origin="x")

    assert options[-1] == Option(section="Service", name="ExecStart", value="/bin/a \\\n  b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("After=x\n[Unit]\nA=1\n[Service]\nB=1\n", "before any .Section."),
        ("[Unit]\nA=1\n", r"needs a \[Unit\] and a \[Service\]"),
        ("[Unit]\nA=1\n[Service]\nB=1\n[Install]\nWantedBy=x\n", "Install"),
        ("[Unit]\nA=1\n[Service]\nB=1\n[X-Fleet]\nConflict=x\n", "does not know 'Conflict'"),
        ("[Unit]\nA=1\n[Service]\nnonsense\n", "line 4: 'nonsense' is not an option"),
        ("[Unit]\nA=1\n[Service] x\nB=1\n", "garbage after section"),
        ("[Unit]\nA=1\n[Service]\nB=" + "x" * 2046 + "\n", "line 4: 2048 bytes"),
        ("[Unit]\nA=1\n[Service]\nB=x \\\n" + "x" * 2048 + "\n", "line 5: 2048 bytes"),
    ],
)
def test_a_unit_that_fleet_would_misread_is_refused(text: str, message: str) -> None:
    with pytest.raises(UnitFileError, match=message):
        parse(text, origin="x.service")


@pytest.mark.parametrize("name", ["api-12345678@1.service", "a:b_c.d\\e.timer"])
def test_names_that_fleet_accepts_are_accepted(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "api",
        "api.",
        "api.exe",
        "@1.service",
        "a b.service",
        "ä.service",
        "a" * 260 + ".service",
    ],
)
def test_names_that_fleet_refuses_are_refused(name: str) -> None:
    with pytest.raises(UnitFileError):
        check_name(name)

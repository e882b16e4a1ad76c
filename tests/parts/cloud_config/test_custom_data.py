"""Preview refuses custom data from which no node could boot."""

import base64
import gzip
import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from components.rendering import cloud_config
from components.rendering.custom_data import FLAG, KNOWN, MAX_BYTES, Shape, problems
from tests.program import rendered
from tests.program.fixtures import Config
from tests.program.recorded_stack import Recorded
from tools import build

FILE = {"path": "/opt/bin/x", "permissions": "0755", "content": "#!/bin/bash\n"}
UNIT = {"name": "x.service", "command": "start", "content": "[Unit]\n"}
EXAMPLES = {
    "path": "/etc/x",
    "permissions": "0644",
    "encoding": "base64",
    "content": "eA==",
    "command": "try-restart",
    "reboot_strategy": "off",
    "window_start": "Sun 03:00",
    "window_length": "1h30m",
    "manage_etc_hosts": "localhost",
    "hostname": "core-0",
}


def found(document: object) -> list[str]:
    return problems(text(document).encode())


def text(document: object) -> str:
    # width: a folded text would be read with other line ends
    return "#cloud-config\n" + yaml.safe_dump(document, sort_keys=False, width=1000)


def with_file(**changes: object) -> dict[str, Any]:
    return {"write_files": [FILE | changes]}


def with_unit(**changes: object) -> dict[str, Any]:
    return {"coreos": {"units": [UNIT | changes]}}


def test_the_rendered_cloud_config_is_accepted() -> None:
    assert problems(rendered.cloud_config().encode()) == []


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        # hyphens: silently dropped since Alpha 3913
        ({"write-files": []}, "write-files is a key that Flatcar silently drops: write write_f"),
        (with_unit(**{"drop-ins": []}), "units[0].drop-ins is a key that Flatcar silently drops"),
        ({"coreos": {"update": {"reboot-strategy": "off"}}}, "write reboot_strategy"),
        ({"ssh-authorized-keys": []}, "ssh-authorized-keys is a key"),
        # of cloud-init, or of nobody
        ({"runcmd": ["x"]}, "runcmd is a key that Flatcar silently drops; known keys: ssh"),
        ({"packages": ["x"]}, "packages is a key that Flatcar silently drops"),
        ({"coreos": {"unit": []}}, "coreos.unit is a key that Flatcar silently drops"),
        ({"coreos": {"etcd2": {"name": "x"}}}, "coreos.etcd2 is a key"),
        ({"coreos": {"update": {"strategy": "off"}}}, "coreos.update.strategy is a key"),
        (with_file(mode="0755"), "write_files[0].mode is a key"),
        (with_file(append=True), "write_files[0].append is a key"),
        (with_unit(enabled=True), "coreos.units[0].enabled is a key"),
        (with_unit(drop_ins=[{"name": "a.conf", "text": "x"}]), "units[0].drop_ins[0].text is a"),
        ({"users": [{"name": "x", "sudo": "ALL"}]}, "users[0].sudo is a key"),
        # types: one that is wrong costs the whole document
        ([], "it must be a map"),
        (None, "it must be a map"),
        ({"coreos": []}, "coreos must be a map"),
        ({"coreos": None}, "coreos must be a map"),
        ({"coreos": {"units": {"name": "x.service"}}}, "coreos.units must be a list"),
        ({"coreos": {"units": ["x.service"]}}, "coreos.units[0] must be a map"),
        ({"write_files": {"/opt/bin/x": "content"}}, "write_files must be a list"),
        ({"ssh_authorized_keys": {"a": "b"}}, "ssh_authorized_keys must be a list"),
        ({"ssh_authorized_keys": [{"a": "b"}]}, "ssh_authorized_keys[0] must be text"),
        (with_file(content=["x"]), "write_files[0].content must be text"),
        (with_file(content=None), "write_files[0].content must be text, not null"),
        (with_file(content=5), "write_files[0].content must be text, not 5"),
        (with_unit(mask="true"), "coreos.units[0].mask must be true or false"),
        (with_unit(enable="yes"), "coreos.units[0].enable must be true or false"),
        (with_unit(content=True), "coreos.units[0].content must be text"),
        # values
        (with_file(path="opt/bin/x"), "write_files[0].path must be absolute and plain, not opt/b"),
        (with_file(path="/opt/../usr/x"), "write_files[0].path must be absolute and plain"),
        (with_file(path="/opt/bin/"), "write_files[0].path must be absolute and plain"),
        (with_file(path=""), "write_files[0].path must be absolute and plain"),
        (with_file(path="/usr/bin/x"), "write_files[0].path is in /usr, which is read-only"),
        (with_file(path="/lib/systemd/system/x.service"), "write_files[0].path is in /usr"),
        (with_file(path="/sbin/x"), "write_files[0].path is in /usr"),
        ({"write_files": [{"content": "x"}]}, "write_files[0].path is missing"),
        ({"write_files": [FILE, FILE]}, "write_files has /opt/bin/x more than once"),
        (with_file(permissions=755), "write_files[0].permissions must be octal digits in quotes"),
        (with_file(permissions="0788"), "write_files[0].permissions must be octal"),
        (with_file(permissions="u+x"), "write_files[0].permissions must be octal"),
        (with_file(permissions="4755"), "write_files[0].permissions must be octal"),
        (with_file(encoding="hex"), "write_files[0].encoding must be base64, gzip or gzip+base64"),
        (with_file(encoding="base64"), "content does not have the encoding that is set"),
        (with_file(encoding="gzip"), "content does not have the encoding that is set"),
        (
            with_file(encoding="gzip+base64", content="eA=="),
            "content does not have the encoding that is set",
        ),
        (with_unit(command="begin"), "coreos.units[0].command must be a command of coreos-c"),
        (with_unit(command="reload_or_restart"), "coreos.units[0].command must be a command"),
        (with_unit(name="x"), "coreos.units[0].name must be the file name of a systemd unit"),
        (with_unit(name="a/x.service"), "coreos.units[0].name must be the file name"),
        ({"coreos": {"units": [{"command": "start"}]}}, "coreos.units[0].name is missing"),
        ({"coreos": {"units": [UNIT, UNIT]}}, "coreos.units has x.service more than once"),
        (with_unit(drop_ins=[{"name": "x"}]), "drop_ins[0].name must be a file name that"),
        (with_unit(drop_ins=[{"content": "x"}]), "units[0].drop_ins[0].name is missing"),
        ({"coreos": {"update": {"reboot_strategy": "best-effort"}}}, "must be etcd-lock, reboot"),
        ({"coreos": {"update": {"reboot_strategy": False}}}, "must be etcd-lock, reboot or off"),
        ({"coreos": {"locksmith": {"window_start": "25:00"}}}, "window_start must be a time"),
        ({"coreos": {"locksmith": {"window_length": "1 hour"}}}, "window_length must be a dur"),
        ({"hostname": "core-0.example"}, "hostname must be a host name without dots"),
        ({"manage_etc_hosts": True}, "manage_etc_hosts must be localhost"),
        ({"users": [{"shell": "/bin/bash"}]}, "users[0].name is missing"),
        (with_file(content="ip=$private_ipv4"), "it must not contain $private_ipv4"),
    ],
)  # fmt: skip
def test_custom_data_that_flatcar_would_misread_is_refused(document: object, problem: str) -> None:
    (told,) = found(document)

    assert problem in told


@pytest.mark.parametrize(
    ("custom_data", "problem"),
    [
        (b"", "its first line must be #cloud-config"),
        (b"\n#cloud-config\n", "its first line must be #cloud-config"),
        (b"#cloud-config \n", "its first line must be #cloud-config"),
        (b"#cloud-config\r\n", "its first line must be #cloud-config"),
        (b"# cloud-config\n", "its first line must be #cloud-config"),
        (b"#!/bin/bash\n", "its first line must be #cloud-config"),
        (b"\xef\xbb\xbf#cloud-config\n", "its first line must be #cloud-config"),
        (gzip.compress(b"#cloud-config\nhostname: x\n", mtime=0), "it is not plain UTF-8"),
        ("#cloud-config\nhostname: ä\n".encode("latin-1"), "it is not plain UTF-8"),
        (b"#cloud-config\nhostname: x\nhostname: y\n", "hostname occurs twice"),
        (b"#cloud-config\n\thostname: x\n", "it is not YAML"),
        (b"#cloud-config\nhostname: x\n---\nhostname: y\n", "it is not YAML"),
        (b"#cloud-config\nhostname: \x00\n", "it is not YAML"),
        (b"#cloud-config\n? [a]\n: b\n", "is a key that Flatcar silently drops"),
        (b"#cloud-config\nhostname: x\n" + MAX_BYTES * b"#", "Azure accepts at most 65535"),
    ],
)
def test_text_that_is_no_cloud_config_is_refused(custom_data: bytes, problem: str) -> None:
    (told,) = problems(custom_data)

    assert problem in told


def test_custom_data_of_azures_maximum_size_is_accepted() -> None:
    head = b"#cloud-config\nhostname: x\n"

    assert problems(head + (MAX_BYTES - len(head)) * b"#") == []


def test_all_problems_of_custom_data_are_reported_together() -> None:
    document = with_unit(command="go") | with_file(path="/usr/x", permissions="9")

    assert len(found(document | {"runcmd": []})) == 4


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("base64", base64.b64encode),
        ("gzip+base64", lambda data: base64.b64encode(gzip.compress(data))),
    ],
)
def test_encoded_content_is_accepted(encoding: str, encode: Callable[[bytes], bytes]) -> None:
    content = encode(b"\x00\xff").decode()

    assert found(with_file(encoding=encoding, content=content)) == []


def test_every_accepted_key_is_known_to_coreos_cloudinit(
    tmp_path: Path,
) -> None:
    document = example(KNOWN)
    file = tmp_path / "custom-data"
    file.write_text(text(document))
    program = build.ensure_program("coreos-cloudinit") / "coreos-cloudinit"
    validate = [str(program), "-validate", f"-from-file={file}"]

    checked = subprocess.run(validate, capture_output=True, text=True)
    file.write_text(text(document | {"runcmd": []}))
    counter_check = subprocess.run(validate, capture_output=True, text=True)

    assert found(document) == []
    assert checked.returncode == 0, checked.stderr
    assert 'unrecognized key "runcmd"' in counter_check.stderr


def test_a_preview_with_unknown_outputs_refuses_bad_custom_data(
    run: Callable[[Config], Recorded], config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = "#cloud-config\nruncmd: [x]\n"
    monkeypatch.setattr(cloud_config, "render", lambda *_, **__: wrong)

    with pytest.raises(pulumi.RunError, match=re.escape("no node could boot")):
        run(config)


def example(shape: Shape, key: str = "") -> Any:
    """A value of this shape, with every key that there is."""
    if isinstance(shape, Mapping):
        return {name: example(inner, name) for name, inner in shape.items()}
    if isinstance(shape, list):
        return [example(shape[0], key)]
    if shape is FLAG:
        return True
    if key == "name":
        return "x.conf" if "conf" in shape[0] else "x.service"
    return EXAMPLES.get(key, json.dumps(key))

"""Checks custom data by Flatcar's rules before any machine gets it.

Flatcar's coreos-cloudinit (config/config.go there) silently drops unknown keys. A value of a wrong
type makes it drop the whole document, and the machine never becomes a node. So this module checks
the whole rendered text, and reports all problems together.
"""

import base64
import binascii
import gzip
import posixpath
import re
import zlib
from collections.abc import Iterator, Mapping

import yaml

MAX_BYTES = 65_535
"""Azure: custom data is at most 64 KB before base64."""
READ_ONLY = ("/usr", "/bin", "/lib", "/lib64", "/sbin")
"""Flatcar mounts /usr read-only; the other folders are links into it."""

# A regular expression for the whole value, and a description of the allowed values.
Pattern = tuple[str, str]
TEXT: Pattern = (r"[\s\S]*", "text")
FLAG: Pattern = (r"true|false", "true or false")
UNIT: Pattern = (
    r"[A-Za-z0-9:_.\\@-]+\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)",
    "the file name of a systemd unit",
)
DROP_IN: Pattern = (r"[^/]+\.conf", "a file name that ends in .conf: systemd reads no other")
COMMAND: Pattern = (
    "start|stop|restart|reload|try-restart|reload-or-restart|reload-or-try-restart",
    "a command of coreos-cloudinit, like start",
)
# Go and Unix interpret higher bits differently
PERMISSIONS: Pattern = ("0?[0-7]{3}", 'octal digits in quotes, like "0755"')
ENCODING: Pattern = (r"(gz|gzip)(\+(b64|base64))?|b64|base64", "base64, gzip or gzip+base64")
CLOCK: Pattern = (
    "((?i:sun|mon|tue|wed|thu|fri|sat) )?([01]?[0-9]|2[0-3]):[0-5][0-9]",
    "a time, like 03:00 or Sun 03:00",
)
DURATION: Pattern = (r"([0-9]+(\.[0-9]+)?(h|m|s))+", "a duration, like 1h30m")
HOST: Pattern = ("[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", "a host name without dots")

Shape = Pattern | Mapping[str, "Shape"] | list["Shape"]
KNOWN: Mapping[str, Shape] = {
    "ssh_authorized_keys": [TEXT],
    "hostname": HOST,
    "manage_etc_hosts": ("localhost", "localhost, the only supported value"),
    "users": [
        {
            **dict.fromkeys(("name", "passwd", "gecos", "homedir", "primary_group", "shell"), TEXT),
            **dict.fromkeys(("no_create_home", "no_user_group", "system", "no_log_init"), FLAG),
            "ssh_authorized_keys": [TEXT],
            "groups": [TEXT],
        }
    ],
    "write_files": [
        {
            "path": TEXT,
            "content": TEXT,
            "owner": TEXT,
            "permissions": PERMISSIONS,
            "encoding": ENCODING,
        }
    ],
    "coreos": {
        "units": [
            {
                "name": UNIT,
                **dict.fromkeys(("mask", "enable", "runtime"), FLAG),
                "content": TEXT,
                "command": COMMAND,
                "drop_ins": [{"name": DROP_IN, "content": TEXT}],
            }
        ],
        "update": {
            "reboot_strategy": ("etcd-lock|reboot|off", "etcd-lock, reboot or off"),
            "group": TEXT,
            "server": TEXT,
        },
        "locksmith": {
            **dict.fromkeys(("endpoint", "etcd_cafile", "etcd_certfile", "etcd_keyfile"), TEXT),
            **dict.fromkeys(("etcd_username", "etcd_password", "group"), TEXT),
            "window_start": CLOCK,
            "window_length": DURATION,
        },
        "oem": dict.fromkeys(("id", "name", "version_id", "home_url", "bug_report_url"), TEXT),
    },
}
"""All keys except `coreos.etcd`, `etcd2`, `fleet` and `flannel`: Flatcar no longer contains these
programs, and their settings belong in their units."""
NEEDED = {"users": ("name",), "write_files": ("path",), "units": ("name",), "drop_ins": ("name",)}
"""The required keys of an item of a list."""


def problems(custom_data: bytes) -> list[str]:
    """Everything that Azure, its agent or coreos-cloudinit would refuse or misread."""
    if len(custom_data) > MAX_BYTES:
        return [f"it has {len(custom_data)} bytes; Azure accepts at most {MAX_BYTES}"]
    try:
        text = custom_data.decode()
    except UnicodeDecodeError:
        return [
            "it is not plain UTF-8, and Azure's agent on the node would never finish reading it"
        ]
    if not text.startswith("#cloud-config\n"):
        return ["its first line must be #cloud-config and nothing else"]
    found = []
    if variable := re.search(r"\$(public|private)_ipv[46]", text):
        found.append(
            f"it must not contain {variable[0]}: coreos-cloudinit replaces it, even in scripts"
        )
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        return [*found, f"it is not YAML: {error}"]
    return [*found, *_shape(root, KNOWN, ""), *_files(root), *_claims(root)]


def _shape(node: yaml.Node | None, shape: Shape, place: str) -> Iterator[str]:
    """The differences from the shape that coreos-cloudinit reads at this place."""
    if isinstance(shape, Mapping):
        yield from _map(node, shape, place)
    elif isinstance(shape, list):
        if not isinstance(node, yaml.SequenceNode):
            yield f"{place} must be a list"
            return
        for number, item in enumerate(node.value):
            yield from _shape(item, shape[0], f"{place}[{number}]")
    else:
        pattern, words = shape
        kind = "bool" if shape is FLAG else "str"
        if not isinstance(node, yaml.ScalarNode):
            yield f"{place} must be {words}"
        elif not node.tag.endswith(f":{kind}") or not re.fullmatch(pattern, node.value):
            yield f"{place} must be {words}, not {node.value or 'empty'}"


def _map(node: yaml.Node | None, shape: Mapping[str, Shape], place: str) -> Iterator[str]:
    if not isinstance(node, yaml.MappingNode):
        yield f"{place or 'it'} must be a map"
        return
    seen = set()
    for key_node, value in node.value:
        key = str(key_node.value)
        where = f"{place}.{key}".removeprefix(".")
        if key not in shape:
            known = key.replace("-", "_")
            hint = f": write {known}" if known in shape else f"; known keys: {', '.join(shape)}"
            yield f"{where} is a key that Flatcar silently drops{hint}"
        elif key in seen:
            yield f"{where} occurs twice"
        else:
            yield from _shape(value, shape[key], where)
        seen.add(key)
    list_name = re.sub(r"\[\d+\]$", "", place).rpartition(".")[2]
    for key in NEEDED.get(list_name, ()):
        if key not in seen:
            yield f"{place}.{key} is missing"


def _files(root: yaml.Node | None) -> Iterator[str]:
    """Problems of files: their paths, and content that can't be decoded."""
    for number, file in enumerate(_items(root, "write_files")):
        place = f"write_files[{number}]"
        path = file.get("path", "/")  # a missing path is already reported
        if not path.startswith("/") or posixpath.normpath(path) != path:
            yield f"{place}.path must be absolute and plain, not {path}"
        elif any(f"{path}/".startswith(f"{folder}/") for folder in READ_ONLY):
            yield f"{place}.path is in /usr, which is read-only on Flatcar: {path}"
        try:
            _decode(file.get("content", ""), file.get("encoding", ""))
        except (binascii.Error, ValueError, OSError, EOFError, zlib.error) as error:
            yield f"{place}.content does not have the encoding that is set: {error}"


def _decode(content: str, encoding: str) -> None:
    data = content.encode()
    if "64" in encoding:
        data = base64.b64decode(data.replace(b"\n", b""), validate=True)
    if "gz" in encoding:
        gzip.decompress(data)


def _claims(root: yaml.Node | None) -> Iterator[str]:
    """A second file or unit of the same name, which would replace the first one."""
    for kind, key in (("write_files", "path"), ("coreos.units", "name")):
        names = [item.get(key) for item in _items(root, kind)]
        for name in sorted({name for name in names if name and names.count(name) > 1}):
            yield f"{kind} has {name} more than once"


def _items(node: yaml.Node | None, path: str) -> list[dict[str, str]]:
    """The texts in the maps of a list. Items of another shape are already reported."""
    for step in path.split("."):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for key, value in pairs if key.value == step), None)
    items = node.value if isinstance(node, yaml.SequenceNode) else []
    return [
        {
            str(key.value): value.value
            for key, value in item.value
            if isinstance(value, yaml.ScalarNode)
        }
        for item in items
        if isinstance(item, yaml.MappingNode)
    ]

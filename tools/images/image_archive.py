"""Image files for `docker load`, with the same bytes for the same content.

`docker save` does not write them: each version of Docker has its own format.
https://github.com/moby/docker-image-spec/blob/main/v1.2.md
"""

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.compression import gzipped
from tools.content_key import sha256_of

GZIP_LEVEL = 1
"""Low: nodes unpack it at boot, and the lab packs it at each change."""
MANIFEST = "manifest.json"
SETTINGS = (
    *("Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "Labels", "StopSignal"),
    *("User", "Volumes", "WorkingDir"),
)
"""Settings from a Dockerfile. The rest of Docker's `Config` depends on its version."""
USUAL_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """The layers of an image file, the lowest first, and their sha256."""

    layers: tuple[Path, ...]
    digests: tuple[str, ...]


def write(
    archive: Path,
    reference: str,
    *,
    settings: Mapping[str, Any],
    layers: Sequence[Path],
    created: int,
) -> None:
    """Write an image file. `settings` is Docker's `Config` of the image."""
    digests = [sha256_of(layer) for layer in layers]
    time = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": time,
            "config": _plain(settings),
            "history": [{"created": time} for _layer in layers],
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one}" for one in digests]},
        }
    )
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    names = [f"{digest}/layer.tar" for digest in digests]
    manifest = [{"Config": config_name, "RepoTags": [reference], "Layers": names}]
    with (
        gzipped(archive, level=GZIP_LEVEL) as stream,
        tarfile.open(fileobj=stream, mode="w|", format=tarfile.USTAR_FORMAT) as tar,
    ):
        _add(tar, config_name, config)
        for name, layer in zip(names, layers, strict=True):
            member = tarfile.TarInfo(name)
            member.size = layer.stat().st_size
            with layer.open("rb") as file:
                tar.addfile(member, file)
        _add(tar, MANIFEST, _json(manifest))


def unpack(archive: Path, folder: Path) -> Unpacked:
    """Unpack an image file that `write` made."""
    with tarfile.open(archive, "r|gz") as tar:
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None, f"{member.name} in {archive} is no file"
            target = folder / member.name
            target.parent.mkdir(exist_ok=True)
            with target.open("wb") as file:
                shutil.copyfileobj(content, file)
    manifest = json.loads((folder / MANIFEST).read_text())[0]
    config = json.loads((folder / manifest["Config"]).read_text())
    return Unpacked(
        layers=tuple(folder / name for name in manifest["Layers"]),
        digests=tuple(config["rootfs"]["diff_ids"]),
    )


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the Dockerfile's settings in one form: builders add different ones."""
    plain = {name: settings[name] for name in SETTINGS if settings.get(name)}
    variables = list(plain.get("Env", ()))
    if not any(one.startswith("PATH=") for one in variables):
        variables.append(USUAL_PATH)
    plain["Env"] = sorted(variables)
    if plain.get("WorkingDir") == "/":
        del plain["WorkingDir"]
    return plain


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)  # owner root, time 0
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))

"""The entry to this package: build an artefact, image or program by name, if it is missing."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tools import go_toolchain, programs
from tools.artefacts import manifest
from tools.artefacts.manifest import Manifest
from tools.debian import pins
from tools.images import image_build

__all__ = ["Manifest", "ensure_artefacts", "ensure_image", "ensure_program"]

T = TypeVar("T")

ATTEMPTS = 3
"""As locked, with another lock, with another Go."""


def ensure_artefacts() -> Manifest:
    """Build what nodes fetch; write the manifest and return it."""
    built = _with_pins(manifest.ensure_artefacts)
    pins.warn_if_substituted()
    go_toolchain.warn_if_substituted()
    return built


def ensure_image(name: str) -> str:
    """Return an image's reference (`fleet/NAME:KEY`), once Docker has it."""
    return _with_pins(lambda: image_build.ensure_image(name))


def ensure_program(name: str) -> Path:
    """Return the folder that holds a program's binaries, building them if they are missing."""
    return _with_pins(lambda: programs.ensure_program(name))


def _with_pins(make: Callable[[], T]) -> T:
    """Begin again when other versions of packages or of Go are in use."""
    for _attempt in range(ATTEMPTS - 1):
        try:
            return make()
        except pins.PinsChangedError:
            continue
    return make()

"""The door to this package: ask for a thing by name, and it is there when the call returns."""

from collections.abc import Callable
from typing import TypeVar

from tools import artefacts, image_build, pins
from tools.artefacts import Manifest
from tools.programs import ensure_program

__all__ = ["Manifest", "ensure_artefacts", "ensure_image", "ensure_program"]

T = TypeVar("T")

ATTEMPTS = 3
"""As locked, with Debian's archive of old versions, with another lock."""


def ensure_artefacts() -> Manifest:
    """Build what nodes fetch, and write the manifest; return what it says."""
    manifest = _with_pins(artefacts.ensure_artefacts)
    pins.warn_if_substituted()
    return manifest


def ensure_image(name: str) -> str:
    """Return an image's reference (`fleet/NAME:KEY`), once Docker has it."""
    return _with_pins(lambda: image_build.ensure_image(name))


def _with_pins(make: Callable[[], T]) -> T:
    """Begin again as often as other versions of packages count."""
    for _attempt in range(ATTEMPTS - 1):
        try:
            return make()
        except pins.PinsChangedError:
            continue
    return make()

"""The door to this package: ask for a thing by name, and it is there when the call returns."""

from tools.artefacts import Manifest, ensure_artefacts
from tools.image_build import ensure_image
from tools.programs import ensure_program

__all__ = ["Manifest", "ensure_artefacts", "ensure_image", "ensure_program"]

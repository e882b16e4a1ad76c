"""How a service names its image in the private registry."""

from __future__ import annotations

import re
from dataclasses import dataclass

from contract.codec import Malformed

_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?P<repository>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127})|@(?P<digest>sha256:[0-9a-f]{64}))"
)


@dataclass(kw_only=True, frozen=True)
class ImageName:
    """An image in the private registry, by tag or by digest."""

    repository: str
    tag: str | None
    digest: str | None

    @property
    def reference(self) -> str:
        """The part after the repository, as the registry's API takes it."""
        return self.digest or self.tag or ""

    def __str__(self) -> str:
        return (
            f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"
        )


def parse_image_name(text: str) -> ImageName:
    """Raises Malformed."""
    match = _IMAGE.fullmatch(text)
    if match is None:
        raise Malformed(
            f"image {text!r} must be REPOSITORY:TAG or REPOSITORY@sha256:DIGEST in the private "
            "registry (no host name; without a tag two releases would look the same)"
        )
    return ImageName(repository=match["repository"], tag=match["tag"], digest=match["digest"])

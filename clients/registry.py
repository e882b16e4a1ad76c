"""The private registry on this node: the digest that a tag names now.

A rollout asks it before it starts anything, so that a missing image costs no request.
"""

from __future__ import annotations

import re

import httpx

from clients.clock import Clock
from clients.errors import ClusterError
from clients.progress import Progress
from clients.waiting import wait_until
from contract.image_name import ImageName
from contract.ports import REGISTRY

ADDRESS = f"localhost:{REGISTRY}"
# Without these the registry converts to its oldest format, whose digest can't be pulled.
_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PATIENCE = 90.0  # after an outage of storage the registry recovers within about 35 s
_PAUSE = 2.0


class RegistryError(ClusterError):
    """The image is not there, or the registry does not answer."""


class Registry:
    """The registry on this node."""

    def __init__(
        self,
        clock: Clock,
        progress: Progress,
        *,
        cluster: str,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._clock = clock
        self._progress = progress
        self._cluster = cluster
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{REGISTRY}",
            transport=transport,
            trust_env=False,
            verify=False,  # plain HTTP: loading certificates costs 30 ms and 1 MB
            timeout=20.0,
        )

    def resolve(self, image: ImageName) -> str:
        """The digest of `image`. Raises RegistryError if it is missing, or after 90 s without an
        answer."""
        digest = ""

        def answered() -> str | None:
            nonlocal digest
            found = self._ask(image)
            if isinstance(found, str):
                return f"the registry on this node does not answer for {image}: {found}"
            digest = _digest(image, found)
            return None

        wait_until(
            answered,
            patience=_PATIENCE,
            pause=_PAUSE,
            clock=self._clock,
            progress=self._progress,
            give_up=lambda problem: RegistryError(
                f"{problem}. Look at `docker logs` of the registry container and at "
                "the storage account"
            ),
        )
        return digest

    def _ask(self, image: ImageName) -> httpx.Response | str:
        """The answer for an image that is there, or why there is none. Raises RegistryError."""
        path = f"/v2/{image.repository}/manifests/{image.reference}"
        try:
            answer = self._client.head(path, headers={"Accept": _ACCEPT})
        except httpx.TransportError as error:
            return str(error) or type(error).__name__
        if answer.status_code == 404:
            raise RegistryError(
                f"image {image} is not in the registry of {self._cluster}. Push it first: "
                "README, Pushing images, says how (in the lab `make registry "
                f"STACK={self._cluster.removeprefix('fleet-')}` prints where to)"
            )
        return answer if answer.is_success else f"{answer.status_code} {answer.reason_phrase}"

    def answers(self) -> bool:
        """Whether the registry can reach its storage. `/v2/` answers without it; a 404 for the tags
        of an unknown repository comes from storage."""
        try:
            answer = self._client.get("/v2/fleet-probe/tags/list")
        except httpx.TransportError:
            return False
        return answer.status_code in (200, 404)


def _digest(image: ImageName, answer: httpx.Response) -> str:
    digest = answer.headers.get("Docker-Content-Digest", "")
    if not _DIGEST.fullmatch(digest):
        raise RegistryError(f"the registry gives no digest for {image}: {digest!r}")
    return str(digest)

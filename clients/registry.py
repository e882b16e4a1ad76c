"""The private registry on this node: which digest a tag means now.

Asked before anything is started, so that a missing image costs nobody a request.
"""

from __future__ import annotations

import re

import httpx

from clients.clock import Clock
from clients.errors import ClusterError
from clients.progress import Patience, Progress
from contract.image_name import ImageName
from contract.ports import REGISTRY

ADDRESS = f"localhost:{REGISTRY}"
# Without these the registry converts to the oldest format it knows, whose digest nobody can pull.
_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PATIENCE = 90.0  # storage that was down: the registry is well again some 35 s later
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
            timeout=20.0,
        )

    def resolve(self, image: ImageName) -> str:
        """The digest of `image`. Raises RegistryError: it is missing, or 90 s of trouble."""
        path = f"/v2/{image.repository}/manifests/{image.reference}"
        deadline = self._clock.now() + _PATIENCE
        patience = Patience(self._clock, self._progress)
        while True:
            problem = ""
            try:
                answer = self._client.head(path, headers={"Accept": _ACCEPT})
            except httpx.TransportError as error:
                problem = str(error) or type(error).__name__
            else:
                if answer.is_success:
                    return _digest(image, answer)
                if answer.status_code == 404:
                    raise RegistryError(
                        f"image {image} is not in the registry of {self._cluster}. Push it first: "
                        "README, Pushing images, says how (in the lab `make registry "
                        f"STACK={self._cluster.removeprefix('fleet-')}` prints where to)"
                    )
                problem = f"{answer.status_code} {answer.reason_phrase}"
            if self._clock.now() >= deadline:
                raise RegistryError(
                    f"the registry on this node does not answer for {image}: {problem}. "
                    "Look at `docker logs` of the registry container and at the storage account"
                )
            patience.waiting_for(f"waiting for the registry: {problem}")
            self._clock.sleep(_PAUSE)

    def answers(self) -> bool:
        """Whether the registry can reach its storage. `/v2/` would say yes without it; asking for
        an unknown repository's tags is answered 404 only by way of the storage."""
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

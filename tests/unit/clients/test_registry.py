"""From a tag to a digest, in front of a registry that may be in trouble."""

from __future__ import annotations

import httpx
import pytest

from clients.registry import Registry, RegistryError
from contract.image_name import ImageName
from tests.unit.cluster.simulated_clock import SimulatedClock

IMAGE = ImageName(repository="toktv/api", tag="1.4.2", digest=None)
DIGEST = "sha256:" + "ab" * 32


def registry(*answers: httpx.Response) -> tuple[Registry, list[httpx.Request]]:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return answers[min(len(requests), len(answers)) - 1]

    lines: list[str] = []
    transport = httpx.MockTransport(answer)
    there = Registry(SimulatedClock(), lines.append, cluster="fleet-dev", transport=transport)
    return there, requests


def test_tag_is_resolved_to_the_digest_that_docker_pulls() -> None:
    there, requests = registry(httpx.Response(200, headers={"Docker-Content-Digest": DIGEST}))

    assert there.resolve(IMAGE) == DIGEST
    assert requests[0].method == "HEAD"
    assert requests[0].url.path == "/v2/toktv/api/manifests/1.4.2"
    assert "application/vnd.oci.image.index.v1+json" in requests[0].headers["Accept"]


def test_missing_image_is_named_with_the_stack_that_lacks_it() -> None:
    there, _ = registry(httpx.Response(404))

    with pytest.raises(RegistryError, match=r"toktv/api:1\.4\.2 .* fleet-dev\. .*STACK=dev"):
        there.resolve(IMAGE)


def test_resolve_waits_for_a_registry_in_trouble() -> None:
    well = httpx.Response(200, headers={"Docker-Content-Digest": DIGEST})
    there, requests = registry(httpx.Response(503), httpx.Response(500), well)

    assert there.resolve(IMAGE) == DIGEST
    assert len(requests) == 3


def test_registry_that_never_answers_is_an_error() -> None:
    there, _ = registry(httpx.Response(503))

    with pytest.raises(RegistryError, match=r"does not answer for toktv/api:1\.4\.2: 503"):
        there.resolve(IMAGE)


@pytest.mark.parametrize(("status", "answers"), [(200, True), (404, True), (500, False)])
def test_registry_answers_when_its_storage_does(status: int, answers: bool) -> None:
    there, _ = registry(httpx.Response(status))

    assert there.answers() is answers

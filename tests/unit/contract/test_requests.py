"""What comes in on standard input and from the environment is checked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clients.errors import ClusterError
from cluster import node_settings
from contract.codec import Malformed, encode
from contract.requests import ApplyService, Platform, read_request
from tests.unit.cluster.services import Wanted

GOOD = json.loads(Wanted().text)


def read(**changes: Any) -> ApplyService:
    return read_request(ApplyService, json.dumps({**GOOD, **changes}))


def test_service_is_read() -> None:
    service = read()

    assert str(service.image_name) == "toktv/api:1.0"
    assert (service.instances, service.drain, service.keep) == (2, 2.0, 2)


def test_a_written_request_can_be_read() -> None:
    service = read()

    assert read_request(ApplyService, encode(service)) == service


def test_equal_routes_are_equal_whatever_their_order() -> None:
    one = read(route={"hosts": [], "http": True})
    other = read(route={"http": True, "hosts": []})

    assert encode(one.route) == encode(other.route)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Api"}, "name must be 1 to 63 characters"),
        ({"name": ""}, "name must be 1 to 63 characters"),
        ({"name": 5}, "name must be text, not 5"),
        ({"instances": 0}, "instances must be 1 or more, not 0"),
        ({"instances": True}, "instances must be a whole number, not True"),
        ({"image": "toktv/api"}, "image 'toktv/api' must be REPOSITORY:TAG"),
        ({"image": "docker.io:5000/api:1"}, "no host name"),
        ({"units": {"app": "x"}}, "units.announce is missing"),
        ({"units": {"app": "x", "announce": ""}}, "units: announce is empty"),
        ({"route": "x"}, "route must be an object, not 'x'"),
        ({"route": {"tcp": [{"port": 0}]}}, "route.tcp: 0 is not a port"),
        ({"drain": -1}, "drain must be 0 or more, not -1"),
        ({"drain": None}, "drain must be a number, not None"),
        ({"instanecs": 3}, "instanecs is unknown here; known: .*instances"),
        ({"route": {"host": []}}, "route.host is unknown here; known: .*hosts"),
    ],
)
def test_wrong_input_is_refused_with_its_place(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Malformed, match=message):
        read(**changes)


@pytest.mark.parametrize(("text", "message"), [("hello", "not JSON"), ("[]", "not a JSON object")])
def test_text_that_is_no_json_object_is_refused(text: str, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        read_request(ApplyService, text)


def test_image_may_be_given_by_digest() -> None:
    digest = "sha256:" + "ab" * 32

    assert read(image=f"team/api@{digest}").image_name.reference == digest


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ({"router": "12"}, "images.router must be the sha256"),
        ({"cluster": "ab" * 32}, "units.router has no image"),
    ],
)
def test_platform_unit_needs_its_image(images: dict[str, str], message: str) -> None:
    text = json.dumps({"images": images, "units": {"router": "[Unit]"}, "timeout": 1})

    with pytest.raises(Malformed, match=message):
        read_request(Platform, text)


def test_environment_reports_every_missing_variable() -> None:
    with pytest.raises(ClusterError, match=r"CLUSTER_SIZE must be a number.*NODE_IP is not set"):
        node_settings.read({"NODE_NAME": "core-0", "CLUSTER_SIZE": "three"})

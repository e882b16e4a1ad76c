"""What comes in on standard input and from the environment is checked, all of it at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clients.errors import ClusterError
from cluster import node_settings
from contract import requests
from tests.unit.cluster.services import Wanted

GOOD = json.loads(Wanted().text)


def changed(**changes: Any) -> str:
    return json.dumps({**GOOD, **changes})


def test_service_is_read() -> None:
    service = requests.service(json.dumps(GOOD))

    assert str(service.image) == "toktv/api:1.0"
    assert (service.instances, service.drain, service.keep) == (2, 2.0, 2)


def test_equal_routes_are_equal_whatever_their_order() -> None:
    one = requests.service(changed(route={"hosts": [], "http": True}))
    other = requests.service(changed(route={"http": True, "hosts": []}))

    assert one.route == other.route


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Api"}, "name must be 1 to 63 characters"),
        ({"name": ""}, "name must be text"),
        ({"instances": 0}, "instances must be a whole number, 1 or more, not 0"),
        ({"instances": True}, "instances must be a whole number"),
        ({"image": "toktv/api"}, "image 'toktv/api' must be REPOSITORY:TAG"),
        ({"image": "docker.io:5000/api:1"}, "no host name"),
        ({"units": {"app": "x"}}, "units.announce is missing"),
        ({"route": "x"}, "route must be an object"),
        ({"drain": -1}, "drain must be a number of seconds"),
        ({"instanecs": 3}, "instanecs is unknown here; known: .*instances"),
    ],
)
def test_wrong_input_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ClusterError, match=message):
        requests.service(changed(**changes))


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(ClusterError, match=r"name .*; image .*; instances "):
        requests.service(changed(name="-", image="x", instances=-1))


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(ClusterError, match="not JSON"):
        requests.service("hello")


def test_image_may_be_given_by_digest() -> None:
    digest = "sha256:" + "ab" * 32

    image = requests.service(changed(image=f"team/api@{digest}")).image

    assert image.reference == digest


def test_platform_unit_needs_its_image() -> None:
    text = json.dumps({"images": {"cluster": "12"}, "units": {"router": "[Unit]"}})

    with pytest.raises(ClusterError, match=r"images\.cluster must be.*units\.router has no image"):
        requests.platform(text)


def test_environment_reports_every_missing_variable() -> None:
    with pytest.raises(ClusterError, match=r"CLUSTER_SIZE must be a number.*NODE_IP is not set"):
        node_settings.read({"NODE_NAME": "core-0", "CLUSTER_SIZE": "three"})

"""Each answer of the API is reported to the engine with its gRPC code."""

from __future__ import annotations

import socket
import threading

import grpc
import pytest

from lab.azure.arm.errors import AzureError
from lab.providers.cloud_client import CloudClient, CloudError
from lab.providers.plugin import ProviderError
from tests.parts.lab.providers.simulated_azure import TOKEN, SimulatedAzure

GROUP = "azure-native:resources:ResourceGroup"
INPUTS = {"resourceGroupName": "group", "location": "westeurope"}


@pytest.fixture
def client(cloud: SimulatedAzure) -> CloudClient:
    return CloudClient(cloud.url, TOKEN)


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (400, "bad name", grpc.StatusCode.INVALID_ARGUMENT),
        (403, "no right", grpc.StatusCode.PERMISSION_DENIED),
        (404, "no group", grpc.StatusCode.NOT_FOUND),
        (409, "another operation is in progress", grpc.StatusCode.FAILED_PRECONDITION),
        (429, "too many requests", grpc.StatusCode.RESOURCE_EXHAUSTED),
        (500, "on fire", grpc.StatusCode.ABORTED),
        (501, "property x", grpc.StatusCode.UNIMPLEMENTED),
    ],
)
def test_a_refusal_has_azures_code(
    client: CloudClient, cloud: SimulatedAzure, status: int, message: str, code: grpc.StatusCode
) -> None:
    cloud.failures["ResourceGroup"] = AzureError("SomeCode", message, status)

    with pytest.raises(CloudError, match=f"SomeCode: .*{message}") as caught:
        client.create(GROUP, INPUTS)

    assert caught.value.code is code


def test_creating_an_existing_resource_has_its_own_error(client: CloudClient) -> None:
    client.create(GROUP, INPUTS)

    with pytest.raises(CloudError, match="cannot create already existing resource") as caught:
        client.create(GROUP, INPUTS)

    assert caught.value.code is grpc.StatusCode.ALREADY_EXISTS


def test_a_resource_can_be_read_until_it_is_deleted(client: CloudClient) -> None:
    made = client.create(GROUP, INPUTS)

    found = client.read(made.id)
    client.delete(made.id)

    assert found == made
    assert client.read(made.id) is None


def test_deleting_a_missing_resource_is_no_error(client: CloudClient) -> None:
    client.delete("/subscriptions/x/resourceGroups/gone")


def test_a_wrong_token_is_refused(cloud: SimulatedAzure) -> None:
    with pytest.raises(CloudError) as caught:
        CloudClient(cloud.url, "wrong").read("/subscriptions/x/resourceGroups/group")

    assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED


def test_a_cloud_that_does_not_run_is_unavailable(
    cloud: SimulatedAzure, client: CloudClient
) -> None:
    cloud.stop()

    with pytest.raises(ProviderError, match="run make up") as caught:
        client.create(GROUP, INPUTS)

    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


def test_a_cloud_that_takes_too_long_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"

        with pytest.raises(ProviderError, match=r"did not finish within 0\.2 s") as caught:
            CloudClient(url, TOKEN).create(GROUP, INPUTS, timeout=0.2)

    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_an_answer_that_is_not_the_clouds_is_shown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 502 Bad\r\nContent-Length: 7\r\n\r\n<html/>")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"

        with pytest.raises(CloudError, match="HTTP 502: <html/>"):
            CloudClient(url, TOKEN).create(GROUP, INPUTS)
        thread.join(timeout=5)


def test_without_the_labs_environment_the_error_names_lab_exec(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LAB_API_URL", raising=False)

    with pytest.raises(ProviderError, match=r"LAB_API_URL is not set.*make up"):
        CloudClient.from_environment().read("/subscriptions/x/resourceGroups/group")

"""Blobs: uploaded with the account's key, over TLS, under the account's own name."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.azure.arm.store import Resource
from lab.azure.data_plane import DataPlane, Settings
from lab.azure.storage.blob_request import Target
from lab.azure.storage.resource_types import BLOB
from tests.parts.lab.azurite import AZURITE_ACCOUNT, delete_containers
from tests.parts.lab.providers.pulumi_stack import PulumiStack
from tests.parts.lab.providers.simulated_azure import SimulatedAzure
from tests.ports import free_port
from tests.unit.lab.azure.stored_resources import KEY

TARGET = Target(account="fleetdata", container="registry", blob="bundle-1.tar.gz")

PROGRAM = """
    import os
    import pulumi
    from pulumi_azure_native import storage

    blob = storage.Blob(
        "bundle-1.tar.gz",
        resource_group_name="fleet-dev",
        account_name="fleetdata",
        container_name="registry",
        content_type="{content_type}",
        metadata={{"purpose": "tests"}},
        source={source},
    )
    pulumi.export("url", blob.url)
    pulumi.export("md5", blob.content_md5)
"""

FILE = 'pulumi.FileAsset(os.path.abspath("bundle"))'


def program(*, source: str = FILE, content_type: str = "application/gzip") -> str:
    return PROGRAM.format(source=source, content_type=content_type)


@dataclass(frozen=True)
class Storage:
    """The blob service, and the blob that the program uploads."""

    cloud: SimulatedAzure
    plane: DataPlane

    def content(self) -> bytes | None:
        return self._ask("GET")[1]

    def headers(self) -> Mapping[str, str]:
        return self._ask("HEAD")[0]

    def largest_block(self) -> int:
        _, blocks = self._ask("GET", "comp=blocklist")
        return max(int(size) for size in re.findall(rb"<Size>(\d+)</Size>", blocks or b""))

    def delete(self) -> None:
        self._ask("DELETE")

    def records(self) -> list[Resource]:
        return [each for each in self.cloud.resources.values() if each.token == BLOB]

    def _ask(self, method: str, query: str = "") -> tuple[Mapping[str, str], bytes | None]:
        azurite = self.plane.azurite

        async def ask() -> tuple[Mapping[str, str], bytes | None]:
            async with azurite.send(method, azurite.path(TARGET), query) as answer:
                return answer.headers, await answer.read() if answer.ok else None

        return self.cloud.run(ask())


@pytest.fixture
def storage(
    tmp_path: Path, cloud: SimulatedAzure, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Storage]:
    front = free_port()
    settings = Settings(
        state=tmp_path / "data-plane",
        azurite_url=azurite,
        azurite_account=AZURITE_ACCOUNT,
        azurite_key=KEY,
        metadata=("127.0.0.1", free_port()),
        names=("127.0.0.1", free_port()),
        front=("127.0.0.1", front),
    )
    plane = DataPlane(cloud.azure.store, settings)
    cloud.create("resources:ResourceGroup", "storage:StorageAccount", "storage:BlobContainer")
    cloud.run(plane.azurite.create_container(TARGET.account, TARGET.container))
    cloud.run(plane.start())
    monkeypatch.setenv("LAB_BLOB_ENDPOINT", f"127.0.0.1:{front}")
    monkeypatch.setenv("LAB_CA", str(plane.authority.certificate))
    try:
        yield Storage(cloud, plane)
    finally:
        cloud.run(delete_containers(plane.azurite, TARGET.account))
        cloud.run(plane.stop())


def test_a_large_file_is_uploaded_in_blocks(
    stack: PulumiStack, cloud: SimulatedAzure, storage: Storage
) -> None:
    content = bytes(range(256)) * 80 * 1024  # 20 MiB
    stack.file("bundle", content)
    stack.program(program())

    outcome = stack.up()
    again = stack.preview("--expect-no-changes")

    assert outcome.succeeded, outcome.text
    assert again.succeeded, again.text
    assert storage.content() == content
    assert storage.largest_block() <= 8 * 1024 * 1024
    assert stack.outputs() == {
        "url": "https://fleetdata.blob.core.windows.net/registry/bundle-1.tar.gz",
        "md5": base64.b64encode(hashlib.md5(content).digest()).decode(),
    }
    assert cloud.writes() == ["POST Blob"]


def test_new_content_replaces_the_blob(
    stack: PulumiStack, cloud: SimulatedAzure, storage: Storage
) -> None:
    stack.program(program(source='pulumi.StringAsset("one")'))
    stack.up()

    stack.program(program(source='pulumi.StringAsset("two")'))
    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    assert storage.content() == b"two"
    assert cloud.writes() == ["POST Blob", "DELETE", "POST Blob"]


def test_a_new_content_type_changes_the_blob_in_place(
    stack: PulumiStack, cloud: SimulatedAzure, storage: Storage
) -> None:
    stack.file("bundle", b"content")
    stack.program(program())
    stack.up()

    stack.program(program(content_type="text/plain"))
    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    assert storage.headers()["Content-Type"] == "text/plain"
    assert storage.headers()["x-ms-meta-purpose"] == "tests"
    assert cloud.writes() == ["POST Blob", "PUT Blob"]


def test_refresh_notices_a_missing_blob_and_up_uploads_it_again(
    stack: PulumiStack, storage: Storage
) -> None:
    stack.file("bundle", b"content")
    stack.program(program())
    stack.up()
    storage.delete()

    stack.refresh()
    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    assert storage.content() == b"content"


def test_destroy_removes_blob_and_record(stack: PulumiStack, storage: Storage) -> None:
    stack.file("bundle", b"content")
    stack.program(program())
    stack.up()

    outcome = stack.destroy()

    assert outcome.succeeded, outcome.text
    assert storage.content() is None
    assert storage.records() == []


def test_an_account_without_shared_keys_takes_no_blob(
    stack: PulumiStack, cloud: SimulatedAzure, storage: Storage
) -> None:
    cloud.run(cloud.azure.update("storage:StorageAccount", allowSharedKeyAccess=False))
    stack.file("bundle", b"content")
    stack.program(program())

    outcome = stack.up()

    assert not outcome.succeeded
    assert "KeyBasedAuthenticationNotPermitted" in outcome.text
    assert storage.records() == []


def test_an_upload_that_was_interrupted_is_done_by_the_next_up(
    stack: PulumiStack, cloud: SimulatedAzure, storage: Storage
) -> None:
    stack.file("bundle", b"content")
    stack.program(program())
    stack.up()
    # As if the engine had died between the upload and the record.
    cloud.azure.store.delete(storage.records()[0].id)
    stack.run("state", "delete", stack.resource("bundle-1.tar.gz")["urn"], "--yes")

    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    assert len(storage.records()) == 1


def test_archives_are_refused(stack: PulumiStack, storage: Storage) -> None:
    stack.program(program(source='pulumi.FileArchive(".")'))

    outcome = stack.preview()

    assert not outcome.succeeded
    assert "no archive and no URL" in outcome.text
    assert storage.content() is None

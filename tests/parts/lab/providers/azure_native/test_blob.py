"""Blobs: uploaded with the account's key, over TLS, under the account's own name."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.lab.providers.pulumi_stack import PulumiStack
from tests.unit.lab.providers.fake_cloud import FakeCloud
from tests.unit.lab.providers.fake_storage import FakeStorage, serving_storage

KEY = "artefacts.blob.core.windows.net/nodes/bundle-1.tar.gz"

PROGRAM = """
    import os
    import pulumi
    from pulumi_azure_native import storage

    blob = storage.Blob(
        "bundle-1.tar.gz",
        resource_group_name="group",
        account_name="artefacts",
        container_name="nodes",
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


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeStorage]:
    with serving_storage(tmp_path / "tls") as made:
        monkeypatch.setenv("LAB_BLOB_ENDPOINT", f"127.0.0.1:{made.port}")
        monkeypatch.setenv("LAB_CA", str(made.ca))
        yield made


def test_a_large_file_is_uploaded_in_blocks(
    stack: PulumiStack, cloud: FakeCloud, storage: FakeStorage
) -> None:
    content = bytes(range(256)) * 80 * 1024  # 20 MiB
    stack.file("bundle", content)
    stack.program(program())

    outcome = stack.up()
    again = stack.preview("--expect-no-changes")

    assert outcome.succeeded, outcome.text
    assert again.succeeded, again.text
    assert storage.blobs[KEY].content == content
    assert storage.largest_body <= 8 * 1024 * 1024
    assert stack.outputs() == {
        "url": "https://artefacts.blob.core.windows.net/nodes/bundle-1.tar.gz",
        "md5": base64.b64encode(hashlib.md5(content).digest()).decode(),
    }
    assert cloud.writes() == ["POST Blob"]


def test_new_content_replaces_the_blob(
    stack: PulumiStack, cloud: FakeCloud, storage: FakeStorage
) -> None:
    stack.program(program(source='pulumi.StringAsset("one")'))
    stack.up()

    stack.program(program(source='pulumi.StringAsset("two")'))
    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    assert storage.blobs[KEY].content == b"two"
    assert cloud.writes() == ["POST Blob", "DELETE", "POST Blob"]


def test_a_new_content_type_changes_the_blob_in_place(
    stack: PulumiStack, cloud: FakeCloud, storage: FakeStorage
) -> None:
    stack.file("bundle", b"content")
    stack.program(program())
    stack.up()

    stack.program(program(content_type="text/plain"))
    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    assert storage.blobs[KEY].headers["x-ms-blob-content-type"] == "text/plain"
    assert storage.blobs[KEY].headers["x-ms-meta-purpose"] == "tests"
    assert cloud.writes() == ["POST Blob", "PUT Blob"]


def test_refresh_notices_that_a_blob_is_gone_and_up_uploads_it_again(
    stack: PulumiStack, storage: FakeStorage
) -> None:
    stack.file("bundle", b"content")
    stack.program(program())
    stack.up()
    storage.blobs.clear()

    stack.refresh()
    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    assert storage.blobs[KEY].content == b"content"


def test_destroy_removes_blob_and_record(
    stack: PulumiStack, cloud: FakeCloud, storage: FakeStorage
) -> None:
    stack.file("bundle", b"content")
    stack.program(program())
    stack.up()

    outcome = stack.destroy()

    assert outcome.succeeded, outcome.text
    assert storage.blobs == {}
    assert cloud.resources == {}


def test_an_account_without_shared_keys_takes_no_blob(
    stack: PulumiStack, cloud: FakeCloud, storage: FakeStorage
) -> None:
    storage.allows_keys = False
    stack.file("bundle", b"content")
    stack.program(program())

    outcome = stack.up()

    assert not outcome.succeeded
    assert "KeyBasedAuthenticationNotPermitted" in outcome.text
    assert cloud.resources == {}


@pytest.mark.usefixtures("storage")
def test_an_upload_that_was_interrupted_is_done_by_the_next_up(
    stack: PulumiStack, cloud: FakeCloud
) -> None:
    stack.file("bundle", b"content")
    stack.program(program())
    stack.up()
    cloud.resources.clear()  # the engine died between the upload and the record …
    stack.run("state", "delete", stack.resource("bundle-1.tar.gz")["urn"], "--yes")  # … and so

    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    assert len(cloud.resources) == 1


def test_archives_are_refused(stack: PulumiStack, storage: FakeStorage) -> None:
    stack.program(program(source='pulumi.FileArchive(".")'))

    outcome = stack.preview()

    assert not outcome.succeeded
    assert "no archive and no URL" in outcome.text
    assert storage.blobs == {}

"""The blob operations of the registry's driver, the provider and the VMs, on a real Azurite."""

import base64
import hashlib
import os
from collections.abc import AsyncIterator
from xml.etree import ElementTree

import aiohttp
import pytest

from tests.parts.lab.azure.conftest import Running
from tests.parts.lab.azurite import delete_containers

HOST = "media.blob.core.windows.net"


def headers(running: Running, **more: str) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return {"Authorization": f"Bearer {running.token()}", "x-ms-version": "2025-11-05", **named}


async def put(running: Running, path: str, body: bytes, **more: str) -> int:
    if "comp=" not in path and "x_ms_copy_source" not in more:
        more = {"x_ms_blob_type": "BlockBlob", **more}
    asked = headers(running, **more)
    async with running.client() as client:
        answer = await client.put(running.url(HOST, path), data=body, headers=asked)
    return answer.status


async def get(running: Running, path: str, **more: str) -> tuple[int, bytes]:
    async with running.client() as client:
        answer = await client.get(running.url(HOST, path), headers=headers(running, **more))
        return answer.status, await answer.read()


async def test_a_blob_comes_back_as_it_was_put(storage: Running) -> None:
    film = os.urandom(3 << 20)

    assert await put(storage, "/films/a%20b/c%2Bd.bin", film) == 201

    assert await get(storage, "/films/a%20b/c%2Bd.bin") == (200, film)


async def test_a_range_of_a_blob_is_answered_with_206(storage: Running) -> None:
    await put(storage, "/films/one", b"0123456789")

    assert await get(storage, "/films/one", x_ms_range="bytes=3-5") == (206, b"345")


async def test_head_returns_the_size_without_a_body(storage: Running) -> None:
    await put(storage, "/films/one", b"0123456789")

    async with storage.client() as client:
        answer = await client.head(storage.url(HOST, "/films/one"), headers=headers(storage))

    assert answer.status == 200
    assert answer.headers["Content-Length"] == "10"
    assert answer.headers["x-ms-blob-type"] == "BlockBlob"


async def test_head_of_a_missing_blob_names_the_error_in_a_header(storage: Running) -> None:
    async with storage.client() as client:
        answer = await client.head(storage.url(HOST, "/films/none"), headers=headers(storage))

    assert (answer.status, answer.headers["x-ms-error-code"]) == (404, "BlobNotFound")


async def test_the_blob_named_slash_can_be_asked_for(storage: Running) -> None:
    """The registry's health check does."""
    assert (await get(storage, "/films//"))[0] == 404


async def test_blocks_make_a_blob(storage: Running) -> None:
    ids = [base64.b64encode(name).decode() for name in (b"block-1", b"block-2")]
    listed = "".join(f"<Latest>{each}</Latest>" for each in ids)

    for each, body in zip(ids, (b"first ", b"second"), strict=True):
        quoted = each.replace("=", "%3D")
        assert await put(storage, f"/films/two?comp=block&blockid={quoted}", body) == 201
    document = f'<?xml version="1.0"?><BlockList>{listed}</BlockList>'.encode()
    assert await put(storage, "/films/two?comp=blocklist", document) == 201

    assert await get(storage, "/films/two") == (200, b"first second")


async def test_an_append_blob_grows_at_the_position_named(storage: Running) -> None:
    """How the registry's driver writes uploads."""
    await put(storage, "/films/log", b"", x_ms_blob_type="AppendBlob")

    first = await put(
        storage, "/films/log?comp=appendblock", b"one", x_ms_blob_condition_appendpos="0"
    )
    late = await put(
        storage, "/films/log?comp=appendblock", b"two", x_ms_blob_condition_appendpos="0"
    )

    assert (first, late) == (201, 412)
    assert await get(storage, "/films/log") == (200, b"one")


async def test_a_copy_names_its_source_as_the_client_did(storage: Running) -> None:
    await put(storage, "/films/from%20here", b"moved")
    source = f"https://{HOST}/films/from%20here"

    assert await put(storage, "/films/to", b"", x_ms_copy_source=source) == 202

    assert await get(storage, "/films/to") == (200, b"moved")
    async with storage.client() as client:
        answer = await client.head(storage.url(HOST, "/films/to"), headers=headers(storage))
    assert answer.headers["x-ms-copy-source"] == source


async def test_copying_what_is_not_there_fails_as_in_azure(storage: Running) -> None:
    source = f"https://{HOST}/films/none"

    assert await put(storage, "/films/to", b"", x_ms_copy_source=source) == 404


async def test_a_list_shows_the_accounts_own_names(storage: Running) -> None:
    for name in ("a/1", "a/2", "b/1"):
        await put(storage, f"/films/{name}", b"x")

    _, text = await get(
        storage, "/films?restype=container&comp=list&prefix=a%2F&delimiter=%2F&maxresults=1"
    )

    listing = ElementTree.fromstring(text)
    assert listing.attrib == {"ServiceEndpoint": f"https://{HOST}/", "ContainerName": "films"}
    assert [one.text for one in listing.iterfind("Blobs/Blob/Name")] == ["a/1"]
    assert listing.findtext("NextMarker")


async def test_a_lease_keeps_others_from_writing(storage: Running) -> None:
    await put(storage, "/films/held", b"x")
    lease = {"x_ms_lease_action": "acquire", "x_ms_lease_duration": "15"}

    assert await put(storage, "/films/held?comp=lease", b"", **lease) == 201
    assert await put(storage, "/films/held?comp=lease", b"", **lease) == 409
    assert await put(storage, "/films/held", b"y") == 412


async def test_only_one_of_two_creates_wins(storage: Running) -> None:
    assert await put(storage, "/films/members.json", b"1", If_None_Match="*") == 201
    assert await put(storage, "/films/members.json", b"2", If_None_Match="*") == 409


async def test_a_stale_writer_is_refused_by_its_etag(storage: Running) -> None:
    await put(storage, "/films/one", b"1")
    async with storage.client() as client:
        seen = await client.head(storage.url(HOST, "/films/one"), headers=headers(storage))
    await put(storage, "/films/one", b"2")

    assert await put(storage, "/films/one", b"3", If_Match=seen.headers["ETag"]) == 412


async def test_metadata_with_any_name_is_kept(storage: Running) -> None:
    """Azurite sorts signed headers by locale; ours must agree."""
    names = {"x_ms_meta_" + name: "v" for name in ("a1", "a0b", "aB", "zz")}
    asked = {"x-ms-meta-a_1": "v", "x-ms-meta-a1": "v", "x-ms-meta-a_b": "v", "x-ms-meta-ab": "v"}
    async with storage.client() as client:
        answer = await client.put(
            storage.url(HOST, "/films/m"),
            data=b"x",
            headers={**headers(storage, x_ms_blob_type="BlockBlob"), **asked},
        )

    assert answer.status == 201
    assert await put(storage, "/films/m", b"x", **names) == 201


async def test_a_deleted_blob_is_gone(storage: Running) -> None:
    await put(storage, "/films/one", b"x")
    async with storage.client() as client:
        answer = await client.delete(storage.url(HOST, "/films/one"), headers=headers(storage))

    assert answer.status == 202
    assert (await get(storage, "/films/one"))[0] == 404


async def test_accounts_do_not_see_each_others_blobs(storage: Running) -> None:
    other = storage.stored.account("other")
    storage.stored.container(other, "films")
    storage.stored.assign("ba92f5b4-2d11-453d-a403-e96b0029c9fe", other)
    await storage.plane.azurite.create_container("other", "films")
    await put(storage, "/films/one", b"x")

    async with storage.client() as client:
        answer = await client.get(
            storage.url("other.blob.core.windows.net", "/films/one"), headers=headers(storage)
        )

    assert answer.status == 404
    await delete_containers(storage.plane.azurite, "other")


async def test_a_large_upload_arrives_whole(storage: Running) -> None:
    film = os.urandom(1 << 20) * 24

    await put(storage, "/films/large", film)

    _, received = await get(storage, "/films/large")
    assert hashlib.sha256(received).digest() == hashlib.sha256(film).digest()


async def test_a_client_that_expects_100_continue_may_send(storage: Running) -> None:
    """curl asks with Expect before it sends a large body."""
    asked = headers(storage, x_ms_blob_type="BlockBlob")

    async with storage.client() as client:
        answer = await client.put(
            storage.url(HOST, "/films/one"), data=b"at last", headers=asked, expect100=True
        )

    assert answer.status == 201
    assert await get(storage, "/films/one") == (200, b"at last")


async def test_a_body_of_unknown_length_is_refused(storage: Running) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x"

    async with storage.client() as client:
        answer = await client.put(
            storage.url(HOST, "/films/one"),
            data=body(),
            headers=headers(storage, x_ms_blob_type="BlockBlob"),
        )

    assert answer.status == 411


async def test_an_outage_of_storage_aborts_downloads(storage: Running) -> None:
    await put(storage, "/films/large", bytes(16 << 20))

    async with storage.client() as client:
        answer = await client.get(storage.url(HOST, "/films/large"), headers=headers(storage))
        await answer.content.readany()
        storage.plane.faults.down.add("blob")

        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_storage_that_is_down_resets_connections(storage: Running) -> None:
    await put(storage, "/films/one", b"x")

    storage.plane.faults.down.add("blob")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await get(storage, "/films/one")

    storage.plane.faults.down.clear()
    assert (await get(storage, "/films/one"))[0] == 200


async def test_a_container_deleted_through_arm_takes_its_blobs_along(storage: Running) -> None:
    await put(storage, "/films/one", b"x")

    await storage.plane.azurite.delete_container("media", "films")
    await storage.plane.azurite.delete_container("media", "films")
    await storage.plane.azurite.create_container("media", "films")

    assert (await get(storage, "/films/one"))[0] == 404

"""remote.CopyToRemote: where files end up, and when they are copied again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.providers.wire import UNKNOWN, Asset, Props
from tests.unit.lab.command.engine import COPY, COPY_FILE, Engine, Failed
from tests.unit.lab.command.far_side import FarSide


@pytest.fixture
def near(tmp_path: Path) -> Path:
    """A folder `src` with file, one/file and one/two/file."""
    source = tmp_path / "src"
    (source / "one" / "two").mkdir(parents=True)
    for folder in ("", "one", "one/two"):
        (source / folder / "file").write_text(f"in {folder or 'src'}")
    return source


def tree(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in files)


def inputs(far_side: FarSide, source: Asset, target: str) -> Props:
    return {"connection": far_side.connection(), "source": source, "remotePath": target}


async def copy(engine: Engine, far_side: FarSide, source: Asset, target: str) -> Props:
    _, state = await engine.create(COPY, inputs(far_side, source, target))
    return state


def folder_asset(path: Path | str) -> Asset:
    return Asset("path", str(path), "aa", archive=True)


SOURCE = ["file", "one/file", "one/two/file"]


@pytest.mark.parametrize(
    ("trailing", "exists", "expected"),
    [
        ("", True, [f"to/src/{name}" for name in SOURCE]),
        ("", False, [f"to/src/{name}" for name in SOURCE]),
        ("/", True, [f"to/{name}" for name in SOURCE]),
        ("/", False, [f"to/{name}" for name in SOURCE]),
    ],
)
async def test_a_folder_goes_into_the_target_unless_it_ends_in_a_slash(
    engine: Engine,
    far_side: FarSide,
    near: Path,
    trailing: str,
    exists: bool,
    expected: list[str],
) -> None:
    if exists:
        (far_side.folder / "to").mkdir()

    await copy(engine, far_side, folder_asset(f"{near}{trailing}"), "/to")

    assert tree(far_side.folder) == expected


@pytest.mark.parametrize("trailing", ["", "/"])
async def test_a_folder_onto_a_file_fails(
    engine: Engine, far_side: FarSide, near: Path, trailing: str
) -> None:
    (far_side.folder / "to").write_text("here")

    with pytest.raises(Failed):
        await copy(engine, far_side, folder_asset(f"{near}{trailing}"), "/to")

    assert tree(far_side.folder) == ["to"]


async def test_a_folder_onto_a_file_of_the_same_name_is_told(
    engine: Engine, far_side: FarSide, near: Path
) -> None:
    (far_side.folder / "to" / "src").mkdir(parents=True)
    (far_side.folder / "to" / "src" / "one").write_text("a file")

    with pytest.raises(Failed, match="remote path /to/src/one exists but is not a directory"):
        await copy(engine, far_side, folder_asset(near), "/to")


@pytest.mark.parametrize(
    ("existing", "expected"), [("folder", "to/file"), ("nothing", "to"), ("file", "to")]
)
async def test_a_file_goes_into_a_folder_or_becomes_the_target(
    engine: Engine, far_side: FarSide, near: Path, existing: str, expected: str
) -> None:
    match existing:
        case "folder":
            (far_side.folder / "to").mkdir()
        case "file":
            (far_side.folder / "to").write_text("longer than what comes")

    await copy(engine, far_side, Asset("path", str(near / "file"), "aa"), "/to")

    assert tree(far_side.folder) == [expected]
    assert (far_side.folder / expected).read_text() == "in src"


async def test_parents_are_made(engine: Engine, far_side: FarSide) -> None:
    await copy(engine, far_side, Asset("text", "hello", "aa"), "/a/b/c")

    assert (far_side.folder / "a" / "b" / "c").read_text() == "hello"


async def test_a_file_where_a_parent_should_be_is_told(engine: Engine, far_side: FarSide) -> None:
    (far_side.folder / "to").write_text("a file")

    with pytest.raises(Failed) as failed:
        await copy(engine, far_side, Asset("text", "hello", "aa"), "/to/it")

    assert failed.value.text == (
        "failed to create parent directories for /to/it: mkdir /to: not a directory"
    )


async def test_text_onto_a_folder_fails(engine: Engine, far_side: FarSide) -> None:
    (far_side.folder / "to").mkdir()

    with pytest.raises(Failed) as failed:
        await copy(engine, far_side, Asset("text", "hello", "aa"), "/to")

    assert failed.value.text == (
        "remote path /to is a directory; when using a text asset, remotePath must be a file path"
    )


async def test_a_missing_source_is_told(engine: Engine, far_side: FarSide) -> None:
    with pytest.raises(Failed, match="open /gone: no such file or directory"):
        await copy(engine, far_side, Asset("path", "/gone", "aa"), "/to")


async def test_the_id_is_eight_hex_digits(engine: Engine, far_side: FarSide) -> None:
    new_id, _ = await engine.create(COPY, inputs(far_side, Asset("text", "x", "aa"), "/to"))

    assert re.fullmatch(r"[0-9a-f]{8}", new_id)


async def test_update_copies_new_content(engine: Engine, far_side: FarSide) -> None:
    state = await copy(engine, far_side, Asset("text", "one", "aa"), "/to")
    state["source"] = Asset("elided", None, "aa")

    news = inputs(far_side, Asset("text", "two", "bb"), "/to")
    state = await engine.update(COPY, state, news)

    assert (far_side.folder / "to").read_text() == "two"
    assert state == news


async def test_update_with_another_host_alone_copies_nothing(
    engine: Engine, far_side: FarSide
) -> None:
    state = await copy(engine, far_side, Asset("text", "one", "aa"), "/to")
    dials = far_side.connections

    news = {**state, "connection": far_side.connection(user="other")}
    await engine.update(COPY, state, news)

    assert far_side.connections == dials


async def test_delete_leaves_the_file(engine: Engine, far_side: FarSide) -> None:
    state = await copy(engine, far_side, Asset("text", "one", "aa"), "/to")

    await engine.delete(COPY, state)

    assert (far_side.folder / "to").exists()


async def test_a_preview_copies_nothing_and_does_not_know_the_source(
    engine: Engine, far_side: FarSide
) -> None:
    given = inputs(far_side, Asset("text", "x", "aa"), "/to")

    _, state = await engine.create(COPY, given, preview=True)

    assert state == {**given, "source": UNKNOWN}
    assert far_side.connections == 0


async def test_the_deprecated_copy_copies_one_file(
    engine: Engine, far_side: FarSide, near: Path
) -> None:
    given = {
        "connection": far_side.connection(),
        "localPath": str(near / "file"),
        "remotePath": "/to",
    }

    await engine.create(COPY_FILE, given)

    assert (far_side.folder / "to").read_text() == "in src"

"""The cache has only finished entries, makes each once, and keeps the versions used last."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tools import cache
from tools.cache import Entry

KEY = "0123456789ab"


def entry(key: str = KEY, name: str = "thing") -> Entry:
    return Entry(kind="things", name=name, key=key, suffix=".txt")


def write(text: str = "made") -> cache.Maker:
    def make(path: Path) -> None:
        path.write_text(text)

    return make


def test_an_existing_entry_is_not_made_again() -> None:
    first = cache.ensure(entry(), write("first"))

    second = cache.ensure(entry(), write("second"))

    assert second == first
    assert second.read_text() == "first"


def test_an_entry_that_failed_leaves_nothing_and_can_be_made_again() -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.ensure(entry(), fail)

    assert list(entry().path.parent.iterdir()) == []
    assert cache.ensure(entry(), write("whole")).read_text() == "whole"


def test_a_killed_build_leaves_no_finished_entry() -> None:
    program = (
        "import time; from tools import cache\n"
        f"entry = cache.Entry(kind='things', name='thing', key={KEY!r}, suffix='.txt')\n"
        "def make(path):\n"
        "    path.write_text('half'); print('started', flush=True); time.sleep(60)\n"
        "cache.ensure(entry, make)\n"
    )
    build = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert build.stdout is not None
    build.stdout.readline()

    build.send_signal(signal.SIGKILL)
    build.wait()

    assert not entry().path.exists()
    assert cache.ensure(entry(), write("whole")).read_text() == "whole"


def test_two_builds_at_once_make_an_entry_once() -> None:
    made: list[str] = []

    def make(path: Path) -> None:
        made.append(path.name)
        time.sleep(0.2)
        path.write_text("made")

    builds = [threading.Thread(target=cache.ensure, args=(entry(), make)) for _ in range(4)]
    for build in builds:
        build.start()
    for build in builds:
        build.join()

    assert len(made) == 1


def test_the_versions_used_least_recently_are_removed() -> None:
    keys = [f"{number:012x}" for number in range(cache.KEPT_VERSIONS)]
    for age, key in enumerate(reversed(keys)):
        path = cache.ensure(entry(key), write())
        os.utime(path, (age, age))

    cache.ensure(entry(KEY), write())

    assert {path.name for path in entry().path.parent.iterdir()} == {
        entry(key).path.name for key in [KEY, *keys[:-1]]
    }


def test_using_a_version_keeps_it() -> None:
    keys = [f"{number:012x}" for number in range(cache.KEPT_VERSIONS)]
    for age, key in enumerate(keys):
        os.utime(cache.ensure(entry(key), write()), (age, age))

    cache.ensure(entry(keys[0]), write())
    cache.ensure(entry(KEY), write())

    assert entry(keys[0]).path.exists()


def test_a_longer_name_is_another_entry() -> None:
    other = cache.ensure(entry(name="thing-with-more"), write())
    os.utime(other, (1, 1))

    for number in range(cache.KEPT_VERSIONS + 1):
        cache.ensure(entry(f"{number:012x}"), write())

    assert other.exists()

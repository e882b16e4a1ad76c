"""What applications say never commands a terminal or a build pipeline."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.errors import ClusterError
from clients.printable import LONGEST_LINE, MOST_LINES, printable, printable_line
from tests.unit.cluster.services import Wanted, World


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b2Jgone", "gone"),
        ("10 %\r100 %", "10 %\n100 %"),
        ("a\tb\x00\x08c", "a bc"),
        ("abc\u202edcba", "abcdcba"),
        ("##vso[task.setvariable variable=x]y", "# #vso[task.setvariable variable=x]y"),
        ("see ##[error]this", "see # #[error]this"),
        ("\x1b[1m##\x1b[0mvso[x]", "# #vso[x]"),
        ("::set-env name=x::y", ": :set-env name=x::y"),
        ("  ::error::no", "  : :error::no"),
        ("fine\n::add-mask::e", "fine\n: :add-mask::e"),
        ("std::vector ## heading", "std::vector ## heading"),
    ],
)
def test_it_says_the_same_and_commands_nothing(said: str, shown: str) -> None:
    assert printable(said) == shown


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=50))
def test_whatever_an_application_says_is_harmless(said: str) -> None:
    for line in printable(said).split("\n"):
        assert line.isprintable()
        assert not line.lstrip().startswith("::")
        assert "##vso[" not in line
        assert "##[" not in line
    assert printable_line(said).isprintable()


def test_long_logs_are_cut() -> None:
    shown = printable("\n".join("x" * 5000 for _ in range(100)))

    assert max(map(len, shown.split("\n"))) == LONGEST_LINE
    assert len(shown.split("\n")) == MOST_LINES


def test_last_words_of_a_failed_instance_are_shown_harmless(world: World) -> None:
    wanted = Wanted(version="1.0")
    note = {
        "node": "core",
        "reason": "\x1b[2Jno\n##vso[task.complete]",
        "log": "\x1b]0;x\x07\n::warning::y",
    }

    def says() -> None:
        if world.record().exists:
            for n in (1, 2):
                key = f"/services/api/failures/{wanted.release}-{n}"
                world.etcd.put(key, json.dumps(note), ttl=60)

    world.cluster.failing[wanted.release] = 99
    world.clock.listeners.append(says)

    with pytest.raises(ClusterError) as failed:
        world.apply(wanted)

    outcome = world.record().ledger[wanted.release].outcome
    for text in (str(failed.value), outcome, *world.lines):
        assert "\x1b" not in text
        assert "##vso[" not in text
    assert "no # #vso[task.complete]" in str(failed.value)
    assert "\n    : :warning::y" in str(failed.value)

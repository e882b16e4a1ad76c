"""A mark may have been written by an earlier release of the program."""

from __future__ import annotations

import json

import pytest

from contract.codec import decode, encode
from contract.ledger import LedgerEntry
from contract.rollout_mark import Before, Mark
from contract.unit_option import Option

ENTRY = {
    "digest": "sha256:00",
    "finished": "2026-01-31T12:01:00Z",
    "image": "team/api:1.0",
    "instances": 2,
    "outcome": "serving",
    "release": "7a1f5dde",
    "route": '{"hosts": ["api.tok.tv"], "http": true}',
    "started": "2026-01-31T12:00:00Z",
}
LINE = {"name": "ExecStart", "section": "Service", "value": "/bin/x"}


@pytest.mark.parametrize(
    ("stored", "mark"),
    [
        (
            {
                "before": {"announce": [], "app": [LINE], "entry": ENTRY},
                "id": "1",
                "since": "2026-02-01T00:00:00Z",
                "verb": "apply",
            },
            Mark(
                verb="apply",
                since="2026-02-01T00:00:00Z",
                id="1",
                before=Before(
                    entry=LedgerEntry(**ENTRY),  # type: ignore[arg-type]
                    app=(Option(section="Service", name="ExecStart", value="/bin/x"),),
                ),
            ),
        ),
        (
            {"before": None, "id": "1", "since": "2026-02-01T00:00:00Z", "verb": "remove"},
            Mark(verb="remove", since="2026-02-01T00:00:00Z", id="1", before=None),
        ),
    ],
)
def test_stored_mark_is_read_and_written_as_before(stored: dict[str, object], mark: Mark) -> None:
    text = json.dumps(stored, sort_keys=True)

    assert decode(Mark, text) == mark
    assert encode(mark) == text

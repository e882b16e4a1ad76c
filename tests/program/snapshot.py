"""Rendered files as they were last reviewed, in `snapshots/`.

After a change on purpose: `UPDATE_SNAPSHOTS=1 python -m pytest tests/program`, then read the
difference.
"""

import os
from pathlib import Path

SNAPSHOTS = Path(__file__).parent / "snapshots"


def assert_matches(name: str, text: str) -> None:
    file = SNAPSHOTS / name
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert file.read_text() == text, f"{file} differs; see {__name__} for how to accept it"

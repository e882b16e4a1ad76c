"""Text that YAML has changed: what the stack's file tells of it."""

from pathlib import Path

import pytest

from settings import unquoted
from tests.program.fixtures import Config

DATE = "2024-11-05 00:00:00 +0000 UTC"
"""What Pulumi makes of 2024-11-05 without quotes."""


def dates_of(text: str, raw: Config, folder: Path) -> list[str]:
    """What is refused where the stack's file says `text`."""
    (folder / "Pulumi.x.yaml").write_text(text)
    return [str(one) for one in unquoted.dates(raw, unquoted.written(folder / "Pulumi.x.yaml"))]


@pytest.mark.parametrize(
    "text",
    [
        f'fleet:services: {{a: {{env: {{A: "{DATE}", "{DATE}": x}}, list: ["{DATE}"]}}}}',
        f'services: {{a: {{env: {{A: "{DATE}", "{DATE}": x}}, list: ["{DATE}"]}}}}',
        f"fleet:services:\n    a:\n      env:\n        A: |-\n          {DATE}\n"
        f'        "{DATE}": x\n      list:\n        - "{DATE}"',
        f"""fleet:services: '{{"a":{{"env":{{"A":"{DATE}","{DATE}":"x"}},"list":["{DATE}"]}}}}'""",
    ],
)
def test_the_text_of_a_date_in_double_quotes_is_meant(tmp_path: Path, text: str) -> None:
    raw = {"services": {"a": {"env": {"A": DATE, DATE: "x"}, "list": [DATE]}}}

    assert dates_of(f"config:\n  {text}\n", raw, tmp_path) == []


@pytest.mark.parametrize("written", [DATE, f"'{DATE}'"])
def test_without_quotes_or_as_pulumi_writes_it_back_it_is_refused(
    tmp_path: Path, written: str
) -> None:
    """Setting another value writes dates anew, in maps on one line with single quotes."""
    raw = {"ownerTag": DATE}

    (problem,) = dates_of(f"config:\n  fleet:ownerTag: {written}\n", raw, tmp_path)

    assert problem.endswith('put it in double quotes, as it shall arrive, like "2024-11-05"')


def test_a_file_that_says_something_else_clears_no_date(tmp_path: Path) -> None:
    raw = {"ownerTag": DATE}

    for text in ('config: {"fleet:ownerTag": "2024-11-05"}', "config: {}", "{", ""):
        (problem,) = dates_of(text, raw, tmp_path)
        assert "can't be read, this form of it is refused even in quotes" in problem

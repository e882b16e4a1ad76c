"""Text that YAML has changed, found by comparing it with the stack's file."""

from pathlib import Path

import pytest

from settings import unquoted
from tests.program.fixtures import Config

DATE = "2024-11-05 00:00:00 +0000 UTC"
"""What Pulumi makes of 2024-11-05 without quotes."""


def dates_of(text: str, raw: Config, folder: Path) -> list[str]:
    """The refusals when the stack's file contains `text`."""
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
def test_a_date_in_double_quotes_is_accepted(tmp_path: Path, text: str) -> None:
    raw = {"services": {"a": {"env": {"A": DATE, DATE: "x"}, "list": [DATE]}}}

    assert dates_of(f"config:\n  {text}\n", raw, tmp_path) == []


@pytest.mark.parametrize("written", [DATE, f"'{DATE}'"])
def test_a_date_without_double_quotes_is_refused(tmp_path: Path, written: str) -> None:
    """When Pulumi sets a value, it rewrites all dates: with single quotes in maps on one line."""
    raw = {"ownerTag": DATE}

    (problem,) = dates_of(f"config:\n  fleet:ownerTag: {written}\n", raw, tmp_path)

    assert problem.endswith('the text that you want in double quotes, like "2024-11-05"')


def test_a_date_that_the_file_does_not_contain_is_refused(tmp_path: Path) -> None:
    raw = {"ownerTag": DATE}

    for text in ('config: {"fleet:ownerTag": "2024-11-05"}', "config: {}", "{", ""):
        (problem,) = dates_of(text, raw, tmp_path)
        assert "can't be read; then text of this form is refused even in quotes" in problem

"""A key changes with what matters and with nothing else."""

import os
from pathlib import Path

import pytest

from tools.content_key import key_of, key_of_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "folder").mkdir(parents=True)
    (root / "folder" / "script").write_text("text")
    return root


def test_the_border_between_parts_changes_the_key() -> None:
    assert key_of("ab", "c") != key_of("a", "bc")


def test_content_counts(tree: Path) -> None:
    before = key_of_tree(tree)

    (tree / "folder" / "script").write_text("other")

    assert key_of_tree(tree) != before


def test_the_name_of_a_file_counts(tree: Path) -> None:
    before = key_of_tree(tree)

    (tree / "folder" / "script").rename(tree / "folder" / "renamed")

    assert key_of_tree(tree) != before


def test_the_execute_bit_counts(tree: Path) -> None:
    before = key_of_tree(tree)

    (tree / "folder" / "script").chmod(0o755)

    assert key_of_tree(tree) != before


def test_times_and_leftovers_of_tools_do_not_count(tree: Path) -> None:
    before = key_of_tree(tree)

    os.utime(tree / "folder" / "script", (1, 1))
    (tree / "folder" / "__pycache__").mkdir()
    (tree / "folder" / "__pycache__" / "module.pyc").write_text("compiled")

    assert key_of_tree(tree) == before

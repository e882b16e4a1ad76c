"""References to documents: from messages and comments of the code, and between the documents."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.paths import PROJECT

REFERENCE = re.compile(r"\b(docs/\w+\.md|README\.md|CONTRIBUTING\.md)(#[\w-]+)?(, [A-Z]\w+ )?")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(#[^)]+)?\)")


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [PROJECT / name for name in listed.stdout.split("\0") if name]


DOCUMENTS = tracked("*.md")
SOURCES = [
    path
    for path in tracked("*.py", "*.sh", "Makefile", "cloud-config", "units", "router")
    if path.name != Path(__file__).name
]


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {f"#{heading.replace(' ', '-')}" for heading in words}


def texts(path: Path) -> Iterator[str]:
    """The texts of a file: for Python, string literals (with their parts joined) and comments."""
    source = path.read_text()
    if path.suffix != ".py":
        yield source
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        if isinstance(node, ast.JoinedStr):
            constants = (part for part in node.values if isinstance(part, ast.Constant))
            yield "".join(str(part.value) for part in constants)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_links_between_documents_lead_to_a_file_and_heading(document: Path) -> None:
    for name, anchor in LINK.findall(document.read_text()):
        target = document.parent / name if name else document

        assert target.exists(), name
        assert not anchor or target.suffix != ".md" or anchor in anchors(target), name + anchor


def test_code_names_only_documents_and_headings_that_exist() -> None:
    """A heading is named as an anchor: docs/operations.md#etcd-has-lost-its-quorum."""
    known = {str(document.relative_to(PROJECT)): anchors(document) for document in DOCUMENTS}
    found = [
        (path, *reference)
        for path in SOURCES
        for text in texts(path)
        for reference in REFERENCE.findall(text)
    ]

    wrong = [
        f"{path.relative_to(PROJECT)}: {name}{anchor}{words}"
        for path, name, anchor, words in found
        if name not in known or (anchor and anchor not in known[name]) or words
    ]
    assert found
    assert not wrong

"""Finds the modules of this project that a program imports, for its image."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path


def closure(project: Path, packages: Iterable[str]) -> list[Path]:
    """Return the files of all modules that `python3 -m PACKAGE` can come to import, sorted."""
    waiting = [f"{package}.__main__" for package in packages]
    found: set[Path] = set()
    while waiting:
        for path in _files(project, waiting.pop()):
            if path not in found:
                found.add(path)
                waiting += _imported(path)
    return sorted(found)


def _files(project: Path, module: str) -> Iterator[Path]:
    """Yield the file of a module and those of the packages around it, if they are the project's."""
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        path = project.joinpath(*parts[:length])
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                yield file


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                # a name may be a module itself
                yield from (f"{module}.{alias.name}" for alias in names)

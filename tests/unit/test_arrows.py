"""Who may import whom: arrows between the top folders run in one direction only.

The program that runs `pulumi up` knows nothing of what runs on a node or in the lab. What they have
to agree on stands in contract/, which imports nothing.
"""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.paths import PROJECT

MAY_IMPORT = {
    # the program
    "__main__": {"components", "contract", "settings"},
    "components": {"contract", "settings"},
    "settings": {"contract"},
    "contract": set(),
    "policy": set(),
    # what runs on a node
    "clients": {"contract"},
    "cluster": {"clients", "contract"},
    "router": {"clients", "contract"},
    "sidekick": {"clients", "contract"},
    # around it
    "tools": set(),
    "lab": {"contract", "tools"},
    "bench": {"clients", "contract", "lab", "tools"},
}
EXCEPTIONS = {
    # it makes certificates for the samples as the program makes and checks them
    "lab.pulumi.sample_secrets": {"components.credentials", "settings.certificates"},
}
STANDARD_LIBRARY_ONLY = "contract"
"""The program must not need an HTTP library for it, nor a node a library of the program."""

FILES = {
    ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"): path
    for top in MAY_IMPORT
    for path in ([PROJECT / f"{top}.py"] if top == "__main__" else (PROJECT / top).rglob("*.py"))
}


@pytest.mark.parametrize("top", MAY_IMPORT)
def test_a_folder_imports_only_what_it_may(top: str) -> None:
    foreign = {
        f"{module} imports {imported}"
        for module in _modules_of(top)
        for imported in _project_imports(module)
        if (other := _top(imported)) != top
        and other not in MAY_IMPORT[top]
        and imported not in EXCEPTIONS.get(module, ())
    }

    assert foreign == set()


def test_each_exception_is_still_needed() -> None:
    for module, allowed in EXCEPTIONS.items():
        assert allowed <= set(_project_imports(module))


def test_no_module_imports_itself_through_others() -> None:
    graph = {module: set(_project_imports(module)) - {module} for module in FILES}

    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


def test_the_contract_needs_no_library() -> None:
    needed = {
        imported.partition(".")[0]
        for module in _modules_of(STANDARD_LIBRARY_ONLY)
        for imported in _imports(FILES[module])
    }

    assert needed <= {*sys.stdlib_module_names, STANDARD_LIBRARY_ONLY}


def test_the_list_of_folders_is_complete() -> None:
    folders = {path.parent.name for path in PROJECT.glob("*/__init__.py")}

    assert folders - {"tests"} <= MAY_IMPORT.keys()


def _modules_of(top: str) -> list[str]:
    return [module for module in FILES if _top(module) == top]


def _top(module: str) -> str:
    return module.partition(".")[0]


def _project_imports(module: str) -> Iterator[str]:
    for name in _imports(FILES[module]):
        # of `from a import b`, b may be a module or a name in a
        known = next((one for one in (name, name.rpartition(".")[0]) if one in FILES), None)
        if known is not None:
            yield known


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from (f"{module}.{alias.name}" for alias in names)

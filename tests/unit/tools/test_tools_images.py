"""An image's key holds everything that its content depends on, and nothing more."""

import ast
from pathlib import Path

import pytest

from tools import images
from tools.images import IMAGES, PLATFORM_IMAGES, Image
from tools.paths import PROJECT


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one image that holds the package `code`, and one that stands on it."""
    for folder in ("images/below", "images/above", "code"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "images/below/Dockerfile").write_text("FROM base\n")
    (tmp_path / "images/above/Dockerfile").write_text("FROM below\n")
    (tmp_path / "code/module.py").write_text("x = 1\n")
    monkeypatch.setattr(images, "PROJECT", tmp_path)
    below = Image(name="below", folder=tmp_path / "images/below")
    above = Image(
        name="above", folder=tmp_path / "images/above", parent="below", sources=("code/**/*",)
    )
    monkeypatch.setattr(images, "IMAGES", {"below": below, "above": above})
    return tmp_path


def keys() -> dict[str, str]:
    return {name: image.key for name, image in images.IMAGES.items()}


def test_changed_code_changes_only_the_image_that_holds_it(project: Path) -> None:
    before = keys()

    (project / "code/module.py").write_text("x = 2\n")

    assert keys()["above"] != before["above"]
    assert keys()["below"] == before["below"]


def test_a_changed_dockerfile_changes_what_stands_on_it(project: Path) -> None:
    before = keys()

    (project / "images/below/Dockerfile").write_text("FROM base\nRUN true\n")

    assert keys()["below"] != before["below"]
    assert keys()["above"] != before["above"]


def test_compiled_modules_change_nothing(project: Path) -> None:
    before = keys()

    (project / "code/__pycache__").mkdir()
    (project / "code/__pycache__/module.pyc").write_bytes(b"compiled")

    assert keys() == before


@pytest.mark.parametrize("name", IMAGES)
def test_every_image_takes_its_base_as_an_argument(name: str) -> None:
    dockerfile = (IMAGES[name].folder / "Dockerfile").read_text()

    assert "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}" in dockerfile


def test_every_platform_image_is_kept_as_a_file() -> None:
    assert all(IMAGES[name].archived for name in PLATFORM_IMAGES)


def test_the_cloud_image_holds_every_module_of_the_lab_that_the_cloud_imports() -> None:
    held = IMAGES["cloud"].source_files()

    imported = {name for path in held if path.suffix == ".py" for name in lab_imports(path)}

    missing = {name for name in imported if not module_files(name) & set(held)}
    assert missing == set()


def lab_imports(path: Path) -> set[str]:
    """Return the modules `lab.…` that a file imports."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                modules |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(module)):
                modules.add(module)
    return {module for module in modules if module == "lab" or module.startswith("lab.")}


def module_files(module: str) -> set[Path]:
    path = PROJECT.joinpath(*module.split("."))
    return {path.with_suffix(".py"), path / "__init__.py"}

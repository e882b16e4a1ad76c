"""An image's key holds everything that its content depends on, and nothing more."""

from pathlib import Path

import pytest

from tools.images import catalogue
from tools.images.catalogue import IMAGES, PLATFORM_IMAGES, Image
from tools.paths import PROJECT


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one image that holds the package `program`, and one that stands on it."""
    for folder in ("images/below", "images/above", "program"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "images/below/Dockerfile").write_text("FROM base\n")
    (tmp_path / "images/above/Dockerfile").write_text("FROM below\n")
    (tmp_path / "program/__main__.py").write_text("from program import module\n")
    (tmp_path / "program/module.py").write_text("x = 1\n")
    (tmp_path / "program/unused.py").write_text("x = 1\n")
    monkeypatch.setattr(catalogue, "PROJECT", tmp_path)
    below = Image(name="below", folder=tmp_path / "images/below")
    above = Image(name="above", folder=tmp_path / "images/above", parent="below", code=("program",))
    monkeypatch.setattr(catalogue, "IMAGES", {"below": below, "above": above})
    return tmp_path


def keys() -> dict[str, str]:
    return {name: image.key for name, image in catalogue.IMAGES.items()}


def test_changed_code_changes_only_the_image_that_holds_it(project: Path) -> None:
    before = keys()

    (project / "program/module.py").write_text("x = 2\n")

    assert keys()["above"] != before["above"]
    assert keys()["below"] == before["below"]


def test_a_changed_dockerfile_changes_the_images_built_on_it(project: Path) -> None:
    before = keys()

    (project / "images/below/Dockerfile").write_text("FROM base\nRUN true\n")

    assert keys()["below"] != before["below"]
    assert keys()["above"] != before["above"]


def test_compiled_modules_change_nothing(project: Path) -> None:
    before = keys()

    (project / "program/__pycache__").mkdir()
    (project / "program/__pycache__/module.pyc").write_bytes(b"compiled")

    assert keys() == before


@pytest.mark.parametrize("name", IMAGES)
def test_every_image_takes_its_base_as_an_argument(name: str) -> None:
    dockerfile = (IMAGES[name].folder / "Dockerfile").read_text()

    assert "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}" in dockerfile


def test_every_platform_image_is_kept_as_a_file() -> None:
    assert all(IMAGES[name].archived for name in PLATFORM_IMAGES)


def test_a_module_that_the_program_does_not_import_changes_nothing(project: Path) -> None:
    before = keys()

    (project / "program/unused.py").write_text("x = 2\n")

    assert keys() == before


def test_the_routers_image_has_no_rollout_code() -> None:
    held = {path.relative_to(PROJECT).parts[0] for path in IMAGES["router"].code_files()}

    assert held == {"router", "clients", "contract"}

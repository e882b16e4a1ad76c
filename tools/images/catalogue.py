"""All images: the folder and the parent that each is built from, and what goes into it.

`cluster` and `router` share the parent `python`: a change of code costs one small layer, and a node
that has loaded one of them has most of the other.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools.content_key import key_of, key_of_tree
from tools.images import base_image, python_modules
from tools.images.packages import NodePackages, PythonPackages
from tools.paths import PROJECT
from tools.programs import PROGRAMS

FORMAT = "1"
"""Increase it when the same content makes another image file."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image and everything that its content depends on."""

    name: str
    folder: Path
    """Holds the Dockerfile and its files: the root of the build's context."""
    parent: str | None = None
    """The image that it is built on; None for the base."""
    code: tuple[str, ...] = ()
    """Packages of the project that it runs (`python3 -m PACKAGE`): they go into the context's code/
    with every module that they import, and nothing more."""
    programs: Mapping[str, str] = field(default_factory=dict)
    """Binary, put into the context's bin/ → the program that it belongs to."""
    packages: PythonPackages | NodePackages | None = None
    """Packages that the host installs into the context."""
    archived: bool = True
    """Kept as a file: building it again would take longer than loading it."""
    for_nodes: bool = False
    """Nodes run it: it has the locked packages, and the same bytes on every machine."""

    @property
    def dockerfile(self) -> str:
        return (self.folder / "Dockerfile").read_text()

    @property
    def installs_packages(self) -> bool:
        """Whether its Dockerfile calls apt."""
        return re.search(r"\b(apt-get|add-packages)\b", self.dockerfile) is not None

    @property
    def reference(self) -> str:
        return f"fleet/{self.name}:{self.key}"

    @property
    def key(self) -> str:
        parent = IMAGES[self.parent].key if self.parent else base_image.key()
        programs = [PROGRAMS[program].key for program in self.programs.values()]
        sources = [
            part
            for path in self.code_files()
            for part in (path.relative_to(PROJECT).as_posix(), path.read_bytes())
        ]
        packages = self.packages.key if self.packages else ""
        form = FORMAT if self.for_nodes else ""
        return key_of(form, parent, key_of_tree(self.folder), *programs, packages, *sources)

    def code_files(self) -> list[Path]:
        """Return the project's files that `code` needs, in a fixed order."""
        return python_modules.closure(PROJECT, self.code)


PLATFORM = PROJECT / "images"
SAMPLES = PROJECT / "samples"
LAB = PROJECT / "lab" / "images"


def _for_nodes(
    name: str,
    folder: Path,
    *,
    parent: str | None = None,
    code: tuple[str, ...] = (),
    programs: Mapping[str, str] | None = None,
) -> Image:
    return Image(
        name=name,
        folder=folder,
        parent=parent,
        code=code,
        programs=programs or {},
        for_nodes=True,
    )


IMAGES = {
    image.name: image
    for image in (
        # on the nodes
        _for_nodes("python", PLATFORM / "python"),
        _for_nodes("cluster", PLATFORM / "cluster", parent="python", code=("cluster", "sidekick")),
        _for_nodes("nginx", PLATFORM / "nginx", parent="python"),
        _for_nodes(
            "router",
            PROJECT / "router" / "image",
            parent="nginx",
            code=("router",),
            programs={"confd": "confd"},
        ),
        _for_nodes("registry", PLATFORM / "registry", programs={"registry": "registry"}),
        # on the nodes: the sample stacks' applications
        _for_nodes("example-app", SAMPLES / "example-app", parent="python"),
        _for_nodes("php", SAMPLES / "php"),
        _for_nodes("toktv-api", SAMPLES / "toktv-api", parent="php"),
        _for_nodes("toktv-voice", SAMPLES / "toktv-voice"),
        _for_nodes("docebo-lms", SAMPLES / "docebo-lms", parent="php"),
        # in the lab
        Image(
            name="node",
            folder=LAB / "node",
            programs={"coreos-cloudinit": "coreos-cloudinit"},
        ),
        Image(
            name="cloud-runtime",
            folder=LAB / "cloud-runtime",
            parent="python",
            packages=PythonPackages(requirements=PROJECT / "lab" / "azure" / "requirements.txt"),
        ),
        Image(
            name="cloud",
            folder=LAB / "cloud",
            parent="cloud-runtime",
            code=("lab.azure", "lab.azure.load_balancer"),
            archived=False,
        ),
        Image(
            name="azurite",
            folder=LAB / "azurite",
            packages=NodePackages(folder=LAB / "azurite"),
        ),
    )
}

PLATFORM_IMAGES = ("cluster", "registry", "router")
"""The images that nodes fetch as blobs."""

"""The command-line programs: the Go packages that each is built from, and how.

The go.mod and go.sum in each program's folder pin the versions, and go checks every module against
them. Nothing is patched.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools import cache, go_toolchain
from tools.commands import RUN_AGAIN, capture, run
from tools.content_key import key_of
from tools.paths import PROJECT
from tools.progress import step

GO_ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
PULUMI_SDK = "github.com/pulumi/pulumi/sdk"


@dataclass(frozen=True, kw_only=True)
class Program:
    """A Go module in tools/go/ and the binaries built from it."""

    name: str
    """Also the name of its folder in tools/go/."""
    binaries: Mapping[str, str]
    """Name of each binary → its Go package."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Go string variables set by the linker."""
    architecture: str = "amd64"
    scripts: tuple[str, ...] = ()
    """Files of `scripts_module` that must lie beside the binaries."""
    scripts_module: str = ""
    on_path: bool = False
    """An installed program is used instead."""

    @property
    def folder(self) -> Path:
        return PROJECT / "tools" / "go" / self.name

    @property
    def key(self) -> str:
        go_files = [(self.folder / file).read_bytes() for file in ("go.mod", "go.sum")]
        return key_of(*go_files, repr(self), repr(GO_ENVIRONMENT), go_toolchain.current())


PROGRAMS = {
    program.name: program
    for program in (
        Program(
            name="pulumi",
            binaries={"pulumi": "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"},
            variables={f"{PULUMI_SDK}/v3/go/common/version.Version": "v3.259.0"},
            on_path=True,
        ),
        Program(
            name="pulumi-language-python",
            binaries={
                "pulumi-language-python": f"{PULUMI_SDK}/python/cmd/pulumi-language-python/v3"
            },
            # the host starts these for programs, dynamic providers and policy packs
            scripts=(
                "python/cmd/pulumi-language-python-exec",
                "python/dist/pulumi-resource-pulumi-python",
                "python/dist/pulumi-analyzer-policy-python",
            ),
            scripts_module=f"{PULUMI_SDK}/v3",
            on_path=True,
        ),
        Program(
            name="fleet",
            binaries={
                "fleetd": "github.com/coreos/fleet",
                "fleetctl": "github.com/coreos/fleet/fleetctl",
            },
            # must be a semantic version, else fleetctl prints a warning at every call
            variables={"github.com/coreos/fleet/version.Version": "1.0.0"},
        ),
        Program(
            name="etcd",
            binaries={
                "etcd": "go.etcd.io/etcd/server/v3",
                "etcdctl": "go.etcd.io/etcd/etcdctl/v3",
            },
        ),
        Program(name="confd", binaries={"confd": "github.com/kelseyhightower/confd"}),
        Program(
            name="registry",
            binaries={"registry": "github.com/distribution/distribution/v3/cmd/registry"},
            variables={"github.com/distribution/distribution/v3/version.version": "v3.1.2"},
        ),
        Program(
            name="coreos-cloudinit",
            binaries={"coreos-cloudinit": "github.com/coreos/coreos-cloudinit"},
            # one of its dependencies needs cgo on amd64, and does not on 386
            architecture="386",
        ),
    )
}


def ensure_program(name: str) -> Path:
    """Return the folder that holds a program's binaries, building them if they are missing."""
    program = PROGRAMS[name]
    if program.on_path and (installed := shutil.which(program.name)):
        return Path(installed).parent
    entry = cache.Entry(kind="programs", name=name, key=program.key)

    def make(folder: Path) -> None:
        go_toolchain.ensure()
        with step(f"building {name}"):
            _build(program, folder)

    return cache.ensure(entry, make)


def _build(program: Program, folder: Path) -> None:
    folder.mkdir()
    log = cache.new_log(program.name)
    for binary, package in program.binaries.items():
        run(
            build_command(program, package, folder / binary),
            what=f"building {binary}",
            log=log,
            cwd=program.folder,
            env={
                **GO_ENVIRONMENT,
                "GOARCH": program.architecture,
                "GOTOOLCHAIN": go_toolchain.choice(),
            },
        )
    if program.scripts:
        module = ["go", "list", "-m", "-f", "{{.Dir}}", program.scripts_module]
        found = capture(module, what="finding the scripts", advice=RUN_AGAIN, cwd=program.folder)
        for script in program.scripts:
            copied = folder / Path(script).name
            shutil.copyfile(Path(found.strip()) / script, copied)
            copied.chmod(0o755)  # modules carry no execute bit


def build_command(program: Program, package: str, output: Path) -> list[str]:
    """Return the command that builds a package to `output`, without paths of this machine in it."""
    settings = [f"-X {name}={value}" for name, value in program.variables.items()]
    linker = " ".join(["-s", "-w", *settings])
    return ["go", "build", "-trimpath", "-ldflags", linker, "-o", str(output), package]

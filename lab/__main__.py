"""`python -m lab COMMAND`: the cluster with a simulated Azure, on one machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TypeAlias

from docker.errors import DockerException

from lab.commands import shell
from lab.commands.down import down, remove_lab
from lab.commands.status import status
from lab.commands.up import preview, up
from lab.machine import docker_daemon, registry
from lab.machine.endpoints import call, find
from lab.pulumi.engine import Stack
from tools.progress import StepFailed

FAULTS = (
    *("kill", "stop", "start", "reimage", "partition", "heal", "slow"),
    *("blob-down", "blob-up", "vault-down", "vault-up", "metadata-down", "metadata-up"),
)


Run = Callable[[argparse.Namespace], int | None]
"""What a command does; returns its exit code, or None for 0."""
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(arguments: list[str]) -> int:
    """Run one command; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int | None = options.run(options)
    except StepFailed as failure:
        print(f"\n✗ {failure}", file=sys.stderr)
        return 1
    except DockerException as failure:
        print(f"\n✗ Docker failed: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again to continue.", file=sys.stderr)
        return 130
    return code or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _declare_lifecycle(commands)
    _declare_access(commands)
    return parser


def _declare_lifecycle(commands: Commands) -> None:
    """The commands behind `make`: they take the stack as an argument."""

    def declare(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        command = _declare(commands, name, run, text)
        command.add_argument("stack", nargs="?", default="dev")
        return command

    command = declare("up", _up, "bring the stack up")
    command.add_argument(
        "--skip-preview", action="store_true", help="run the program once, which halves the time"
    )
    declare("preview", lambda given: preview(given.stack), "show what up would change")
    declare("status", _status, "nodes, services and addresses")
    declare("registry", _registry, "start the registry to push images to; print its address")
    command = declare("down", _down, "destroy the stack; the last one removes the lab")
    command.add_argument(
        "--force", action="store_true", help="remove the whole lab without asking Pulumi"
    )


def _declare_access(commands: Commands) -> None:
    """The ways into a running lab: they take the stack as an option."""

    def declare(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        command = _declare(commands, name, run, text)
        command.add_argument("--stack", default="dev")
        return command

    command = _declare(commands, "exec", _exec, "run a command with the lab as Azure")
    command.add_argument("words", nargs="*", metavar="COMMAND")
    command = declare("ssh", _ssh, "open a shell on a node, or run a command there")
    command.add_argument("node", nargs="?", help="core-0, …; without it, any node")
    command.add_argument("words", nargs="*", metavar="COMMAND")
    command = declare("logs", _logs, "what a service prints, from all nodes")
    command.add_argument("--follow", "-f", action="store_true")
    command.add_argument("service")
    command = declare("fault", _fault, "break something and watch the cluster heal")
    command.add_argument("kind", choices=FAULTS)
    command.add_argument("target", nargs="?", default="", help="a node, such as core-0")


def _declare(commands: Commands, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.set_defaults(run=run)
    return command


def _up(options: argparse.Namespace) -> None:
    up(options.stack, skip_preview=options.skip_preview)


def _exec(options: argparse.Namespace) -> int:
    return shell.execute(options.words)


def _ssh(options: argparse.Namespace) -> int:
    return shell.ssh(options.stack, options.node, options.words)


def _logs(options: argparse.Namespace) -> int:
    return shell.logs(options.stack, options.service, options.follow)


def _status(options: argparse.Namespace) -> None:
    print(status(options.stack))


def _down(options: argparse.Namespace) -> None:
    if options.force:
        remove_lab()
    else:
        down(options.stack)


def _registry(options: argparse.Namespace) -> None:
    stack_name = options.stack
    client = docker_daemon.find()
    account = Stack(stack_name, find(client)).outputs().get("dataAccount")
    if account is None:
        raise StepFailed(
            f"Starting the registry of the stack {stack_name}",
            why="the stack is not up",
            advice=f"Run `make up STACK={stack_name}` first.",
        )
    address = registry.start(client, stack_name, account).address
    print(f"Push images to the stack {stack_name}: docker push {address}/team/app:tag")


def _fault(options: argparse.Namespace) -> None:
    endpoints = find(docker_daemon.find())
    body = {"kind": options.kind, "stack": options.stack, "target": options.target}
    print(call(endpoints, "POST", "/lab/fault", body))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

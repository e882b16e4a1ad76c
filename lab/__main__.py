"""`python -m lab COMMAND`: the cluster with a simulated Azure, on one machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

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

    def command(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        declared = commands.add_parser(name, help=text, description=text)
        declared.set_defaults(run=run)
        return declared

    def stack_command(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        declared = command(name, run, text)
        declared.add_argument("stack", nargs="?", default="dev")
        return declared

    def cluster_command(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        declared = command(name, run, text)
        declared.add_argument("--stack", default="dev")
        return declared

    up_ = stack_command(
        "up",
        lambda given: up(given.stack, skip_preview=given.skip_preview),
        "bring the stack up",
    )
    up_.add_argument(
        "--skip-preview", action="store_true", help="run the program once, which halves the time"
    )
    stack_command("preview", lambda given: preview(given.stack), "show what up would change")
    stack_command("status", _status, "nodes, services and addresses")
    stack_command("registry", _registry, "start the registry to push images to; print its address")
    down_ = stack_command("down", _down, "destroy the stack; the last one removes the lab")
    down_.add_argument(
        "--force", action="store_true", help="remove the whole lab without asking Pulumi"
    )
    exec_ = command(
        "exec", lambda given: shell.execute(given.words), "run a command with the lab as Azure"
    )
    exec_.add_argument("words", nargs="*", metavar="COMMAND")
    ssh = cluster_command(
        "ssh",
        lambda given: shell.ssh(given.stack, given.node, given.words),
        "open a shell on a node, or run a command there",
    )
    ssh.add_argument("node", nargs="?", help="core-0, …; without it, any node")
    ssh.add_argument("words", nargs="*", metavar="COMMAND")
    logs = cluster_command(
        "logs",
        lambda given: shell.logs(given.stack, given.service, given.follow),
        "what a service prints, from all nodes",
    )
    logs.add_argument("--follow", "-f", action="store_true")
    logs.add_argument("service")
    fault = cluster_command("fault", _fault, "break something and watch the cluster heal")
    fault.add_argument("kind", choices=FAULTS)
    fault.add_argument("target", nargs="?", default="", help="a node, such as core-0")
    return parser


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

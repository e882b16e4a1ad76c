"""`python -m lab COMMAND`: Azure on a laptop."""

from __future__ import annotations

import argparse
import sys

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


def main(arguments: list[str]) -> int:
    """Run one command; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except StepFailed as failure:
        print(f"\n✗ {failure}", file=sys.stderr)
        return 1
    except DockerException as failure:
        print(f"\n✗ Docker refused: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: run the same command again to go on", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    match options.command:
        case "up":
            up(options.stack, skip_preview=options.skip_preview)
        case "preview":
            return preview(options.stack)
        case "down":
            if options.force:
                remove_lab()
            else:
                down(options.stack)
        case "status":
            print(status(options.stack))
        case "exec":
            return shell.execute(options.run)
        case "ssh":
            return shell.ssh(options.stack, options.node, options.run)
        case "logs":
            return shell.logs(options.stack, options.service, options.follow)
        case "registry":
            _registry(options.stack)
        case "fault":
            _fault(options)
    return 0


def _registry(stack_name: str) -> None:
    client = docker_daemon.find()
    account = Stack(stack_name, find(client)).outputs().get("dataAccount")
    if account is None:
        raise StepFailed(
            f"Starting the registry of the stack {stack_name}",
            why="the stack is not up",
            advice=f"Run `make up STACK={stack_name}` first.",
        )
    address = registry.start(client, stack_name, account).address
    print(f"The registry of the stack {stack_name}: docker push {address}/team/app:tag")


def _fault(options: argparse.Namespace) -> None:
    endpoints = find(docker_daemon.find())
    body = {"kind": options.kind, "stack": options.stack, "target": options.target}
    print(call(endpoints, "POST", "/lab/fault", body))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("up", "bring the stack up"),
        ("preview", "show what up would change"),
        ("status", "machines, services, addresses"),
        ("registry", "the stack's registry to push images to, and its address"),
        ("down", "destroy the stack; the last one takes the lab with it"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("stack", nargs="?", default="dev")
        if name == "up":
            command.add_argument(
                "--skip-preview",
                action="store_true",
                help="run the program once, for the update only: half the time",
            )
        if name == "down":
            command.add_argument(
                "--force", action="store_true", help="remove the whole lab without asking Pulumi"
            )
    command = commands.add_parser("exec", help="run a command with the lab in Azure's place")
    command.add_argument("run", nargs="*", metavar="COMMAND")
    command = commands.add_parser("ssh", help="a shell on a node, or a command there")
    command.add_argument("--stack", default="dev")
    command.add_argument("node", nargs="?", help="core-0, …; without it, any node")
    command.add_argument("run", nargs="*", metavar="COMMAND")
    command = commands.add_parser("logs", help="what a service prints, from all nodes")
    command.add_argument("--stack", default="dev")
    command.add_argument("--follow", "-f", action="store_true")
    command.add_argument("service")
    command = commands.add_parser("fault", help="break something and watch the cluster heal")
    command.add_argument("--stack", default="dev")
    command.add_argument("kind", choices=FAULTS)
    command.add_argument("target", nargs="?", default="", help="a node, such as core-0")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

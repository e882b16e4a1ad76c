"""Ways into a running lab: a shell on a node, the logs of a service, commands that see Azure."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contract.ports import PUBLIC_SSH, SSH
from lab.machine import docker_daemon
from lab.machine.endpoints import Endpoints, call, find
from lab.machine.paths import state_root
from lab.pulumi import stack_config
from lab.pulumi.engine import Stack, environment, lent_secrets
from tools.progress import StepFailed

ACCESS_LOG = "/var/log/router/access.log"
STATUS = "sudo /opt/bin/fleet-cluster status"
"""The command that shows the whole cluster, as JSON."""


def execute(command: Sequence[str]) -> int:
    """Run a command in the lab's environment, in the folder of the caller."""
    if not command:
        raise StepFailed(
            "lab exec", why="no command given", advice="Try: python -m lab exec -- pulumi stack"
        )
    variables = environment(find(docker_daemon.find()))
    if stack_name := _stack_to_run(command):
        variables |= lent_secrets(stack_name, variables)
    try:
        return subprocess.run(command, env=variables).returncode
    except FileNotFoundError as error:
        raise StepFailed(
            "lab exec", why=f"there is no program {command[0]}", advice="Check its name."
        ) from error


def _stack_to_run(command: Sequence[str]) -> str | None:
    """The stack that a pulumi command names, unless the command edits the stack's config file."""
    if Path(command[0]).name != "pulumi" or "config" in command:
        return None
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--stack", "-s")
    named: str | None = parser.parse_known_args(command[1:])[0].stack
    return named if named and stack_config.path(named).exists() else None


def ssh(stack_name: str, node: str | None, command: Sequence[str]) -> int:
    """Log in as `core`: to this node, or to one that the load balancer picks."""
    return subprocess.run(ssh_command(stack_name, node, command)).returncode


def logs(stack_name: str, service: str, follow: bool) -> int:
    """Show what the instances of a service print, from the journals of all nodes. A service with
    customers includes all of them.

    Journal entries of sidekicks, and of systemd about both, have the same fields in every release.
    """
    flags = "--follow" if follow else "--lines=100"
    fields = shlex.join([f"FLEET_SERVICE={service}", "+", f"FLEET_CUSTOMER_OF={service}"])
    journal = f"sudo journalctl --quiet --no-pager --output=short-iso {flags} {fields}"
    if service == "router":
        # the router writes its requests to a file
        tail = "sudo tail --quiet " + ("--lines=0 -F" if follow else "--lines=100")
        journal = f"{tail} {ACCESS_LOG} {'&' if follow else ';'} {journal}"
    running = [
        subprocess.Popen(ssh_command(stack_name, node, [journal])) for node in nodes(stack_name)
    ]
    try:
        return max((one.wait() for one in running), default=0)
    except KeyboardInterrupt:
        for one in running:
            one.terminate()  # Ctrl-C has reached them, a signal to this process has not
            one.wait()
        return 130


def ask_cluster(stack_name: str) -> dict[str, Any]:
    """The answer of `fleet-cluster status` on a node."""
    done = subprocess.run(
        ssh_command(stack_name, None, [STATUS]),
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode != 0:
        raise StepFailed(
            "Asking the cluster",
            why=(done.stderr or done.stdout).strip() or "no answer",
            advice=f"Look at a node: .venv/bin/python -m lab ssh --stack {stack_name} core-0",
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def nodes(stack_name: str) -> dict[str, str]:
    """The running nodes of a stack: name → private address."""
    return {
        one["node"]: one["ip"] for one in vms(_endpoints(), stack_name) if one["power"] == "running"
    }


def vms(endpoints: Endpoints, stack_name: str) -> list[dict[str, Any]]:
    """The VMs of a stack's scale set, as the simulated Azure reports them."""
    status = call(endpoints, "GET", "/lab/status")
    assert isinstance(status, dict)
    group = f"/resourcegroups/fleet-{stack_name}/".lower()
    return [one for one in status["vms"] if group in one["scaleSet"].lower()]


def ssh_command(
    stack_name: str,
    node: str | None,
    command: Sequence[str],
    outputs: Mapping[str, Any] | None = None,
) -> list[str]:
    """The ssh call with the stack's own key and the nodes' one host key, pinned.

    `outputs` are the stack's with secrets in plain text, if the caller has them: asking Pulumi
    takes a second.
    """
    if outputs is None:
        outputs = Stack(stack_name, _endpoints()).outputs(show_secrets=True)
    if "publicIp" not in outputs:
        raise StepFailed(
            f"Logging in to {stack_name}",
            why="the stack is not up",
            advice=f"Run `make up STACK={stack_name}` first.",
        )
    key, known_hosts = _write_keys(stack_name, outputs)
    if node is None:
        host, port = outputs["publicIp"], PUBLIC_SSH
    else:
        host, port = _address(stack_name, node), SSH
    return [
        "ssh",
        *("-i", str(key)),
        *("-p", str(port)),
        *("-o", "IdentitiesOnly=yes"),
        *("-o", f"UserKnownHostsFile={known_hosts}"),
        *("-o", "HostKeyAlias=fleet-node"),
        *("-o", "StrictHostKeyChecking=yes"),
        *("-o", "LogLevel=ERROR"),
        f"core@{host}",
        *command,
    ]


def _address(stack_name: str, node: str) -> str:
    known = nodes(stack_name)
    if node not in known:
        raise StepFailed(
            f"Logging in to {node}",
            why="no such node runs",
            advice=f"Choose one of {', '.join(sorted(known)) or '(no node runs)'}.",
        )
    return known[node]


def forget_keys(stack_name: str) -> None:
    """Remove the SSH key of a destroyed stack."""
    shutil.rmtree(_keys_folder(stack_name), ignore_errors=True)


def _write_keys(stack_name: str, outputs: Mapping[str, Any]) -> tuple[Path, Path]:
    folder = _keys_folder(stack_name)
    folder.mkdir(parents=True, exist_ok=True)
    key, known_hosts = folder / "id_ed25519", folder / "known_hosts"
    descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(outputs["sshPrivateKey"])
    known_hosts.write_text(f"fleet-node {outputs['sshHostKey']}\n")
    return key, known_hosts


def _keys_folder(stack_name: str) -> Path:
    return state_root() / "ssh" / stack_name


def _endpoints() -> Endpoints:
    return find(docker_daemon.find())

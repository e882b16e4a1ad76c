"""What a `remote.Command` does at create, update and delete.

The functions get plain values, without Secret wrappers, and return the outputs that are not inputs.
A preview calls none of them. A stage without a command does nothing.
"""

from __future__ import annotations

import secrets

from lab.providers.command.operation import Operation
from lab.providers.command.remote import run
from lab.providers.command.schema import REMOTE_COMMAND
from lab.providers.wire import Props

COMPUTED = frozenset({"stdout", "stderr"})
"""Outputs that are unknown in a preview."""


def new_id(name: str) -> str:
    """The id of a new resource of this name."""
    return name + secrets.token_hex(4)


async def create(inputs: Props, operation: Operation) -> Props:
    nothing = {"stdout": "", "stderr": ""}
    if "create" not in inputs:
        return nothing
    return await run(inputs, nothing, inputs["create"], operation)


async def update(state: Props, inputs: Props, operation: Operation) -> Props:
    """Run `update`, or `create` again if there is none."""
    previous = {name: value for name, value in state.items() if name not in REMOTE_COMMAND.inputs}
    command = inputs.get("update", inputs.get("create"))
    if command is None:
        return previous
    return {**previous, **await run(inputs, previous, command, operation)}


async def delete(state: Props, operation: Operation) -> None:
    if "delete" in state:
        await run(state, state, state["delete"], operation)

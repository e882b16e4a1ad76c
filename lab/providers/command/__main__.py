"""Run by the engine as `pulumi-resource-command ENGINE_ADDRESS`."""

from lab.providers.command.provider import CommandProvider
from lab.providers.plugin import run

run(CommandProvider)

"""The fixtures of the Pulumi program (tests/program)."""

from tests.program.fixtures import built, config, node, run, stack, voice

__all__ = ["built", "config", "node", "run", "stack", "voice"]

"""The fixtures of the whole program (tests/program)."""

from tests.program.fixtures import built, config, node, run, stack, voice

__all__ = ["built", "config", "node", "run", "stack", "voice"]

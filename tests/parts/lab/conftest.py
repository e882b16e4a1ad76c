"""What the tests of the simulated Azure and of its plugin share."""

from tests.parts.lab.azurite import azurite

__all__ = ["azurite"]

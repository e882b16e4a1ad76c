"""The one error of this plugin: its text is the real plugin's, word for word."""

from __future__ import annotations

import grpc

from lab.providers.plugin import ProviderError


class CommandError(ProviderError):
    """A failed operation.

    The code is UNKNOWN, as the real plugin's: the engine records nothing for a failed create and
    keeps the old state of a failed update.
    """

    def __init__(self, text: str, code: grpc.StatusCode = grpc.StatusCode.UNKNOWN) -> None:
        super().__init__(text, code)

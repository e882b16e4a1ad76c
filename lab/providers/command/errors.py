"""This plugin's error. Its texts are the real plugin's."""

from __future__ import annotations

import grpc

from lab.providers.plugin import ProviderError


class CommandError(ProviderError):
    """A failed operation.

    As in the real plugin, the code is UNKNOWN: the engine records nothing for a failed create, and
    keeps the old state after a failed update.
    """

    def __init__(self, text: str, code: grpc.StatusCode = grpc.StatusCode.UNKNOWN) -> None:
        super().__init__(text, code)

"""The error that ends a verb: its text says what failed and what to do."""

from __future__ import annotations


class ClusterError(Exception):
    """Printed as the last line, `error: …`, with a non-zero exit status."""


class Interrupted(BaseException):
    """A signal asked the program to stop (Ctrl-C, a closed connection).

    Not an Exception: only clean-up may react to it, of locks and of changes to undo at once.
    """

"""The error that ends a verb: its text says what failed and what to do about it."""

from __future__ import annotations


class ClusterError(Exception):
    """Printed as the last line, `error: …`, with a non-zero exit status."""


class Interrupted(BaseException):
    """A signal asked the program to stop (Ctrl-C, a closed connection).

    Not an Exception: nothing may react to it but the locks' clean-up, and what goes back at once.
    """

"""Compression whose bytes depend only on the input.

GNU gzip has its own deflate, which does not change. Python uses the machine's zlib, and each kind
of that (zlib, zlib-ng, Cloudflare's) makes different bytes.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tools.progress import StepFailed


@contextmanager
def gzipped(path: Path, *, level: int) -> Iterator[IO[bytes]]:
    """Yield a stream; after the block, `path` holds what was written to it, gzipped."""
    # GZIP could hold a user's options; -n leaves out name and time
    environment = {name: value for name, value in os.environ.items() if name != "GZIP"}
    with path.open("wb") as file:
        packing = subprocess.Popen(
            ["gzip", f"-{level}", "-n"], stdin=subprocess.PIPE, stdout=file, env=environment
        )
        assert packing.stdin is not None
        try:
            with packing.stdin as stream:
                yield stream
        finally:
            code = packing.wait()
    if code != 0:
        raise StepFailed(
            f"writing {path.name}",
            why=f"gzip exited with {code}",
            advice=f"Check the space left for {path.parent}, then run this again.",
        )

"""Compression whose bytes depend on nothing but the input.

That is GNU gzip's, whose deflate is its own and does not change. Python's would be that of the
machine's zlib: each kind of it (zlib, zlib-ng, Cloudflare's) makes other bytes.
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
    """Write to what is yielded, and `path` holds it gzipped after the block."""
    # GZIP could hold a user's options; -n: neither name nor time
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

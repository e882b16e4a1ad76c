"""`python3 -m app` serves on $PORT until SIGTERM, waits for open requests, and exits."""

from __future__ import annotations

import os
import signal
import sys
import threading

from app.identity import from_environment
from app.server import Server

# docker kills the process after 10 seconds.
PATIENCE = 8.0


def main() -> int:
    server = Server(("", int(os.environ.get("PORT", "8080"))), from_environment(os.environ))
    stopping = threading.Event()
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda *_: stopping.set())
    threading.Thread(target=server.serve_forever, name="accept", daemon=True).start()
    print(f"serving on port {server.server_port} as {server.identity.instance}", flush=True)
    stopping.wait()
    server.shutdown()
    if not server.wait_until_idle(PATIENCE):
        print(f"requests still open after {PATIENCE:.0f} s, exiting anyway", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

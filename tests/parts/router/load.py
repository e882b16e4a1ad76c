"""Clients that ask a router all the time and remember every answer that is not a 200."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator

from tests.parts.router.tls_client import lenient_context


class Load:
    """What the clients of one load saw."""

    def __init__(self) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._lock = threading.Lock()

    def record(self, failure: str | None) -> None:
        with self._lock:
            self.answered += 1
            if failure:
                self.failures.append(failure)


@contextlib.contextmanager
def load(port: int, host: str, *, clients: int = 4, tls: bool = False) -> Iterator[Load]:
    """Requests from several clients at once, a new connection for each, until the block ends."""
    seen, over = Load(), threading.Event()

    def ask_until_over() -> None:
        while not over.is_set():
            seen.record(_ask(port, host, tls))

    threads = [threading.Thread(target=ask_until_over) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _ask(port: int, host: str, tls: bool) -> str | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        if tls:
            connection.connect()
            connection.sock = lenient_context().wrap_socket(connection.sock, server_hostname=host)
        connection.request("GET", "/", headers={"Host": host, "Connection": "close"})
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()
    return None if answer.status == 200 else str(answer.status)

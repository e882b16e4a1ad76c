"""A gentle stream of GET requests at a steady pace.

Only for the lab's own addresses on this machine.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp

from bench.report.results import Latency, percentile

TIMEOUT = aiohttp.ClientTimeout(total=10)


@dataclass
class Answers:
    """What became of the requests so far."""

    milliseconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@contextmanager
def stream(url: str, *, per_second: float) -> Iterator[Answers]:
    """Requests at a steady pace for the length of a block, each on a connection of its own."""
    answers, stop = Answers(), threading.Event()
    worker = threading.Thread(target=lambda: asyncio.run(_stream(url, per_second, answers, stop)))
    worker.start()
    try:
        yield answers
    finally:
        stop.set()
        worker.join()


def summary(title: str, answers: Answers, seconds: float) -> Latency:
    """Percentiles of the answered requests; of all of them the pace."""
    answered = answers.milliseconds or [0.0]
    return Latency(
        title=title,
        p50=percentile(answered, 50),
        p99=percentile(answered, 99),
        requests=len(answers.milliseconds) + len(answers.failures),
        failed=len(answers.failures),
        per_second=len(answers.milliseconds) / seconds,
    )


async def _stream(url: str, per_second: float, answers: Answers, stop: threading.Event) -> None:
    began = time.monotonic()
    async with (
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True), timeout=TIMEOUT
        ) as session,
        asyncio.TaskGroup() as group,
    ):
        for count in itertools.count(1):
            group.create_task(_ask(session, url, answers))
            await asyncio.sleep(max(0.0, began + count / per_second - time.monotonic()))
            if stop.is_set():
                return


async def _ask(session: aiohttp.ClientSession, url: str, answers: Answers) -> None:
    began = time.monotonic()
    try:
        async with session.get(url) as answer:
            await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        answers.failures.append(repr(error))
        return
    if answer.status == 200:
        answers.milliseconds.append((time.monotonic() - began) * 1000)
    else:
        answers.failures.append(f"status {answer.status}")

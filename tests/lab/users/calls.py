"""Voice calls between two clients, and checks that they continue."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from lab.azure.load_balancer.client_addresses import seen_as
from tests.lab.stack import LabStack, eventually
from tests.visitors.voice_client import PORT, VoiceClient


class Call:
    """Two clients on one instance, coming from one address."""

    def __init__(self, stack: LabStack, one: VoiceClient, other: VoiceClient, source: str) -> None:
        self.one, self.other = one, other
        self.instance, self.node = place(one)["instance"], place(one)["node"]
        """The instance of the call, and its node."""
        self.entrance = next(
            node
            for node in stack.nodes
            if stack.node(node, f"ss -Htn state established sport = :{PORT} dst {seen_as(source)}")
        )
        """The node whose router has the clients' connections."""

    def goes_on(self) -> None:
        """Fails unless each hears the other from now on, by UDP and without a gap."""
        began = time.monotonic()
        for here, there in ((self.one, self.other), (self.other, self.one)):
            eventually(lambda: len(here.hears(there, since=began)) > 50, "a second's talk")  # noqa: B023 (called at once)
            heard = here.hears(there, since=began)
            assert all(frame.by_udp for frame in heard)
            assert heard[-1].number - heard[0].number == len(heard) - 1, "some frames are lost"
            assert here.ended is None


@contextmanager
def call_where(stack: LabStack, fits: Callable[[Call], bool]) -> Iterator[Call]:
    """A call whose place is right: the clients' address decides, so several are tried."""
    for last in range(1, 60):
        with ExitStack() as ending:
            source = f"127.0.4.{last}"
            one = ending.enter_context(VoiceClient(stack.public_ip, "ada", source=source))
            other = ending.enter_context(VoiceClient(stack.public_ip, "bob", source=source))
            assert one.has_media()
            assert other.has_media()
            found = Call(stack, one, other, source)
            if fits(found):
                yield found
                return
    raise AssertionError("no client's address leads to such a place")


def place(client: VoiceClient) -> dict[str, str]:
    """Where a client is, as the server's welcome says: instance, node, release."""
    return dict(re.findall(r"(\w+)=(\S+)", client.welcome))

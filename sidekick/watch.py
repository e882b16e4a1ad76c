"""One sidekick at work: it checks its instance, keeps its key, and takes it out of routing."""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections.abc import Callable

from clients.etcd import EtcdError
from contract.keys import INSTANCE_TTL, failure_key, instance_key
from contract.registration import Registration
from sidekick.announcement import Announcement
from sidekick.checks import check
from sidekick.container import Container, NotServing, read_container
from sidekick.departure import is_out_of_routing
from sidekick.docker import DockerError, NoSuchContainer
from sidekick.node import Node
from sidekick.process import Bell, Process
from sidekick.standing import (
    Outcome,
    begin,
    judge,
    pause,
    with_container,
    without_container,
)

_RETRY = 1.0

log = logging.getLogger(__name__)


class _End(enum.Enum):
    """Why a watch ends."""

    LEAVE = "its unit stops: withdraw and drain the instance"
    FORGET = "its unit is gone: withdraw the instance"
    ABANDON = "another watch takes over: touch nothing"


class Watch(threading.Thread):
    """The thread of one sidekick."""

    def __init__(
        self,
        unit: str,
        registration: Registration,
        node: Node,
        *,
        is_wanted: Callable[[], bool],
        is_leaving: bool = False,
    ) -> None:
        """`is_leaving`: the announcer before this one was told so, and may not have finished."""
        super().__init__(name=unit, daemon=True)
        self.registration = registration
        self._unit = unit
        self._node = node
        self._is_wanted = is_wanted
        name = registration.service, registration.instance
        self._key = instance_key(*name)
        self._announcement = Announcement(node.etcd, key=self._key, failure_key=failure_key(*name))
        self._bell = Bell()
        self._end = _End.LEAVE if is_leaving else None
        self._process: Process | None = None
        self._container: Container | None = None
        self._docker_start = ""  # docker's last start that the value knows
        self._value = ""
        self._standing = begin(time.monotonic())

    @property
    def is_ending(self) -> bool:
        return self._end is not None

    def leave(self) -> None:
        """Take the instance out of routing, drain it, end."""
        self._order(_End.LEAVE)

    def abandon(self) -> None:
        """End immediately; the key stays."""
        self._order(_End.ABANDON)

    def run(self) -> None:
        self._adopt()
        while self._end is None:
            try:
                self._beat()
            except Exception:
                # without this thread the instance would lose its key
                log.exception("%s: a check went wrong", self._unit)
                self._bell.rest(_RETRY, None)
        if self._end is _End.LEAVE:
            self._leave()
        elif self._end is _End.FORGET:
            self._withdraw()
        self._lose_process()

    # --- from check to check ----------------------------------------------------------------------

    def _beat(self) -> None:
        began = time.monotonic()
        outcome = self._check()
        now = time.monotonic()
        verdict = judge(
            self._standing,
            outcome,
            self.registration.health,
            is_announced=self._announcement.value is not None,
            now=now,
        )
        self._standing = verdict.standing
        if verdict.announce:
            self._announce()
        if verdict.withdraw:
            self._say(f"not healthy any more: {outcome.problem}")
            self._withdraw()
        if verdict.report:
            self._report(outcome.problem or "")
        self._rest(pause(verdict.interval, time.monotonic() - began))

    def _check(self) -> Outcome:
        if self._process is None or self._process.has_ended:
            problem = self._meet_container()
            if problem is not None:
                return Outcome(problem=problem)
        elif self._node.docker_start() != self._docker_start:
            self._look_again()
        assert self._container is not None
        return check(
            self.registration.health,
            self.registration.container,
            self._container,
            self._node.docker,
        )

    def _meet_container(self) -> str | None:
        """Find the new container after the previous one has ended. Why there is none, if so."""
        if self._process is not None:
            self._lose_process()
            self._standing = without_container(self._standing, time.monotonic())
            if self._announcement.value is not None:
                self._say("its process has ended")
                self._withdraw()  # its ports may be another's soon
        problem = self._find_container()
        if problem is None:
            self._standing = with_container(time.monotonic(), self.registration.health)
        return problem

    def _look_again(self) -> None:
        """docker was restarted, but the container survived: put docker's new start into the key."""
        known, container, value = self._process, self._container, self._value
        if self._find_container() is None and known is not None:
            known.close()
        else:
            self._process, self._container, self._value = known, container, value

    def _find_container(self) -> str | None:
        """Know the container that runs. Why there is none, if so."""
        start = self._node.docker_start()
        name = self.registration.container
        try:
            inspected = self._node.docker.inspect(name)
            container = read_container(inspected, self.registration, self._node.ip)
            process = Process(container.pid)
        except NoSuchContainer:
            return f"no container {name}"
        except (DockerError, NotServing) as error:
            return str(error)
        except ProcessLookupError:
            return f"container {name} has just ended"
        self._process, self._container, self._docker_start = process, container, start
        self._value = self._node.value(container, start)
        return None

    def _lose_process(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def _adopt(self) -> None:
        """Go on with the key of the announcer before this one, if that wrote it: then it is
        renewed, withdrawn and drained as our own would be."""
        if self._find_container() is not None:
            return
        while self._end is None:
            try:
                self._announcement.adopt(self._value)
            except EtcdError:
                self._rest(_RETRY)
            else:
                break
        else:
            self._announcement.assume(self._value)
        if self._announcement.value is None:
            self._lose_process()  # it is new to us

    # --- what follows -----------------------------------------------------------------------------

    def _announce(self) -> None:
        try:
            if self._announcement.keep(self._value):
                self._say(f"announced: {self._value}")
        except EtcdError as error:
            log.warning("%s: not announced: %s", self._unit, error)

    def _withdraw(self) -> int | None:
        try:
            return self._announcement.withdraw()
        except EtcdError as error:
            self._say(f"could not remove the key; it expires within {INSTANCE_TTL} s: {error}")
            return None

    def _report(self, reason: str) -> None:
        last = self._node.journal.last_lines(self.registration)
        try:
            self._announcement.report(node=self._node.name, reason=reason, log=last)
        except EtcdError as error:
            self._say(f"could not report: {reason}: {error}")

    def _leave(self) -> None:
        """Out of routing first; systemd stops the instance when this has ended."""
        if self._announcement.value is None:
            # systemd stops a sidekick with an instance that died; nothing else tells why it did
            if (problem := self._find_container()) is not None:
                self._report(problem)
            return
        index = self._withdraw()
        if self._process is None or self._process.has_ended:
            self._say(f"the instance is gone: {self._find_container()}")
            return
        if index is not None:
            self._wait_for_routers(index)
        self._say(f"draining for {self.registration.drain} s")
        self._pause(lambda: False, self.registration.drain)

    def _wait_for_routers(self, index: int) -> None:
        timeout = self._node.routers_timeout
        if not self._pause(lambda: is_out_of_routing(self._node.etcd, self._key, index), timeout):
            self._say(f"not every router has applied index {index} after {timeout:.0f} s; going on")

    def _pause(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Until the condition holds, the time is up, or nothing is left to wait for."""
        deadline = time.monotonic() + seconds
        while not (holds := condition()) and time.monotonic() < deadline:
            if self._end is not _End.LEAVE or (self._process and self._process.has_ended):
                break
            self._bell.rest(min(0.2, deadline - time.monotonic()), self._process)
        return holds

    def _rest(self, seconds: float) -> None:
        if self._end is None:
            self._bell.rest(seconds, self._process)
        if self._end is None and not self._is_wanted():
            self._end = _End.FORGET

    def _order(self, end: _End) -> None:
        self._end = end
        self._bell.ring()

    def _say(self, text: str) -> None:
        self._node.journal.say(self._unit, self.registration, text)

"""A lock in etcd: two rollouts of one service never run at the same time.

The holder renews it whenever its work pauses. If the holder dies, the lock expires by its TTL.
"""

from __future__ import annotations

import uuid
from types import TracebackType

from clients.clock import Clock, timestamp
from clients.errors import ClusterError, Interrupted
from clients.etcd import CompareFailed, Etcd, EtcdError, EtcdUnavailable, KeyExists, KeyNotFound
from clients.progress import Progress
from clients.waiting import wait_until
from contract.codec import Malformed, decode, encode
from contract.keys import LOCK_TTL, lock_key
from contract.lock_holder import LockHolder

_RENEW_AFTER = 15.0


class LockLost(ClusterError):
    """Another program may hold the lock now: stop immediately and change nothing more."""


class LockTaken(ClusterError):
    """The lock was not free in time."""


class Lock:
    """`with Lock(…) as lock:` holds it; call `lock.pause` wherever the work waits."""

    def __init__(
        self,
        etcd: Etcd,
        name: str,
        *,
        holder: str,
        clock: Clock,
        progress: Progress,
        patience: float = 900.0,
    ) -> None:
        self._etcd = etcd
        self._key = lock_key(name)
        self._name = name
        self._clock = clock
        self._progress = progress
        self._patience = patience
        self._renewed = 0.0
        self._value = encode(LockHolder(holder=holder, since=timestamp(clock), id=uuid.uuid4().hex))

    def __enter__(self) -> Lock:
        try:
            self._acquire()
        except BaseException:
            self._release()  # Ctrl-C may come between the write and its answer
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()

    def pause(self, seconds: float) -> None:
        """Let time pass and keep the lock. Raises LockLost."""
        self.keep()
        self._clock.sleep(seconds)

    def keep(self) -> None:
        """Renew the lock if it is due. Raises LockLost."""
        if self._clock.now() - self._renewed < _RENEW_AFTER:
            return
        asked = self._clock.now()
        try:
            self._etcd.refresh(self._key, LOCK_TTL, prev_value=self._value)
        except (KeyNotFound, CompareFailed) as error:
            raise LockLost(
                f"lost the lock on {self._name} to another rollout; run this again to finish"
            ) from error
        except EtcdUnavailable as error:
            if self._clock.now() - self._renewed >= LOCK_TTL:
                raise LockLost(
                    f"etcd was unavailable for longer than the lock on {self._name} lasts "
                    f"({error}); "
                    "run this again to finish"
                ) from error
            return
        self._renewed = asked

    def _acquire(self) -> None:
        def acquired() -> str | None:
            asked = self._clock.now()
            holder = self._try()
            if holder is None:
                self._renewed = asked
                return None
            return f"{self._name} is locked by {holder}"

        wait_until(
            acquired,
            patience=self._patience,
            clock=self._clock,
            progress=self._progress,
            quiet=0.0,
            give_up=lambda locked: LockTaken(
                f"{locked} for more than {self._patience:.0f} s. "
                "Wait for that rollout, or stop it: its lock ends a minute later"
            ),
        )

    def _try(self) -> str | None:
        """None if the lock is ours now, else its holder, as an error names it."""
        try:
            self._etcd.create(self._key, self._value, ttl=LOCK_TTL)
        except KeyExists:
            found = self._etcd.find(self._key)
        except EtcdUnavailable as error:
            return f"an unknown holder ({error})"
        else:
            return None
        if found is None:
            return "a rollout that has just released it"
        # a write whose answer was lost
        return None if found.node.value == self._value else _describe(found.node.value)

    def _release(self) -> None:
        try:
            self._delete()
        except Interrupted:
            self._delete()  # after a second Ctrl-C the next rollout must not wait for the TTL
            raise

    def _delete(self) -> None:
        try:
            self._etcd.delete(self._key, prev_value=self._value)
        except (KeyNotFound, CompareFailed):
            return
        except EtcdError as error:
            self._progress(
                f"could not release the lock on {self._name} ({error}); it expires within a minute"
            )


def _describe(value: str) -> str:
    try:
        lock = decode(LockHolder, value)
    except Malformed:
        return f"an unknown holder ({value[:60]})"
    return f"{lock.holder} since {lock.since}"

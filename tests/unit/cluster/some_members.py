"""etcd's members, as many as a test sets."""

from __future__ import annotations

from clients.etcd.members import Member, Members, Membership


class SomeMembers(Membership):
    """A membership of `count` healthy members."""

    def __init__(self, healthy: int) -> None:
        self.count = healthy

    def survey(self, addresses: object) -> Members | None:
        assert addresses == ["10.0.0.4"]
        if not self.count:
            return None
        return Members(
            members=tuple(
                Member(
                    id=str(n),
                    name=f"core-{n}",
                    address=f"10.0.0.{4 + n}",
                    is_healthy=n < self.count,
                )
                for n in range(3)
            )
        )

"""The bootstrap's rules, one situation each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clients.etcd.members import Member, Members
from cluster.bootstrap.decide import (
    DEAD_AFTER,
    JOIN_PATIENCE,
    CreateRecord,
    Join,
    Observation,
    Refuse,
    Register,
    StartAdded,
    StartNew,
    ThisNode,
    Wait,
    decide,
    must_ask_members,
)
from cluster.bootstrap.record import Record

ADDRESSES = {"core-0": "10.0.0.4", "core-1": "10.0.0.5", "core-2": "10.0.0.6"}
RECORD = Record(cluster="toktv-dev", token="t", size=3, members=ADDRESSES)
FORMED = replace(RECORD, formed=True)
CORE_2 = ThisNode(name="core-2", address="10.0.0.6", size=3)
CORE_7 = ThisNode(name="core-7", address="10.0.0.11", size=3)


def members(*healthy: str, **others: str) -> Members:
    """`healthy` members by name; others, as name=address, do not answer."""
    well = [Member(id=n, name=n, address=ADDRESSES[n], is_healthy=True) for n in healthy]
    away = [Member(id=n, name=n.replace("_", "-"), address=a) for n, a in others.items()]
    return Members(members=(*well, *away))


def observation(
    record: Record | None = FORMED, members: Members | None = None, **silent: float
) -> Observation:
    return Observation(record=record, members=members, silent=silent)


def test_first_node_begins_the_record() -> None:
    assert decide(CORE_2, observation(None)) == CreateRecord()


def test_node_registers_while_the_list_has_room() -> None:
    record = replace(RECORD, members={"core-0": "10.0.0.4"})

    assert decide(CORE_2, observation(record)) == Register()


def test_node_with_a_new_address_registers_again_before_the_list_is_full() -> None:
    record = replace(RECORD, members={"core-2": "10.0.0.99"})

    assert decide(CORE_2, observation(record)) == Register()


def test_no_node_starts_before_all_first_members_have_registered() -> None:
    record = replace(RECORD, members={"core-2": "10.0.0.6", "core-0": "10.0.0.4"})

    decision = decide(CORE_2, observation(record))

    assert decision == Wait(reason="waiting for the first members: 2 of 3 are here")


def test_all_first_members_start_with_the_same_list() -> None:
    assert decide(CORE_2, observation(RECORD)) == StartNew(members=ADDRESSES)


def test_later_node_waits_for_the_first_members_to_form_the_cluster() -> None:
    decision = decide(CORE_7, observation(RECORD))

    assert isinstance(decision, Wait)
    assert "not among them" in decision.reason


def test_first_member_may_start_after_the_others_have_a_quorum() -> None:
    decision = decide(CORE_2, replace(observation(RECORD), registered_now=True))

    assert decision == StartNew(members=ADDRESSES)
    assert not must_ask_members(RECORD, registered_now=True)
    assert must_ask_members(FORMED, registered_now=True)


def test_node_that_registered_before_its_last_reimage_does_not_start_as_new() -> None:
    seen = members("core-0", "core-1", core_2="10.0.0.6")

    decision = decide(CORE_2, observation(RECORD, seen))

    assert decision == Join(members=seen, instead_of=(seen.members[2],))


def test_reimaged_node_replaces_itself_at_once() -> None:
    seen = members("core-0", "core-1", core_2="10.0.0.6")

    assert decide(CORE_2, observation(FORMED, seen)) == Join(
        members=seen, instead_of=(seen.members[2],)
    )


def test_node_that_inherited_an_address_replaces_its_former_owner() -> None:
    seen = members("core-0", "core-1", core_9="10.0.0.6")

    assert decide(CORE_2, observation(FORMED, seen)) == Join(
        members=seen, instead_of=(seen.members[2],)
    )


def test_new_node_replaces_a_member_after_a_long_silence() -> None:
    seen = members("core-0", "core-1", core_2="10.0.0.6")

    decision = decide(CORE_7, observation(FORMED, seen, core_2=DEAD_AFTER))

    assert decision == Join(members=seen, instead_of=(seen.members[2],))


def test_new_node_waits_while_a_member_is_silent_for_a_moment() -> None:
    seen = members("core-0", "core-1", core_2="10.0.0.6")

    decision = decide(CORE_7, observation(FORMED, seen, core_2=DEAD_AFTER - 1))

    assert isinstance(decision, Wait)
    assert "whether core-2 (10.0.0.6) comes back" in decision.reason


def test_member_with_a_heartbeat_in_fleet_is_not_dead() -> None:
    seen = members("core-0", "core-1", core_2="10.0.0.6")
    look = observation(FORMED, seen, core_2=DEAD_AFTER * 10)

    decision = decide(CORE_7, replace(look, alive_in_fleet=frozenset({"10.0.0.6"})))

    assert isinstance(decision, Wait)


def test_no_member_is_removed_if_that_would_cost_the_quorum() -> None:
    seen = members("core-0", core_1="10.0.0.5", core_2="10.0.0.6")

    decision = decide(CORE_2, observation(FORMED, seen, core_1=1e6))

    assert isinstance(decision, Wait)
    assert "too few members answer" in decision.reason


def test_only_one_of_two_dead_members_is_replaced() -> None:
    three = members("core-0", "core-1", "core-2")
    two = members(core_3="10.0.0.7", core_4="10.0.0.8")
    seen = Members(members=(*three.members, *two.members))

    decision = decide(
        replace(CORE_7, size=5),
        Observation(record=FORMED, members=seen, silent={"core_3": 1e6, "core_4": 1e6}),
    )

    assert isinstance(decision, Join)
    assert [member.name for member in decision.instead_of] == ["core-3"]


def test_refusal_after_a_lost_majority_tells_what_to_do() -> None:
    decision = decide(CORE_2, observation(FORMED, None))

    assert isinstance(decision, Refuse)
    assert "etcd-has-lost-its-quorum" in decision.reason


def test_cluster_below_its_size_takes_one_more_member() -> None:
    seen = members("core-0", "core-1", "core-2")

    assert decide(replace(CORE_7, size=5), observation(FORMED, seen)) == Join(members=seen)


def test_second_new_member_waits_until_the_first_is_healthy() -> None:
    seen = Members(
        members=(
            *members("core-0", "core-1", "core-2").members,
            Member(id="x", name="", address="10.0.0.7"),
        )
    )

    decision = decide(replace(CORE_7, size=5), observation(FORMED, seen, x=JOIN_PATIENCE - 1))

    assert isinstance(decision, Wait)
    assert "unstarted member (10.0.0.7)" in decision.reason


def test_member_that_never_started_is_replaced_in_the_end() -> None:
    unstarted = Member(id="x", name="", address="10.0.0.7")
    seen = Members(members=(*members("core-0", "core-1", "core-2").members, unstarted))

    decision = decide(replace(CORE_7, size=5), observation(FORMED, seen, x=JOIN_PATIENCE))

    assert decision == Join(members=seen, instead_of=(unstarted,))


def test_surplus_node_waits_as_a_spare() -> None:
    seen = members("core-0", "core-1", "core-2")

    decision = decide(CORE_7, observation(FORMED, seen))

    assert isinstance(decision, Wait)
    assert "joins when one of them is gone" in decision.reason


def test_node_with_a_wrong_clock_waits() -> None:
    decision = decide(CORE_2, replace(observation(RECORD), clock_skew=-73.0))

    assert decision == Wait(reason="this node's clock is -73 s off: waiting for NTP")


def test_node_without_an_address_does_not_start() -> None:
    with pytest.raises(ValueError, match="without an address"):
        decide(replace(CORE_2, address=""), observation(RECORD))


ONLY = Member(id="1", name="core-0", address=ADDRESSES["core-0"])
ADDED = Member(id="2", name="", address=CORE_2.address)


def test_member_that_was_added_and_never_started_starts_without_a_quorum() -> None:
    """The only member lost its quorum by adding it."""
    listed = (ONLY, ADDED)

    decision = decide(CORE_2, Observation(record=FORMED, members=None, silent={}, listed=listed))

    assert decision == StartAdded(members={"core-0": "10.0.0.4", "core-2": "10.0.0.6"})


@pytest.mark.parametrize(
    "listed",
    [
        (),
        (ONLY, replace(ADDED, name="core-2")),  # it has started, and its data is gone
        (ONLY, replace(ADDED, address="10.0.0.99")),
        (ONLY, ADDED, replace(ONLY, id="3", name="core-1", address="10.0.0.5")),
    ],
)
def test_without_a_quorum_no_other_node_starts(listed: tuple[Member, ...]) -> None:
    decision = decide(CORE_2, Observation(record=FORMED, members=None, silent={}, listed=listed))

    assert isinstance(decision, Refuse)

"""Which addresses a router keeps when keys are gone after an outage of etcd, by the pure rule.

An address is kept for the instance that had it, and only while nothing says that another may have
it by now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.node_starts import NodeStart, Observation
from router.route_table import RouteTable, make_route_table
from tests.unit.router.trees import tree

ACME, GLOBEX = ({"hosts": [f"{name}.test"], "http": True} for name in ("acme", "globex"))
TTL = 15
AFTER = 30.0  # when etcd answers again: every key may have expired since

BOOT = {"node": "core-1", "boot": "first", "docker": "one"}
INSTANCE = {"http": "10.0.0.5:32770", **BOOT}
KEY = "/services/acme/instances/r1-1"


def report(boot: str, docker: str = "one", *, heard: int, node: str = "core-1") -> Observation:
    """What the router on a node tells."""
    life = NodeStart(boot=boot, docker=docker)
    return Observation(node=node, start=life, heard=heard, is_report=True)


def before(instance: Mapping[str, Any] = INSTANCE) -> RouteTable:
    """What was served until etcd was away: acme, by this one instance."""
    keys = {"r1-1": instance}
    return make_route_table(
        tree({"acme": {"route": ACME, "instances": keys}}, ttl=TTL), {}, asked=0.0
    )


def after(
    *reports: Observation,
    instance: Mapping[str, Any] = INSTANCE,
    answered: float = AFTER,
    **others: Mapping[str, Any],
) -> RouteTable:
    """What is served when etcd is back without the instance of acme, but with these services."""
    services = tree({"acme": {"route": ACME}} | others, first_index=101, ttl=TTL)
    return make_route_table(
        services, {}, reports=reports, before=before(instance), answered=answered
    )


def addresses(found: RouteTable, service: str = "acme") -> list[str | None]:
    return [one.http for one in found.services[service].instances.values()]


def globex(**values: Any) -> dict[str, Any]:
    """A service with an instance of these values."""
    return {"route": GLOBEX, "instances": {"r1-1": values}}


def test_instance_whose_key_expired_is_kept() -> None:
    found = after()

    assert addresses(found) == ["10.0.0.5:32770"]
    assert found.kept == (KEY,)


def test_kept_instance_does_not_block_changes_of_other_services() -> None:
    found = after(globex=globex(http="10.0.0.6:32768", node="core-2"))

    assert addresses(found, "globex") == ["10.0.0.6:32768"]
    assert addresses(found) == ["10.0.0.5:32770"]


def test_service_that_lost_some_instances_keeps_them() -> None:
    both = {"r1-1": INSTANCE, "r1-2": {"http": "10.0.0.6:32768"}}
    was = make_route_table(
        tree({"acme": {"route": ACME, "instances": both}}, ttl=TTL), {}, asked=0.0
    )
    one = {"r1-2": both["r1-2"]}

    found = make_route_table(
        tree({"acme": {"route": ACME, "instances": one}}, ttl=TTL), {}, before=was, answered=AFTER
    )

    assert set(addresses(found)) == {"10.0.0.5:32770", "10.0.0.6:32768"}


def test_kept_instance_stays_kept_until_patience_ends() -> None:
    services = tree({"acme": {"route": ACME}})
    kept = after()

    again = make_route_table(services, {}, before=kept, answered=AFTER + 4)
    ended = make_route_table(services, {}, before=None, answered=AFTER + 8)

    assert addresses(again) == ["10.0.0.5:32770"]
    assert addresses(ended) == []
    assert ended.kept == ()


def test_instance_that_is_announced_again_elsewhere_is_not_kept_twice() -> None:
    keys = {"r1-1": {"http": "10.0.0.6:40000", "node": "core-2"}}

    found = after(acme={"route": ACME, "instances": keys})

    assert addresses(found) == ["10.0.0.6:40000"]
    assert found.kept == ()


def test_instance_of_a_service_that_was_removed_is_not_served() -> None:
    was = before()

    found = make_route_table(tree({}), {}, before=was, answered=AFTER)

    assert found.services == {}


# --- its address may be another's -----------------------------------------------------------------


def test_reboot_without_quorum_gives_no_address_to_another_service() -> None:
    """Two of three machines lose their power; one is back. Its router and then an instance of
    globex come up, on the port that acme had there, before acme is announced again."""
    rebooted = report("second", heard=102)
    announced = globex(http="10.0.0.5:32770", node="core-1", boot="second", docker="two")

    at_once = after()
    router_is_up = after(rebooted)
    globex_is_up = after(globex=announced)
    both_are_up = after(rebooted, globex=announced)

    assert addresses(at_once) == ["10.0.0.5:32770"]  # the node is still off: no one listens there
    assert addresses(router_is_up) == []
    for found in (globex_is_up, both_are_up):
        assert addresses(found) == []
        assert addresses(found, "globex") == ["10.0.0.5:32770"]


@pytest.mark.parametrize("how", ["http", "tcp"])
def test_claim_of_any_live_key_ends_it(how: str) -> None:
    claim = "10.0.0.5:32770" if how == "http" else {"7000": "10.0.0.5:32770"}

    assert addresses(after(globex=globex(**{how: claim, "node": "core-1"}))) == []


def test_claim_in_another_protocol_does_not_end_keeping() -> None:
    found = after(globex=globex(udp={"7000": "10.0.0.5:32770"}, **BOOT))

    assert addresses(found) == ["10.0.0.5:32770"]


@pytest.mark.parametrize(
    ("observation", "is_kept"),
    [
        (report("first", "one", heard=102), True),
        (report("second", "one", heard=102), False),
        (report("first", "two", heard=102), False),  # docker was started again
        (report("", "", heard=102), True),  # a router of an earlier release
        (report("second", "two", heard=102, node="core-2"), True),
    ],
)
def test_node_that_has_started_again_since_ends_it(observation: Observation, is_kept: bool) -> None:
    assert bool(addresses(after(observation))) is is_kept


def test_another_instances_key_proves_a_new_boot() -> None:
    elsewhere = {"http": "10.0.0.5:32799", "node": "core-1"}
    reboot = globex(**elsewhere, boot="second", docker="two")
    docker = globex(**elsewhere, boot="first", docker="two")

    assert addresses(after(globex=reboot)) == []
    assert addresses(after(globex=docker)) == []


def test_router_knows_better_than_a_key_which_docker_runs() -> None:
    """A container that outlives a restart of docker is announced as it was at first."""
    older = globex(http="10.0.0.5:32799", node="core-1", boot="first", docker="zero")

    assert addresses(after(report("first", "one", heard=50), globex=older)) == ["10.0.0.5:32770"]


def test_instance_without_a_boot_id_is_kept_until_its_address_is_used() -> None:
    silent = {"http": "10.0.0.5:32770"}

    assert addresses(after(report("second", heard=102), instance=silent)) == ["10.0.0.5:32770"]
    assert addresses(after(instance=silent, globex=globex(http="10.0.0.5:32770"))) == []


# --- it was withdrawn -----------------------------------------------------------------------------


def test_instance_whose_key_went_before_its_time_was_withdrawn_and_is_not_kept() -> None:
    assert addresses(after(answered=11.0)) == []
    assert addresses(after(answered=12.5)) == ["10.0.0.5:32770"]  # the members' clocks may differ


def test_instance_whose_key_never_expires_is_not_kept() -> None:
    was = make_route_table(tree({"acme": {"route": ACME, "instances": {"r1-1": INSTANCE}}}), {})

    assert (
        addresses(make_route_table(tree({"acme": {"route": ACME}}), {}, before=was, answered=AFTER))
        == []
    )


def test_instance_whose_key_holds_nonsense_now_is_not_kept() -> None:
    found = after(acme={"route": ACME, "instances": {"r1-1": "{"}})

    assert addresses(found) == []
    assert [problem.key for problem in found.problems] == [KEY]


# --- keys that outlive their node -----------------------------------------------------------------


def live(*reports: Observation, **services: Mapping[str, Any]) -> RouteTable:
    return make_route_table(tree(services, first_index=101, ttl=TTL), {}, reports=reports)


def test_live_key_of_an_earlier_boot_is_void() -> None:
    acme = {"route": ACME, "instances": {"r1-1": INSTANCE}}

    found = live(report("second", heard=200), acme=acme)

    assert addresses(found) == []
    assert [str(problem) for problem in found.problems] == [
        f"{KEY}: core-1 has started again since it was announced"
    ]


def test_live_key_is_void_as_soon_as_an_instance_of_a_later_boot_is_announced() -> None:
    acme = {"route": ACME, "instances": {"r1-1": INSTANCE}}
    later = globex(http="10.0.0.5:32799", node="core-1", boot="second")

    found = live(acme=acme, globex=later)

    assert addresses(found) == []
    assert addresses(found, "globex") == ["10.0.0.5:32799"]


def test_live_key_outlives_a_restart_of_docker() -> None:
    """Its container does, too."""
    acme = {"route": ACME, "instances": {"r1-1": INSTANCE}}

    assert addresses(live(report("first", "two", heard=200), acme=acme)) == ["10.0.0.5:32770"]


def test_instance_that_comes_up_before_its_nodes_router_is_served() -> None:
    """The report of the router from before the reboot lives on for a while, and is not renewed."""
    acme = {"route": ACME, "instances": {"r1-1": INSTANCE | {"boot": "second"}}}

    assert addresses(live(report("first", heard=99), acme=acme)) == ["10.0.0.5:32770"]


def test_void_key_claims_nothing() -> None:
    instances = {"r1-1": {"http": "10.0.0.6:32770", "node": "core-2", "boot": "first"}}
    was = make_route_table(
        tree({"acme": {"route": ACME, "instances": instances}}, ttl=TTL), {}, asked=0.0
    )
    void = globex(http="10.0.0.6:32770", node="core-1", boot="first")

    found = make_route_table(
        tree({"acme": {"route": ACME}, "globex": void}, first_index=101, ttl=TTL),
        {},
        reports=[report("second", heard=200)],
        before=was,
        answered=AFTER,
    )

    assert addresses(found) == ["10.0.0.6:32770"]


# --- in general -----------------------------------------------------------------------------------

instances = st.dictionaries(
    st.sampled_from(["r1-1", "r1-2", "r2-1"]),
    st.fixed_dictionaries(
        {
            "http": st.sampled_from(["10.0.0.4:1", "10.0.0.4:2", "10.0.0.5:1"]),
            "node": st.sampled_from(["core-0", "core-1"]),
            "boot": st.sampled_from(["first", "second"]),
            "docker": st.sampled_from(["one", "two"]),
        }
    ),
)
trees = st.fixed_dictionaries(
    {
        name: st.fixed_dictionaries({"route": st.just(route), "instances": instances})
        for name, route in (("acme", ACME), ("globex", GLOBEX))
    }
)


@given(trees, trees, st.lists(st.sampled_from(["first", "second"]), max_size=1))
def test_no_address_ever_leads_two_ways(
    first: dict[str, Any], then: dict[str, Any], boots: list[str]
) -> None:
    was = make_route_table(tree(first, ttl=TTL), {}, asked=0.0)
    reports = [report(boot, heard=300) for boot in boots]

    found = make_route_table(
        tree(then, first_index=101, ttl=TTL), {}, reports=reports, before=was, answered=AFTER
    )

    served = [one.http for each in found.services.values() for one in each.instances.values()]
    assert len(served) == len(set(served))
    for key in found.kept:
        one = found.usable[key].instance
        assert one.node != "core-1" or one.boot in (boots or [one.boot])

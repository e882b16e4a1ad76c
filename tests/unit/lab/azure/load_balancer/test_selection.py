"""Which VM a flow goes to."""

from dataclasses import replace

from lab.azure.load_balancer.config import Backend, BalancingRule, Security
from lab.azure.load_balancer.selection import Refusal, Selector
from tests.unit.lab.azure.load_balancer.pool import SPACE, allow, backends, rule, security

FRONTEND = "127.50.0.1"
CLIENTS = [(f"127.1.{n // 250}.{n % 250 + 1}", 40000 + n) for n in range(600)]


def selector(made: BalancingRule, down: frozenset[str] = frozenset()) -> Selector:
    return Selector(made, FRONTEND, lambda _, backend: backend.name not in down)


def chosen(made: BalancingRule, down: frozenset[str] = frozenset()) -> list[str]:
    choose = selector(made, down).choose
    answers = [choose(client) for client in CLIENTS]
    assert all(isinstance(answer, Backend) for answer in answers)
    return [answer.name for answer in answers if isinstance(answer, Backend)]


def test_flows_are_spread_over_all_vms() -> None:
    counts = [chosen(rule(80, 80, 3)).count(f"core/{n}") for n in range(3)]

    assert min(counts) > 130


def test_a_removed_vm_moves_only_its_flows() -> None:
    before = chosen(rule(80, 80, 3))

    after = chosen(rule(80, 80, 3), down=frozenset({"core/1"}))

    moved = [old for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {"core/1"}


def test_a_vm_that_comes_takes_flows_only_for_itself() -> None:
    before = chosen(rule(80, 80, 3))

    after = chosen(rule(80, 80, 4))

    gained = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(gained) == {"core/3"}


def test_a_vm_that_comes_back_gets_its_clients_back() -> None:
    before = chosen(rule(80, 80, 3))

    chosen(rule(80, 80, 3), down=frozenset({"core/1"}))

    assert chosen(rule(80, 80, 3)) == before


def test_source_ip_sends_a_clients_tcp_and_udp_to_one_vm() -> None:
    voice = rule(64738, 64738, 3, distribution="SourceIP")

    over_udp = chosen(replace(voice, protocol="Udp"))
    on_another_port = chosen(replace(voice, frontend_port=64739))

    assert chosen(voice) == over_udp == on_another_port


def test_source_ip_ignores_the_clients_port() -> None:
    choose = selector(rule(80, 80, 3, distribution="SourceIP")).choose

    assert len({choose(("127.1.0.1", port)) for port in range(40000, 40050)}) == 1


def test_source_ip_protocol_distinguishes_tcp_and_udp() -> None:
    voice = rule(64738, 64738, 3, distribution="SourceIPProtocol")

    assert chosen(voice) != chosen(replace(voice, protocol="Udp"))


def test_by_default_a_clients_connections_are_spread() -> None:
    choose = selector(rule(80, 80, 3)).choose

    assert len({choose(("127.1.0.1", port)) for port in range(40000, 40050)}) == 3


def test_without_a_healthy_vm_a_flow_is_refused() -> None:
    refusal = selector(rule(80, 80, 1), frozenset({"core/0"})).choose(("127.1.0.1", 1))

    assert refusal == Refusal(reason="no healthy backend")


def test_groups_see_the_clients_address_and_the_vms_port() -> None:
    admin_only = security(allow("ssh", 100, "127.1.0.1/32", "22"))
    choose = selector(rule(50022, 22, security=admin_only)).choose

    assert isinstance(choose(("127.1.0.1", 1)), Backend)
    assert choose(("127.1.0.2", 1)) == Refusal(reason="denied by core/DenyAllInBound")


def test_a_rule_about_the_frontend_port_does_not_open_the_vms() -> None:
    wrong = security(allow("ssh", 100, "*", "50022"))

    refusal = selector(rule(50022, 22, security=wrong)).choose(("127.1.0.1", 1))

    assert isinstance(refusal, Refusal)


def test_without_a_security_group_nothing_passes() -> None:
    closed = rule(80, 80, security=Security(groups=(), space=SPACE))

    assert isinstance(selector(closed).choose(("127.1.0.1", 1)), Refusal)


def test_source_ports_are_looked_at_where_a_rule_names_them() -> None:
    picky = security(allow("low", 100, "*", "80", sourcePortRange="1-1023"))
    choose = selector(rule(80, 80, security=picky)).choose

    assert isinstance(choose(("127.1.0.1", 1000)), Backend)
    assert isinstance(choose(("127.1.0.1", 2000)), Refusal)


def test_vms_are_known_by_name_not_by_address() -> None:
    """A reimaged VM may come back with another address; its clients stay its own."""
    renumbered = tuple(replace(each, address=f"127.8.0.{n}") for n, each in enumerate(backends(3)))

    assert chosen(rule(80, 80, 3)) == chosen(rule(80, 80, 3, backends=renumbered))

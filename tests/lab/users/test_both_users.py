"""Both users in parallel: calls and web traffic continue while everything around them changes."""

from __future__ import annotations

import datetime
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from components.credentials import new_certificate
from tests.lab.stack import LabStack, eventually
from tests.lab.users.calls import call_where
from tests.lab.users.test_customers import HOOLI, SITES, customers
from tests.lab.web import steady_visits, trust
from tests.lab.wholeness import stands

API = "https://api.tok.tv"
VICTIM = "core-2"
"""The machine of Tok.tv's that is killed; the call is elsewhere."""


def test_calls_and_visitors_are_not_affected_by_changes(toktv: LabStack, docebo: LabStack) -> None:
    """One customer is added and one removed, a certificate changes, and a node of each stack
    dies."""
    renewed = certificate("*.docebo.example", "*.acme.example")
    docebo.trusted.append(renewed)
    with (
        as_before(toktv, docebo),
        call_where(toktv, lambda call: VICTIM not in (call.node, call.entrance)) as talk,
        steady_visits(toktv, API) as of_toktv,
        steady_visits(docebo, *SITES.values()) as of_docebo,
    ):
        docebo.configure(customers(hooli=HOOLI))
        docebo.up()
        talk.goes_on()
        docebo.configure()
        docebo.up()
        talk.goes_on()

        docebo.set_secret("docebo-certificate", renewed)
        docebo.up()
        assert shown_certificate(docebo, "acme.docebo.example") in renewed
        talk.goes_on()

        victim = machine_without(docebo, "lms-initech")
        began = time.monotonic()
        toktv.fault("kill", VICTIM)
        docebo.fault("kill", victim)
        dead = time.monotonic()
        acme, globex = (partial(serving, docebo, one, victim) for one in ("lms-acme", "lms-globex"))
        eventually(lambda: acme() == 2, "acme's instances are elsewhere")
        eventually(lambda: globex() == 2, "globex's, too")
        talk.goes_on()

    failures = of_toktv.failures + of_docebo.failures
    # what was open on a machine that died is lost
    assert [one for one in failures if not one.was_open(began, dead)] == []
    assert all(count > 100 for count in (of_toktv.answered | of_docebo.answered).values())


@contextmanager
def as_before(*stacks: LabStack) -> Iterator[None]:
    """After the block, the stacks are again as their base config says, with all their VMs."""
    try:
        yield
    finally:
        for stack in stacks:
            for node in {"core-0", "core-1", "core-2"} - set(stack.nodes):
                stack.fault("start", node)
            stack.configure()
            stack.up()
            eventually(partial(stands, stack), f"{stack.name} stands again")


def machine_without(stack: LabStack, service: str) -> str:
    """One that may die without a gap for a service that has one instance."""
    taken = {one["machine"] for one in stack.instances(service)}
    return next(node for node in ("core-2", "core-1", "core-0") if node not in taken)


def certificate(*hosts: str) -> str:
    key, own = new_certificate(hosts, [], datetime.datetime.now(datetime.UTC))
    return own + key


def shown_certificate(stack: LabStack, host: str) -> str:
    """As PEM."""
    context = trust(stack)
    with (
        socket.create_connection((stack.public_ip, 443), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname=host) as secured,
    ):
        shown = secured.getpeercert(binary_form=True)
    assert shown
    return ssl.DER_cert_to_PEM_cert(shown).strip()


def serving(stack: LabStack, service: str, without: str) -> int:
    """How many instances serve on other machines than one that is dead."""
    return sum(one["announced"] for one in stack.instances(service) if one["machine"] != without)

"""Check and Diff: what is refused, completed, marked secret, and what counts as a change."""

from __future__ import annotations

from typing import Any

import pytest

from lab.providers.wire import UNKNOWN, Props, Secret
from tests.parts.lab.providers.command.engine import REMOTE, Engine

HOST: Props = {"host": "h"}
DEFAULTS: Props = {"user": "root", "port": 22, "dialErrorLimit": 10, "perDialTimeout": 15}

ADD, DELETE, UPDATE, UPDATE_REPLACE = 0, 2, 4, 5


async def test_defaults_are_filled_in_and_secrets_marked(engine: Engine) -> None:
    proxy = {"host": "p", "password": "x"}
    given = {"connection": {**HOST, "privateKey": "k", "proxy": proxy}, "create": "c"}

    inputs, failures = await engine.check(REMOTE, given)

    assert failures == []
    assert inputs == {
        "create": "c",
        "connection": Secret(
            {
                **HOST,
                **DEFAULTS,
                "privateKey": Secret("k"),
                "proxy": {**DEFAULTS, "host": "p", "password": Secret("x")},
            }
        ),
    }


async def test_a_secret_connection_stays_one_secret(engine: Engine) -> None:
    inputs, _ = await engine.check(REMOTE, {"connection": Secret({**HOST, "port": 2222})})

    assert inputs == {"connection": Secret({**HOST, **DEFAULTS, "port": 2222})}


async def test_unknown_inputs_are_accepted(engine: Engine) -> None:
    inputs, failures = await engine.check(
        REMOTE, {"connection": {"host": UNKNOWN, "port": UNKNOWN}, "stdin": UNKNOWN}
    )

    assert failures == []
    assert inputs["stdin"] is UNKNOWN
    assert inputs["connection"] == Secret({**DEFAULTS, "host": UNKNOWN, "port": UNKNOWN})


async def test_an_unknown_connection_is_accepted(engine: Engine) -> None:
    inputs, failures = await engine.check(REMOTE, {"connection": UNKNOWN})

    assert (inputs, failures) == ({"connection": Secret(UNKNOWN)}, [])


async def test_a_fractional_limit_is_truncated(engine: Engine) -> None:
    inputs, failures = await engine.check(
        REMOTE, {"connection": {**HOST, "dialErrorLimit": 1.5, "port": 22.5}}
    )

    assert failures == []
    assert inputs["connection"].value["dialErrorLimit"] == 1
    assert inputs["connection"].value["port"] == 22.5


@pytest.mark.parametrize(
    ("given", "property_", "reason"),
    [
        (
            {"connection": HOST, "x": 1},
            "x",
            "Unrecognized field 'x' on 'remote.CommandInputs'",
        ),
        (
            {},
            "connection",
            "Missing required field 'connection' on 'remote.CommandInputs'",
        ),
        (
            {"connection": {}},
            "connection",
            "An error occurred decoding 'CommandInputs.connection': 1 failures decoding:\n"
            "\thost: Missing required field 'host' on 'remote.Connection'",
        ),
        (
            {"connection": {**HOST, "proxy": {}}},
            "connection",
            "An error occurred decoding 'CommandInputs.connection': 1 failures decoding:\n"
            "\tproxy: An error occurred decoding 'Connection.proxy': 1 failures decoding:\n"
            "\thost: Missing required field 'host' on 'remote.ProxyConnection'",
        ),
        (
            {"connection": HOST, "create": 3},
            "create",
            "Field 'create' on 'remote.CommandInputs' must be a 'string'; got 'float64' instead",
        ),
        (
            {"connection": HOST, "environment": {"A": True}},
            "environment[A] value",
            "Field 'environment[A] value' on 'remote.CommandInputs' must be a 'string'; "
            "got 'bool' instead",
        ),
    ],
)
async def test_bad_inputs_get_the_real_plugins_messages(
    engine: Engine, given: Props, property_: str, reason: str
) -> None:
    _, failures = await engine.check(REMOTE, given)

    assert failures == [(property_, reason)]


async def test_refused_inputs_get_no_defaults_but_stay_secret(engine: Engine) -> None:
    given = {"connection": {**HOST, "password": "p"}, "x": 1}

    inputs, _ = await engine.check(REMOTE, given)

    assert inputs == {"connection": Secret({**HOST, "password": Secret("p")}), "x": 1}


def detailed(response: Any) -> dict[str, int]:
    return {path: change.kind for path, change in response.detailedDiff.items()}


OLD: Props = {
    "connection": Secret({**HOST, **DEFAULTS}),
    "create": "c",
    "environment": {"A": "1", "B-C": "2"},
    "triggers": ["a", "b"],
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"version": "1", "__x": True}, {}),
        ({"create": "d"}, {"create": UPDATE}),
        ({"create": Secret("c")}, {"create": UPDATE}),
        ({"create": UNKNOWN}, {"create": UPDATE}),
        ({"stdin": "s"}, {"stdin": ADD}),
        ({"create": None}, {"create": DELETE}),
        ({"connection": Secret({"host": "other"})}, {"connection": UPDATE}),
        (
            {"environment": {"A": "9", "D": "3"}},
            {"environment.A": UPDATE, 'environment["B-C"]': DELETE, "environment.D": ADD},
        ),
        ({"triggers": ["x"]}, {"triggers[0]": UPDATE, "triggers[1]": DELETE}),
        ({"triggers": UNKNOWN}, {"triggers": UPDATE_REPLACE}),
        ({"triggers": None}, {"triggers": DELETE + 1}),
        ({"triggers": [1, "b"]}, {"triggers[0]": UPDATE}),
    ],
)
async def test_changes_are_reported_by_path(
    engine: Engine, changes: Props, expected: dict[str, int]
) -> None:
    news = {name: value for name, value in {**OLD, **changes}.items() if value is not None}

    response = await engine.diff(REMOTE, OLD, news)

    assert detailed(response) == expected
    assert (response.changes == response.DIFF_SOME) == bool(expected)
    assert not response.deleteBeforeReplace


async def test_true_is_not_equal_to_one(engine: Engine) -> None:
    response = await engine.diff(REMOTE, {"triggers": [True]}, {"triggers": [1]})

    assert detailed(response) == {"triggers[0]": UPDATE}


async def test_internal_names_are_ignored_in_the_new_inputs_only(engine: Engine) -> None:
    response = await engine.diff(REMOTE, {**OLD, "__x": 1}, OLD)

    assert detailed(response) == {"__x": DELETE}


async def test_an_ignored_change_is_no_change(engine: Engine) -> None:
    news = {**OLD, "connection": Secret({"host": "other"})}

    response = await engine.diff(REMOTE, OLD, news, ignoreChanges=["connection"])

    assert detailed(response) == {}

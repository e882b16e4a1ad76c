"""Diff: paths, kinds and replacements."""

from __future__ import annotations

from typing import Any

import pytest

from lab.azure.resource_types import RESOURCE_TYPES
from lab.providers.azure_native.diffing import Kind, changes, deletes_first, format_path, parse_path
from lab.providers.wire import UNKNOWN, Asset, Secret

ADDRESS = RESOURCE_TYPES["azure-native:network:PublicIPAddress"]
SECURITY_GROUP = RESOURCE_TYPES["azure-native:network:NetworkSecurityGroup"]
BLOB = RESOURCE_TYPES["azure-native:storage:Blob"]


def found(old: dict[str, Any], new: dict[str, Any], *ignored: str) -> dict[str, tuple[Kind, bool]]:
    return {
        format_path(change.path): (change.kind, change.replaces)
        for change in changes(SECURITY_GROUP, old, new, ignored)
    }


def test_equal_inputs_do_not_differ() -> None:
    inputs = {"tags": {"a": "b"}, "securityRules": [{"name": "x", "priority": 100}]}

    assert found(inputs, {**inputs}) == {}


def test_differences_are_found_by_path() -> None:
    old = {"securityRules": [{"name": "x", "priority": 100}, {"name": "y"}], "tags": {"a.b": "1"}}
    new = {"securityRules": [{"name": "x", "priority": 200}], "tags": {"a.b": "2", "c": "3"}}

    assert found(old, new) == {
        "securityRules[0].priority": (Kind.UPDATE, False),
        "securityRules[1]": (Kind.DELETE, False),
        'tags["a.b"]': (Kind.UPDATE, False),
        "tags.c": (Kind.ADD, False),
    }


def test_null_is_the_same_as_absent() -> None:
    assert found({"tags": {"a": None}}, {"tags": {}}) == {}


def test_true_is_not_equal_to_one() -> None:
    assert found({"flushConnection": True}, {"flushConnection": 1}) != {}


def test_a_name_or_location_replaces() -> None:
    old = {"networkSecurityGroupName": "a", "location": "westeurope"}
    new = {"networkSecurityGroupName": "b", "location": "northeurope"}

    assert found(old, new) == {
        "networkSecurityGroupName": (Kind.UPDATE, True),
        "location": (Kind.UPDATE, True),
    }


def test_a_location_is_the_same_however_it_is_written() -> None:
    assert found({"location": "West Europe"}, {"location": "westeurope"}) == {}


def test_a_change_below_a_replacing_property_replaces() -> None:
    (change,) = changes(ADDRESS, {"sku": {"name": "Basic"}}, {"sku": {"name": "Standard"}})

    assert change.replaces
    assert change.top_level == "sku"


def test_a_value_that_becomes_unknown_is_a_change() -> None:
    assert found({"resourceGroupName": "a"}, {"resourceGroupName": UNKNOWN}) == {
        "resourceGroupName": (Kind.UPDATE, True)
    }


def test_secrets_are_compared_by_their_value() -> None:
    assert found({"tags": Secret({"a": "1"})}, {"tags": Secret({"a": "1"})}) == {}
    assert found({"tags": Secret({"a": "1"})}, {"tags": Secret({"a": "2"})}) != {}


def test_a_plain_value_that_becomes_secret_is_a_change() -> None:
    """Else the outputs in the state would stay in plain text."""
    assert found({"tags": {"a": "1"}}, {"tags": {"a": Secret("1")}}) == {
        "tags.a": (Kind.UPDATE, False)
    }


def test_assets_are_compared_by_their_hash() -> None:
    old = {"source": Asset("elided", None, "hash-1")}

    assert changes(BLOB, old, {"source": Asset("path", "/elsewhere", "hash-1")}) == []
    (change,) = changes(BLOB, old, {"source": Asset("path", "/elsewhere", "hash-2")})
    assert change.replaces


def test_ignored_paths_are_left_out() -> None:
    old = {"securityRules": [{"priority": 1}, {"priority": 2}], "tags": {"a": "1", "b.c": "1"}}
    new = {"securityRules": [{"priority": 3}, {"priority": 4}], "tags": {"a": "2", "b.c": "2"}}

    assert found(old, new, "tags", "securityRules[*].priority") == {}
    assert set(found(old, new, "securityRules[0]", 'tags["b.c"]')) == {
        "securityRules[1].priority",
        "tags.a",
    }


def test_internal_marks_never_count_as_changes() -> None:
    assert found({"__createBeforeDelete": True}, {}) == {}


def test_only_what_has_a_made_up_name_is_created_before_the_old_one_is_deleted() -> None:
    assert deletes_first({"name": "explicit"})
    assert not deletes_first({"name": "made-up-12345678", "__createBeforeDelete": True})


@pytest.mark.parametrize("text", ["a", "a.b", "a[0].b", 'a["b.c"]', 'a[1]["x\\"y"].z', "a-b.c_d"])
def test_paths_are_written_as_they_are_read(text: str) -> None:
    assert format_path(parse_path(text)) == text

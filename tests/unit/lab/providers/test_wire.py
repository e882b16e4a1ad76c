"""Property values survive the way to Python and back."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime import rpc

from lab.providers.wire import (
    UNKNOWN,
    Asset,
    ResRef,
    Secret,
    dump,
    dump_map,
    has_secret,
    has_unknown,
    load,
    load_map,
    reveal,
)

SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False),
    st.text(),
    st.just(UNKNOWN),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=8), inner, max_size=3),
        inner.map(Secret),
    ),
    max_leaves=8,
)


@given(VALUES)
def test_a_value_survives_dump_and_load(value: Any) -> None:
    assert load(dump(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        Asset("path", "/a/file", "a-hash"),
        Asset("text", "", "a-hash"),
        Asset("elided", None, "a-hash"),
        Asset("path", "/a/folder", "a-hash", archive=True),
        ResRef("urn:pulumi:a::b::c::d", "an-id"),
        ResRef("urn:pulumi:a::b::c::d"),
    ],
)
def test_assets_and_references_survive(value: Any) -> None:
    assert load(dump(value)) == value


def test_an_asset_without_contents_keeps_its_hash() -> None:
    """In the engine's old values every form is there, all of them empty."""
    wire = dump_map(
        {
            rpc._special_sig_key: rpc._special_asset_sig,
            "hash": "a-hash",
            "path": "",
            "uri": "",
        }
    )

    assert load(struct_pb2.Value(struct_value=wire)) == Asset("elided", None, "a-hash")


def test_an_output_value_is_its_value() -> None:
    known = {rpc._special_sig_key: rpc._special_output_value_sig, "value": "x", "secret": True}
    unknown = {rpc._special_sig_key: rpc._special_output_value_sig}

    assert load(dump(known)) == Secret("x")
    assert load(dump(unknown)) is UNKNOWN


def test_null_properties_are_left_out() -> None:
    assert load_map(dump_map({"a": None, "b": 1})) == {"b": 1}


def test_an_unknown_signature_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown signature"):
        load(dump({rpc._special_sig_key: "something new"}))


def test_a_value_without_a_wire_form_is_an_error() -> None:
    with pytest.raises(TypeError, match="a set cannot be sent"):
        dump({1, 2})


def test_reveal_takes_secrets_off_at_every_depth() -> None:
    value = {"a": [Secret({"b": Secret(1)})], "c": UNKNOWN}

    assert reveal(value) == {"a": [{"b": 1}], "c": UNKNOWN}


def test_secrets_and_unknowns_are_found_at_every_depth() -> None:
    assert has_unknown({"a": [Secret({"b": UNKNOWN})]})
    assert has_secret({"a": [{"b": Secret(1)}]})
    assert not has_unknown({"a": [1, "x"]})
    assert not has_secret({"a": [1, "x"]})


def test_a_secret_does_not_show_itself() -> None:
    assert "hidden" not in repr({"a": Secret("hidden")})

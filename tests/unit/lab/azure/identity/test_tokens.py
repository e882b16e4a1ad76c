"""Tokens: what is in them and which ones are refused."""

import base64
import json
from pathlib import Path

import pytest

from lab.azure.arm.subscription import TENANT_ID
from lab.azure.identity.tokens import InvalidToken, Principal, Tokens, bearer
from lab.azure.keyvault.resource_types import VAULT_AUDIENCE
from lab.azure.storage.resource_types import STORAGE_AUDIENCE

NODE = Principal(object_id="11111111-1111-4111-8111-111111111111", client_id="client")
FOR_STORAGE = frozenset({STORAGE_AUDIENCE})


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(tmp_path: Path, clock: Clock) -> Tokens:
    return Tokens(tmp_path, TENANT_ID, clock=clock)


def claims(token: str) -> dict[str, object]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def test_a_token_holds_the_claims_that_clients_look_at(tokens: Tokens, clock: Clock) -> None:
    found = claims(tokens.issue(NODE, STORAGE_AUDIENCE, 3600).text)

    now = int(clock.now)
    times = {"iat": now, "nbf": now, "exp": now + 3600}
    names = {
        "oid": NODE.object_id,
        "appid": NODE.client_id,
        "tid": TENANT_ID,
        "aud": STORAGE_AUDIENCE,
    }
    wanted = {**times, **names, "iss": f"https://sts.windows.net/{TENANT_ID}/"}
    assert wanted.items() <= found.items()


def test_a_token_names_its_principal(tokens: Tokens) -> None:
    assert tokens.verify(tokens.issue(NODE, STORAGE_AUDIENCE).text, FOR_STORAGE) == NODE


def test_a_slash_after_the_audience_makes_no_difference(tokens: Tokens) -> None:
    assert tokens.verify(tokens.issue(NODE, f"{STORAGE_AUDIENCE}/").text, FOR_STORAGE) == NODE


def test_a_token_for_another_service_is_refused(tokens: Tokens) -> None:
    with pytest.raises(InvalidToken, match="Audience"):
        tokens.verify(tokens.issue(NODE, VAULT_AUDIENCE).text, FOR_STORAGE)


def test_an_expired_token_is_refused(tokens: Tokens, clock: Clock) -> None:
    token = tokens.issue(NODE, STORAGE_AUDIENCE, 60).text
    clock.now += 61

    with pytest.raises(InvalidToken, match="expired"):
        tokens.verify(token, FOR_STORAGE)


@pytest.mark.parametrize("damage", ["", "x", "a.b", "a.b.c"])
def test_text_that_is_no_token_is_refused(tokens: Tokens, damage: str) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(damage, FOR_STORAGE)


def test_changed_claims_are_noticed(tokens: Tokens) -> None:
    head, body, signature = tokens.issue(NODE, STORAGE_AUDIENCE).text.split(".")
    forged = {**claims(f"{head}.{body}.{signature}"), "oid": "another"}
    encoded = base64.urlsafe_b64encode(json.dumps(forged).encode()).decode().rstrip("=")

    with pytest.raises(InvalidToken, match="Signature"):
        tokens.verify(f"{head}.{encoded}.{signature}", FOR_STORAGE)


def test_an_unsigned_token_is_refused(tokens: Tokens) -> None:
    _, body, _ = tokens.issue(NODE, STORAGE_AUDIENCE).text.split(".")
    head = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")

    with pytest.raises(InvalidToken):
        tokens.verify(f"{head}.{body}.", FOR_STORAGE)


def test_tokens_survive_a_restart_of_the_cloud(tokens: Tokens, tmp_path: Path) -> None:
    token = tokens.issue(NODE, STORAGE_AUDIENCE).text

    assert Tokens(tmp_path, TENANT_ID, clock=Clock()).verify(token, FOR_STORAGE) == NODE


def test_another_labs_tokens_are_refused(tokens: Tokens, tmp_path: Path) -> None:
    foreign = (
        Tokens(tmp_path / "other", TENANT_ID, clock=Clock()).issue(NODE, STORAGE_AUDIENCE).text
    )

    with pytest.raises(InvalidToken, match="Signature"):
        tokens.verify(foreign, FOR_STORAGE)


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("Basic abc", None),
        ("Bearer", None),
        (None, None),
    ],
)
def test_a_bearer_header_is_recognised(header: str | None, token: str | None) -> None:
    assert bearer(header) == token

"""Secrets that the lab makes up for a config that names some and holds none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.pulumi import sample_secrets, stack_config
from settings.certificates import read
from tools.progress import StepFailed


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(stack_config, "PROJECT", tmp_path)


def write(**settings: Any) -> None:
    document: dict[str, Any] = {"config": {f"fleet:{key}": one for key, one in settings.items()}}
    stack_config.path("s").write_text(yaml.safe_dump(document))


def pulumi(*arguments: str) -> None:
    """Do as `pulumi config set-all --path --config-file FILE --secret PATH=VALUE …`."""
    (*_command, file), pairs = arguments[:5], arguments[6::2]
    document = yaml.safe_load(Path(file).read_text())
    secrets = document["config"].setdefault("fleet:secrets", {})
    for path, _, value in (pair.partition("=") for pair in pairs):
        secrets[path.split('"')[1]] = {"secure": f"v1:{value}"}
    Path(file).write_text(yaml.safe_dump(document))


def lent() -> dict[str, Any]:
    file = sample_secrets.config_file("s", pulumi)
    assert file
    found: dict[str, Any] = yaml.safe_load(file.read_text())["config"]["fleet:secrets"]
    return found


def test_a_complete_config_is_used_without_a_copy() -> None:
    write(services={"hello": {"image": "a:1"}})

    assert sample_secrets.config_file("s", pulumi) is None


def test_services_and_customers_get_the_secrets_that_they_name() -> None:
    acme = {"secrets": {"B": "of-acme"}}
    write(services={"lms": {"secrets": {"A": "of-all"}, "customers": {"acme": acme}}})

    assert lent().keys() == {"of-all", "of-acme"}
    assert len(set(sample_secrets.made_up("s").values())) == 2


def test_secrets_of_the_config_stay() -> None:
    own = {"secure": "v1:own"}
    write(services={"a": {"secrets": {"A": "own", "B": "other"}}}, secrets={"own": own})

    assert lent()["own"] == own
    assert sample_secrets.made_up("s").keys() == {"other"}


def test_a_value_stays_the_same_while_the_config_names_it() -> None:
    write(services={"a": {"secrets": {"A": "one"}}})
    lent()
    before = sample_secrets.made_up("s")["one"]

    write(services={"a": {"secrets": {"A": "one", "B": "two"}}})
    lent()

    assert sample_secrets.made_up("s")["one"] == before


def test_a_certificate_covers_all_hosts_and_future_customers() -> None:
    site = {"http": {"hosts": ["www.one.example"]}, "customers": {"a": {"hosts": ["two.example"]}}}
    write(services={"s": site}, certificates={"any": {"secret": "pem"}})
    lent()

    contents = read(sample_secrets.made_up("s")["pem"])

    assert contents.hosts == ("*.one.example", "two.example")


def test_a_host_belongs_to_the_certificate_that_is_named_after_it() -> None:
    hosts = ["www.acme.example", "www.globex.example", "www.else.example"]
    write(
        services={"s": {"http": {"hosts": hosts}}},
        certificates={"acme": {"secret": "a"}, "globex": {"secret": "g"}},
    )
    lent()

    made = {name: read(pem).hosts for name, pem in sample_secrets.made_up("s").items()}

    assert made == {"a": ("*.acme.example", "*.else.example"), "g": ("*.globex.example",)}


def test_one_file_has_all_certificates_and_no_keys() -> None:
    write(
        services={"s": {"http": {"hosts": ["www.acme.example", "www.globex.example"]}}},
        certificates={"acme": {"secret": "a"}, "globex": {"secret": "g"}},
    )
    lent()

    file = sample_secrets.certificates_file("s")

    assert file
    assert file.read_text().count("-----BEGIN CERTIFICATE") == 2
    assert "PRIVATE KEY" not in file.read_text()


def test_a_certificate_that_no_host_needs_is_not_made_up() -> None:
    write(services={"s": {"tcp": [{"port": 5000}]}}, certificates={"any": {"secret": "pem"}})

    assert sample_secrets.config_file("s", pulumi) is None


def test_only_the_user_can_read_the_made_up_files() -> None:
    write(services={"a": {"secrets": {"A": "one"}}})
    file = sample_secrets.config_file("s", pulumi)

    assert file
    assert {one.stat().st_mode & 0o777 for one in file.parent.iterdir()} == {0o600}


def test_nothing_is_left_of_a_destroyed_stack() -> None:
    write(services={"a": {"secrets": {"A": "one"}}})
    lent()

    sample_secrets.forget("s")

    assert sample_secrets.made_up("s") == {}


def test_pulumi_encrypts_only_when_config_or_values_have_changed() -> None:
    calls: list[Any] = []
    for image in ("a:1", "a:1", "a:2"):
        write(services={"a": {"image": image, "secrets": {"A": "one"}}})
        sample_secrets.config_file("s", lambda *arguments: calls.append(arguments))

    assert len(calls) == 2


def test_a_copy_that_pulumi_could_not_finish_is_made_again() -> None:
    def fail(*_arguments: str) -> None:
        raise StepFailed("pulumi config", why="interrupted", advice="")

    write(services={"a": {"secrets": {"A": "one"}}})
    with pytest.raises(StepFailed):
        sample_secrets.config_file("s", fail)

    assert lent().keys() == {"one"}


def test_a_secret_with_a_name_that_the_program_refuses_is_not_made_up() -> None:
    write(services={"a": {"secrets": {"A": 'x"]=', "B": "one"}}})

    assert lent().keys() == {"one"}


@pytest.mark.parametrize("services", [None, [], "x", {"a": 1}, {"a": {"secrets": ["x"]}}])
def test_nonsense_is_left_for_the_program_to_refuse(services: object) -> None:
    write(services=services)

    assert sample_secrets.config_file("s", pulumi) is None

"""Loading the configuration from Pulumi, its SSH key, and the generated documentation."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pulumi.runtime import set_all_config

from components.credentials import new_ssh_key
from settings import Settings, load
from settings.documentation import EXAMPLE, page, project_schema
from settings.load import parse
from settings.problems import SettingsError
from settings.rules.secrets import wanted
from tests.program import pem
from tests.program.fixtures import Config
from tests.program.judging import accepted, refused
from tests.program.recorded_stack import PROJECT

LEAST: Mapping[str, str] = {
    "fleet:location": "westeurope",
    "fleet:ownerTag": "12",
    "fleet:adminCidrs": '["1.2.3.4/32"]',
}


class TestSshKey:
    def test_ed25519_and_strong_rsa_are_accepted(self, config: Config) -> None:
        accepted(config | {"sshPrivateKey": new_ssh_key("x")[0]})
        accepted(config | {"sshPrivateKey": _openssh(rsa.generate_private_key(65537, 2048))})

    @pytest.mark.parametrize(
        "key",
        [
            "no key",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nMARKER\n-----END OPENSSH PRIVATE KEY-----",
        ],
    )
    def test_anything_else_is_refused_without_showing_it(self, config: Config, key: str) -> None:
        (problem,) = refused(config | {"sshPrivateKey": key})

        assert problem == (
            "fleet:sshPrivateKey: must be an OpenSSH private key without passphrase: ed25519, or "
            "RSA of 2,048+ bits"
        )

    def test_key_types_that_azure_refuses_are_refused(self, config: Config) -> None:
        (problem,) = refused(
            config | {"sshPrivateKey": _openssh(ec.generate_private_key(ec.SECP256R1()))}
        )

        assert "BEGIN" not in problem

    def test_repr_does_not_show_the_key(self, config: Config) -> None:
        key = new_ssh_key("x")[0]

        assert key.splitlines()[1] not in repr(accepted(config | {"sshPrivateKey": key}))


class TestLoad:
    """Loading from Pulumi, where every value is text."""

    @pytest.fixture(autouse=True)
    def _stack(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pulumi, "get_project", lambda: "fleet")
        monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")

    def test_values_are_converted_to_their_types(self) -> None:
        set_all_config({**LEAST, "fleet:nodes": "5", "fleet:protect": "true"})

        settings = load()

        assert (settings.nodes, settings.protect, settings.owner_tag) == (5, True, "12")

    def test_a_value_of_the_wrong_type_is_quoted_as_written(self) -> None:
        set_all_config({**LEAST, "fleet:nodes": "three"})

        with pytest.raises(SettingsError, match='fleet:nodes = "three": must be 1, 3 or 5'):
            load()

    @pytest.mark.parametrize(
        ("written", "arrived"), [("007", "7"), ("0o17", "15"), ("1e3", "1000"), ("True", "true")]
    )
    def test_an_unquoted_number_that_yaml_changes_is_refused(
        self, written: str, arrived: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        file = tmp_path / "Pulumi.dev.yaml"
        set_all_config({**LEAST, "fleet:ownerTag": arrived})
        for right in (arrived, f"'{written}'", "team", "[x]", "{", "*x"):
            file.write_text(f"config:\n  fleet:ownerTag: {right}\n")
            load()
        file.write_text(f"config:\n  fleet:ownerTag: {written}\n")

        with pytest.raises(SettingsError, match=f'written as {written}.* quotes: "{written}"'):
            load()

        file.unlink()
        load()

    def test_keys_of_other_namespaces_are_ignored(self) -> None:
        set_all_config({**LEAST, "azure-native:location": "x"})

        load()

    def test_the_error_counts_all_problems_and_says_that_nothing_was_changed(self) -> None:
        set_all_config({"fleet:location": "x y", "fleet:adminCidrs": "[]"})

        with pytest.raises(SettingsError) as refusal:
            load()

        assert str(refusal.value).startswith(
            "the stack's configuration has 3 problems; nothing was changed:\n  fleet:location"
        )

    @pytest.mark.parametrize("stack", ["Dev", "my_stack", "a.b", "x" * 40])
    def test_a_stack_name_that_azure_would_refuse_is_refused(
        self, stack: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pulumi, "get_stack", lambda: stack)
        set_all_config(dict(LEAST))

        with pytest.raises(SettingsError, match="the stack's name"):
            load()

    def test_a_private_key_in_plain_text_is_refused(self) -> None:
        key = new_ssh_key("x")[0]
        set_all_config({**LEAST, "fleet:sshPrivateKey": key}, [])
        with pytest.raises(SettingsError, match="fleet:sshPrivateKey: must be secret"):
            load()

        set_all_config({**LEAST, "fleet:sshPrivateKey": key}, ["fleet:sshPrivateKey"])
        assert load().ssh_private_key

    def test_secrets_in_plain_text_are_refused(self) -> None:
        secrets = '{"db": "correct-horse"}'
        set_all_config({**LEAST, "fleet:secrets": secrets}, [])
        with pytest.raises(SettingsError, match="fleet:secrets: must be secret") as refusal:
            load()
        assert "horse" not in str(refusal.value)

        set_all_config({**LEAST, "fleet:secrets": secrets}, ["fleet:secrets"])
        assert load().secrets["db"].get_secret_value() == "correct-horse"

    def test_an_empty_map_of_secrets_is_accepted(self) -> None:
        set_all_config({**LEAST, "fleet:secrets": "{}"}, [])

        load()


SAMPLES = [PROJECT / f"Pulumi.{name}.yaml" for name in ("dev", "toktv", "docebo")]
"""The sample stacks only: a developer may have other stacks beside them."""


class TestDocumentation:
    def test_docs_configuration_is_up_to_date(self) -> None:
        assert (PROJECT / "docs/configuration.md").read_text() == page(), "run `make docs`"

    def test_the_schema_in_pulumi_yaml_is_up_to_date(self) -> None:
        project = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())

        declared = {key: value for key, value in project["config"].items() if ":" not in key}

        assert declared == project_schema()

    def test_the_example_is_accepted(self) -> None:
        with_throw_away_secrets(EXAMPLE)

    @pytest.mark.parametrize("file", SAMPLES, ids=lambda p: p.name)
    def test_every_sample_stack_is_accepted(self, file: Any) -> None:
        with_throw_away_secrets(file)

    @pytest.mark.parametrize("file", SAMPLES, ids=lambda p: p.name)
    def test_no_sample_stack_contains_a_secret(self, file: Any) -> None:
        assert "secure" not in file.read_text()
        assert "fleet:secrets" not in yaml.safe_load(file.read_text())["config"]

    def test_networks_of_sample_stacks_do_not_overlap(self) -> None:
        networks = [with_throw_away_secrets(file).vnet_cidr for file in SAMPLES]

        for one, other in itertools.combinations(networks, 2):
            assert not one.overlaps(other)

    def test_sample_stacks_lack_only_secrets(self) -> None:
        for name, expected in (("toktv", ["ticket-key", "toktv-certificate"]), ("dev", [])):
            problems = refused(configuration(PROJECT / f"Pulumi.{name}.yaml"))

            assert [problem.split(":")[1] for problem in problems] == [
                f"secrets.{secret}" for secret in expected
            ]

    def test_every_key_has_a_description(self) -> None:
        assert "None |" not in page()


def configuration(file: Path) -> Config:
    """The keys of a stack's file, in the form that the settings expect."""
    config = yaml.safe_load(file.read_text())["config"]
    return {key.removeprefix("fleet:"): value for key, value in config.items()}


def with_throw_away_secrets(file: Path) -> Settings:
    """A stack's settings, with generated secrets. The stack must lack nothing else."""
    config = configuration(file)
    known, _ = parse(config | {"secrets": {}})
    assert known is not None
    hosts = [host for one in known.instance_sets if one.http for host in one.http.hosts]
    of_certificates = {one.secret for one in known.certificates.values()}
    secrets = {
        name: pem.chain(*hosts) if name in of_certificates else "throw-away"
        for name in wanted(known)
    }
    return accepted(config | {"secrets": secrets})


def _openssh(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    ).decode()

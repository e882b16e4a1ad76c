"""The keys that a stack makes for itself, also with the real engine."""

import datetime
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from components.credentials import (
    RENEWAL,
    VALIDITY,
    SelfSignedCertificateProvider,
    SshKeyPairProvider,
    new_certificate,
    new_ssh_key,
    public_half,
)
from tests.parts.lab.providers.pulumi_stack import PulumiStack

NOW = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)


class TestSshKey:
    def test_openssh_reads_both_keys(self, tmp_path: Path) -> None:
        private_key, public_key = new_ssh_key("admin of dev")
        file = tmp_path / "key"
        file.write_text(private_key)
        file.chmod(0o600)

        derived = subprocess.run(
            ["ssh-keygen", "-y", "-f", file], capture_output=True, text=True, check=True
        ).stdout

        assert public_key == f"{public_half(private_key)} admin of dev"
        assert derived.split()[:2] == public_key.split()[:2]
        assert public_key.startswith("ssh-ed25519 ")

    def test_two_keys_differ(self) -> None:
        assert new_ssh_key("x") != new_ssh_key("x")

    def test_a_key_never_changes(self) -> None:
        diff = SshKeyPairProvider().diff("id", {"comment": "old"}, {"comment": "new"})

        assert diff.changes is False


class TestCertificate:
    def test_the_certificate_covers_the_names_and_addresses(self) -> None:
        private_key, pem = new_certificate(["a.example"], ["20.1.2.3"], NOW)

        certificate = x509.load_pem_x509_certificate(pem.encode())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        key = serialization.load_pem_private_key(private_key.encode(), None)
        assert names.get_values_for_type(x509.DNSName) == ["a.example"]
        assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["20.1.2.3"]
        assert certificate.public_key() == key.public_key()

    def test_the_certificate_is_valid_immediately_for_the_documented_time(self) -> None:
        certificate = x509.load_pem_x509_certificate(new_certificate(["a"], [], NOW)[1].encode())

        assert certificate.not_valid_before_utc < NOW
        assert certificate.not_valid_after_utc == NOW + VALIDITY

    def state(self, **changes: object) -> dict[str, Any]:
        later = datetime.datetime.now(datetime.UTC) + VALIDITY
        return {
            "hosts": ["a"],
            "addresses": ["1.2.3.4"],
            "not_after": later.isoformat(),
            **changes,
        }

    def test_the_certificate_is_kept_while_it_fits(self) -> None:
        diff = SelfSignedCertificateProvider().diff("id", self.state(), self.state(not_after=None))

        assert diff.changes is False

    @pytest.mark.parametrize(("key", "value"), [("hosts", ["b"]), ("addresses", ["4.3.2.1"])])
    def test_other_names_replace_the_certificate(self, key: str, value: list[str]) -> None:
        diff = SelfSignedCertificateProvider().diff("id", self.state(), self.state(**{key: value}))

        assert diff.replaces == [key]

    def test_the_certificate_is_replaced_before_it_expires(self) -> None:
        soon = datetime.datetime.now(datetime.UTC) + RENEWAL - datetime.timedelta(days=1)

        diff = SelfSignedCertificateProvider().diff(
            "id", self.state(not_after=soon.isoformat()), self.state()
        )

        assert diff.replaces == ["not_after"]


class TestInTheEngine:
    PROGRAM = """
        import pulumi
        from components.credentials import SelfSignedCertificate, SshKeyPair

        key = SshKeyPair("key", comment="test")
        certificate = SelfSignedCertificate("certificate", hosts=["a.example"], addresses=[])
        pulumi.export("public", key.public_key)
        pulumi.export("private", key.private_key)
        pulumi.export("tls", certificate.private_key)
    """

    @pytest.fixture
    def engine(self, tmp_path: Path) -> PulumiStack:
        stack = PulumiStack(tmp_path, {})
        stack.program(self.PROGRAM)
        stack.init()
        return stack

    def test_private_keys_are_nowhere_in_plain_text_and_nothing_changes_later(
        self, engine: PulumiStack, tmp_path: Path
    ) -> None:
        made = engine.up()
        again = engine.run("preview", "--expect-no-changes")

        state = "".join(path.read_text() for path in (tmp_path / "state").rglob("*.json"))
        assert made.succeeded, made.text
        assert again.succeeded, again.text
        assert "PRIVATE KEY" not in state + made.text + again.text
        assert "ssh-ed25519 " in state

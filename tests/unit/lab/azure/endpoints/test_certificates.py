"""The lab's authority and the certificate of its front."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from lab.azure.endpoints import certificates
from lab.azure.endpoints.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return certificates.authority(tmp_path)


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.mark.parametrize("name", ["media.blob.core.windows.net", "safe.vault.azure.net"])
def test_a_strict_client_trusts_the_production_names(authority: Authority, name: str) -> None:
    trusted = Store([certificate(authority.certificate)])
    verifier = PolicyBuilder().store(trusted).build_server_verifier(x509.DNSName(name))

    chain = verifier.verify(certificate(authority.server_certificate), [])

    assert len(chain) == 2


def test_other_names_are_not_covered(authority: Authority) -> None:
    trusted = Store([certificate(authority.certificate)])
    verifier = PolicyBuilder().store(trusted).build_server_verifier(x509.DNSName("example.com"))

    with pytest.raises(x509.verification.VerificationError):
        verifier.verify(certificate(authority.server_certificate), [])


def test_the_authority_outlives_a_restart(authority: Authority, tmp_path: Path) -> None:
    before = authority.certificate.read_bytes(), authority.server_certificate.read_bytes()

    again = certificates.authority(tmp_path)

    assert (again.certificate.read_bytes(), again.server_certificate.read_bytes()) == before


def test_a_server_certificate_that_is_about_to_expire_is_renewed_by_the_same_authority(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, served = authority.certificate.read_bytes(), authority.server_certificate.read_bytes()
    later = datetime.now(UTC) + timedelta(days=380)
    monkeypatch.setattr(certificates, "_now", lambda: later)

    renewed = certificates.authority(tmp_path)

    assert renewed.certificate.read_bytes() == trusted
    assert renewed.server_certificate.read_bytes() != served


def test_private_keys_are_for_root_only(authority: Authority, tmp_path: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.key")} == {0o600}
    assert authority.server_key in set(tmp_path.glob("*.key"))


def test_old_protocols_are_not_spoken(authority: Authority) -> None:
    assert authority.server_context().minimum_version == ssl.TLSVersion.TLSv1_2

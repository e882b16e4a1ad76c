"""Secrets and certificates in the configuration: what is refused, without showing a value."""

from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from contract.certificate_source import CertificateSource
from settings import Settings
from settings.certificates import matches
from settings.rules.secrets import wanted, warnings
from tests.program import pem
from tests.program.fixtures import Config
from tests.program.judging import accepted, refused

VALUE = "h4nter2-is-the-value"


@pytest.fixture
def web(config: Config) -> Config:
    """A service with two hosts."""
    hosts = ["shop.example", "www.shop.example"]
    config["services"] = {"shop": {"image": "shop:1", "http": {"hosts": hosts}}}
    return config


def with_certificates(config: Config, **texts: str) -> Config:
    return config | {
        "secrets": {f"{name}-pem": text for name, text in texts.items()},
        "certificates": {name: {"secret": f"{name}-pem"} for name in texts},
    }


class TestSecrets:
    @pytest.mark.parametrize(
        "secrets",
        [
            VALUE,
            [VALUE],
            {"name": {"deeper": VALUE}},
            {"name": [VALUE]},
            {"Bad Name": VALUE},
            {"x" * 61: VALUE},
            {"name": VALUE * 2000},
            {VALUE.upper(): 1},
        ],
    )
    def test_problems_of_secrets_are_reported_without_values(
        self, config: Config, secrets: Any
    ) -> None:
        problems = refused(config | {"secrets": secrets})

        assert problems
        assert VALUE not in "".join(problems)
        assert all(problem.startswith("fleet:secrets") for problem in problems)

    def test_an_empty_secret_is_refused(self, config: Config) -> None:
        assert refused(config | {"secrets": {"name": ""}}) == [
            "fleet:secrets.name: must have 1 to 25,600 bytes: a vault accepts no more"
        ]

    def test_a_binary_file_is_refused(self, config: Config) -> None:
        """Pulumi replaces bytes that are not UTF-8 with U+FFFD."""
        assert refused(config | {"secrets": {"keystore": "\ufffd\ufffd\0\x01" + VALUE}}) == [
            "fleet:secrets.keystore: must be text: bytes that are not UTF-8 were lost when it was "
            "set. Set the output of base64 instead, and decode it in the container"
        ]

    def test_repr_does_not_show_secrets(self, config: Config) -> None:
        assert VALUE not in repr(accepted(config | {"secrets": {"name": VALUE}}))

    def test_every_missing_secret_is_listed_with_the_command_that_sets_it(
        self, config: Config
    ) -> None:
        config["services"]["hello"]["secrets"] = {"PASSWORD": "db", "TOKEN": "token", "OLD": "db"}
        config["services"]["other"] = {"image": "a:1", "tcp": [{"port": 70}], "secrets": {"K": "k"}}
        config["certificates"] = {"web": {"secret": "web-pem"}}
        config["secrets"] = {"k": VALUE}

        assert refused(config) == [
            "fleet:secrets.db: is missing, but fleet:services.hello.secrets.PASSWORD and 1 more "
            "places need it. "
            "Set it with `pulumi config set --secret --path fleet:secrets.db VALUE`",
            "fleet:secrets.token: is missing, but fleet:services.hello.secrets.TOKEN "
            "needs it. Set it with `pulumi config set --secret --path fleet:secrets.token VALUE`",
            "fleet:secrets.web-pem: is missing, but fleet:certificates.web.secret needs it. Set it "
            "with `pulumi config set --secret --path fleet:secrets.web-pem < FILE.pem`",
        ]

    def test_wanted_secrets_are_those_that_a_service_uses(self, config: Config) -> None:
        config["services"]["hello"]["secrets"] = {"PASSWORD": "db"}
        config["secrets"] = {"db": VALUE, "unused": VALUE}

        assert wanted(accepted(config)) == {"db": ("fleet:services.hello.secrets.PASSWORD",)}

    @pytest.mark.parametrize("variable", ["PASSWORD", "PASSWORD_FILE"])
    def test_a_variable_and_a_secret_of_one_name_are_refused(
        self, config: Config, variable: str
    ) -> None:
        config["secrets"] = {"db": VALUE}
        config["services"]["hello"] |= {"secrets": {"PASSWORD": "db"}, "env": {variable: "x"}}

        (problem,) = refused(config)

        assert problem.startswith(
            f'fleet:services.hello.secrets.PASSWORD = "db": is also given as env.{variable}. '
        )


class TestCertificates:
    def test_a_certificate_for_a_services_host_is_accepted(self, web: Config) -> None:
        settings = accepted(with_certificates(web, shop=pem.chain("shop.example", "other.example")))

        assert settings.certificate_contents["shop"].hosts == ("other.example", "shop.example")

    def test_a_wildcard_stands_for_one_label(self) -> None:
        assert matches("*.shop.example", "www.shop.example")
        assert not matches("*.shop.example", "shop.example")
        assert not matches("*.shop.example", "a.www.shop.example")
        assert not matches("*.shop.example", ".shop.example")
        assert matches("shop.example", "shop.example")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (VALUE, "must contain a certificate, the rest of its chain, and the private key"),
            (pem.chain("shop.example").partition("-----BEGIN PRIVATE")[0], "must contain a cert"),
            (pem.key_text(ec.generate_private_key(ec.SECP256R1())), "must contain a certificate"),
            (
                pem.chain("shop.example", shown_key=ec.generate_private_key(ec.SECP256R1())),
                "has a private key that does not belong to its first certificate",
            ),
            (
                pem.chain("shop.example", key=ec.generate_private_key(ec.SECP192R1())),
                "must have an RSA key of at least 2,048 bits, or a P-256 or P-384 key",
            ),
            (pem.chain(), "must name hosts, as subject alternative names"),
            (
                pem.three("shop.example", omit=1),
                "number 1 was issued by CN=middle, but number 2 is that of CN=root",
            ),
            (
                pem.chain("_acme.shop.example", "w*.shop.example"),
                "must name hosts, as subject alternative names of type DNS; routers can't serve "
                "_acme.shop.example, w*.shop.example",
            ),
            (pem.chain("shop.example", starts=pem.NOW + pem.DAY), "is not valid before "),
            (
                pem.chain("a.example", "*.b.example"),
                "covers *.b.example, a.example, but no service has such a host",
            ),
        ],
    )
    def test_a_certificate_that_clients_would_refuse_is_refused(
        self, web: Config, text: str, message: str
    ) -> None:
        (problem,) = refused(with_certificates(web, shop=text))

        assert problem.startswith('fleet:certificates.shop.secret = "shop-pem": ')
        assert message in problem
        assert VALUE not in problem
        assert "BEGIN" not in problem

    def test_a_chain_in_reverse_order_is_refused(self, web: Config) -> None:
        authority_first = pem.chain("shop.example", reverse=True)

        (problem,) = refused(with_certificates(web, shop=authority_first))

        assert (
            "a private key that does not belong to its first certificate, but to number 2, which "
            "must come first"
        ) in problem

    def test_an_issuer_with_the_right_name_but_another_key_is_refused(self, web: Config) -> None:
        leaf = pem.chain("shop.example", key=(key := pem.new_key()), alone=True)
        other = pem.chain("x.example").split("-----BEGIN")[2]
        text = f"{leaf.partition('-----BEGIN PRIVATE')[0]}-----BEGIN{other}{pem.key_text(key)}"

        (problem,) = refused(with_certificates(web, shop=text))

        assert "number 1, that was not signed by the next one" in problem

    def test_a_chain_may_include_or_omit_the_root(self, web: Config) -> None:
        for omit in (-1, 2):
            settings = accepted(with_certificates(web, shop=pem.three("shop.example", omit=omit)))

            assert list(warnings(settings, pem.NOW)) == []

    def test_names_in_a_certificate_that_are_no_hosts_are_ignored(self, web: Config) -> None:
        """Routers accept only host names."""
        text = pem.chain("Shop.example", "*.shop.example", "_x.shop.example", "a*.shop.example")

        settings = accepted(with_certificates(web, shop=text))

        hosts = settings.certificate_contents["shop"].hosts
        assert hosts == ("*.shop.example", "shop.example")
        assert CertificateSource(secret="shop", version="1", hosts=hosts).hosts == hosts

    def test_a_chain_with_a_certificate_of_another_authority_is_refused(self, web: Config) -> None:
        leaf, *_ = pem.chain("shop.example", key=(key := pem.new_key())).split("-----BEGIN", 2)[1:]
        another = pem.chain("x.example").split("-----BEGIN")[1]
        text = f"-----BEGIN{leaf}-----BEGIN{another}{pem.key_text(key)}"

        (problem,) = refused(with_certificates(web, shop=text))

        assert "must contain the chain in order" in problem

    def test_a_p_384_key_is_accepted_and_a_passphrase_is_refused(self, web: Config) -> None:
        key = ec.generate_private_key(ec.SECP384R1())
        accepted(with_certificates(web, shop=pem.chain("shop.example", key=key)))
        locked = rsa.generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        )
        text = pem.chain("shop.example").partition("-----BEGIN PRIVATE")[0] + locked.decode()

        (problem,) = refused(with_certificates(web, shop=text))

        assert "without a passphrase" in problem

    def test_two_certificates_for_one_host_are_refused(self, web: Config) -> None:
        one, two = pem.chain("shop.example"), pem.chain("shop.example", "www.shop.example")

        (problem,) = refused(with_certificates(web, one=one, two=two))

        assert problem == (
            'fleet:certificates.two = "shop.example": is also named by the certificate of '
            "fleet:certificates.one; a host can have only one"
        )

    def test_a_host_may_have_a_certificate_beside_a_wildcard(self, web: Config) -> None:
        one, two = pem.chain("*.shop.example"), pem.chain("www.shop.example")

        accepted(with_certificates(web, one=one, two=two))

    def test_with_a_default_site_a_certificate_may_be_for_any_host(self, config: Config) -> None:
        accepted(with_certificates(config, any=pem.chain("any.example")))

    def test_a_certificate_in_another_vault_is_given_only_once(self, web: Config) -> None:
        place = {"keyVaultSecretId": "https://my-vault.vault.azure.net/secrets/shop"}
        web["certificates"] = {"one": place}
        accepted(web)

        web["certificates"] = {"one": place, "two": place}

        (problem,) = refused(web)
        assert "is also given by fleet:certificates.one.keyVaultSecretId" in problem


class TestWarnings:
    def of(self, settings: Settings) -> list[str]:
        return list(warnings(settings, pem.NOW))

    def test_a_certificate_that_expires_within_a_month_causes_a_warning(self, web: Config) -> None:
        soon = pem.chain("shop.example", ends=pem.NOW + 29 * pem.DAY)
        later = pem.chain("shop.example", ends=pem.NOW + 31 * pem.DAY)

        (warning,) = self.of(accepted(with_certificates(web, shop=soon)))
        assert warning.startswith("fleet:certificates.shop expires on ")
        assert self.of(accepted(with_certificates(web, shop=later))) == []

    @pytest.mark.parametrize(
        "text",
        [
            pem.chain("shop.example", ends=pem.NOW - pem.DAY / 2),
            pem.three("shop.example", middle_ends=pem.NOW - pem.DAY / 2),
        ],
        ids=["itself", "its issuer"],
    )
    def test_an_expired_certificate_causes_a_warning_and_is_accepted(
        self, web: Config, text: str
    ) -> None:
        (warning,) = self.of(accepted(with_certificates(web, shop=text)))

        assert warning.startswith("fleet:certificates.shop EXPIRED on ")
        assert "browsers refuse shop.example. All else is deployed. Set a new one now" in warning

    @pytest.mark.parametrize("old_root", [False, True])
    def test_an_expired_signature_of_an_older_root_causes_a_mild_warning(
        self, web: Config, old_root: bool
    ) -> None:
        """Clients know the newer root, whose own certificate is not in the file."""
        text = pem.cross_signed("shop.example", root_ends=pem.NOW - 2 * pem.DAY, old_root=old_root)

        (warning,) = self.of(accepted(with_certificates(web, shop=text)))

        assert "EXPIRED" not in warning
        assert "clients that do not know CN=root as a root refuse the chain" in warning

    def test_an_expired_issuer_below_a_valid_root_causes_a_severe_warning(
        self, web: Config
    ) -> None:
        text = pem.cross_signed("shop.example", root_ends=pem.NOW + pem.DAY, old_root=True)

        (warning,) = self.of(accepted(with_certificates(web, shop=text)))

        assert "EXPIRED" in warning

    def test_an_expired_issuer_without_a_root_causes_a_severe_warning(self, web: Config) -> None:
        text = pem.three("shop.example", middle_ends=pem.NOW - pem.DAY / 2, omit=2)

        (warning,) = self.of(accepted(with_certificates(web, shop=text)))

        assert "EXPIRED" in warning

    @pytest.mark.parametrize(
        ("issuer_at", "place"),
        [("", ""), ("http://ca.example/a.crt", " (http://ca.example/a.crt has it)")],
    )
    def test_a_missing_issuer_causes_a_warning_with_its_address(
        self, web: Config, issuer_at: str, place: str
    ) -> None:
        """A private authority may sign with its root, which clients then know."""
        text = pem.chain("shop.example", alone=True, issuer_at=issuer_at)

        (warning,) = self.of(accepted(with_certificates(web, shop=text)))

        assert warning == (
            "fleet:certificates.shop does not include the certificate of its issuer, CN=authority. "
            "Clients that do not know this issuer refuse it; browsers know only roots. Unless all "
            f"clients know the issuer, add its certificate after the first one{place}"
        )

    @pytest.mark.parametrize("kind", ["OPENSSH PRIVATE KEY", "CERTIFICATE"])
    def test_a_key_without_its_last_newline_causes_a_warning(
        self, config: Config, kind: str
    ) -> None:
        text = f"-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----"
        config["services"]["hello"]["secrets"] = {"DEPLOY_KEY": "deploy-key"}

        (warning,) = self.of(accepted(config | {"secrets": {"deploy-key": text}}))

        assert warning.startswith("fleet:secrets.deploy-key ends without a newline")
        assert "--raw --path fleet:secrets.deploy-key < FILE`" in warning
        assert "AAAA" not in warning
        for fine in (f"{text}\n", "correct-horse", f"{text} and more"):
            assert self.of(accepted(config | {"secrets": {"deploy-key": fine}})) == []
        del config["services"]["hello"]["secrets"]
        assert self.of(accepted(config | {"secrets": {"deploy-key": text}})) == []

    @pytest.mark.parametrize(
        ("certificates", "hosts"),
        [
            ({}, ["shop.example", "www.shop.example"]),
            ({"shop": pem.chain("*.shop.example")}, ["shop.example"]),
        ],
    )
    def test_a_redirect_to_https_without_a_certificate_causes_a_warning(
        self, web: Config, certificates: Mapping[str, str], hosts: list[str]
    ) -> None:
        web["services"]["shop"]["http"]["httpsRedirect"] = True

        found = self.of(accepted(with_certificates(web, **certificates)))

        assert [warning.split()[1] for warning in found] == hosts

    def test_a_certificate_in_another_vault_may_cover_any_host(self, web: Config) -> None:
        web["services"]["shop"]["http"]["httpsRedirect"] = True
        web["certificates"] = {"x": {"keyVaultSecretId": "https://vault.vault.azure.net/secrets/x"}}

        assert self.of(accepted(web)) == []

"""Secrets and certificates in the configuration: what is refused, and that no value is told."""

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
    def test_what_is_wrong_with_them_is_told_without_a_value(
        self, config: Config, secrets: Any
    ) -> None:
        problems = refused(config | {"secrets": secrets})

        assert problems
        assert VALUE not in "".join(problems)
        assert all(problem.startswith("fleet:secrets") for problem in problems)

    def test_an_empty_one_is_refused(self, config: Config) -> None:
        assert refused(config | {"secrets": {"name": ""}}) == [
            "fleet:secrets.name: must not be empty, and at most 25,600 bytes: a vault takes no more"
        ]

    def test_a_file_that_is_no_text_is_refused(self, config: Config) -> None:
        """Pulumi puts U+FFFD for what is not UTF-8."""
        assert refused(config | {"secrets": {"keystore": "\ufffd\ufffd\0\x01" + VALUE}}) == [
            "fleet:secrets.keystore: must be text: bytes that are not UTF-8 were lost when it was "
            "set. Set the output of base64, and decode that in the container"
        ]

    def test_they_are_not_shown_by_accident(self, config: Config) -> None:
        assert VALUE not in repr(accepted(config | {"secrets": {"name": VALUE}}))

    def test_every_missing_one_is_listed_with_the_command_that_sets_it(
        self, config: Config
    ) -> None:
        config["services"]["hello"]["secrets"] = {"PASSWORD": "db", "TOKEN": "token", "OLD": "db"}
        config["services"]["other"] = {"image": "a:1", "tcp": [{"port": 70}], "secrets": {"K": "k"}}
        config["certificates"] = {"web": {"secret": "web-pem"}}
        config["secrets"] = {"k": VALUE}

        assert refused(config) == [
            "fleet:secrets.db: is missing, and fleet:services.hello.secrets.PASSWORD and 1 more "
            "need it; set it with `pulumi config set --secret --path fleet:secrets.db VALUE`",
            "fleet:secrets.token: is missing, and fleet:services.hello.secrets.TOKEN "
            "needs it; set it with `pulumi config set --secret --path fleet:secrets.token VALUE`",
            "fleet:secrets.web-pem: is missing, and fleet:certificates.web.secret needs it; set it "
            "with `pulumi config set --secret --path fleet:secrets.web-pem < FILE.pem`",
        ]

    def test_those_that_are_wanted_are_known_before_they_are_set(self, config: Config) -> None:
        config["services"]["hello"]["secrets"] = {"PASSWORD": "db"}
        config["secrets"] = {"db": VALUE, "unused": VALUE}

        assert wanted(accepted(config)) == {"db": ("fleet:services.hello.secrets.PASSWORD",)}

    @pytest.mark.parametrize("variable", ["PASSWORD", "PASSWORD_FILE"])
    def test_a_variable_is_not_given_in_two_ways(self, config: Config, variable: str) -> None:
        config["secrets"] = {"db": VALUE}
        config["services"]["hello"] |= {"secrets": {"PASSWORD": "db"}, "env": {variable: "x"}}

        (problem,) = refused(config)

        assert problem.startswith(
            f'fleet:services.hello.secrets.PASSWORD = "db": is given as env.{variable}, too'
        )


class TestCertificates:
    def test_one_for_a_host_of_a_service_is_taken(self, web: Config) -> None:
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
            (VALUE, "must hold a certificate, the rest of its chain, and the private key"),
            (pem.chain("shop.example").partition("-----BEGIN PRIVATE")[0], "must hold a cert"),
            (pem.key_text(ec.generate_private_key(ec.SECP256R1())), "must hold a certificate"),
            (
                pem.chain("shop.example", shown_key=ec.generate_private_key(ec.SECP256R1())),
                "has a private key that is not that of its first certificate",
            ),
            (
                pem.chain("shop.example", key=ec.generate_private_key(ec.SECP192R1())),
                "must have an RSA key from 2,048 bits, or one on P-256 or P-384",
            ),
            (pem.chain(), "must name hosts: subject alternative names"),
            (
                pem.three("shop.example", omit=1),
                "number 1 is issued by CN=middle, and number 2 is that of CN=root",
            ),
            (
                pem.chain("_acme.shop.example", "w*.shop.example"),
                "must name hosts: subject alternative names of the type DNS; _acme.shop.example, "
                "w*.shop.example can't be routed",
            ),
            (pem.chain("shop.example", starts=pem.NOW + pem.DAY), "is not valid before "),
            (
                pem.chain("a.example", "*.b.example"),
                "is for *.b.example, a.example, and no service has such a host",
            ),
        ],
    )
    def test_what_clients_would_not_take_is_refused(
        self, web: Config, text: str, message: str
    ) -> None:
        (problem,) = refused(with_certificates(web, shop=text))

        assert problem.startswith('fleet:certificates.shop.secret = "shop-pem": ')
        assert message in problem
        assert VALUE not in problem
        assert "BEGIN" not in problem

    def test_a_chain_upside_down_is_refused(self, web: Config) -> None:
        authority_first = pem.chain("shop.example", reverse=True)

        (problem,) = refused(with_certificates(web, shop=authority_first))

        assert (
            "a private key that is not that of its first certificate, but of number 2: it must "
            "stand first"
        ) in problem

    def test_an_issuer_of_the_right_name_that_did_not_sign_it_is_refused(self, web: Config) -> None:
        leaf = pem.chain("shop.example", key=(key := pem.new_key()), alone=True)
        other = pem.chain("x.example").split("-----BEGIN")[2]
        text = f"{leaf.partition('-----BEGIN PRIVATE')[0]}-----BEGIN{other}{pem.key_text(key)}"

        (problem,) = refused(with_certificates(web, shop=text))

        assert "number 1, that the next one did not sign" in problem

    def test_a_chain_may_end_with_the_root_or_before_it(self, web: Config) -> None:
        for omit in (-1, 2):
            settings = accepted(with_certificates(web, shop=pem.three("shop.example", omit=omit)))

            assert list(warnings(settings, pem.NOW)) == []

    def test_names_for_something_else_than_hosts_cost_nothing(self, web: Config) -> None:
        """Nodes take host names only."""
        text = pem.chain("Shop.example", "*.shop.example", "_x.shop.example", "a*.shop.example")

        settings = accepted(with_certificates(web, shop=text))

        hosts = settings.certificate_contents["shop"].hosts
        assert hosts == ("*.shop.example", "shop.example")
        assert CertificateSource(secret="shop", version="1", hosts=hosts).hosts == hosts

    def test_a_certificate_of_another_authority_is_out_of_order(self, web: Config) -> None:
        leaf, *_ = pem.chain("shop.example", key=(key := pem.new_key())).split("-----BEGIN", 2)[1:]
        another = pem.chain("x.example").split("-----BEGIN")[1]
        text = f"-----BEGIN{leaf}-----BEGIN{another}{pem.key_text(key)}"

        (problem,) = refused(with_certificates(web, shop=text))

        assert "must hold the chain in order" in problem

    def test_strong_rsa_is_taken_and_a_passphrase_is_not(self, web: Config) -> None:
        key = ec.generate_private_key(ec.SECP384R1())
        accepted(with_certificates(web, shop=pem.chain("shop.example", key=key)))
        locked = rsa.generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        )
        text = pem.chain("shop.example").partition("-----BEGIN PRIVATE")[0] + locked.decode()

        (problem,) = refused(with_certificates(web, shop=text))

        assert "without passphrase" in problem

    def test_two_for_one_host_are_refused(self, web: Config) -> None:
        one, two = pem.chain("shop.example"), pem.chain("shop.example", "www.shop.example")

        (problem,) = refused(with_certificates(web, one=one, two=two))

        assert problem == (
            'fleet:certificates.two = "shop.example": is named by the certificate of '
            "fleet:certificates.one, too; a host has one certificate"
        )

    def test_a_host_may_have_its_own_beside_a_wildcard(self, web: Config) -> None:
        one, two = pem.chain("*.shop.example"), pem.chain("www.shop.example")

        accepted(with_certificates(web, one=one, two=two))

    def test_the_default_site_answers_for_any_host(self, config: Config) -> None:
        accepted(with_certificates(config, any=pem.chain("any.example")))

    def test_one_in_a_vault_of_the_users_is_given_once(self, web: Config) -> None:
        place = {"keyVaultSecretId": "https://my-vault.vault.azure.net/secrets/shop"}
        web["certificates"] = {"one": place}
        accepted(web)

        web["certificates"] = {"one": place, "two": place}

        (problem,) = refused(web)
        assert "is given by fleet:certificates.one.keyVaultSecretId, too" in problem


class TestWarnings:
    def of(self, settings: Settings) -> list[str]:
        return list(warnings(settings, pem.NOW))

    def test_a_certificate_is_warned_about_a_month_before_it_expires(self, web: Config) -> None:
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
    def test_one_that_has_expired_is_warned_about_loudly_and_stops_nothing(
        self, web: Config, text: str
    ) -> None:
        (warning,) = self.of(accepted(with_certificates(web, shop=text)))

        assert warning.startswith("fleet:certificates.shop EXPIRED on ")
        assert "browsers refuse shop.example. All else is deployed. Set a new one now" in warning

    @pytest.mark.parametrize("old_root", [False, True])
    def test_an_expired_signature_of_an_older_root_gets_a_soft_word(
        self, web: Config, old_root: bool
    ) -> None:
        """Clients know the newer root, whose own certificate is not in the file."""
        text = pem.cross_signed("shop.example", root_ends=pem.NOW - 2 * pem.DAY, old_root=old_root)

        (warning,) = self.of(accepted(with_certificates(web, shop=text)))

        assert "EXPIRED" not in warning
        assert "clients that know CN=root themselves do not mind" in warning

    def test_an_expired_one_below_a_root_that_is_valid_is_no_such_case(self, web: Config) -> None:
        text = pem.cross_signed("shop.example", root_ends=pem.NOW + pem.DAY, old_root=True)

        (warning,) = self.of(accepted(with_certificates(web, shop=text)))

        assert "EXPIRED" in warning

    def test_an_expired_issuer_without_its_root_is_refused_by_browsers(self, web: Config) -> None:
        text = pem.three("shop.example", middle_ends=pem.NOW - pem.DAY / 2, omit=2)

        (warning,) = self.of(accepted(with_certificates(web, shop=text)))

        assert "EXPIRED" in warning

    @pytest.mark.parametrize(
        ("issuer_at", "place"),
        [("", ""), ("http://ca.example/a.crt", " (http://ca.example/a.crt has it)")],
    )
    def test_an_issuer_that_the_file_does_not_hold_is_told(
        self, web: Config, issuer_at: str, place: str
    ) -> None:
        """A private authority may sign with its root, which clients then know."""
        text = pem.chain("shop.example", alone=True, issuer_at=issuer_at)

        (warning,) = self.of(accepted(with_certificates(web, shop=text)))

        assert warning == (
            "fleet:certificates.shop holds no certificate of its issuer, CN=authority: clients "
            "that do not know that one themselves, as browsers know roots only, refuse it. Add "
            f"the issuer's after the first one{place}, unless all clients know it"
        )

    @pytest.mark.parametrize("kind", ["OPENSSH PRIVATE KEY", "CERTIFICATE"])
    def test_a_key_whose_last_newline_is_gone_is_warned_about(
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
    def test_a_redirect_to_a_certificate_that_nobody_trusts_is_warned_about(
        self, web: Config, certificates: Mapping[str, str], hosts: list[str]
    ) -> None:
        web["services"]["shop"]["http"]["httpsRedirect"] = True

        told = self.of(accepted(with_certificates(web, **certificates)))

        assert [warning.split()[1] for warning in told] == hosts

    def test_a_certificate_that_nobody_can_see_may_be_for_any_host(self, web: Config) -> None:
        web["services"]["shop"]["http"]["httpsRedirect"] = True
        web["certificates"] = {"x": {"keyVaultSecretId": "https://vault.vault.azure.net/secrets/x"}}

        assert self.of(accepted(web)) == []

"""Hosts with certificates of their own, from a vault: real etcd, confd and nginx over real TLS."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.parts.router.backends import Backend
from tests.parts.router.certificates import make_certificate, make_pem, write_certificate
from tests.parts.router.harness import EtcdServer, Router, open_websocket, publish, running
from tests.parts.router.load import load
from tests.parts.router.tls_client import certificate_for, connect
from tests.parts.router.vault import TOKEN, Vault, running_vault

Backends = tuple[Backend, Backend]
HOSTS = ["api.test", "shop.example.test", "deep.shop.example.test"]


@dataclass(kw_only=True)
class Site:
    """A router (not started yet) that serves HOSTS, its etcd and its vault.

    The stack's own certificate is called `stack`.
    """

    etcd: EtcdServer
    vault: Vault
    router: Router

    def is_to_have(self, name: str, version: str, *hosts: str) -> None:
        """Say in etcd which secret of the stack's vault holds the certificate of these hosts."""
        value = {"secret": f"certificate-{name}", "version": version, "hosts": list(hosts)}
        self.etcd.client.set(f"/certificates/{name}", json.dumps(value))

    def shows(self, host: str, certificate: str) -> None:
        def shown() -> bool:
            return certificate_for(self.router, host) == certificate

        eventually(shown, what=f"{host} shows the certificate {certificate}")

    def reports(self, text: str) -> None:
        def reported() -> bool:
            return any(text in problem for problem in self.router.problems())

        eventually(reported, what=f"the router reports {text!r}")

    def is_content(self) -> None:
        def content() -> bool:
            state = self.router.announced()
            return state is not None and not state["error"] and not state["problems"]

        eventually(content, what="the router has nothing to report")

    @property
    def files(self) -> set[str]:
        """The certificates on the router's disk, without what tells versions apart."""
        found = (self.router.folder / "run" / "certificates").glob("*.pem")
        return {path.name.rpartition("-")[0] for path in found}


@pytest.fixture
def site(etcd: EtcdServer, folder: Path, tmp_path: Path, backends: Backends) -> Iterator[Site]:
    write_certificate(folder, "stack")
    instance = {"http": backends[0].address}
    publish(etcd, "api", route={"hosts": HOSTS, "http": True}, instances={"r1-1": instance})
    with running_vault(tmp_path) as (vault, environment):
        environment |= {"ROUTER_CERTIFICATE_POLL": "0.3", "ROUTER_CERTIFICATE_PATIENCE": "5"}
        router = Router(etcd=etcd, folder=folder, environment=environment)
        yield Site(etcd=etcd, vault=vault, router=router)


def test_host_gets_its_certificate_and_other_hosts_the_stacks(site: Site) -> None:
    site.vault.put("certificate-api", "v1", make_pem("api.test", subject="api"))
    with running(site.router):
        site.is_to_have("api", "v1", "api.test")

        site.shows("api.test", "api")

        assert certificate_for(site.router, "shop.example.test") == "stack"
        assert certificate_for(site.router, "nobody.test") == "stack"
        site.is_content()


def test_wildcard_holds_for_one_label_and_a_hosts_own_name_comes_first(site: Site) -> None:
    site.vault.put("certificate-all", "v1", make_pem("*.example.test", subject="all"))
    site.vault.put("certificate-zeta", "v1", make_pem("api.test", subject="zeta"))
    site.is_to_have("all", "v1", "*.example.test", "*.test")
    site.is_to_have("zeta", "v1", "api.test")

    with running(site.router):
        assert certificate_for(site.router, "shop.example.test") == "all"
        assert certificate_for(site.router, "deep.shop.example.test") == "stack"
        assert certificate_for(site.router, "api.test") == "zeta"


def test_router_that_starts_waits_for_its_certificates(site: Site) -> None:
    site.vault.put("certificate-api", "v1", make_pem("api.test", subject="api"))
    site.is_to_have("api", "v1", "api.test")

    with running(site.router):
        assert certificate_for(site.router, "api.test") == "api"


def test_router_starts_without_a_vault_that_does_not_answer(site: Site) -> None:
    site.is_to_have("api", "v1", "api.test")
    site.vault.shutdown()
    site.vault.server_close()

    with running(site.router):
        assert certificate_for(site.router, "api.test") == "stack"
        assert site.router.get("api.test").status_code == 200
        site.reports("/certificates/api: https://127.0.0.1")


def test_refused_fetch_is_retried_until_the_role_has_propagated(site: Site) -> None:
    site.vault.put("certificate-api", "v1", make_pem("api.test", subject="api"))
    site.vault.denies = True
    site.is_to_have("api", "v1", "api.test")
    with running(site.router):
        site.reports("403 Forbidden Caller is not authorized")
        assert certificate_for(site.router, "api.test") == "stack"

        site.vault.denies = False

        site.shows("api.test", "api")
        site.is_content()


def test_new_version_reaches_clients_without_a_dropped_connection(site: Site) -> None:
    site.vault.put("certificate-api", "v1", make_pem("api.test", subject="old"))
    site.vault.put("certificate-api", "v2", make_pem("api.test", subject="new"))
    site.is_to_have("api", "v1", "api.test")
    with running(site.router), ThreadPoolExecutor() as pool:
        request = b"GET %s HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n"
        with (
            load(site.router.https_port, "api.test", tls=True) as secure,
            load(site.router.http_port, "api.test") as plain,
            connect(site.router, "api.test") as open_request,
            open_websocket(site.router, "api.test") as call,
        ):
            open_request.sendall(request % b"/slow")
            answer = pool.submit(open_request.recv, 4096)

            site.is_to_have("api", "v2", "api.test")

            site.shows("api.test", "new")
            assert answer.result().startswith(b"HTTP/1.1 200 ")
            call.sendall(b"still there?")
            assert call.recv(100) == b"still there?"

    assert secure.failures == plain.failures == []
    assert secure.answered > 20


KEY, CERTIFICATE = make_certificate("api.test")
OTHER_KEY, _ = make_certificate("api.test")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (make_pem("api.test", days=-1), "certificate has expired"),
        (make_pem("api.test", days=3, begins=2), "certificate is not yet valid"),
        (make_pem("api.test", password=b"x"), "protected by a password"),
        (OTHER_KEY + CERTIFICATE, "key values mismatch"),
        (KEY, "no PEM certificate"),
        (CERTIFICATE, "can't be read, or is missing"),
        ("MIIKcAIBAzCCCi", "choose the content type PEM, not PKCS #12"),
    ],
    ids=["expired", "too early", "password", "mismatch", "no certificate", "no key", "PKCS #12"],
)
def test_unusable_version_is_reported_and_the_last_good_one_stays(
    site: Site, content: str, reason: str
) -> None:
    site.vault.put("certificate-api", "v1", make_pem("api.test", subject="good"))
    site.vault.put("certificate-api", "v2", content)
    site.is_to_have("api", "v1", "api.test")
    with running(site.router):
        site.shows("api.test", "good")

        site.is_to_have("api", "v2", "api.test")

        site.reports(reason)
        site.reports("version v1 is served on")
        assert certificate_for(site.router, "api.test") == "good"
        assert TOKEN not in site.router.agent_log
        assert content.splitlines()[-1] not in site.router.agent_log


def test_broken_certificate_leaves_the_others_served(site: Site) -> None:
    site.vault.put("certificate-api", "v1", make_pem("api.test", subject="api"))
    site.vault.put("certificate-shop", "v1", OTHER_KEY + CERTIFICATE)
    site.is_to_have("api", "v1", "api.test")
    site.is_to_have("shop", "v1", "shop.example.test")

    with running(site.router):
        assert certificate_for(site.router, "api.test") == "api"
        assert certificate_for(site.router, "shop.example.test") == "stack"
        site.reports("/certificates/shop: version v1 of certificate-shop/v1: key values mismatch")
        assert site.router.get("shop.example.test").status_code == 200


def test_certificate_that_has_expired_is_better_than_none(site: Site) -> None:
    """A router that starts on the day after has nothing from before."""
    site.vault.put("certificate-api", "v1", make_pem("api.test", subject="old", days=-1))
    site.is_to_have("api", "v1", "api.test")

    with running(site.router):
        assert certificate_for(site.router, "api.test") == "old"
        site.reports("/certificates/api: version v1 has expired; it is served on")
        report = site.router.announced()
        assert report is not None
        assert report["expired"] == ["api"]


def test_certificate_that_expires_while_it_is_served_is_reported(site: Site) -> None:
    with running(site.router):
        pem = make_pem("api.test", subject="api", days=6 / 86400)
        site.vault.put("certificate-api", "v1", pem)
        site.is_to_have("api", "v1", "api.test")
        site.shows("api.test", "api")

        site.reports("/certificates/api: version v1 has expired; it is served on")
        assert certificate_for(site.router, "api.test") == "api"


def test_certificate_of_another_vault_is_followed_to_its_newest_version(site: Site) -> None:
    site.vault.put("bought", "v1", make_pem("api.test", "*.example.test", subject="bought"))
    secret_id = {"secretId": f"{site.vault.url}/secrets/bought"}
    site.etcd.client.set("/certificates/other", json.dumps(secret_id))
    with running(site.router):
        # its hosts are those that it names
        assert certificate_for(site.router, "api.test") == "bought"
        assert certificate_for(site.router, "shop.example.test") == "bought"

        site.vault.put("bought", "v2", make_pem("api.test", subject="renewed"))

        site.shows("api.test", "renewed")
        site.shows("shop.example.test", "stack")


def test_token_is_sent_to_vaults_only(site: Site) -> None:
    elsewhere = {"secret_id": "https://vault.attacker.test/secrets/bought"}
    site.etcd.client.set("/certificates/other", json.dumps(elsewhere))

    with running(site.router):
        site.reports("is not in a vault beside")


def test_certificate_that_is_no_longer_named_is_removed(site: Site) -> None:
    for name in ("api", "shop"):
        site.vault.put(f"certificate-{name}", "v1", make_pem(f"{name}.test", subject=name))
    site.is_to_have("api", "v1", "api.test")
    site.is_to_have("shop", "v1", "shop.example.test")
    with running(site.router):
        site.shows("api.test", "api")
        assert site.files == {"api", "shop"}

        site.etcd.client.delete("/certificates/api")

        site.shows("api.test", "stack")
        eventually(lambda: site.files == {"shop"}, what="its file is gone")


def test_private_keys_are_for_root_only(site: Site) -> None:
    site.vault.put("certificate-api", "v1", make_pem("api.test", subject="api"))
    site.is_to_have("api", "v1", "api.test")

    with running(site.router):
        site.shows("api.test", "api")
        folder = site.router.folder / "run" / "certificates"
        (file,) = folder.glob("api-*.pem")
        assert folder.stat().st_mode & 0o777 == 0o700
        assert file.stat().st_mode & 0o777 == 0o600


def test_version_is_fetched_once(site: Site) -> None:
    site.vault.put("certificate-api", "v1", make_pem("api.test", subject="api"))
    site.is_to_have("api", "v1", "api.test")
    with running(site.router):
        site.shows("api.test", "api")

        time.sleep(1.5)  # five times the pause between two looks at other vaults

        assert len(site.vault.asked) == 1


def test_malformed_key_costs_its_own_certificate_only(site: Site) -> None:
    site.vault.put("certificate-api", "v1", make_pem("api.test", subject="api"))
    site.etcd.client.set("/certificates/broken", "{not json")
    site.is_to_have("api", "v1", "api.test")

    with running(site.router):
        site.shows("api.test", "api")
        site.reports("/certificates/broken: ")

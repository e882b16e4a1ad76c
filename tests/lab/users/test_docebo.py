"""Docebo's stack: every customer has a separate site, and sees no other customer's."""

from __future__ import annotations

import html
import subprocess

import pytest

from lab.commands import shell
from lab.pulumi import sample_secrets
from tests.lab.stack import LabStack
from tests.lab.web import Browser
from tests.visitors.dokuwiki import sign_in

HOSTS = {
    "acme.docebo.example": "acme",
    "academy.acme.example": "acme",
    "globex.docebo.example": "globex",
    "initech.docebo.example": "initech",
}
INSTANCES = {"acme": {"1", "2"}, "globex": {"1", "2"}, "initech": {"1"}}


@pytest.mark.parametrize(
    ("host", "title", "language", "version"),
    [
        ("acme.docebo.example", "Welcome to Acme Academy", "en", "7.1.0"),
        ("globex.docebo.example", "Globex", "de", "7.0.3"),
        ("initech.docebo.example", "Welcome to Initech Learning", "en", "7.1.0"),
    ],
)
def test_a_customers_site_matches_the_config(
    docebo: LabStack, host: str, title: str, language: str, version: str
) -> None:
    with Browser(docebo, f"https://{host}") as visitor:
        page, health = visitor.get("/"), visitor.get("/health").json()

    assert title in html.unescape(page.text)
    assert f'lang="{language}"' in page.text
    assert health["version"] == version


@pytest.mark.parametrize("host", HOSTS)
def test_no_router_takes_a_host_to_another_customers_instance(docebo: LabStack, host: str) -> None:
    customer = HOSTS[host]
    for address in shell.nodes(docebo.name).values():
        met = set()
        for _ in range(12):
            with Browser(docebo, f"https://{host}", address=address) as stranger:
                answer = stranger.get("/health")
            assert answer.status_code == 200
            assert answer.headers["X-Customer"] == answer.json()["customer"] == customer
            met.add(answer.headers["X-Instance"])

        assert met == INSTANCES[customer], f"by the router {address}"


def test_a_host_of_no_customer_gets_404(docebo: LabStack) -> None:
    for address in shell.nodes(docebo.name).values():
        with Browser(docebo, "http://nobody.docebo.example", address=address) as stranger:
            answer = stranger.get("/")

        assert answer.status_code == 404
        assert "X-Customer" not in answer.headers


def test_http_is_redirected_to_https(docebo: LabStack) -> None:
    with Browser(docebo, "http://acme.docebo.example") as visitor:
        answer = visitor.get("/courses/onboarding")

        assert answer.status_code == 308
        assert answer.headers["Location"] == "https://acme.docebo.example/courses/onboarding"
        assert visitor.get("/courses/onboarding", follow_redirects=True).status_code == 200


def test_a_visitor_stays_on_the_instance_of_the_sign_in(docebo: LabStack) -> None:
    password = sample_secrets.made_up(docebo.name)["acme-admin"]
    with Browser(docebo, "https://acme.docebo.example") as admin:
        admin.follow_redirects = True
        assert "do=logout" in sign_in(admin, password).text

        pages = [admin.get("/start") for _ in range(20)]

    assert len({page.headers["X-Instance"] for page in pages}) == 1
    assert all("do=logout" in page.text for page in pages)


def test_a_customers_password_opens_no_other_customers_site(docebo: LabStack) -> None:
    password = sample_secrets.made_up(docebo.name)["acme-admin"]
    with Browser(docebo, "https://globex.docebo.example") as admin:
        admin.follow_redirects = True

        assert "do=logout" not in sign_in(admin, password).text


@pytest.mark.parametrize(
    ("options", "spoken"), [(["--http2"], "2"), (["--http1.1", "--tlsv1.2"], "1.1")]
)
def test_modern_tls_versions_are_accepted(
    docebo: LabStack, options: list[str], spoken: str
) -> None:
    done = curl(docebo, "--write-out", "%{http_version} %{http_code}", *options)

    assert done.stdout == f"{spoken} 200", done.stderr


def test_old_tls_versions_are_refused(docebo: LabStack) -> None:
    done = curl(docebo, "--tls-max", "1.1", "--tlsv1.0", "--ciphers", "DEFAULT@SECLEVEL=0")

    assert done.returncode == 35, done.stderr  # the server refuses the handshake


def curl(stack: LabStack, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--output", "/dev/null"),
            *(
                "--cacert",
                str(sample_secrets.certificates_file(stack.name)),
                "--connect-to",
                f"::{stack.public_ip}:",
            ),
            *options,
            "https://acme.docebo.example/health",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )

"""Docebo's platform: what a customer's settings make of it, who may write, what it keeps."""

from __future__ import annotations

import contextlib
import html
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.parts.samples.container import Container, running
from tests.visitors.dokuwiki import sign_in, write

PASSWORD = 'pass "word" $1 ü'
Start = Callable[..., AbstractContextManager[Container]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts an instance, with more environment if it is given."""

    @contextlib.contextmanager
    def started(*, password: str | None = PASSWORD, **env: str) -> Iterator[Container]:
        with running(
            "docebo-lms",
            env={
                "SERVICE": "lms-acme",
                "INSTANCE": "1",
                "NODE_NAME": "core-1",
                "RELEASE": "0a1b2c3d",
                "VERSION": "7.1",
                **env,
            },
            secrets={"ADMIN_PASSWORD": password} if password else {},
            folder=tmp_path,
            memory="64m",
            state="/var/lib/app",
        ) as lms:
            yield lms

    return started


@pytest.fixture
def lms(start: Start) -> Iterator[Container]:
    with start(TITLE="Acme & Söhne", LANGUAGE="de", THEME="plum", CUSTOMER="acme") as lms:
        lms.wait_until_healthy()
        yield lms


# a customer's own


def test_it_shows_what_the_customer_has_chosen(lms: Container) -> None:
    page = lms.get("/")
    text = html.unescape(page.text)

    assert "Welcome to Acme & Söhne" in text
    assert 'lang="de"' in text
    assert "Anmelden" in text
    assert '<meta name="theme-color" content="#6d2c7d"/>' in text
    assert "Your first week" in lms.get("/courses/onboarding").text


@pytest.mark.parametrize("path", ["/", "/health", "/nothing", "/lib/tpl/dokuwiki/images/logo.png"])
def test_every_answer_names_customer_and_instance(lms: Container, path: str) -> None:
    headers = lms.get(path).headers

    assert headers["X-Customer"] == "acme"
    assert headers["X-Service"] == "lms-acme"
    assert headers["X-Instance"] == "1"
    assert headers["X-Node"] == "core-1"


def test_without_settings_the_service_names_the_customer(start: Start) -> None:
    with start() as lms:
        lms.wait_until_healthy()
        page = lms.get("/")

    assert page.headers["X-Customer"] == "lms-acme"
    assert "Welcome to lms-acme" in page.text


@pytest.mark.parametrize(
    ("setting", "value", "advice"),
    [
        ("THEME", "neon", "allowed are: amber forest plum sky slate"),
        ("THEME", "../wiki/x", "allowed are"),
        ("LANGUAGE", "tlh", "which DokuWiki does not know"),
        ("LANGUAGE", "../en", "which DokuWiki does not know"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(
    start: Start, setting: str, value: str, advice: str
) -> None:
    with start(**{setting: value}) as lms:
        assert lms.exit_code() == 1

        assert f"start-lms: {setting} is '{value}'" in lms.logs
        assert advice in lms.logs


# who may what


def test_the_admin_writes_and_everyone_reads(lms: Container) -> None:
    with lms.browser() as admin:
        assert "do=logout" in sign_in(admin, PASSWORD).text
        write(admin, "courses/new", "====== A new course ======")

    assert "A new course" in lms.get("/courses/new").text


def test_a_wrong_password_does_not_let_in(lms: Container) -> None:
    with lms.browser() as browser:
        answer = sign_in(browser, "guess")

    assert answer.status_code == 403
    assert "do=logout" not in answer.text


def test_visitors_cannot_write(lms: Container) -> None:
    with lms.browser() as visitor:
        write(visitor, "courses/onboarding", "====== Defaced ======")

    assert "Defaced" not in lms.get("/courses/onboarding").text


def test_without_a_secret_signing_in_is_impossible(start: Start) -> None:
    with start(password=None) as lms:
        lms.wait_until_healthy()
        with lms.browser() as browser:
            answer = sign_in(browser, "")

    assert "do=logout" not in answer.text


def test_the_secret_shows_nowhere(lms: Container) -> None:
    with lms.browser() as browser:
        sign_in(browser, PASSWORD)

    assert PASSWORD not in json.dumps(lms.attributes, ensure_ascii=False)
    assert PASSWORD not in lms.logs
    everything = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline; grep -r . /var/lib/app"
    assert PASSWORD not in lms.run("sh", "-c", f"({everything}) 2>/dev/null | tr '\\0' '\\n'")


@pytest.mark.parametrize(
    "path", ["/inc/init.php", "/vendor/autoload.php", "/lib/plugins/acl/admin.php", "/.htaccess"]
)
def test_the_program_itself_is_not_served(lms: Container, path: str) -> None:
    answer = lms.get(path)

    assert answer.status_code == 404
    assert "nginx" in answer.text


def test_behind_https_links_and_cookies_are_for_https(lms: Container) -> None:
    through_router = {"Host": "acme.example", "X-Forwarded-Proto": "https"}

    page = lms.get("/", headers=through_router)
    form = lms.get("/start?do=login", headers=through_router)

    assert '<link rel="canonical" href="https://acme.example/"/>' in page.text
    assert "secure" in form.headers["Set-Cookie"].lower()


# what it keeps


def test_visitors_who_bring_no_cookie_leave_nothing(lms: Container) -> None:
    for path in ("/", "/courses/safety", "/health", "/feed.php"):
        answer = lms.get(path)
        assert "DokuWiki" not in answer.headers.get("Set-Cookie", "")

    assert lms.run("ls", "/var/lib/app/sessions") == ""


def test_health_says_when_nothing_can_be_written(lms: Container) -> None:
    lms.run("sh", "-c", "cat /dev/zero >/var/lib/app/filler 2>/dev/null || true")

    answer = lms.get("/health")

    assert answer.status_code == 503
    assert answer.json()["problem"] == "nothing can be written"


def test_a_page_with_all_that_belongs_to_it_fits_into_its_memory(lms: Container) -> None:
    page = lms.get("/").text
    linked = [html.unescape(link) for link in re.findall(r'(?:src|href)="(/lib/[^"]*)"', page)]
    assert len(linked) > 5

    assert {link: lms.get(link).status_code for link in linked} == dict.fromkeys(linked, 200)
    assert not lms.attributes["State"]["OOMKilled"]
    assert "PHP message" not in lms.logs


def test_a_stop_ends_it_well(lms: Container) -> None:
    assert lms.stop() == 0

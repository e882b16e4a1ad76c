"""What a browser does to sign in to DokuWiki and to write a page."""

from __future__ import annotations

import re

import httpx


def sign_in(browser: httpx.Client, password: str) -> httpx.Response:
    """As the administrator."""
    form = browser.get("/start?do=login")
    return browser.post(
        "/start?do=login",
        data={"sectok": _token(form), "do": "login", "u": "admin", "p": password},
    )


def write(browser: httpx.Client, page: str, text: str) -> httpx.Response:
    form = browser.get(f"/{page}?do=edit")
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form.text))
    return browser.post(f"/{page}", data={**hidden, "wikitext": text, "do[save]": "1"})


def _token(page: httpx.Response) -> str:
    """What proves to DokuWiki that a form comes from its own page."""
    found = re.search(r'name="sectok" value="([^"]*)"', page.text)
    assert found
    return found[1]

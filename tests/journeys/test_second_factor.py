"""The second factor in a browser: an app, a passkey on a virtual authenticator, and the factor asked anew before a release."""

import os
from collections.abc import Iterator

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import text

from app.infra import database
from app.infra.postgres import Cluster
from tests.journeys.served import Served, serving
from tests.journeys.test_walk import FLAGS, follow_link, give_factor, look, new_page, switch

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demonstration at an address with a name, as passkeys need one."""
    with serving(tmp_path_factory.mktemp("factor"), host="localhost") as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The Chromium that `make test` found."""
    path = os.environ.get("CHROMIUM")
    assert path, "CHROMIUM names no browser: run `make test`"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


def authenticator(page: Page) -> None:
    """A device that holds passkeys and says yes when it is asked."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def let_time_pass(served: Served) -> None:
    """Every proof that was given becomes too old to stand for one more deed."""
    with Cluster(served.data / "postgres").shared() as cluster:
        engine = database.engine(cluster.owner_url("eoi"))
        with engine.begin() as connection:
            connection.execute(text("update sign_in set factor_at = factor_at - interval '11 minutes'"))
        engine.dispose()


def test_a_new_colleague_takes_an_app_into_use(browser: Browser, served: Served) -> None:
    assert served.run("staff", "invite", "new@rvo.example", "--role", "reviewer").returncode == 0
    page = new_page(browser, served)
    follow_link(page, "new@rvo.example")
    switch(page, "English")
    expect(page.get_by_role("heading", name="Take a second factor into use")).to_be_visible()
    look(page, "factor-new")
    secret = page.locator(".qr + p .hash").inner_text()
    page.locator("#code").fill(pyotp.TOTP(secret).now())
    page.get_by_role("button", name="Take it into use").click()
    expect(page.locator(".codes li")).to_have_count(10)
    look(page, "recovery-codes")
    code = page.locator(".codes li").first.inner_text()
    page.get_by_role("button", name="I have kept them").click()
    expect(page.get_by_role("link", name="Review")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    follow_link(page, "new@rvo.example")
    look(page, "factor-ask")
    page.locator("#code").fill(code)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("link", name="Review")).to_be_visible()


def test_a_passkey_is_made_and_given_at_the_next_sign_in_and_one_of_another_device_is_not_taken(
    browser: Browser, served: Served
) -> None:
    page = new_page(browser, served)
    authenticator(page)
    follow_link(page, "coordinator@demo.example")
    give_factor(page)
    switch(page, "English")
    page.goto("/account")
    look(page, "factors")
    page.get_by_role("button", name="Add a second factor").click()
    expect(page.locator("#passkey")).to_be_visible()
    expect(page.locator("[data-problem]")).to_be_hidden()
    look(page, "factor-new-passkey")
    page.locator("#passkey-name").fill("My laptop")
    page.locator("#passkey").click()
    expect(page.locator(".codes li")).to_have_count(10)
    page.get_by_role("button", name="I have kept them").click()
    expect(page.get_by_text("My laptop", exact=True)).to_be_visible()
    page.get_by_role("button", name="Sign out", exact=True).click()
    follow_link(page, "coordinator@demo.example")
    expect(page.locator("#passkey")).to_be_visible()
    look(page, "factor-ask-passkey")
    page.locator("#passkey").click()
    expect(page.get_by_role("link", name="Manage")).to_be_visible()
    # before a role, a key, a deadline or a release it is asked anew
    let_time_pass(served)
    page.goto("/manage/calls/aigf-eoi")
    page.locator("[name=closes-day]").fill("1")
    page.locator("form[action$='/deadlines'] button").first.click()
    expect(page.get_by_role("heading", name="Show that it is you")).to_be_visible()
    look(page, "factor-anew")
    page.get_by_role("button", name="Give the second factor").click()
    page.locator("#passkey").click()
    page.wait_for_url("**/manage/calls/aigf-eoi")
    # a passkey of another device is not taken
    page = new_page(browser, served)
    authenticator(page)
    follow_link(page, "coordinator@demo.example")
    expect(page.locator("#passkey")).to_be_visible(timeout=30_000)
    expect(page.locator("[data-problem]")).to_be_hidden()
    page.locator("#passkey").click()
    expect(page.locator("[data-problem]")).to_be_visible(timeout=30_000)  # when the browser gives up is its own affair
    assert "/account/factors/ask" in page.url

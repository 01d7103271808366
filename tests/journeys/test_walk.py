"""The whole way in a browser: a company files, submits, changes, withdraws; RVO reads; every page looked at by axe."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

from app import demo
from tests import make
from tests.journeys.served import Served, serving

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
SHOTS = os.environ.get("SCREENSHOTS")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demonstration, started as `make run` starts it."""
    with serving(tmp_path_factory.mktemp("walk")) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The Chromium that `make test` found; without one the tests fail and say so."""
    path = os.environ.get("CHROMIUM")
    assert path, "CHROMIUM names no browser: run `make test`"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


def look(page: Page, name: str) -> None:
    """No accessibility fault at either width, nothing wider than the screen, nothing on the console."""
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        found = Axe().run(page).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found] == [], (name, width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / f"{name}-{width}.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 900})


def switch(page: Page, words: str) -> None:
    """The page in that language, whole: what follows must not cut the answer off."""
    with page.expect_navigation():
        page.get_by_role("button", name=words).click()


def new_page(browser: Browser, served: Served, javascript: bool = True, locale: str = "en") -> Page:
    context = browser.new_context(base_url=served.url, locale=locale, java_script_enabled=javascript)
    context.set_default_timeout(8000)
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.context.on("close", lambda _: None)
    return page


def sign_in(page: Page, email: str) -> None:
    """By the link that is mailed now and, as staff, with the second factor."""
    follow_link(page, email)
    give_factor(page)
    expect(page.locator("form[action='/account/sign-out']")).to_be_visible()


def follow_link(page: Page, email: str) -> None:
    """By the link that is mailed now: one of an earlier sign-in has been used."""
    mine = page.locator("article", has_text=email).locator("a[href*='/account/link/']")
    page.goto("/demo/mail")
    known = mine.first.get_attribute("href") if mine.count() else None
    page.goto("/account/sign-in")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_role("button", name="Send me a link").click()
    page.get_by_role("link", name="See the mails").click()
    for _ in range(300):  # the mail is sent after the answer: look again until it is there
        if mine.count() and mine.first.get_attribute("href") != known:
            break
        page.wait_for_timeout(100)
        page.reload()
    assert mine.first.get_attribute("href") != known, "no new mail"
    mine.first.click()
    page.wait_for_url("**/account/link/**")
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in", exact=True).last.click()
    page.wait_for_url(lambda url: "/account/link/" not in url)


def give_factor(page: Page) -> None:
    """The second factor that staff are asked for, which the demonstration shows; codes are taken once, so wait for a new one."""
    while "/account/factors/ask" in page.url:
        if page.locator("[data-code]").count():
            page.locator("#code").fill(page.locator("[data-code]").inner_text())
            with page.expect_navigation():
                page.locator("form[action='/account/factors/ask'] button").click()
        else:
            page.wait_for_timeout(1000)
            page.reload()


def fill(page: Page, path: str, value: Any) -> None:
    """Answer a question as a person would, items added one by one."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        for number, item in enumerate(value):
            if not page.locator(f"[id='{path}-{number}']").count():
                with page.expect_navigation():  # what was typed is saved first
                    page.locator(f"button[value='add:{path}']").click()
            for name, inner in item.items():
                fill(page, f"{path}-{number}-{name}", inner)
    elif isinstance(value, list):
        boxes = page.locator(f"input[type=checkbox][name='{path}']")
        for box in boxes.all():
            box.set_checked(box.get_attribute("value") in value)
    elif page.locator(f"[id='{path}-day']").count():
        for part, text in zip(("year", "month", "day"), str(value).split("-"), strict=True):
            page.locator(f"[id='{path}-{part}']").fill(text)
    elif page.locator(f"input[type=radio][name='{path}']").count():
        wanted = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
        page.locator(f"input[type=radio][name='{path}'][value='{wanted}']").check()
    elif page.locator(f"select[name='{path}']").count():
        page.locator(f"select[name='{path}']").select_option(str(value))
    else:
        page.locator(f"[id='{path}']").fill(str(value))


def answer_all(page: Page, kind: str, email: str, documents: dict[str, list[str]], look_at: bool = False) -> str:
    """Walk through every page of the form; returns the address of the task list."""
    tasks = page.url
    for step, answers in demo.samples()[kind].items():
        page.goto(f"{tasks}/{step}")
        for name, value in answers.items():
            fill(page, name, email if name == "contact_email" else value)
        for question in documents:
            if page.locator(f"input[type=file][name='{question}']").count():
                page.locator(f"input[type=file][name='{question}']").set_input_files(
                    files=[
                        FilePayload(name=n, mimeType="application/pdf", buffer=make.document())
                        for n in documents[question]
                    ]
                )
        if look_at:
            look(page, f"step-{step}")
        with page.expect_navigation():
            page.get_by_role("button", name="Save and continue").click()
        expect(page.locator(".govuk-error-summary")).to_have_count(
            0 if "/check" not in page.url else page.locator(".govuk-error-summary").count()
        )
    return tasks


def start(page: Page, kind_title: str, call: str = "aigf-eoi") -> None:
    page.goto(f"/apply?call={call}")
    page.locator("label", has_text=kind_title).filter(has_text=call).first.click()
    page.get_by_role("button", name="Start", exact=True).click()


def test_a_company_files_changes_withdraws_and_restores(browser: Browser, served: Served) -> None:
    page = new_page(browser, served)
    for path, name in [
        ("/calls", "calls"),
        ("/calls/aigf-eoi", "call"),
        ("/account/sign-in", "sign-in"),
        ("/verify", "verify"),
        ("/privacy", "privacy"),
        ("/accessibility", "accessibility"),
        ("/api/v1/docs", "api"),
    ]:
        page.goto(path)
        look(page, name)
    sign_in(page, "bid@firm.example")
    page.goto("/account/organisations/new")
    look(page, "organisation-new")
    page.get_by_label("Name, as in the trade register").fill("Delta Compute BV")
    page.get_by_role("button", name="Save").click()
    look(page, "organisation")
    start(page, "Firm or consortium")
    look(page, "tasks-empty")
    page.goto(f"{page.url}/check")
    look(page, "check-errors")
    expect(page.get_by_role("button", name="Submit expression of interest")).to_have_count(0)
    page.get_by_role("link", name="Task list").click()
    documents = demo.samples()["files"]["FC"]
    tasks = answer_all(page, "FC", "bid@firm.example", documents, look_at=True)
    page.goto(f"{tasks}/check")
    look(page, "check-ready")
    page.get_by_role("button", name="Submit expression of interest").click()
    expect(page.get_by_role("heading", name="Received")).to_be_visible()
    look(page, "receipt")
    with page.expect_download() as download:
        page.get_by_role("link", name="Signed receipt (JSON)").click()
    assert served.verify(Path(download.value.path())) == 0

    page.goto(f"{tasks}/finance")
    page.locator("[id='storage_pb'], [id='opex_years']").first.fill("4")
    with page.expect_navigation():
        page.get_by_role("button", name="Save and continue").click()
    page.goto(f"{tasks}/check")
    expect(page.get_by_text("at least 5 years").first).to_be_visible()
    page.goto(f"{tasks}/finance")
    page.locator("[id='opex_years']").fill("11")
    with page.expect_navigation():
        page.get_by_role("button", name="Save and continue").click()
    page.goto(tasks)
    expect(page.get_by_text("Version 1 stands")).to_be_visible()
    page.get_by_text("1 answer differs from version 1").click()
    look(page, "tasks-changed")
    page.goto(f"{tasks}/check")
    page.get_by_role("button", name="Submit expression of interest").click()
    expect(page.get_by_text("This version counts.")).to_be_visible()
    page.goto(f"{tasks}/withdrawal")
    look(page, "withdrawal")
    page.get_by_label("Reason").fill("We joined another consortium.")
    page.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_text("Withdrawn: no version counts.")).to_be_visible()
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("Version 2 stands")).to_be_visible()
    assert served.invariants() == 0


@pytest.mark.parametrize(
    ("kind", "title", "email"), [("MS", "Member state", demo.STATE), ("OO", "Other organisation", "uni@x.example")]
)
def test_others_file_their_own_form_without_javascript(
    browser: Browser, served: Served, kind: str, title: str, email: str
) -> None:
    page = new_page(browser, served, javascript=False)
    sign_in(page, email)
    if kind == "OO":
        page.goto("/account/organisations/new")
        page.get_by_label("Name, as in the trade register").fill("Universiteit X")
        page.get_by_role("button", name="Save").click()
    start(page, title)
    tasks = answer_all(page, kind, email, demo.samples()["files"].get(kind, {}))
    page.goto(f"{tasks}/check")
    page.get_by_role("button", name="Submit expression of interest").click()
    expect(page.get_by_role("heading", name="Received")).to_be_visible()


def test_at_the_cutoff_everything_becomes_read_only_and_typed_text_is_kept(browser: Browser, served: Served) -> None:
    served.publish("closing", "+1 hour")
    page = new_page(browser, served)
    page.route("**/static/draft.js*", lambda route: route.abort())  # with it a page ends by itself: see test_last_hour
    sign_in(page, "late@firm.example")
    page.goto("/account/organisations/new")
    page.get_by_label("Name, as in the trade register").fill("Late BV")
    page.get_by_role("button", name="Save").click()
    start(page, "Firm or consortium", "closing")
    tasks = page.url
    page.goto(f"{tasks}/summary")
    page.locator("[id='summary']").fill("Typed at the last moment.")
    served.close("closing")
    with page.expect_navigation():
        page.get_by_role("button", name="Save and continue").click()
    expect(page.get_by_role("heading", name="The call has closed")).to_be_visible()
    expect(page.locator("dd", has_text="Typed at the last moment.")).to_be_visible()
    look(page, "refused")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download what I typed").click()
    assert "Typed at the last moment." in Path(download.value.path()).read_text()
    page.goto(f"{tasks}/summary")
    expect(page.get_by_role("button", name="Save and continue")).to_have_count(0)
    look(page, "step-closed")


def test_rvo_sees_counts_before_and_the_dossiers_after(browser: Browser, served: Served) -> None:
    page = new_page(browser, served)
    sign_in(page, "admin@demo.example")
    switch(page, "English")
    page.goto("/review?call=aigf-eoi")
    expect(page.get_by_text("Content is sealed until the call closes")).to_be_visible()
    look(page, "review-counts")
    page.goto(f"/review?call={demo.REHEARSAL}")
    expect(page.get_by_text("12 dossiers")).to_be_visible()
    look(page, "register")
    page.get_by_label("Search").fill("Rotterdam")
    page.get_by_role("button", name="Filter").first.click()
    expect(page.get_by_text("2 dossiers")).to_be_visible()
    page.locator("tbody a").first.click()
    look(page, "gate")
    page.get_by_label("No conflict").check()
    page.get_by_role("button", name="State this").click()
    expect(page.get_by_text("Rotterdam").first).to_be_visible()
    look(page, "dossier")
    for path in (
        "/manage",
        "/manage/people",
        "/manage/keys",
        "/manage/audit",
        "/manage/attempts",
        "/manage/tickets",
        "/manage/availability",
        "/manage/mail",
        "/account",
        "/apply",
        "/demo/mail",
    ):
        page.goto(path)
        look(page, path.strip("/").partition("?")[0].replace("/", "-"))


def test_a_problem_is_reported_from_the_page_that_it_is_on_and_answered(browser: Browser, served: Served) -> None:
    page = new_page(browser, served, javascript=False)
    page.goto("/calls/aigf-eoi")
    page.get_by_role("link", name="Report a problem").click()
    expect(page.get_by_label("On which page?")).to_have_value("/calls/aigf-eoi")
    page.get_by_role("button", name="Report", exact=True).click()
    expect(page.get_by_role("link", name="the field is empty")).to_be_visible()
    page.get_by_label("What happened").fill("The countdown stands still.")
    page.get_by_role("button", name="Report", exact=True).click()
    expect(page.get_by_role("heading", name="Problem reported")).to_be_visible()
    place = page.url
    desk = new_page(browser, served)
    sign_in(desk, "coordinator@demo.example")
    switch(desk, "English")
    desk.goto(place)
    look(desk, "ticket")
    desk.goto("/problems?page=/apply")
    look(desk, "problem")
    desk.goto("/manage/tickets")
    look(desk, "tickets")
    card = desk.locator("section", has_text=place.rpartition("/")[2])
    card.get_by_label("Answer").fill("Switch scripts on, or load the page anew.")
    card.get_by_role("button", name="Answer and close").click()
    page.goto(place)
    expect(page.get_by_text("Switch scripts on")).to_be_visible()


def test_the_countdown_follows_the_servers_clock(browser: Browser, served: Served) -> None:
    page = new_page(browser, served)
    page.clock.install(time="2020-01-01T00:00:00Z")
    page.goto("/calls/aigf-eoi")
    expect(page.get_by_text("The clock of your device differs")).to_be_visible()
    days = int(page.locator("[data-left]").inner_text().split()[0])
    assert days < 400


def test_every_page_speaks_dutch(browser: Browser, served: Served) -> None:
    page = new_page(browser, served, locale="nl")
    page.goto("/calls/aigf-eoi")
    expect(page.locator("html")).to_have_attribute("lang", "nl")
    expect(page.get_by_role("heading", name="Wie mag reageren")).to_be_visible()
    look(page, "nl-call")
    switch(page, "English")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_a_reviewer_sees_the_call_and_a_dossier_in_pictures(browser: Browser, served: Served) -> None:
    page = new_page(browser, served)
    sign_in(page, "reviewer@demo.example")
    for language in ("English", "Nederlands"):
        switch(page, language)
        page.goto(f"/review?call={demo.REHEARSAL}")
        page.locator("a[href^='/review/overview']").click()
        expect(page.locator("svg.picture")).to_have_count(11)
        look(page, f"overview-{language}")
        page.goto(f"/review?call={demo.REHEARSAL}&search=Rotterdam")
        page.locator("tr", has_text="Rotterdam AI Gigafactory").locator("th[scope=row] a").click()
        if "/conflict" in page.url:
            page.locator("input[type=radio]").first.check()
            page.locator("main button[type=submit]").first.click()
        expect(page.locator("svg.picture")).to_have_count(4)
        look(page, f"portrait-{language}")
    page.context.close()

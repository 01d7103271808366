"""After closing, in a browser: RVO asks, the company answers with a file, the file is viewed, the dossier goes and returns."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

from app import demo
from tests import make
from tests.journeys.served import Served, serving
from tests.journeys.test_walk import FLAGS, look, new_page, sign_in, switch

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demonstration, whose rehearsal is sealed from the start."""
    with serving(tmp_path_factory.mktemp("after")) as started:
        yield started


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The Chromium that `make test` found."""
    path = os.environ.get("CHROMIUM")
    assert path, "CHROMIUM names no browser: run `make test`"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


def look_in_both(page: Page, name: str) -> None:
    """The page in English and in Dutch, at both widths; English it stays."""
    place = page.url
    for words, language in (("Nederlands", "nl"), ("English", "en")):
        switch(page, words)
        assert page.url == place
        expect(page.locator("html")).to_have_attribute("lang", language)
        look(page, f"{language}-{name}")


def staff(browser: Browser, served: Served, email: str) -> Page:
    page = new_page(browser, served)
    sign_in(page, email)
    switch(page, "English")
    return page


def test_rvo_asks_the_company_answers_and_the_dossier_goes_and_returns(chromium: Browser, after: Served) -> None:
    company = staff(chromium, after, "sample1@demo.example")
    company.goto("/apply")
    reference = company.locator("tbody a").first.inner_text()
    desk = staff(chromium, after, "coordinator@demo.example")
    desk.goto(f"/review/{reference}")
    desk.get_by_label("No conflict").check()
    desk.get_by_role("button", name="State this").click()
    desk.get_by_role("link", name="Ask a question").click()
    desk.get_by_role("button", name="Send the question").click()
    look(desk, "ask-empty")
    desk.goto(f"/review/{reference}/clarifications")
    look_in_both(desk, "ask")
    desk.get_by_label("About").select_option("illegible_file")
    desk.get_by_label("Question", exact=True).fill("Page 3 of the proposal cannot be read. Can you send it again?")
    due = datetime.now(UTC) + timedelta(days=5)
    for part, value in (("Day", due.day), ("Month", due.month), ("Year", due.year)):
        desk.locator("form", has=desk.get_by_role("button", name="Send the question")).get_by_label(part).fill(
            str(value)
        )
    desk.get_by_role("button", name="Send the question").click()
    expect(desk.get_by_role("heading", name="Question 1 waits for an answer")).to_be_visible()
    look_in_both(desk, "asked")

    company.goto("/apply")
    look_in_both(company, "mine-asked")
    company.get_by_role("link", name="Question 1 from RVO").click()
    company.get_by_label("Your answer").fill("Here it is, scanned anew.")
    bad = FilePayload(name="scan.pdf", mimeType="application/pdf", buffer=b"no pdf")
    company.get_by_label("Files (optional)").set_input_files(bad)
    company.get_by_role("button", name="Send the answer").click()
    expect(company.get_by_label("Your answer")).to_have_value("Here it is, scanned anew.")
    look(company, "answer-refused")
    good = FilePayload(name="scan.pdf", mimeType="application/pdf", buffer=make.document())
    company.get_by_label("Files (optional)").set_input_files(good)
    company.get_by_role("button", name="Send the answer").click()
    expect(company.get_by_text("The answer was received")).to_be_visible()
    look_in_both(company, "answered")
    company.goto(f"/apply/{reference}")
    look_in_both(company, "tasks-after")
    company.goto(f"/apply/{reference}/receipts/1")
    look(company, "receipt-after")

    desk.goto(f"/review/{reference}")
    look_in_both(desk, "dossier-answered")
    desk.locator("a[href$='/view']").first.click()
    expect(desk.locator("iframe.viewed")).to_be_visible()
    look_in_both(desk, "view")


def test_dossiers_go_together_and_come_back_with_a_reason(chromium: Browser, after: Served) -> None:
    desk = staff(chromium, after, "coordinator@demo.example")
    desk.goto(f"/review/release?call={demo.REHEARSAL}")
    look_in_both(desk, "release")
    desk.get_by_role("button", name="can go, then release").click()
    look_in_both(desk, "release-all")
    desk.get_by_role("button", name="dossiers to EuroHPC").click()
    boxes = desk.locator("input[name=ref]")
    chosen = [boxes.nth(place).get_attribute("value") for place in range(2)]
    for place in range(2):
        boxes.nth(place).check()
    desk.get_by_role("button", name="Look at what would happen").click()
    look_in_both(desk, "release-chosen")
    desk.locator("summary", has_text="Take back from EuroHPC").click()
    desk.get_by_label("Reason for taking back").fill("A mark was missed.")
    desk.get_by_role("button", name="Take 2 dossiers back").click()
    expect(desk.get_by_role("heading", name="2 dossiers will go")).to_be_visible()
    expect(desk.get_by_text("A mark was missed.").first).to_be_visible()
    look_in_both(desk, "release-back")
    desk.goto("/review/files?" + "&".join(f"ref={one}" for one in chosen))
    look_in_both(desk, "files")
    done = after.run("release", demo.REHEARSAL, "--by", "coordinator@demo.example", "--json")
    assert (done.returncode, '"released": []' in done.stdout) == (0, True), done.stderr
    some = [word for one in chosen for word in ("--ref", str(one))]
    done = after.run("release", demo.REHEARSAL, *some, "--by", "coordinator@demo.example")
    assert (done.returncode, "Released 2 to EuroHPC" in done.stdout) == (0, True), done.stderr
    for words in (["--by", "reviewer@demo.example"], ["--ref", "nonsense", "--by", "coordinator@demo.example"]):
        assert after.run("release", demo.REHEARSAL, *words).returncode == 1
    assert after.invariants() == 0

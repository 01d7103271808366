"""Around the form, in a browser and in both languages: answers of the poll carried over, a workbook taken along and brought back."""

import io
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest
import yaml
from playwright.sync_api import Browser, FilePayload, Page, expect

from app.infra.places import place
from tests.journeys.served import Served, serving
from tests.journeys.test_after_closing import chromium, look_in_both
from tests.journeys.test_walk import fill, look, new_page, sign_in, switch

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
__all__ = ["chromium"]

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demonstration, with the Dutch poll open beside it."""
    with serving(tmp_path_factory.mktemp("around")) as started:
        done = started.run("call", "publish", "calls/nl-poll.yaml", "--code", "poll", "--closes", "+1 hour")
        assert done.returncode == 0, done.stderr
        yield started


@pytest.fixture(scope="module")
def company(chromium: Browser, around: Served) -> Page:
    """A company that filled in the poll."""
    page = new_page(chromium, around)
    sign_in(page, "bid@firm.example")
    switch(page, "English")
    page.goto("/account/organisations/new")
    page.locator("[name=name]").fill("Delta Compute BV")
    with page.expect_navigation():
        page.locator("form[action^='/account/organisations'] button[type=submit]").click()
    tasks = start(page, "poll")
    given = yaml.safe_load((place("calls") / "samples" / "nl-poll.yaml").read_text(encoding="utf-8"))["FC"]
    for step, answers in given.items():
        page.goto(f"{tasks}/{step}")
        for name, value in answers.items():
            fill(page, name, value)
        with page.expect_navigation():  # what was typed is saved first
            page.locator("button[name=action][value=continue]").click()
    return page


def start(page: Page, code: str) -> str:
    """A draft in a call; the address of its task list."""
    page.goto("/apply")
    page.locator(f"input[name=choice][value^='{code}|'][value$='|FC']").check()
    with page.expect_navigation():
        page.locator("form[action='/apply'] button[type=submit]").click()
    return page.url


def in_language(browser: Browser, served: Served, page: Page, words: str, javascript: bool) -> Page:
    """The same person in another browser, in a language, with or without JavaScript."""
    kept = page.context.storage_state()
    context = browser.new_context(base_url=served.url, storage_state=kept, java_script_enabled=javascript)
    context.set_default_timeout(8000)
    made = context.new_page()
    made.goto("/account")
    switch(made, words)
    return made


WAYS = [("Nederlands", "nl", True), ("English", "en", False)]


@pytest.mark.parametrize("words, language, javascript", WAYS)
def test_answers_of_the_poll_are_carried_over_seeing_what_is_taken(
    chromium: Browser, around: Served, company: Page, words: str, language: str, javascript: bool
) -> None:
    page = in_language(chromium, around, company, words, javascript)
    tasks = start(page, "aigf-eoi")
    page.locator("a[href$='/earlier-answers']").click()
    page.locator("a[href*='?source=']").last.click()
    expect(page.locator("html")).to_have_attribute("lang", language)
    title = page.locator("#answer-title-hint")
    expect(title).to_contain_text("Delta AI Gigafactory")
    expect(page.locator("#answer-title")).to_be_checked()
    expect(page.locator("#answer-capex_total-hint")).to_contain_text(
        "4.000.000.000,00" if language == "nl" else "4,000,000,000.00"
    )
    if javascript:
        look(page, f"{language}-earlier")
    page.locator("#answer-capex_total").uncheck()
    with page.expect_navigation():
        page.locator("main button[type=submit]").click()
    assert page.url == tasks
    page.goto(f"{tasks}/summary")
    expect(page.locator("#title")).to_have_value("Delta AI Gigafactory")
    page.goto(f"{tasks}/finance")
    expect(page.locator("#capex_total")).to_have_value("")
    page.context.close()


def renamed(content: bytes) -> bytes:
    """The workbook after a colleague typed into it: a new title, and a sum that is none."""
    book = openpyxl.load_workbook(io.BytesIO(content))
    for key, name, value in (("summary", "title", "Renamed offline"), ("finance", "capex_total", "a lot")):
        (sheet,) = (one for one in book.worksheets if one["A1"].value == key)
        (row,) = (row[0].row for row in sheet.iter_rows() if row[0].value == name)
        sheet.cell(row, 3).value = value
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@pytest.mark.parametrize("words, language, javascript", WAYS)
def test_a_workbook_is_taken_along_and_brought_back(
    chromium: Browser, around: Served, company: Page, words: str, language: str, javascript: bool
) -> None:
    page = in_language(chromium, around, company, words, javascript)
    tasks = start(page, "aigf-eoi")
    page.locator("a[href$='/answers']").click()
    if javascript:
        look_in_both(page, "spreadsheet")
        switch(page, words)
    with page.expect_download() as coming:
        page.locator("main a[href$='/answers.xlsx']").click()
    content = renamed(Path(coming.value.path()).read_bytes())
    page.locator("#workbook").set_input_files(FilePayload(name="mine.xlsx", mimeType=XLSX, buffer=content))
    with page.expect_navigation():
        page.locator("main button[type=submit]").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("#answer-title-hint")).to_contain_text("Renamed offline")
    if javascript:
        look(page, f"{language}-spreadsheet-changes")
    with page.expect_navigation():
        page.locator("main button[type=submit]").click()
    assert page.url == tasks
    page.goto(f"{tasks}/summary")
    expect(page.locator("#title")).to_have_value("Renamed offline")
    page.goto(f"{tasks}/finance")
    expect(page.locator("#capex_total")).to_have_value("a lot")
    page.context.close()


@pytest.mark.parametrize("address", ["/help", "/glossary", "/status", "/privacy?call=poll", "/calls/poll"])
def test_pages_about_the_portal_are_fit_for_everybody(chromium: Browser, around: Served, address: str) -> None:
    page = new_page(chromium, around)
    page.goto(address)
    look_in_both(page, address.strip("/").replace("/", "-").replace("?", "-"))
    page.context.close()


def test_the_data_are_whole_afterwards(around: Served) -> None:
    assert around.invariants() == 0

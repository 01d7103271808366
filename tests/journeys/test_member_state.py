"""A member state in a browser: two letters, one with a document, the budget, one taken back, and what comes too late."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from app import demo
from tests import make
from tests.journeys.served import Served, serving
from tests.journeys.test_after_closing import chromium, look_in_both
from tests.journeys.test_walk import look, new_page, sign_in, switch

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
__all__ = ["chromium"]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demonstration, with a second call that can be closed."""
    with serving(tmp_path_factory.mktemp("state")) as started:
        started.publish("late", "+1 hour")
        yield started


@pytest.fixture(scope="module")
def signed_in(chromium: Browser, state: Served) -> dict[str, Page]:
    """A company with an organisation and a ministry, each signed in once."""
    found = {email: new_page(chromium, state) for email in (demo.COMPANY, demo.STATE)}
    for email, page in found.items():
        sign_in(page, email)
        switch(page, "English")
    describe(found[demo.COMPANY], "Delta Compute")
    return found


def describe(page: Page, name: str) -> None:
    """An organisation of one's own."""
    page.goto("/account/organisations/new")
    page.locator("[name=name]").fill(name)
    with page.expect_navigation():
        page.locator("form[action^='/account/organisations'] button[type=submit]").click()


def plain(browser: Browser, served: Served, page: Page) -> Page:
    """The same person in a browser without JavaScript, in Dutch."""
    kept = page.context.storage_state()
    context = browser.new_context(base_url=served.url, storage_state=kept, java_script_enabled=False)
    context.set_default_timeout(8000)
    made = context.new_page()
    made.goto("/account")
    switch(made, "Nederlands")
    return made


def start(page: Page, code: str) -> str:
    """A draft in a call; its reference."""
    page.goto("/apply")
    page.locator(f"input[name=choice][value^='{code}|'][value$='|FC']").check()
    with page.expect_navigation():
        page.locator("form[action='/apply'] button[type=submit]").click()
    return page.url.rsplit("/", 1)[1]


def write(page: Page, sort: str, amount: str, document: bytes | None = None) -> None:
    """Fill in the form of a letter, by the names that it has in every language."""
    page.locator(f"input[name=sort][value={sort}]").check()
    page.locator("[name=amount]").fill(amount)
    for name, value in (("phase", "1"), ("source", "national"), ("status", "reserved")):
        page.locator(f"select[name={name}]").select_option(value)
    for name, value in (
        ("condition", "When parliament agrees."),
        ("signatory", "M. Inister"),
        ("signatory_role", "Minister"),
        ("dated_on-day", "2"),
        ("dated_on-month", "5"),
        ("dated_on-year", "2027"),
    ):
        page.locator(f"[name='{name}']").fill(value)
    if document is not None:
        file = FilePayload(name="letter.pdf", mimeType="application/pdf", buffer=document)
        page.locator("[name=document]").set_input_files(file)


def give(page: Page) -> None:
    with page.expect_navigation():
        page.locator("button[name=action][value=give]").click()


def test_a_state_gives_two_letters_and_takes_one_back(signed_in: dict[str, Page], state: Served) -> None:
    company, ministry = signed_in[demo.COMPANY], signed_in[demo.STATE]
    reference = start(company, "aigf-eoi")
    ministry.get_by_role("link", name="My member state").click()
    look_in_both(ministry, "support-index")
    ministry.goto("/support/aigf-eoi/NL")
    look_in_both(ministry, "support-empty")
    ministry.get_by_text("Say what there is in each source").click()
    ministry.get_by_label("National budget, in euros").fill("50,000,000")
    with ministry.expect_navigation():
        ministry.locator("form", has=ministry.locator("#amount-national")).locator("button").click()
    expect(ministry.locator("#source-national")).to_contain_text("€\u00a050,000,000.00")
    ministry.get_by_role("button", name="Write a letter").click()
    ministry.get_by_label("Reference of the consortium").fill(reference.lower())
    write(ministry, "commitment", "60,000,000")
    give(ministry)
    expect(ministry.get_by_role("link", name="this sort of letter needs it")).to_be_visible()
    expect(ministry.get_by_label("Amount in euros")).to_have_value("60,000,000")
    look(ministry, "support-lacking")
    ministry.locator("[name=document]").set_input_files(
        FilePayload(name="letter.pdf", mimeType="application/pdf", buffer=make.document())
    )
    give(ministry)
    expect(ministry.get_by_text("Version 1 was given to the consortium.")).to_be_visible()
    expect(ministry.get_by_text("With this, more is promised of this source than there is.")).to_be_visible()
    look_in_both(ministry, "support-letter")

    switch(ministry, "Nederlands")
    ministry.goto("/support/aigf-eoi/NL/letters/new")
    ministry.locator("[name=reference]").fill(reference)
    write(ministry, "support", "1.000.000,50")
    give(ministry)
    expect(ministry.get_by_text("Er zijn geen rechten aan te ontlenen").first).to_be_visible()
    ministry.goto("/support/aigf-eoi/NL")
    expect(ministry.locator("#source-national")).to_contain_text("€\u00a061.000.000,50")
    switch(ministry, "English")
    look_in_both(ministry, "support-workspace")

    company.goto(f"/apply/{reference}")
    expect(company.get_by_text("€\u00a01,000,000.50")).to_be_visible()
    expect(company.get_by_role("link", name="letter.pdf")).to_be_visible()
    look_in_both(company, "tasks-letters")
    company.get_by_role("link", name="Read the letters").click()
    look_in_both(company, "letters-arrived")

    ministry.goto("/support/aigf-eoi/NL/letters/1")
    ministry.locator("summary", has_text="Withdraw this letter").click()
    ministry.get_by_label("Reason for withdrawing").fill("The cabinet decided otherwise.")
    with ministry.expect_navigation():
        ministry.get_by_role("button", name="Withdraw this letter").click()
    look_in_both(ministry, "support-withdrawn")
    ministry.goto("/support/aigf-eoi/NL")
    expect(ministry.locator("#source-national")).to_contain_text("€\u00a01,000,000.50")
    expect(ministry.get_by_text("above the budget")).to_have_count(0)
    company.reload()
    expect(company.get_by_text("The cabinet decided otherwise.")).to_be_visible()
    assert state.invariants() == 0


def test_an_offer_of_interest_is_accepted(chromium: Browser, signed_in: dict[str, Page], state: Served) -> None:
    company, fund = signed_in[demo.COMPANY], new_page(chromium, state)
    reference = start(company, "aigf-eoi")
    sign_in(fund, "fund@demo.example")
    switch(fund, "English")
    describe(fund, "Fund NV")
    fund.goto("/interests")
    with fund.expect_navigation():
        fund.get_by_role("button", name="Offer interest").click()
    look_in_both(fund, "interests-lacking")
    fund.goto("/interests")
    fund.locator("[name=choice]").select_option(
        fund.locator("[name=choice] option[value^='aigf-eoi|']").first.get_attribute("value")
    )
    fund.get_by_label("Reference of the consortium").fill(reference)
    fund.get_by_label("What do you want to do?").select_option("invest")
    fund.locator("textarea[name=words]").fill("We can bring EUR 5 million.")
    with fund.expect_navigation():
        fund.get_by_role("button", name="Offer interest").click()
    expect(fund.get_by_text("Your offer was kept.")).to_be_visible()
    look_in_both(fund, "interests-offered")
    company.goto(f"/apply/{reference}")
    company.get_by_role("link", name="1 offer").click()
    look_in_both(company, "interests-arrived")
    with company.expect_navigation():
        company.locator("button[value=accept]").click()
    look_in_both(company, "interests-accepted")
    fund.goto("/interests")
    expect(fund.locator("strong", has_text="accepted")).to_have_text("accepted")


def test_without_javascript_a_letter_that_comes_too_late_keeps_what_was_typed(
    chromium: Browser, signed_in: dict[str, Page], state: Served
) -> None:
    company, ministry = (plain(chromium, state, signed_in[email]) for email in (demo.COMPANY, demo.STATE))
    reference = start(company, "late")
    ministry.goto("/support/late/NL/letters/new")
    ministry.locator("[name=reference]").fill(reference)
    write(ministry, "commitment", "1.000,00", make.document())
    give(ministry)
    expect(ministry.get_by_text("Versie 1 is aan het consortium gegeven.")).to_be_visible()
    state.close("late")
    write(ministry, "commitment", "2.000,00")
    ministry.locator("[name=signatory]").fill("Te Laat")
    give(ministry)
    expect(ministry.get_by_text("De oproep is gesloten.", exact=False).first).to_be_visible()
    expect(ministry.get_by_text("Te Laat").first).to_be_visible()
    ministry.goto("/support/late/NL/letters/1")
    expect(ministry.get_by_text("€\u00a01.000,00")).to_be_visible()
    expect(ministry.locator("button[value=give]")).to_have_count(0)

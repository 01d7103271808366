"""Others take part, in a browser: a partner fills in and signs, an adviser submits under mandate, once the lead has confirmed."""

from collections.abc import Iterator

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from app import demo
from tests import make
from tests.journeys.served import Served, serving
from tests.journeys.test_after_closing import chromium, look_in_both
from tests.journeys.test_member_state import describe, start
from tests.journeys.test_walk import fill, look, new_page, sign_in, switch

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
__all__ = ["chromium"]
PARTNER, ADVISER = "beta@partner.example", "ad@viser.example"


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demonstration, with a call that asks for mandates and for the lead's word."""
    folder = tmp_path_factory.mktemp("together")
    body = yaml.safe_load((make.HERE / "small.yaml").read_text()) | {"confirmation": "lead", "mandates": "required"}
    (folder / "call.yaml").write_text(yaml.safe_dump(body, allow_unicode=True, sort_keys=False))
    with serving(folder) as started:
        done = started.run("call", "publish", str(folder / "call.yaml"), "--code", "together", "--closes", "+2 hours")
        assert done.returncode == 0, done.stderr
        yield started


def enter(browser: Browser, served: Served, email: str) -> Page:
    page = new_page(browser, served)
    sign_in(page, email)
    switch(page, "English")
    return page


def follow(page: Page, email: str, path: str) -> None:
    """The link with this path in the newest mail to this address; the mail is sent after the answer: look until it is there."""
    link = page.locator("article", has_text=email).locator(f"a[href*='{path}']").first
    page.goto("/demo/mail")
    for _ in range(300):
        if link.count():
            break
        page.wait_for_timeout(100)
        page.reload()
    page.goto(link.get_attribute("href") or "")


def invite(page: Page, email: str, role: str, organisation: str, mandate: str = "") -> None:
    page.locator("[name=email]").fill(email)
    page.locator(f"[name=role][value={role}]").check()
    page.locator("[name=organisation]").fill(organisation)
    page.locator("[name=mandate]").fill(mandate)
    with page.expect_navigation():
        page.get_by_role("button", name="Send the invitation").click()


def accept(page: Page, email: str, name: str) -> None:
    follow(page, email, "/invitations/")
    look_in_both(page, name)
    with page.expect_navigation():
        page.get_by_role("button", name="Accept the invitation").click()


def test_a_partner_signs_the_lead_confirms_and_an_adviser_submits(chromium: Browser, together: Served) -> None:
    lead = enter(chromium, together, demo.COMPANY)
    describe(lead, "Delta Compute")
    reference = start(lead, "together")
    for step, answers in make.ANSWERS["FC"].items():
        lead.goto(f"/apply/{reference}/{step}")
        for name, value in answers.items():
            fill(lead, name, demo.COMPANY if name == "contact_email" else value)
        with lead.expect_navigation():
            lead.get_by_role("button", name="Save and continue").click()
    lead.goto(f"/apply/{reference}")
    lead.get_by_role("link", name="Who takes part: people, partners and their mandates").click()
    with lead.expect_navigation():
        lead.get_by_role("button", name="Send the invitation").click()
    look_in_both_after_post(lead)
    lead.goto(f"/apply/{reference}/participants")
    invite(lead, PARTNER, "partner", "Beta GmbH")
    invite(lead, ADVISER, "owner", "Adviser BV", "By letter of 1 May, for this submission.")
    expect(lead.get_by_text("not accepted yet")).to_have_count(2)
    look_in_both(lead, "participants-invited")
    lead.goto(f"/apply/{reference}/check")
    expect(lead.get_by_text("Beta GmbH has no mandate that is signed and up to date.")).to_be_visible()

    partner = enter(chromium, together, PARTNER)
    accept(partner, PARTNER, "invitation-partner")
    expect(partner.get_by_role("heading", name="Beta GmbH")).to_be_visible()
    expect(partner.get_by_text("Delta BV")).to_have_count(0)
    look_in_both(partner, "partner-empty")
    fill(partner, "members-0-country", "Germany")
    expect(partner.locator("#state")).to_contain_text("Saved")  # by itself, while its partner types
    fill(partner, "members-0-owners", [{"name": "B. Holder", "share": "100"}])
    with partner.expect_navigation():
        partner.get_by_role("button", name="Save").click()
    partner.get_by_label("Your name").fill("Bea Ta")
    with partner.expect_navigation():
        partner.get_by_role("button", name="Sign the mandate").click()
    expect(partner.get_by_role("link", name="Say in which function you sign")).to_be_visible()
    partner.get_by_label("Your function").fill("Director")
    partner.get_by_label("I agree with this statement").check()
    with partner.expect_navigation():
        partner.get_by_role("button", name="Sign the mandate").click()
    expect(partner.get_by_text("signed", exact=True)).to_be_visible()
    partner.goto(f"/apply/{reference}/partner")
    expect(partner.locator("#state button")).to_have_count(0)  # nothing of an earlier save is offered again
    look_in_both(partner, "partner-signed")
    partner.goto("/apply")
    expect(partner.get_by_role("link", name=reference)).to_be_visible()
    look_in_both(partner, "mine-partner")

    adviser = enter(chromium, together, ADVISER)
    accept(adviser, ADVISER, "invitation-adviser")
    adviser.goto(f"/apply/{reference}/participants")
    adviser.get_by_role("link", name="Say for whom you act").click()
    expect(adviser.get_by_label("For whom you act")).to_have_value("Delta Compute")
    look_in_both(adviser, "intermediary")
    adviser.get_by_label("Your organisation").fill("")
    with adviser.expect_navigation():
        adviser.get_by_role("button", name="Save").click()
    expect(adviser.get_by_role("link", name="Give the name of your own organisation.")).to_be_visible()
    look(adviser, "intermediary-wrong")
    adviser.get_by_label("Your organisation").fill("Adviser BV")
    adviser.get_by_label("For whom you act").fill("Delta Compute and Beta GmbH")
    with adviser.expect_navigation():
        adviser.get_by_role("button", name="Save").click()
    expect(adviser.get_by_text("Delta Compute and Beta GmbH")).to_be_visible()
    look_in_both(adviser, "participants-intermediary")
    adviser.goto(f"/apply/{reference}/check")
    look_in_both(adviser, "check-mandates")
    with adviser.expect_navigation():
        adviser.get_by_role("button", name="Submit expression of interest").click()
    expect(adviser.get_by_text("An owner of the leading organisation confirms")).to_be_visible()

    follow(lead, demo.COMPANY, "/confirmation")
    look_in_both(lead, "confirmation")
    with lead.expect_navigation():
        lead.get_by_role("button", name="Confirm this content").click()
    look_in_both(lead, "confirmation-given")
    adviser.goto(f"/apply/{reference}/check")
    with adviser.expect_navigation():
        adviser.get_by_role("button", name="Submit expression of interest").click()
    expect(adviser.get_by_role("heading", name="Received")).to_be_visible()
    expect(adviser.get_by_text("Delta Compute and Beta GmbH")).to_be_visible()
    look_in_both(adviser, "receipt-intermediary")

    lead.goto(f"/apply/{reference}/participants")
    lead.get_by_role("link", name=f"Remove {ADVISER}").click()
    look_in_both(lead, "participant-end")
    with lead.expect_navigation():
        lead.get_by_role("button", name="Remove").click()
    lead.locator("#history summary").click()
    look_in_both(lead, "participants-history")
    adviser.goto(f"/apply/{reference}")
    expect(adviser.get_by_text("There is nothing here")).to_be_visible()
    assert together.invariants() == 0


def look_in_both_after_post(page: Page) -> None:
    """A page that came back with what is wrong: the language switch would leave it."""
    expect(page.get_by_role("link", name="Give an e-mail address")).to_be_visible()
    look(page, "participants-wrong")

"""A reviewer's day in a browser, in each language: gate, checklist, scores, question, reconciliation, sign-off, release."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from sqlalchemy import text

from app import demo
from app.domain import definitions, glossary
from app.infra import database, i18n
from app.infra.postgres import Cluster
from tests import make
from tests.journeys.served import Served, serving
from tests.journeys.test_walk import FLAGS, give_factor, look, new_page

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

# Firms that the desk has yet to begin on and that wait for a coordinator; who reads them, and who sent them in.
UNTOUCHED = """
select s.reference, one.email, two.email, v.answers ->> 'contact_email' from submission s
join call c on c.id = s.call_id join progress p on p.submission_id = s.id join version v on v.submission_id = s.id
join person one on one.id = p.first_id join person two on two.id = p.second_id
where c.code = :call and s.kind = 'FC' and p.state = 'assigned'
  and not exists (select from release where submission_id = s.id) order by s.reference"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demonstration, whose rehearsal is sealed from the start."""
    with serving(tmp_path_factory.mktemp("day")) as started:
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


@pytest.fixture(scope="module")
def untouched(served: Served) -> dict[str, tuple[str, str, str, str]]:
    """A dossier for each language: its reference, its two readers and its respondent."""
    with Cluster(served.data / "postgres").shared() as cluster:
        engine = database.engine(cluster.app_url("eoi"))
        with engine.connect() as connection:
            rows = connection.execute(text(UNTOUCHED), {"call": demo.REHEARSAL}).all()
        engine.dispose()
    return {language: tuple(row) for language, row in zip(i18n.LANGUAGES, rows, strict=True)}


# Every text of the page as it stands there, but for what people typed and what is marked as another language.
TEXTS = """() => {
  const found = [], own = document.documentElement.lang
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walk.nextNode()) {
    const at = walk.currentNode.parentElement
    if (!at.closest(`.typed, textarea, script, [lang]:not([lang="${own}"])`)) found.push(walk.currentNode.textContent.trim())
  }
  return found.filter(words => words)
}"""
CODE = re.compile(r"[a-z]+(_[a-z0-9]+)+")
PEOPLE = {"Admin", "Coordinator", "Reviewer"}  # names that the demonstration gives them
ARGUMENTS = ("The grid is dated and signed for.", "The upgrade path is thin.")


def _texts(body: Any, language: str) -> Iterator[str]:
    """Every text of the call file in a language."""
    if isinstance(body, dict):
        if isinstance(body.get(language), str):
            yield body[language]
        for inner in body.values():
            yield from _texts(inner, language)
    elif isinstance(body, list):
        for inner in body:
            yield from _texts(inner, language)


@cache
def sayings(language: str) -> frozenset[str]:
    """Every whole sentence that a page can say in a language: the portal's own and those of the call file."""
    kept: dict[Any, str] = i18n.catalogue("nl")._catalog  # type: ignore[attr-defined]
    own = [msgid if language == "en" else words for msgid, words in kept.items() if isinstance(msgid, str)]
    return frozenset(own) | frozenset(_texts(make.definition("aigf-eoi"), language))


@dataclass
class Reader:
    """Somebody at a browser who reads one language only."""

    page: Page
    language: str

    def say(self, msgid: str, **values: Any) -> str:
        """A sentence as it is said in this language; one without a translation fails here."""
        if self.language != "en":
            assert msgid in i18n.catalogue(self.language)._catalog, msgid  # type: ignore[attr-defined]
        return i18n.translate(self.language, msgid, **values)

    def named(self, sort: str, code: str) -> str:
        """A code as the pages call it."""
        return glossary.words(sort, code, self.language)

    def sign_in(self, email: str, lands: str) -> None:
        """By the newest link in the mail, as a person does."""
        mine = self.page.locator("article", has_text=email).locator("a[href*='/account/link/']")
        self.page.goto("/demo/mail")
        earlier = mine.count()
        self.page.goto("/account/sign-in")
        self.page.get_by_label(self.say("E-mail address")).fill(email)
        self.press("Send me a link")
        self.page.goto("/demo/mail")
        for _ in range(50):  # the mail is sent after the answer: look again until it is there
            if mine.count() > earlier:
                break
            self.page.reload()
        with self.page.expect_navigation():
            mine.first.click()
        with self.page.expect_navigation():
            self.page.locator("main").get_by_role("button", name=self.say("Sign in"), exact=True).click()
        give_factor(self.page)
        own_name = {"nl": "Nederlands", "en": "English"}[self.language]
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=own_name).click()
        assert self.page.url.endswith(lands), self.page.url

    def press(self, msgid: str, within: Locator | None = None, **values: Any) -> None:
        """A button, and wait for the page behind it."""
        with self.page.expect_navigation():
            button = self.say(msgid, **values)
            (within or self.page).get_by_role("button", name=button, exact=within is None).click()

    def follow(self, msgid: str) -> None:
        """A link in the page, and wait for the page behind it."""
        with self.page.expect_navigation():
            self.page.locator("main").get_by_role("link", name=self.say(msgid), exact=True).first.click()

    def headed(self, msgid: str, **values: Any) -> None:
        """A heading of the page."""
        expect(self.page.get_by_role("heading", name=self.say(msgid, **values)).first).to_be_visible()

    def look(self, name: str) -> None:
        """No fault that axe sees, nothing too wide, no word of the other language, no bare code, no empty heading."""
        expect(self.page.locator("html")).to_have_attribute("lang", self.language)
        other = sayings("en" if self.language == "nl" else "nl") - sayings(self.language) - PEOPLE
        said = self.page.evaluate(TEXTS)
        assert [words for words in said if words in other or CODE.fullmatch(words)] == [], name
        headings = self.page.locator("h1, h2, h3").all_text_contents()
        assert [heading for heading in headings if not heading.strip()] == [], name
        look(self.page, f"day-{self.language}-{name}")


def state_no_conflict(reader: Reader, name: str = "") -> None:
    reader.headed("Do you have an interest in this dossier?")
    if name:
        reader.look(name)
    reader.page.get_by_label(reader.say("No conflict")).check()
    reader.press("State this")


def fill_scores(reader: Reader, points: str, argument: str) -> None:
    """The first criterion with these points, all others with 3.5, each with the argument."""
    fields = reader.page.locator("input[id^=points-]")
    for place in range(fields.count()):
        fields.nth(place).fill(points if place == 0 else "3.5")
        reader.page.locator("textarea[id^=argument-]").nth(place).fill(argument)


def at(browser: Browser, served: Served, language: str, email: str, lands: str = "/review/mine") -> Reader:
    reader = Reader(new_page(browser, served, locale=language), language)
    reader.sign_in(email, lands)
    return reader


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_a_reviewers_day_from_the_gate_to_the_release(
    browser: Browser, served: Served, untouched: dict[str, tuple[str, str, str, str]], language: str
) -> None:
    reference, one, two, respondent = untouched[language]
    first = at(browser, served, language, one)
    first.look("mine")
    row = first.page.locator("tr", has_text=reference)
    row.get_by_role("link", name=first.named("next", "state")).click()
    state_no_conflict(first, "gate")
    first.look("dossier")
    override_a_line(first)
    first.follow("My scores")
    first.look("scores")
    first.press("Hand in")
    first.look("scores-missing")
    fill_scores(first, "4", ARGUMENTS[0])
    first.press("Save")
    first.look("scores-saved")
    first.press("Hand in")
    first.look("work-one-in")

    second = at(browser, served, language, two)
    second.page.goto(f"/review/{reference}/reconciliation")
    state_no_conflict(second)
    for tail in ("", "/reconciliation", "/scores", "/work", "/checklist", "/activity"):
        second.page.goto(f"/review/{reference}{tail}")
        expect(second.page.get_by_text(reference).first).to_be_visible()
        assert ARGUMENTS[0] not in second.page.content(), tail
    second.page.goto(f"/review/{reference}/reconciliation")
    second.look("reconciliation-waits")
    second.follow("My scores")
    fill_scores(second, "2.5", ARGUMENTS[1])
    second.press("Hand in")
    second.look("work-both-in")

    ask_and_answer(first, at(browser, served, language, respondent, "/apply"), reference)
    reconcile_and_sign(first, second, reference)
    release(at(browser, served, language, "coordinator@demo.example"), reference)
    second.page.goto("/review/mine")
    expect(second.page.locator("tr", has_text=reference)).to_contain_text(second.named("progress", "signed_off"))
    second.page.goto(f"/review/{reference}/activity")
    second.look("activity")
    assert served.invariants() == 0


def override_a_line(reader: Reader) -> None:
    """The reader says otherwise than the rules, with a reason."""
    reader.follow("Checklist")
    line = definitions.build(make.definition("aigf-eoi")).review.lines_for("FC")[0]
    item = reader.page.locator(f"details#{line.name}")
    item.locator("summary").click()
    item.get_by_label(reader.named("verdict", "unclear"), exact=True).check()
    item.get_by_label(reader.say("Reason")).fill("The register gives another seat than the answer.")
    reader.look("checklist-open")
    reader.press("Say this", item)
    expect(item.locator("summary")).to_contain_text(reader.named("verdict", "unclear"))
    reader.look("checklist")


def ask_and_answer(reader: Reader, company: Reader, reference: str) -> None:
    """A question of fact from the one, an answer from the other; the dossier shows it apart."""
    reader.follow("Questions to the respondent")
    reader.look("ask")
    reader.page.get_by_label(reader.say("About")).select_option(index=1)
    reader.page.get_by_label(reader.say("Question"), exact=True).fill("Which of both addresses is right?")
    due, form = datetime.now(UTC) + timedelta(days=5), reader.page.locator("form[action$='/clarifications']")
    for part, value in (("Day", due.day), ("Month", due.month), ("Year", due.year)):
        form.get_by_label(reader.say(part), exact=True).fill(str(value))
    reader.press("Send the question")
    reader.look("asked")
    company.page.goto("/apply")
    company.look("company-mine")
    company.page.get_by_role("link", name=company.say("Question %(number)s from RVO", number=1)).click()
    company.look("company-question")
    company.page.get_by_label(company.say("Your answer")).fill("The second one.")
    company.press("Send the answer")
    company.look("company-answered")
    reader.page.goto(f"/review/{reference}/clarifications")
    expect(reader.page.get_by_text("The second one.")).to_be_visible()
    reader.look("answered")


def reconcile_and_sign(first: Reader, second: Reader, reference: str) -> None:
    """Both come to one score, the one recommends, the other signs."""
    first.follow("Reconciliation")
    for argument in ARGUMENTS:
        expect(first.page.get_by_text(argument).first).to_be_visible()
    first.look("reconciliation")
    first.page.locator("input[id^=points-]").first.fill("3")
    first.page.locator("textarea[id^=argument-]").first.fill("Sound; the upgrade path is to be worked out.")
    first.press("Write this down")
    first.look("reconciled")
    second.page.goto(f"/review/{reference}/reconciliation")
    second.look("reconciled-second")
    second.press("Agree to the reconciled scores")
    second.look("work-agreed")
    first.follow("Recommendation and sign-off")
    first.look("recommend")
    first.page.locator("input[name=value]").first.check()
    first.page.get_by_label(first.say("Explanation")).fill("A credible plan, with its money in sight.")
    first.press("Write this down")
    first.look("recommended")
    second.page.goto(f"/review/{reference}/work")
    second.look("sign")
    second.press("Sign off")
    second.look("signed")


def release(coordinator: Reader, reference: str) -> None:
    """One dossier goes to EuroHPC."""
    coordinator.look("coordinator-mine")
    coordinator.follow("Release to EuroHPC")
    coordinator.look("release")
    coordinator.page.locator("tr", has_text=reference).get_by_role("checkbox").check()
    coordinator.press("Look at what would happen to the chosen ones")
    coordinator.look("release-chosen")
    with coordinator.page.expect_navigation():
        coordinator.page.locator("form[action='/review/release'] button").click()
    expect(coordinator.page.locator("tr", has_text=reference)).to_contain_text(coordinator.named("release", "released"))
    coordinator.look("released")

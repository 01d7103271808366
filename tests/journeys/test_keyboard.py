"""The whole form by keyboard alone: three members, four sites, twenty files; each page looked at by axe."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from playwright.sync_api import Browser, Page, TimeoutError, expect

from app import demo
from tests.journeys.served import Served, serving
from tests.journeys.test_after_closing import chromium
from tests.journeys.test_walk import look, new_page, sign_in, switch

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
__all__ = ["chromium"]
EMAIL = "keys@firm.example"
FILES = {"proposal": 3, "ownership_declaration": 1, "letters": 6, "grid_evidence": 4, "site_plan": 3, "budget_sheet": 3}
MOST = 3000  # presses of Tab on one page before it is taken that something cannot be reached
HELD = """() => { const e = document.activeElement; return {
  tag: e.tagName, type: e.type ?? "", id: e.id, name: e.name ?? "", value: e.value ?? "", checked: Boolean(e.checked),
  mode: e.inputMode ?? "" }; }"""
ITEMS = "(path) => [...document.querySelectorAll('details')].filter((d) => new RegExp(`^${path}-[0-9]+$`).test(d.id)).length"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demonstration."""
    with serving(tmp_path_factory.mktemp("keyboard")) as started:
        yield started


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Twenty documents, no two alike, by question."""
    folder, made = tmp_path_factory.mktemp("documents"), {}
    for question, number in FILES.items():
        made[question] = [folder / f"{question}-{n}.pdf" for n in range(number)]
        for n, path in enumerate(made[question]):
            with pikepdf.new() as document:
                document.add_blank_page(page_size=(100 + n, 100 + len(made)))
                document.save(path)
    assert sum(map(len, made.values())) == 20
    return made


def answers() -> dict[str, dict[str, Any]]:
    """The sample of a consortium, with two sites more."""
    made: dict[str, dict[str, Any]] = copy.deepcopy(demo.samples()["FC"])
    made["people"]["contact_email"] = EMAIL
    sites = made["sites"]["sites"]
    sites += [copy.deepcopy(site) | {"site_name": f"Further site {n}"} for n, site in enumerate(sites)]
    assert (len(made["members"]["members"]), len(sites)) == (3, 4)
    return made


def flat(answers: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Answers by the names of fields, as typed; by the button that adds an item how many there are to be."""
    made: dict[str, Any] = {}
    for name, value in answers.items():
        path = prefix + name
        if isinstance(value, list) and value and isinstance(value[0], dict):
            made[f"add:{path}"] = len(value)
            for number, item in enumerate(value):
                made |= flat(item, f"{path}-{number}-")
        elif isinstance(value, list):
            made[path] = value
        elif re.fullmatch(r"\d{4}-\d\d-\d\d", str(value)):
            made |= {
                f"{path}-{part}": text for part, text in zip(("year", "month", "day"), value.split("-"), strict=True)
            }
        else:
            made[path] = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
    return made


def choose(page: Page, path: Path) -> None:
    """A file, in the window that the space bar opens; a browser under load now and then swallows the key."""
    for _ in range(3):
        try:
            with page.expect_file_chooser(timeout=4000) as choosing:
                page.keyboard.press("Space")
            choosing.value.set_files(path)
        except TimeoutError:
            continue
        return
    raise AssertionError("no window to choose a file from")


def press(page: Page, held: dict[str, Any], wanted: dict[str, Any], documents: dict[str, list[Path]]) -> None:
    """What a person does on the field that has the focus."""
    keys, name = page.keyboard, held["name"]
    if held["type"] == "file" and name in documents:
        for path in documents.pop(name):
            choose(page, path)
            expect(page.locator(".files a", has_text=path.name)).to_be_visible(timeout=20_000)
    elif held["tag"] == "BUTTON" and held["value"] in wanted:
        path = held["value"].removeprefix("add:")
        if page.evaluate(ITEMS, path) < wanted[held["value"]]:
            with page.expect_navigation():
                keys.press("Enter")
    elif name not in wanted:
        return
    elif held["type"] == "checkbox":
        if held["checked"] != (held["value"] in wanted[name]):
            keys.press("Space")
    elif held["type"] == "radio":
        for _ in range(20):
            at = page.evaluate(HELD)
            if at["value"] == wanted[name]:
                break
            keys.press("ArrowDown")
        if not page.evaluate(HELD)["checked"]:
            keys.press("Space")
        assert page.evaluate(HELD)["value"] == wanted[name], name
    elif held["tag"] == "SELECT":
        label = page.locator(f"[id='{held['id']}'] option[value='{wanted[name]}']").inner_text()
        keys.type(re.split(r"[^A-Za-z ]", label)[0])  # as far as keys have its letters
        if page.evaluate(HELD)["value"] != wanted[name]:
            keys.press("Home")
        for _ in range(300):
            if page.evaluate(HELD)["value"] == wanted[name]:
                return
            keys.press("ArrowDown")
        raise AssertionError(f"{name} cannot be set")
    elif held["tag"] in ("INPUT", "TEXTAREA"):
        text = wanted[name]
        if held["mode"] == "decimal" and page.locator("html").get_attribute("lang") == "nl":
            text = text.replace(".", ",")
        if held["value"] != text:
            keys.press("ControlOrMeta+a")
            keys.insert_text(text)


def walk(page: Page, wanted: dict[str, Any], documents: dict[str, list[Path]], name: str) -> None:
    """Tab from the top of the page to its end, as often as items are added; then save and continue."""
    for _ in range(MOST):
        page.keyboard.press("Tab")
        held = page.evaluate(HELD)
        if held["name"] == "action" and held["value"] == "continue":
            break
        press(page, held, wanted, documents)
    else:
        raise AssertionError(f"{name}: the button was not reached")
    look(page, name)
    page.locator("button[value=continue]").focus()  # looking resized the page; the focus was there
    with page.expect_navigation():
        page.keyboard.press("Enter")


@pytest.mark.parametrize("language", ["English", "Nederlands"])
def test_a_form_is_filled_and_submitted_by_keyboard_alone(
    chromium: Browser, served: Served, documents: dict[str, list[Path]], language: str
) -> None:
    page = new_page(chromium, served)
    page.on("filechooser", lambda _: None)  # one that opens late is nobody's; unheard, it would bar the next
    sign_in(page, EMAIL)
    switch(page, language)
    page.goto("/account/organisations/new")
    page.locator("[name=name]").fill(f"Keys {language}")
    with page.expect_navigation():
        page.locator("form[action='/account/organisations'] button[type=submit]").click()
    organisation = page.url.rsplit("/", 1)[1]
    page.goto("/apply?call=aigf-eoi")
    page.locator(f"input[value='aigf-eoi|{organisation}|FC']").check()
    with page.expect_navigation():
        page.locator("form[action='/apply'] button[type=submit]").click()
    tasks, left = page.url, {question: list(paths) for question, paths in documents.items()}
    made = answers()
    for step in [link.get_attribute("href") for link in page.locator(".govuk-task-list__link").all()]:
        name = str(step).rsplit("/", 1)[1]
        page.goto(str(step))
        walk(page, flat(made.get(name, {})), left, f"{language}-keyboard-{name}")
    assert left == {}
    page.goto(f"{tasks}/check")
    assert page.locator(".govuk-error-summary li").all_inner_texts() == []
    for _ in range(MOST):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('form')?.action.endsWith('/receipts')"):
            break
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.locator(".receipt")).to_be_visible()
    look(page, f"{language}-keyboard-receipt")
    page.context.close()

"""Help, glossary, status and privacy: what people look up, in both languages, with nothing of the inside."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import calls, terms
from app.models import Call
from tests import make

NL = {"Accept-Language": "nl"}


@pytest.fixture
def real(db: Session) -> Call:
    """The gigafactory call, not a rehearsal of it."""
    with make.owner(db):
        now = calls.clock(db)
        hour = timedelta(hours=1)
        return calls.publish(db, make.definition("aigf-eoi"), now - hour, now + hour, "real", is_synthetic=False)


def test_the_help_desk_of_a_call_stands_on_help_and_on_its_own_page(client: TestClient, real: Call) -> None:
    for page in ("/help", f"/calls/{real.code}"):
        shown = client.get(page, headers=NL).text
        assert 'href="mailto:gigafactories@rvo.example"' in shown
        assert "Op de laatste dag is de helpdesk er van 9:00 tot 18:00 uur" in shown


def test_the_glossary_has_every_term_in_order_of_the_language(client: TestClient) -> None:
    for language in ("nl", "en"):
        shown = client.get("/glossary", headers={"Accept-Language": language}).text
        words = re.findall(r'<dt class="govuk-summary-list__key">([^<]+)', shown)
        assert words == [word for _, word, _ in terms.listed(language)]
    assert {word for _, word, _ in terms.listed("nl")} & {word for _, word, _ in terms.listed("en")} <= {
        "Dossier",
        "Partner",
        "Respondent",
    }


def test_the_privacy_notice_of_a_call_comes_from_its_file(client: TestClient, real: Call) -> None:
    assert f'href="/privacy?call={real.code}"' in client.get("/privacy").text
    shown = client.get(f"/privacy?call={real.code}", headers=NL).text
    assert ("De minister van Economische Zaken is verantwoordelijk" in shown, "120 maanden" in shown) == (True, True)
    assert client.get("/privacy?call=nothing").status_code == 404
    assert f'href="/privacy?call={real.code}"' in client.get(f"/calls/{real.code}").text


def test_the_status_tells_outages_and_nothing_of_the_inside(
    client: TestClient, db: Session, portal: Portal, real: Call
) -> None:
    note = "insert into readiness (minute, replica, is_ready, failed) values (date_trunc('minute', now(), 'UTC') - interval '%s minutes', 'host/7', %s, %s)"
    for minutes in range(2, 20):
        is_ready = minutes not in (5, 6, 7)
        db.execute(text(note % (minutes, is_ready, "'{}'" if is_ready else "'{database}'")))
    page = client.get("/status")
    assert page.status_code == 200
    cells = re.findall(r'<td class="govuk-table__cell">(\d+)</td>', page.text)
    first, *days = map(int, cells)
    assert (first, sum(days)) == (3, 3), "one outage of three minutes"
    assert ("host/7" in page.text, "database" in page.text) == (False, False)
    assert f'href="/calls/{real.code}"' in page.text
    before = client.app.state.history  # type: ignore[attr-defined]
    client.get("/status")
    assert client.app.state.history is before or client.app.state.history.minute > before.minute  # type: ignore[attr-defined]


def test_the_status_says_so_when_a_submit_would_not_work(client: TestClient, portal: Portal) -> None:
    portal.clock_offset = timedelta(seconds=120)
    assert "a submit may be refused" in client.get("/status").text

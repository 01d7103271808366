"""The pages of coordinators in Dutch: words for people, codes only where a machine made them."""

import re
from collections.abc import Callable

from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import attempts
from tests import make

SignIn = Callable[..., str]


def in_dutch(client: TestClient, path: str) -> str:
    """What stands on a page, without its markup."""
    client.cookies.set("language", "nl")
    page = client.get(path)
    assert page.status_code == 200, page.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text.partition("<main")[2].partition("</main>")[0]))


def test_the_audit_trail_tells_events_and_details_in_words(
    client: TestClient, db: Session, sign_in: SignIn, portal: Portal
) -> None:
    case, actor = make.submission(db)
    make.attach(db, portal.files, actor, case)
    make.person(db, "coordinator@rvo.example", staff="coordinator")
    sign_in(client, "coordinator@rvo.example")
    page = in_dutch(client, f"/manage/audit?reference={case.reference}")
    assert "sloeg een pagina van het concept op" in page
    assert "pagina: Samenvatting" in page
    assert "vraag: Voorstel" in page
    assert "Nothing found." not in page
    assert re.search(r"draft\.saved|attachment\.attached|step|sha256=", page.partition("Bijzonderheden")[2]) is None
    given = in_dutch(client, "/manage/audit?name=person.staff_role_given")
    assert "rol: coördinator" in given


def test_attempts_and_mails_are_told_in_words(client: TestClient, db: Session, sign_in: SignIn, portal: Portal) -> None:
    case, actor = make.submission(db, sent=True, signer=portal.signer)
    assert actor.person_id
    attempts.record(db, case, actor.person_id, "call_closed", "late")
    make.person(db, "coordinator@rvo.example", staff="coordinator")
    sign_in(client, "coordinator@rvo.example")
    ledger = in_dutch(client, f"/manage/attempts?call={case.call.code}")
    assert "geweigerd: de oproep was gesloten" in ledger
    assert "aanvaard: ontvangen en van een tijdstempel voorzien" in ledger
    mail = in_dutch(client, "/manage/mail")
    assert "ontvangstbewijs" in mail
    assert "inloglink" in mail

"""What a call asks before it takes a version: the database refuses it too, whatever Python would have let through."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.domain import acceptances, confirmations, drafts, judgements, mandates, participations, statements
from app.domain.access import Actor
from app.domain.admissions import LeadMustConfirm
from app.domain.errors import CallClosed, NotReady, Refused, refusal_of
from app.domain.participations import Wish
from app.models import Submission
from tests import make

DELTA = {"legal_name": "Delta BV", "country": "NL", "owners": []}
BETA = {
    "legal_name": "Beta GmbH “\\é”\n\t\x7f",
    "country": "DE",
    "owners": [{"name": "A.", "share": "60.5"}, {"name": "B"}],
}


def draft(db: Session, members: list[dict[str, Any]], **asked: str) -> tuple[Submission, Actor]:
    return make.submission(db, make.call(db, of=make.definition() | asked), members=members)


def take(db: Session, actor: Actor, case: Submission) -> type[Refused] | None:
    """Put the draft into the database as a version, past all that Python asks; what the database says to it."""
    judged = judgements.judge(case, drafts.content(db, case))
    nested = db.begin_nested()
    try:
        acceptances.accept(db, actor, case, judged, judged.digest("en", case.organisation), "k", "en")
    except DBAPIError as failure:
        found = refusal_of(failure)
        assert found is not None, failure
        return type(found)
    finally:
        nested.rollback()
    return None


def sign(db: Session, case: Submission, partner: Actor) -> None:
    part = participations.load(db, partner, case.reference)
    item = drafts.part(db, part).item
    mandates.sign(db, partner, part, item, mandates.digest(item), "Bea Ta", "Director", "en")


def test_the_database_takes_no_version_that_lacks_a_mandate_which_the_call_asks(db: Session) -> None:
    case, lead = draft(db, [DELTA, BETA], mandates="required")
    assert take(db, lead, case) is NotReady
    partner = make.takes_part(db, lead, case, Wish("beta@partner.example", "partner", "Beta", place=1))
    assert take(db, lead, case) is NotReady
    sign(db, case, partner)
    assert take(db, lead, case) is None
    make.fill_more(db, lead, case, "members", {"members": [DELTA, BETA | {"country": "AT"}]})
    assert take(db, lead, case) is NotReady
    make.fill_more(db, lead, case, "members", {"members": [DELTA, BETA]})
    assert take(db, lead, case) is None
    participations.end(db, lead, case, participations.load(db, partner, case.reference).id)
    assert take(db, lead, case) is NotReady
    make.fill_more(db, lead, case, "members", {"members": [DELTA]})
    assert take(db, lead, case) is None  # nobody takes part but the lead
    make.move_deadline(db, case.call, -1)
    assert take(db, lead, case) is CallClosed


def test_the_database_and_python_agree_on_who_leads(db: Session) -> None:
    parts = make.definition()["parts"]
    entities = parts["entities"] | {"role": "country", "lead": "DE"}
    body = make.definition() | {"mandates": "required", "parts": parts | {"entities": entities}}
    case, lead = make.submission(db, make.call(db, of=body), members=[DELTA, BETA])
    for members in ([DELTA, BETA], [BETA, DELTA], [BETA], [DELTA], [DELTA, DELTA]):
        make.fill_more(db, lead, case, "members", {"members": members})
        says = NotReady if mandates.missing(db, case, drafts.content(db, case).answers) else None
        assert take(db, lead, case) is says
    partner = make.takes_part(db, lead, case, Wish("d@partner.example", "partner", "Delta", place=0))
    make.fill_more(db, lead, case, "members", {"members": [DELTA, BETA]})
    assert take(db, lead, case) is NotReady
    sign(db, case, partner)
    assert take(db, lead, case) is None
    make.takes_part(db, lead, case, Wish("b@partner.example", "partner", "Beta", place=1))
    assert take(db, lead, case) is NotReady  # a lead that was invited as a partner signs too


def test_the_database_takes_nothing_of_others_that_the_lead_has_not_confirmed_where_the_call_asks_it(
    db: Session,
) -> None:
    case, lead = draft(db, [DELTA, BETA], confirmation="lead")
    adviser = make.takes_part(db, lead, case, Wish("ad@viser.example", "owner", "Adviser BV"))
    assert take(db, adviser, case) is LeadMustConfirm
    assert take(db, lead, case) is None
    judged = judgements.judge(case, drafts.content(db, case))
    confirmations.confirm(db, lead, case, judged, confirmations.digest(judged))
    assert take(db, adviser, case) is None
    make.fill_more(db, lead, case, "summary", {"title": "Changed since"})
    assert take(db, adviser, case) is LeadMustConfirm


def test_the_database_asks_nothing_that_the_call_does_not(db: Session) -> None:
    case, lead = draft(db, [DELTA, BETA])
    adviser = make.takes_part(db, lead, case, Wish("ad@viser.example", "owner", "Adviser BV"))
    assert take(db, adviser, case) is None


whole = st.integers(-(2**53) + 1, 2**53 - 1)
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
answers = st.recursive(
    st.none() | st.booleans() | whole | words,
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abcdefghijklmnopqrstuvwxyz_0123456789"), inner),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(answers)
def test_the_database_writes_canonical_json_as_python_does(db: Session, value: Any) -> None:
    with make.owner(db):
        said = db.connection().exec_driver_sql("select canonical(%s)", (Jsonb(value),)).scalar_one()
    assert said.encode() == statements.canonical(value)

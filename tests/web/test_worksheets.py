"""The form as a workbook: what goes out comes back equal, what is wrong is named by sheet and cell, and nothing harms."""

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.domain import calls, drafts, filled, submissions, workbooks, worksheets
from app.domain.access import Actor
from app.domain.errors import FileRefused
from app.infra.places import place
from app.models import Submission
from tests import make, paper

SignIn = Callable[..., str]
CALLS = ("aigf-eoi", "ai-factory", "nl-poll")
SENTENCE = re.compile(r'<li><a href="#workbook">([^<]*)')


def samples(name: str, kind: str) -> dict[str, dict[str, Any]]:
    found: dict[str, Any] = yaml.safe_load((place("calls") / "samples" / f"{name}.yaml").read_text(encoding="utf-8"))
    answers: dict[str, dict[str, Any]] = found[kind]
    return answers


def begin(db: Session, name: str, kind: str) -> tuple[Submission, Actor]:
    """An empty submission."""
    actor = make.person(db)
    body, actor = make.organisation(db, actor, state=kind == "MS")
    of = make.definition() if name == "small" else make.definition(name)
    return submissions.start(db, actor, make.call(db, of=of), body.id, kind), actor


def written(case: Submission, given: dict[str, Any], language: str = "en") -> bytes:
    questions = calls.questions(case.call)
    return workbooks.write(case.call, questions, case.kind, language, case.reference, given)


def back(tmp_path: Path, case: Submission, content: bytes, name: str = "filled.xlsx") -> filled.Filled:
    (tmp_path / "staged").write_bytes(content)
    return filled.read(case, tmp_path / "staged", name)


def flat(given: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {name: value for answers in given.values() for name, value in answers.items()}


def tidy(answers: Any) -> Any:
    """Without what says nothing: an empty list, an item's missing answer."""
    if isinstance(answers, dict):
        return {n: tidy(v) for n, v in answers.items() if v not in (None, "", [])}
    return [tidy(one) for one in answers] if isinstance(answers, list) else answers


@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize(
    "name, kind", [(n, k) for n in CALLS for k in make.definition(n)["respondents"]], ids=lambda one: str(one)
)
def test_a_full_submission_comes_back_equal(db: Session, tmp_path: Path, name: str, kind: str, language: str) -> None:
    case, actor = begin(db, name, kind)
    given = flat(samples(name, kind))
    content = written(case, given, language)
    read = back(tmp_path, case, content)
    offered = filled.offers(db, case, read)
    assert read.problems == []
    pairs = [pair for one in offered for pair in one.pairs]
    filled.take(db, actor, case, {one.question.name for one in offered}, pairs, {}, read.language)
    saved = drafts.content(db, case)
    asked = {q.name for s in calls.questions(case.call).steps_for(kind) for q in s.questions_for(kind)}
    assert tidy(saved.answers) == tidy({n: v for n, v in given.items() if n in asked})
    assert saved.unread == {}
    again = back(tmp_path, case, written(case, saved.answers, "nl" if language == "en" else "en"))
    assert filled.offers(db, case, again) == []


@pytest.mark.parametrize("name, kind", [(n, k) for n in CALLS for k in make.definition(n)["respondents"]])
def test_a_blank_form_changes_nothing_and_has_a_cell_for_every_question(
    client: TestClient, db: Session, tmp_path: Path, name: str, kind: str
) -> None:
    case, _ = begin(db, name, kind)
    answer = client.get(f"/calls/{case.call.code}/form.xlsx?kind={kind}", headers={"Accept-Language": "nl"})
    assert (answer.status_code, answer.headers["content-disposition"].split(";")[0]) == (200, "attachment")
    read = back(tmp_path, case, answer.content)
    assert (filled.offers(db, case, read), read.problems) == ([], [])
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    named = {str(c.value).split("=")[0] for s in book.worksheets for row in s.iter_rows() for c in row if c.value}
    for sheet in worksheets.sheets(calls.questions(case.call), kind):
        assert {field.question.name for field in sheet.fields} <= named
        assert book[sheet.title("nl")].row_dimensions[1].hidden
    assert client.get(f"/calls/{case.call.code}/form.xlsx?kind=nobody").status_code == 404


def edited(content: bytes, **cells: Any) -> bytes:
    """The workbook with some cells typed over: `members__C4="…"`, by the key of the sheet."""
    book = openpyxl.load_workbook(io.BytesIO(content))
    keyed = {sheet["A1"].value: sheet for sheet in book.worksheets}
    for where, value in cells.items():
        key, _, at = where.rpartition("__")
        keyed[key.replace("__", "-")][at] = value
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def at_of(content: bytes, key: str, name: str) -> str:
    """Where the answer to a question of a page stands."""
    book = openpyxl.load_workbook(io.BytesIO(content))
    (sheet,) = (one for one in book.worksheets if one["A1"].value == key)
    return next(f"C{row[0].row}" for row in sheet.iter_rows() if row[0].value == name)


def test_what_is_wrong_is_named_by_sheet_and_cell_and_kept_beside_its_question(
    client: TestClient, db: Session, sign_in: SignIn
) -> None:
    case, _ = make.submission(db, actor=make.person(db))
    token, here = sign_in(client), f"/apply/{case.reference}/answers"
    page = client.get(f"{here}.xlsx")
    capex, title = (at_of(page.content, *one) for one in (("finance", "capex_total"), ("summary", "title")))
    content = edited(
        page.content,
        **{f"finance__{capex}": "about four billion", f"summary__{title}": "Renamed"},
        members__members__C4="Atlantis",
        members__members__owners__D4="=1+1",
    )
    shown = client.post(here, data={"csrf_token": token}, files={"workbook": ("mine.xlsx", content)})
    assert shown.status_code == 200
    rows = [
        [re.sub(r"<[^>]+>", " ", cell).split() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.S)]
        for row in re.findall(r'<tr class="govuk-table__row">(<td.*?)</tr>', shown.text, re.S)
    ]
    assert [(" ".join(r[0]), r[1]) for r in rows] == [
        ("2.1.1 Owners", ["D4"]),
        ("2.1 Members", ["C4"]),
        ("3 Finance", [capex]),
    ], rows
    assert '<del class="quiet">Delta compute</del> → <ins>Renamed</ins>' in shown.text
    assert 'value="members"' not in shown.text, "a list with a formula is not taken over"
    before = drafts.content(db, case).answers
    form = {
        **dict(re.findall(r'name="(typed\.[^"]+|revision-[^"]+|language)" value="([^"]*)"', shown.text)),
        "csrf_token": token,
        "answer": re.findall(r'name="answer" value="([^"]+)" checked', shown.text),
    }
    assert form["answer"] == ["title", "capex_total"]
    assert client.post(f"{here}/changes", data=form).status_code == 303
    db.expire_all()
    now = drafts.content(db, case)
    assert now.answers == {**{n: v for n, v in before.items() if n != "capex_total"}, "title": "Renamed"}
    assert now.unread["capex_total"]["text"] == "about four billion"
    assert client.post(f"{here}/changes", data=form).status_code == 409, "a page that moved on is not overwritten"


def test_an_emptied_cell_removes_nothing_unless_ticked(client: TestClient, db: Session, sign_in: SignIn) -> None:
    case, _ = make.submission(db, actor=make.person(db))
    token, here = sign_in(client), f"/apply/{case.reference}/answers"
    blank = client.get(f"/calls/{case.call.code}/form.xlsx?kind=FC").content
    shown = client.post(here, data={"csrf_token": token}, files={"workbook": ("mine.xlsx", blank)}).text
    ticks = re.findall(r'name="answer" value="([^"]+)"( checked)?', shown)
    assert ({name for name, _ in ticks} >= {"title", "members"}, [name for name, tick in ticks if tick]) == (True, [])


def test_numbers_dates_and_words_are_read_as_spreadsheets_write_them(db: Session, tmp_path: Path) -> None:
    case, _ = make.submission(db, actor=make.person(db))
    content = written(case, drafts.content(db, case).answers, "nl")
    at = {name: at_of(content, "finance", name) for name in ("capex_total", "public_money", "starts_on")}
    back_nl = back(
        tmp_path,
        case,
        edited(
            content,
            **{f"finance__{at['capex_total']}": "1.234.567,89", f"finance__{at['public_money']}": 5.305},
            **{f"finance__{at['starts_on']}": "27-3-2028"},
        ),
    )
    offered = {one.question.name: one for one in filled.offers(db, case, back_nl)}
    assert [c.after for n in ("capex_total", "starts_on") for c in offered[n].changes] == ["1234567.89", "2028-03-27"]
    assert [p.message.msgid for p in back_nl.problems] == ["Give at most %(places)s decimals."]


def repacked(content: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """The same package with its parts changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    change(parts)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, part in parts.items():
            package.writestr(name, part)
    return out.getvalue()


def _bomb(parts: dict[str, bytes]) -> None:
    parts["xl/worksheets/sheet99.xml"] = b" " * 200_000_000


def _outside(parts: dict[str, bytes]) -> None:
    parts["xl/externalLinks/externalLink1.xml"] = b"<externalLink/>"


def _declared(parts: dict[str, bytes]) -> None:
    parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace(
        b"<workbook", b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]><workbook', 1
    )


def _encoded(parts: dict[str, bytes]) -> None:
    parts["xl/workbook.xml"] = parts["xl/workbook.xml"].decode().replace("UTF-8", "UTF-16").encode("utf-16")


def _macros(parts: dict[str, bytes]) -> None:
    parts["xl/vbaProject.bin"] = b"x"


def _broken(parts: dict[str, bytes]) -> None:
    parts["xl/styles.xml"] = b"<styleSheet"


def _headless(parts: dict[str, bytes]) -> None:
    del parts["xl/workbook.xml"]


@pytest.mark.parametrize(
    "harm, said",
    [
        (_bomb, "unpacks to far more"),
        (_outside, "takes values from other files"),
        (_declared, "no spreadsheet program writes"),
        (_encoded, "no spreadsheet program writes"),
        (_macros, "holds macros"),
        (_broken, "is damaged or cut off"),
        (_headless, "is damaged or cut off"),
    ],
)
def test_a_workbook_made_to_harm_is_refused_with_a_sentence(
    client: TestClient, db: Session, sign_in: SignIn, harm: Callable[[dict[str, bytes]], None], said: str
) -> None:
    case, _ = make.submission(db, actor=make.person(db))
    token, here = sign_in(client), f"/apply/{case.reference}/answers"
    content = repacked(written(case, {}), harm)
    shown = client.post(here, data={"csrf_token": token}, files={"workbook": ("mine.xlsx", content)})
    (sentence,) = SENTENCE.findall(shown.text)
    assert (shown.status_code, said in sentence) == (422, True), sentence


def test_other_files_and_workbooks_of_others_are_refused_with_a_sentence(
    client: TestClient, db: Session, sign_in: SignIn, portal: Any, tmp_path: Path
) -> None:
    case, actor = make.submission(db, actor=make.person(db))
    other, _ = make.submission(db, actor=actor)
    state = workbooks.write(case.call, calls.questions(case.call), "MS", "en")
    plain = io.BytesIO()
    openpyxl.Workbook().save(plain)
    token, here = sign_in(client), f"/apply/{case.reference}/answers"
    for name, content, said in (
        ("mine.xlsx", written(other, {}), f"of the call “{other.call.code}”"),
        ("mine.xlsx", state, "of another kind of respondent"),
        ("mine.xlsx", plain.getvalue(), "was not made by this portal"),
        ("mine.xlsx", b"", "it is empty"),
        ("mine.xlsx", b"PK\x03\x04nonsense", "is damaged"),
        ("mine.xlsx", make.document(), "is not what its name says"),
        ("mine.csv", b"a;b", "it is no workbook"),
        ("mine.xlsm", written(case, {}), "holds macros"),
        ("mine.xlsx", b"x" * (6 * 1024 * 1024), "too large"),
    ):
        shown = client.post(here, data={"csrf_token": token}, files={"workbook": (name, content)})
        (sentence,) = SENTENCE.findall(shown.text)
        assert (shown.status_code, said in sentence) == (422, True), (name, sentence)
    assert "Choose the workbook first." in client.post(here, data={"csrf_token": token}).text
    with pytest.raises(FileRefused):
        back(tmp_path, case, written(other, {}))


def test_rows_that_belong_nowhere_twice_or_are_too_many_are_told_and_the_list_stays(
    db: Session, tmp_path: Path
) -> None:
    case, _ = make.submission(db, actor=make.person(db))
    content = written(case, drafts.content(db, case).answers)
    read = back(
        tmp_path,
        case,
        edited(
            content,
            members__members__A5=1,
            members__members__B5="Second BV",
            members__members__owners__B6=77,
            members__members__owners__C6="Nobody's owner",
            members__members__owners__C7="Owner of whom?",
            **{f"members__members__B{row}": "One more" for row in range(6, 18)},
        ),
    )
    assert {(p.at, p.message.msgid) for p in read.problems} == {
        ("A5", filled.SAME_NUMBER),
        ("C7", filled.NO_NUMBER),
        ("C6", filled.NO_SUCH_ROW),
        ("B14", filled.TOO_MANY),
    }
    assert [one.question.name for one in filled.offers(db, case, read)] == []


def test_the_answers_go_on_paper_and_only_to_those_who_may_see_them(
    client: TestClient, db: Session, sign_in: SignIn, portal: Any
) -> None:
    case, actor = make.submission(db, actor=make.person(db))
    make.attach(db, portal.files, actor, case)
    sign_in(client)
    words = paper.words(client.get(f"/apply/{case.reference}/answers.pdf").content)
    assert ("Delta compute" in words, "proposal.pdf" in words, "It proves nothing" in words) == (True, True, True)
    make.person(db, "stranger@other.example")
    sign_in(client, "stranger@other.example")
    for ending in (".xlsx", ".pdf", ""):
        assert client.get(f"/apply/{case.reference}/answers{ending}").status_code == 404


def test_after_the_cutoff_nothing_is_taken_over(client: TestClient, db: Session, sign_in: SignIn) -> None:
    case, _ = make.submission(db, actor=make.person(db))
    token = sign_in(client)
    make.move_deadline(db, case.call, 0)
    form = {
        "csrf_token": token,
        "answer": "title",
        "typed.title": "Too late",
        "revision-summary": "1",
        "language": "en",
    }
    answer = client.post(f"/apply/{case.reference}/answers/changes", data=form)
    assert (answer.status_code, "Too late" in answer.text) == (409, True)

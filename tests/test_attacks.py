"""What a penetration test tries first, each attack by its name. More of a sort stands beside the room that it aims at."""

import csv
import io
import re
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn
from openpyxl import load_workbook
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app import doorman
from app.deps import Portal
from app.domain import accounts, notes
from app.infra import documents
from app.main import create_app
from app.models import Draft, Person, Submission
from tests import make
from tests.conftest import deliver
from tests.infra.test_documents import REFUSED
from tests.web.test_guards import SignIn

MARK = "\"'><img src=x onerror=alert(1)><script>alert(1)</script>"
LEAD = "lead@firm.example"


def test_csrf_a_form_of_another_site_or_without_the_token_changes_nothing(
    client: TestClient, db: Session, sign_in: SignIn
) -> None:
    token = sign_in(client)
    form = {"name": "Taken over", "language": "nl"}
    for headers in (
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert client.post("/account", data={**form, "csrf_token": token}, headers=headers).status_code == 403
    for given in ({}, {"csrf_token": ""}, {"csrf_token": token + "x"}):
        assert client.post("/account", data={**form, **given}).status_code == 403
    assert db.scalars(select(Person.name)).all() == [""]


def test_a_replayed_link_lets_nobody_in(client: TestClient, portal: Portal) -> None:
    client.post("/account/sign-in", data={"email": LEAD, "next": ""})
    link = re.findall(r"/account/link/[\w-]+", deliver(portal)[-1])[-1]
    assert client.get(link).status_code == 200
    assert client.post(link).status_code == 303
    client.cookies.delete("eoi")
    assert client.post(link).status_code == 422
    assert "eoi" not in client.cookies


@pytest.mark.parametrize("body", [b"x" * 2048, "streamed"])
def test_an_oversized_body_is_refused_whether_or_not_it_says_its_size(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, body: bytes | str
) -> None:
    monkeypatch.setattr(doorman, "MAX_BODY", 1024)
    sent = body if isinstance(body, bytes) else (b"x" * 100 for _ in range(20))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/account/sign-in", content=sent, headers=headers).status_code == 413


@pytest.mark.committed
def test_a_slow_body_is_cut_off(committed_portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorman, "PATIENCE", 0.5)
    server = uvicorn.Server(uvicorn.Config(create_app(committed_portal), port=0, lifespan="off", log_level="error"))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        thread = threading.Thread(target=server.run, args=([bound],))
        thread.start()
        with socket.create_connection(bound.getsockname(), timeout=20) as line:
            head = "POST /account/sign-in HTTP/1.1\r\nHost: testserver\r\nOrigin: http://testserver\r\n"
            line.sendall(
                f"{head}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 99\r\n\r\nemail=".encode()
            )
            answer = line.recv(4096)
        server.should_exit = True
        thread.join(timeout=20)
    assert b" 408 " in answer.split(b"\r\n")[0]


@pytest.mark.parametrize("host", ["evil.example", "testserver.evil.example", "evil.example@testserver", "[", ""])
def test_a_request_under_another_name_than_ours_finds_nothing(client: TestClient, host: str) -> None:
    assert client.get("/account/sign-in", headers={"Host": host}).status_code == 404
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


ENDS = "\r\nSet-Cookie: eoi=stolen\r\nBcc: all@firm.example\r\n\r\n<script>"


def test_header_injection_by_what_is_typed_makes_no_header(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn
) -> None:
    token = sign_in(client)
    for path, form in (
        ("/account/sign-in", {"email": f"a@b.example{ENDS}", "next": "/"}),
        ("/account/sign-in", {"email": "a@b.example", "next": f"/{ENDS}"}),
        ("/language", {"language": "nl", "next": f"/calls{ENDS}"}),
    ):
        answer = client.post(path, data={**form, "csrf_token": token})
        assert "eoi=stolen" not in str(answer.headers), path
        assert ENDS not in answer.text, path
    house, owner = make.organisation(db, accounts.actor_for(db, db.scalars(select(Person)).one()), f"Firm{ENDS}")
    make.invite(db, owner, house.id, "new@firm.example", "viewer")
    deliver(portal)
    assert portal.mailer.folder
    heads = [path.read_text().partition("\n\n")[0] for path in portal.mailer.folder.glob("*.eml")]
    assert [head for head in heads if re.search(r"^(Bcc|Set-Cookie):", head, re.M | re.I)] == []


@pytest.mark.parametrize(
    "place", ["../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/keys/0001.pem", "%00", "a" * 64]
)
def test_path_traversal_leads_nowhere(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn, place: str
) -> None:
    case, actor = make.submission(db)
    make.attach(db, portal.files, actor, case)
    sign_in(client)
    for path in (f"/static/{place}", f"/apply/{case.reference}/attachments/{place}", f"/calls/{place}"):
        answer = client.get(path)
        assert answer.status_code in (404, 405, 422), path
        assert "root:" not in answer.text


def test_an_upload_by_a_name_that_climbs_lies_under_its_digest(db: Session, portal: Portal) -> None:
    case, actor = make.submission(db)
    kept = make.attach(db, portal.files, actor, case)
    assert portal.files.path(kept.sha256).is_relative_to(portal.files.folder)
    assert documents.clean_name("../../etc/passwd.pdf") == "passwd.pdf"


@pytest.mark.parametrize("case", ["zip bomb", "very many entries", "png of many pixels"])
def test_a_zip_bomb_is_not_unpacked(case: str, tmp_path: Path) -> None:
    _refused(case, documents.BOMB, tmp_path)


@pytest.mark.parametrize("case", ["zip behind a pdf", "zip in front of the end of a pdf", "zip inside a png"])
def test_a_polyglot_is_not_taken(case: str, tmp_path: Path) -> None:
    _refused(case, documents.TRAILING, tmp_path)


def _refused(case: str, problem: str, folder: Path) -> None:
    name, content, said = REFUSED[case]
    (folder / "file").write_bytes(content)
    with pytest.raises(documents.Unacceptable) as refused:
        documents.inspect(folder / "file", name)
    assert refused.value.message.msgid == said == problem


@pytest.fixture
def marked(db: Session, portal: Portal) -> Submission:
    """A sealed dossier whose submitter typed markup, or a formula, wherever they could type."""
    lead = make.person(db, LEAD, name=f"=cmd {MARK}")
    case, lead = make.submission(db, actor=lead)
    accounts.describe_organisation(db, lead, f"=2+5 {MARK}", "NL", None, case.organisation_id)
    members = [{"legal_name": f"@SUM {MARK}", "country": "NL", "owners": [{"name": f"+1 {MARK}", "share": "100"}]}]
    make.fill(db, lead, case, {"title": f"=1+1 {MARK}", "abstract": f"-1 {MARK}", "members": members})
    make.attach(db, portal.files, lead, case)
    make.send(db, lead, case, portal.signer)
    make.close(db, case.call)
    return case


def test_no_text_of_a_submitter_is_markup_on_any_page_of_staff(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn, marked: Submission
) -> None:
    admin = make.person(db, "admin@rvo.example", name=MARK, staff="admin")
    make.free(db, admin, marked)
    make.readers(db, marked)
    notes.write(db, admin, marked, MARK, [], "http://testserver")
    notes.tag(db, admin, marked, "tag")
    make.asked(db, marked, words=MARK)
    sign_in(client, "admin@rvo.example")
    ref, code, shown = marked.reference, marked.call.code, 0
    own = (
        "",
        "/activity",
        "/assignments",
        "/checklist",
        "/clarifications",
        "/notes",
        "/reconciliation",
        "/scores",
        "/work",
    )
    paths = [f"/review/{ref}{end}" for end in own]
    paths += [f"/review?call={code}", f"/review/overview?call={code}", f"/review/release?call={code}&all=yes"]
    paths += [
        f"/review/files?ref={ref}",
        f"/review/assignments?call={code}",
        "/review/mine",
        f"/review/disclosures/selection?ref={ref}",
    ]
    paths += [
        "/manage",
        "/manage/audit",
        "/manage/mail",
        "/manage/people",
        "/manage/attempts",
        "/account",
        f"/apply/{ref}",
    ]
    for path in paths:
        page = client.get(path)
        assert page.status_code in ((200, 404) if path.startswith("/apply") else (200,)), path
        assert "<img src=x" not in page.text, path
        assert "<script>alert" not in page.text, path
        shown += "&lt;script&gt;alert(1)" in page.text
    assert shown >= 8


def test_a_formula_cell_is_text_in_csv_and_xlsx(
    client: TestClient, db: Session, sign_in: SignIn, marked: Submission
) -> None:
    make.free(db, make.person(db, "reader@rvo.example", staff="reviewer"), marked)
    sign_in(client, "reader@rvo.example")
    answer = client.get(f"/review/register.csv?call={marked.call.code}")
    cells = [cell for row in csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))) for cell in row]
    assert any("1+1" in cell for cell in cells)
    assert [cell for cell in cells if cell.startswith(("=", "+", "@", "\t", "\r"))] == []
    book = load_workbook(io.BytesIO(client.get(f"/review/register.xlsx?call={marked.call.code}").content))
    held = [cell for sheet in book for row in sheet.iter_rows() for cell in row if isinstance(cell.value, str)]
    assert any(cell.value.startswith("=1+1") for cell in held)
    assert {cell.data_type for cell in held} == {"s"}


def test_nobody_learns_by_signing_in_who_has_an_account(client: TestClient, db: Session, portal: Portal) -> None:
    make.person(db, "known@rvo.example", staff="admin")
    answers = []
    for email in ("known@rvo.example", "never@else.example"):
        answer = client.post("/account/sign-in", data={"email": email, "next": ""})
        told = re.sub(r"\d\d:\d\d:\d\d", "", answer.text.replace(email, ""))  # the portal's clock goes on
        answers.append((answer.status_code, told, sorted(answer.headers)))
    assert answers[0] == answers[1]
    assert len(deliver(portal)) == 2


def test_over_tls_the_session_cookie_is_bound_to_this_host_and_hidden_from_scripts(portal: Portal) -> None:
    portal.settings = replace(portal.settings, base_url="https://eoi.example")
    client = TestClient(create_app(portal), base_url="https://eoi.example", follow_redirects=False)
    headers = {"Origin": "https://eoi.example"}
    client.post("/account/sign-in", data={"email": LEAD, "next": ""}, headers=headers)
    link = re.findall(r"/account/link/[\w-]+", deliver(portal)[-1])[-1]
    answer = client.post(link, headers=headers)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-eoi=")
    for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert part in cookie
    assert "Domain" not in cookie
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
    client.close()


def test_over_tls_no_cookie_is_for_other_hosts_and_each_is_ended_as_it_was_set(portal: Portal) -> None:
    portal.settings = replace(portal.settings, base_url="https://eoi.example")
    client = TestClient(create_app(portal), base_url="https://eoi.example", follow_redirects=False)
    headers = {"Origin": "https://eoi.example"}
    answers = [client.post("/account/sign-in", data={"email": LEAD, "next": ""}, headers=headers)]
    answers.append(client.post("/language", data={"language": "nl", "next": "/calls"}, headers=headers))
    assert 'lang="nl"' in client.get("/calls").text
    answers.append(client.post(re.findall(r"/account/link/[\w-]+", deliver(portal)[-1])[-1], headers=headers))
    token = re.findall(r'name="csrf_token" value="([^"]+)"', client.get("/account").text)[0]
    form = {"csrf_token": token, "name": "Lee", "language": "en"}
    answers.append(client.post("/account", data=form, headers=headers))
    answers.append(client.post("/account/sign-out", data=form, headers=headers))
    given = [cookie for answer in answers for cookie in answer.headers.get_list("set-cookie")]
    assert [cookie.partition("=")[0] for cookie in given] == [
        "__Host-browser", "__Host-language", "__Host-eoi", "__Host-language", "__Host-eoi"
    ]  # fmt: skip
    for cookie in given:
        assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(cookie.split("; ")), cookie
        assert "domain" not in cookie.lower()
    assert list(client.cookies) == ["__Host-browser"]
    client.close()


def test_the_counters_answer_to_this_machine_or_to_the_token_alone(portal: Portal) -> None:
    portal.settings = replace(portal.settings, metrics_token="7d659a2feaa0c55ad015a3bf")
    asked: list[tuple[str, dict[str, str], int]] = [
        ("127.0.0.1", {}, 200),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 404),  # by way of a proxy on this machine
        ("192.0.2.7", {}, 404),
        ("192.0.2.7", {"Authorization": "Bearer 7d659a2feaa0c55ad015a3b"}, 404),
        ("192.0.2.7", {"Authorization": "Bearer \u00e9"}, 404),
        ("192.0.2.7", {"Authorization": "Bearer 7d659a2feaa0c55ad015a3bf"}, 200),
    ]
    for host, headers, status in asked:
        client = TestClient(create_app(portal), client=(host, 50000))
        sent = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
        assert client.get("/metrics", headers=sent).status_code == status, (host, headers)
        client.close()
    portal.settings = replace(portal.settings, metrics_token=None)
    client = TestClient(create_app(portal), client=("192.0.2.7", 50000))
    assert client.get("/metrics", headers={"Authorization": "Bearer None"}).status_code == 404
    client.close()


def test_every_answer_has_the_headers_of_safety(client: TestClient) -> None:
    for path in ("/calls", "/nowhere", "/account", "/static/main.css", "/api/v1/time", "/api/v1/nowhere"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"], path
        for name in ("x-content-type-options", "referrer-policy", "permissions-policy", "cross-origin-opener-policy"):
            assert headers[name], path


def test_nothing_of_a_draft_is_lost_to_any_of_this(db: Session, marked: Submission) -> None:
    assert db.scalar(select(func.count()).select_from(Draft).where(Draft.submission_id == marked.id))

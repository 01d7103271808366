"""A file in parts: each arrives once, goes on where it broke off, and counts when it is whole and what was announced."""

import os
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pikepdf
import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import attachments, sweeping
from app.domain.access import Actor
from app.infra.parts import KEPT
from app.models import Submission
from app.web import pages
from tests import make

SignIns = Callable[..., str]
JSON = {"Accept": "application/json"}


@pytest.fixture
def case(db: Session) -> tuple[Submission, Actor]:
    """A draft of the person who signs in by default."""
    return make.submission(db)


@pytest.fixture
def file() -> bytes:
    """A document of some size, like no other: what is under way of one is seen by all tests of a run."""
    with pikepdf.new() as pdf, BytesIO() as content:
        pdf.add_blank_page()
        pdf.Root.Noise = pdf.make_stream(os.urandom(5000))
        pdf.save(content)
        return content.getvalue()


class Sender:
    """The browser's part of it."""

    def __init__(self, client: TestClient, token: str, reference: str, file: bytes) -> None:
        self.client, self.token, self.file = client, token, file
        self.here, self.name = f"/apply/{reference}", make.sha256(file)[:32]

    def part(self, start: int, end: int, other: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
        """Send bytes of the file; the status and what was told."""
        form = {"csrf_token": self.token, "question": "proposal", "upload": self.name}
        form |= {"start": str(start), "whole": str(len(self.file))} | (other or {})
        given = {"file": ("plan.pdf", self.file[start:end])}
        answer = self.client.post(f"{self.here}/attachments", data=form, files=given, headers=JSON)
        is_json = answer.headers.get("content-type", "").endswith("json")
        return answer.status_code, answer.json() if is_json else {}

    def held(self) -> int:
        """How much has arrived."""
        return int(self.client.get(f"{self.here}/uploads/{self.name}").json()["held"])


@pytest.fixture
def sender(client: TestClient, sign_in: SignIns, case: tuple[Submission, Actor], file: bytes) -> Sender:
    """Signed in, with a file."""
    return Sender(client, sign_in(client), case[0].reference, file)


def live(db: Session, case: Submission) -> list[str]:
    """The digests of the files of the draft."""
    return [one.sha256 for one in attachments.of_submission(db, case.id)]


def test_a_file_in_parts_is_attached_when_it_is_whole(
    db: Session, case: tuple[Submission, Actor], sender: Sender, file: bytes
) -> None:
    assert sender.held() == 0
    assert sender.part(0, 2000) == (202, {"held": 2000})
    assert (live(db, case[0]), sender.held()) == ([], 2000)
    status, told = sender.part(2000, len(file))
    assert (status, told["sha256"], told["size"]) == (200, make.sha256(file), len(file))
    assert live(db, case[0]) == [make.sha256(file)]
    assert sender.client.get(f"{sender.here}/attachments/{told['id']}").content == file
    assert sender.held() == 0


def test_in_the_last_day_it_is_told_what_still_blocks(
    db: Session, case: tuple[Submission, Actor], sender: Sender, file: bytes
) -> None:
    make.move_deadline(db, case[0].call, 25 * 3600)
    assert "blocking" not in sender.part(0, len(file))[1]
    make.move_deadline(db, case[0].call, 3600)
    told = sender.part(0, len(file))[1]
    assert (told["shown_size"], f'href="/apply/{case[0].reference}/check"' in told["blocking"]) == (
        pages.size("en", len(file)),
        True,
    )


def test_a_part_sent_twice_or_too_early_changes_nothing_and_tells_where_to_go_on(sender: Sender, file: bytes) -> None:
    sender.part(0, 2000)
    assert sender.part(0, 2000) == (202, {"held": 2000})
    assert sender.part(3000, 4000) == (202, {"held": 2000})
    assert sender.part(2000, 4000) == (202, {"held": 4000})
    assert sender.part(4000, len(file))[0] == 200


def test_other_bytes_than_were_announced_are_not_attached_and_leave_nothing(
    db: Session, case: tuple[Submission, Actor], sender: Sender, file: bytes
) -> None:
    sender.name = make.sha256(b"something else")[:32]
    sender.part(0, 2000)
    assert sender.part(2000, len(file))[0] == 422
    assert (live(db, case[0]), sender.held()) == ([], 0)
    sender.part(0, 2000)
    assert sender.part(2000, len(file), {"whole": "2500"})[0] == 422  # more than was announced
    assert sender.held() == 2000


def test_what_is_no_document_is_refused_when_it_is_whole(
    db: Session, case: tuple[Submission, Actor], sender: Sender
) -> None:
    sender.file = os.urandom(3000)
    sender.name = make.sha256(sender.file)[:32]
    assert sender.part(0, 1000)[0] == 202
    status, told = sender.part(1000, 3000)
    assert (status, told["code"], live(db, case[0]), sender.held()) == (422, "file_refused", [], 0)


@pytest.mark.parametrize(
    "odd",
    [
        {"upload": "../../../etc/passwd"},
        {"upload": "A" * 32},
        {"start": "-1"},
        {"start": "x"},
        {"whole": ""},
        {"whole": "9" * 30},
        {"start": "٣"},
    ],
)
def test_what_cannot_be_read_is_refused_without_a_trace(sender: Sender, odd: dict[str, str]) -> None:
    assert sender.part(0, 2000, odd)[0] == 422
    assert sender.held() == 0


def test_too_large_is_said_at_the_first_part(sender: Sender) -> None:
    assert sender.part(0, 10, {"whole": str(attachments.MAX_FILE + 1)})[1]["code"] == "too_large"
    assert sender.held() == 0


def test_no_more_files_are_under_way_than_a_submission_may_hold(sender: Sender) -> None:
    for number in range(attachments.MAX_FILES):
        assert sender.part(0, 10, {"upload": f"{number:032x}"})[0] == 202
    assert sender.part(0, 10)[1]["code"] == "too_many_files"
    assert sender.part(10, 20, {"upload": f"{0:032x}"}) == (202, {"held": 20})


def test_nobody_else_sees_or_adds_to_it(
    client: TestClient, db: Session, sign_in: SignIns, case: tuple[Submission, Actor], sender: Sender
) -> None:
    sender.part(0, 2000)
    make.organisation(db, make.person(db, "stranger@else.example"))
    stranger = Sender(client, sign_in(client, "stranger@else.example"), case[0].reference, sender.file)
    assert client.get(f"{stranger.here}/uploads/{stranger.name}").status_code == 404
    assert stranger.part(2000, 4000)[0] == 404
    sign_in(client)
    assert sender.held() == 2000


def test_after_the_cutoff_the_last_part_is_too_late(
    db: Session, case: tuple[Submission, Actor], sender: Sender, file: bytes
) -> None:
    sender.part(0, 2000)
    make.close(db, case[0].call)
    assert sender.part(2000, len(file))[0] == 409
    assert live(db, case[0]) == []


def test_what_nobody_goes_on_with_is_forgotten_after_a_day(portal: Portal, sender: Sender) -> None:
    sender.part(0, 2000)
    place = next(portal.files.parts.folder.glob(f"*/{sender.name}"))
    sweeping.sweep(portal.sessions, portal.files)
    assert sender.held() == 2000
    os.utime(place, (place.stat().st_atime, place.stat().st_mtime - KEPT - 1))
    sweeping.sweep(portal.sessions, portal.files)
    assert sender.held() == 0

"""One page of the form: its items and its errors are called by what people know."""

import re
from collections.abc import Callable

from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from tests import make

SignIn = Callable[..., str]


def test_an_item_is_named_by_its_first_answer_in_the_order_of_the_form(
    client: TestClient, db: Session, sign_in: SignIn
) -> None:
    # the database orders the answers of an item by the length of their names: the LEI would come first
    member = {"lei": "529900T8BM49AURSDO55", "legal_name": "Delta BV", "country": "NL", "owners": []}
    case, _ = make.submission(db, members=[member])
    sign_in(client)
    page = client.get(f"/apply/{case.reference}/members")
    assert re.findall(r"<summary>([^<]+)</summary>", page.text) == ["Member 1: Delta BV"]


def test_the_list_of_errors_names_the_fields(client: TestClient, db: Session, sign_in: SignIn) -> None:
    case, _ = make.submission(db)
    token = sign_in(client)
    answer = client.post(
        f"/apply/{case.reference}/finance",
        data={"csrf_token": token, "revision": "1", "capex_total": "much", "action": "continue"},
    )
    assert answer.status_code == 422
    listed = re.findall(r'<li><a href="#capex_total">([^<]+)</a>', answer.text)
    assert [words.partition(": ")[0] for words in listed] == ["CAPEX"]

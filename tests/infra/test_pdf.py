"""Paper takes whatever was typed: a character that no font of ours has, or that is none to be seen, fails nothing."""

from datetime import UTC, datetime

import pytest

from app.infra import pdf
from tests import paper

AT = datetime(2027, 6, 20, 15, tzinfo=UTC)


@pytest.mark.parametrize("odd", ["\x1f", "\x08", "\x9d", "\ufffe", "漢", "😀"])
def test_an_odd_character_becomes_a_question_mark(odd: str) -> None:
    data = {"title": f"a{odd}b \\u001f", "intro": [], "footer": "", "lang": "en", "steps": []}
    printed = paper.words(pdf.render("blank_form", data, AT))
    assert "a?b" in printed
    assert "\\u001f" in printed

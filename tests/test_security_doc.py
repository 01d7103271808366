"""The security document: every line of the standard stands in it once, each link leads somewhere, and its share is counted."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "security.md").read_text()
# How many lines of level 1 and 2 each section of ASVS 5.0.0 has, by chapter and section.
SECTIONS = {
    1: (2, 9, 11, 3, 2), 2: (3, 3, 4, 1), 3: (0, 2, 4, 6, 5, 0, 2), 4: (3, 1, 2, 4), 5: (1, 3, 2, 3),
    6: (3, 12, 4, 4, 5, 3, 0, 4), 7: (3, 4, 2, 5, 2, 2), 8: (2, 3, 1, 1), 9: (3, 4), 10: (2, 2, 4, 11, 5, 2, 3),
    11: (2, 3, 3, 4, 1, 1), 12: (3, 2, 4), 13: (1, 5, 2, 5), 14: (2, 4, 3), 15: (3, 3, 7), 16: (1, 5, 4, 3, 3),
    17: (1, 4, 2),
}  # fmt: skip


def rows(width: int) -> list[list[str]]:
    """The rows of tables with so many columns."""
    found = [[c.strip() for c in line.strip("|").split("|")] for line in DOCUMENT.splitlines() if line.startswith("| ")]
    return [row for row in found if len(row) == width]


def lines() -> dict[str, str]:
    """Where each line of the standard is shown, by its number."""
    return {number: where for number, _, where in rows(3) if re.fullmatch(r"\d+\.\d+\.\d+", number)}


def test_every_line_of_level_two_stands_in_it_once() -> None:
    numbers = [row[0] for row in rows(3) if re.fullmatch(r"\d+\.\d+\.\d+", row[0])]
    assert [number for number, times in Counter(numbers).items() if times > 1] == []
    sections = Counter(tuple(map(int, number.split(".")[:2])) for number in numbers)
    wanted = {(c, s): n for c, counts in SECTIONS.items() for s, n in enumerate(counts, 1) if n}
    assert dict(sections) == wanted


@cache
def names_in(path: Path) -> frozenset[str]:
    return frozenset(n.name for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef))


def leads_somewhere(where: str) -> bool:
    path, _, test = where.partition("::")
    return (ROOT / path).is_file() and (not test or test in names_in(ROOT / path))


def test_each_link_leads_to_a_test_or_a_file() -> None:
    said = [row[-1] for width in (3, 4) for row in rows(width)]
    links = [w for w in said if "/" in w.split(" ")[0] or re.fullmatch(r"[\w.-]+\.\w+|Makefile|Dockerfile", w)]
    links = [where for where in links if not where.startswith(("n/a", "open", "database", "`", "environment"))]
    assert len(links) > 150
    assert [where for where in links if not leads_somewhere(where)] == []


def test_the_share_that_is_met_is_the_one_told() -> None:
    found = lines()
    outside = [number for number, where in found.items() if where.startswith("n/a: ")]
    open_ = [number for number, where in found.items() if where.startswith("open: ")]
    tested = [number for number, where in found.items() if where.startswith("tests/")]
    applicable = len(found) - len(outside)
    met = applicable - len(open_)
    told = f"**{met} of {applicable} applicable lines ({met / applicable:.1%})** are met, {len(tested)} of them shown by a test; {len(open_)} are open; {len(outside)} do not apply."
    assert told in DOCUMENT, told

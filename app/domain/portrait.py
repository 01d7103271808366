"""A dossier in four tables, on the screen and on paper: who owns it, where the money comes from, where it stands, and when."""

from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from babel.dates import format_date
from babel.numbers import format_decimal

from app.domain import funding, locations, ownership, timeline
from app.domain.funding import Waterfall
from app.domain.identifiers import country_names
from app.domain.locations import Location
from app.domain.ownership import Holding, Ownership
from app.domain.questionnaire import Questionnaire
from app.domain.timeline import Milestone
from app.infra.i18n import N_, translate

LINES = {
    "control": N_("more than 50 %: control"),
    "interest": N_("25 % or more: ownership interest"),
    None: N_("less than 25 %"),
}
DIRECT, LEAST, UNKNOWN = N_("direct"), N_("at least %(share)s"), N_("cannot be computed")


@dataclass(frozen=True)
class Table:
    """A table in words; in the columns `numbers` stand numbers."""

    name: str
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Portrait:
    """What the tables are made of, for whoever draws them."""

    owned: list[Ownership]
    money: Waterfall | None
    sites: list[Location]
    milestones: list[Milestone]


def of(questions: Questionnaire, answers: dict[str, Any]) -> Portrait:
    """Everything in a version's answers that can be drawn."""
    parts = questions.parts
    return Portrait(
        ownership.of(parts.entities, answers),
        funding.of(questions, answers),
        locations.of(parts.sites, answers),
        timeline.of(questions, answers),
    )


def tables(found: Portrait, language: str) -> list[Table]:
    """The tables that have something in them, in the order of the page."""
    made = [owners(owned, language) for owned in found.owned]
    if found.money:
        made.append(money(found.money, language))
    if found.sites:
        made.append(sites(found.sites, language))
    if found.milestones:
        made.append(milestones(found.milestones, language))
    return made


def percent(share: Decimal | None, language: str) -> str:
    """A percentage as a person reads it."""
    if share is None:
        return translate(language, UNKNOWN)
    return f"{format_decimal(share, format='#,##0.####', locale=language)}\u00a0%"


def euros(amount: Decimal | None, language: str) -> str:
    """An amount as a person reads it."""
    return "–" if amount is None else format_decimal(amount, format="#,##0.00", locale=language)


def day(milestone: Milestone, language: str) -> str:
    """The day of a milestone."""
    return str(format_date(milestone.on, "d MMMM y", locale=language))


def called(milestone: Milestone, language: str) -> str:
    """What a milestone is called: its own name, else its sort."""
    sort = (milestone.sort or {}).get(language) or (milestone.sort or {}).get("en", "")
    return f"{sort}: {milestone.name}" if milestone.name and sort else milestone.name or sort or "–"


def owners(owned: Ownership, language: str) -> Table:
    """Everybody above an organisation, ultimate holders first, with what each has of it in the end."""
    t, names = partial(translate, language), country_names(language)
    notes = [
        t(
            N_(
                "Shares are multiplied along each chain and the chains added (AMLR Art. 52). Votes not given are taken as the shares."
            )
        )
    ]
    if owned.unexplained:
        rest = percent(ownership.in_percent(owned.unexplained), language)
        notes.append(t(N_("Of %(share)s no direct owner is given."), share=rest))
    if owned.is_circular:
        notes.append(t(N_("Owners own each other: a chain is followed until it comes back to where it was.")))
    head = (N_("Holder"), N_("Country"), N_("Through"), N_("Shares"), N_("Votes"), N_("Line"), N_("Ultimate"))
    return Table(
        "owners",
        t(N_("Owners of %(name)s"), name=owned.entity.name),
        tuple(t(words) for words in head),
        tuple(_holding(holding, names, language) for holding in owned.holdings),
        tuple(notes),
        numbers=(3, 4),
    )


def _holding(holding: Holding, names: dict[str, str], language: str) -> tuple[str, ...]:
    t = partial(translate, language)
    chains = "; ".join(" → ".join(chain) if chain else t(DIRECT) for chain in holding.chains[:5])
    return (
        holding.holder.name,
        names.get(holding.holder.country or "", holding.holder.country or "–"),
        f"{chains}; …" if len(holding.chains) > 5 else chains or "–",
        _part(holding.share, holding.is_least, language),
        _part(holding.votes, holding.is_least, language),
        t(UNKNOWN) if holding.share is None else t(LINES[holding.line]),
        t(N_("yes")) if holding.is_ultimate else t(N_("no")),
    )


def _part(share: Any, is_least: bool, language: str) -> str:
    words = percent(ownership.in_percent(share), language)
    return translate(language, LEAST, share=words) if is_least and share is not None else words


def money(found: Waterfall, language: str) -> Table:
    """Sources up to the total, the split, and each ceiling with its base."""
    t = partial(translate, language)

    def line(words: str, sort: str, amount: Decimal | None) -> tuple[str, ...]:
        share = found.share_of(amount) if amount is not None else None
        return words, sort, euros(amount, language), "–" if share is None else percent(share, language)

    private, public = t(N_("private")), t(N_("public"))
    rows = [line(_text(s.label, language), public if s.is_public else private, s.amount) for s in found.sources]
    rows += [
        line(t(N_("Private, together")), private, found.private),
        line(t(N_("Public, together")), public, found.public),
        line(_text(found.label, language), "", found.total),
    ]
    if found.total is not None and found.missing:
        words = N_("Sources lack") if found.missing > 0 else N_("Sources exceed the total by")
        rows.append(line(t(words), "", abs(found.missing)))
    return Table(
        "money",
        t(N_("Finance")),
        (t(N_("Source")), t(N_("Private or public")), t(N_("EUR")), t(N_("Share of the total"))),
        tuple(rows),
        tuple(ceilings(found, language)),
        numbers=(2, 3),
    )


def ceilings(found: Waterfall, language: str) -> list[str]:
    """A sentence for each ceiling."""
    kept = N_("%(label)s: %(share)s of “%(base)s”, at most %(most)s; %(room)s euros below the limit.")
    broken = N_("%(label)s: %(share)s of “%(base)s”, at most %(most)s; %(room)s euros above the limit.")
    return [
        translate(
            language,
            kept if held.is_kept else broken,
            label=_text(held.label, language),
            share=percent(held.share, language),
            base=_text(held.base_label, language),
            most=percent(held.most, language),
            room=euros(abs(held.room), language),
        )
        for held in found.ceilings
    ]


def _text(words: dict[str, str], language: str) -> str:
    return words.get(language) or words["en"]


def sites(found: list[Location], language: str) -> Table:
    """The sites with what places them."""
    t, names = partial(translate, language), country_names(language)
    head = (N_("Number"), N_("Site"), N_("Country"), N_("NUTS 3"), N_("Latitude"), N_("Longitude"), N_("Address"))
    rows = tuple(
        (
            str(site.number),
            site.name,
            names.get(site.country or "", site.country or "–"),
            site.nuts or "–",
            _degrees(site.latitude, language),
            _degrees(site.longitude, language),
            site.address or "–",
        )
        for site in found
    )
    notes = [
        t(N_("Site %(number)s seems to lie outside its country."), number=s.number) for s in found if s.is_doubtful
    ]
    if missing := [str(s.number) for s in found if not s.is_placed]:
        notes.append(t(N_("No coordinates were given for: %(numbers)s."), numbers=", ".join(missing)))
    return Table("sites", t(N_("Sites")), tuple(t(w) for w in head), rows, tuple(notes), numbers=(4, 5))


def _degrees(value: float | None, language: str) -> str:
    return "–" if value is None else f"{format_decimal(value, format='0.0000', locale=language)}°"


def milestones(found: list[Milestone], language: str) -> Table:
    """The milestones in order of time."""
    t = partial(translate, language)
    head = (N_("Milestone"), N_("Date"), N_("Months after the first"))
    rows = tuple((called(m, language), day(m, language), str(m.months)) for m in found)
    return Table("milestones", t(N_("Milestones")), tuple(t(words) for words in head), rows, numbers=(2,))

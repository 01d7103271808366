"""The report of a drill: figures, and each promise that was broken."""

import statistics
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.drill.crowd import Press


@dataclass(frozen=True)
class Findings:
    """What the crowd saw, and what was found in the portal after the seal.

    `stored` has the instant of each version by reference and number, `sealed` the number that counts by reference.
    """

    presses: list[Press]
    closes_at: datetime
    stored: dict[tuple[str, int], datetime]
    sealed: dict[str, int]
    verified: set[tuple[str, int]]
    late_attempts: int
    seals: int
    seal_wait: float | None
    invariants: list[str]
    kills: list[str] = field(default_factory=list)
    revived: int = 0

    @property
    def acknowledged(self) -> set[tuple[str, int]]:
        """The receipts that somebody saw."""
        return {(p.reference, p.version) for p in self.presses if p.version is not None}


def figures(found: Findings) -> dict[str, Any]:
    """All figures, as JSON has them; those under `promises` must be 0."""
    outcomes = [press.outcome for press in found.presses]
    cutoff = found.closes_at.timestamp()
    answered = [p for p in found.presses if p.outcome in ("acknowledged", "refused")]
    return {
        "presses": len(found.presses),
        "accepted": len(found.stored),
        "acknowledged": len(found.acknowledged),
        "refused": outcomes.count("refused"),
        "answered_broken": outcomes.count("broken"),
        "connections_died": outcomes.count("died"),
        "in_manifest_but_not_acknowledged": len(_silent(found)),
        "accepted_though_answered_broken": _mistaken(found),
        "refused_but_not_on_record": _forgotten(found),
        "seals": found.seals,
        "seal_wait_seconds": round(found.seal_wait, 3) if found.seal_wait is not None else None,
        "killed": found.kills,
        "milliseconds": {
            "before": _times([p for p in answered if p.sent_at < cutoff - 1]),
            "last second": _times([p for p in answered if cutoff - 1 <= p.sent_at < cutoff]),
            "after": _times([p for p in answered if p.sent_at >= cutoff]),
        },
        "promises": _promises(found),
        "invariants": found.invariants,
    }


def _promises(found: Findings) -> dict[str, int]:
    cutoff = found.closes_at.timestamp()
    refused = [press for press in found.presses if press.outcome == "refused"]
    invalid = [press for press in found.presses if press.outcome == "invalid"]
    lower = [(reference, n) for reference, n in found.acknowledged if found.sealed.get(reference, 0) < n]
    unexplained = {reference for reference, _ in _silent(found)} - _named(found, "died", "broken")
    untold = _named(found, "died", "broken") - _named(found, "acknowledged", "refused", "invalid")
    return {
        "stamped late": sum(at >= found.closes_at for at in found.stored.values()),
        "acknowledged but missing in the database": len(found.acknowledged - set(found.stored)),
        "acknowledged but missing in the sealed set": len(lower),
        "acknowledged but without a valid receipt and proof": len(found.acknowledged - found.verified),
        "in the sealed set, though its applicant saw neither a receipt nor a fault": len(unexplained),
        "refused before the cutoff": sum(press.sent_at + press.took < cutoff for press in refused),
        "refused as late but not on record": 0 if found.kills else _forgotten(found),
        "applicants left without an answer": len(untold),
        "complete drafts called incomplete": len(invalid),
        "seals too few or too many": abs(found.seals - 1),
        "servers that ended without being killed": found.revived,
        "invariants broken": len(found.invariants),
    }


def _silent(found: Findings) -> set[tuple[str, int]]:
    """What is in the sealed set though nobody saw a receipt of it."""
    return set(found.sealed.items()) - found.acknowledged


def _forgotten(found: Findings) -> int:
    """Late presses whose attempt was not written: the process that kept it while the database was away was killed too."""
    cutoff = found.closes_at.timestamp()
    refused = sum(press.outcome == "refused" and press.sent_at >= cutoff for press in found.presses)
    return max(0, refused - found.late_attempts)


def _mistaken(found: Findings) -> int:
    """Presses that were answered as broken though a version was received meanwhile: the database died at the commit."""
    spans = [(p.reference, p.sent_at, p.sent_at + p.took) for p in found.presses if p.outcome == "broken"]
    received = [(reference, at.timestamp()) for (reference, _), at in found.stored.items()]
    return sum(any(who == one and start <= at <= end for one, at in received) for who, start, end in spans)


def _named(found: Findings, *outcomes: str) -> set[str]:
    return {press.reference for press in found.presses if press.outcome in outcomes}


def _times(presses: list[Press]) -> dict[str, float] | None:
    """Count, median and 99th percentile in milliseconds; None where there was nothing."""
    if not presses:
        return None
    took = sorted(press.took * 1000 for press in presses)
    return {"count": len(took), "p50": round(statistics.median(took)), "p99": round(took[int(len(took) * 0.99)])}


def broken(made: dict[str, Any]) -> list[str]:
    """The promises that were not kept, each with its number; empty when all is well."""
    return [f"{promise}: {number}" for promise, number in made["promises"].items() if number]


def lines(made: dict[str, Any]) -> str:
    """The figures for people."""
    said = [f"{made[name]:>8}  {words}" for name, words in COUNTS.items()]
    said += [f"{number:>8}  {promise} (must be 0)" for promise, number in made["promises"].items()]
    said.append(f"{made['seals']:>8}  seals made (must be 1), {made['seal_wait_seconds']} s after the cutoff")
    for phase, times in made["milliseconds"].items():
        said.append(
            f"  {phase}: p50 {times['p50']} ms, p99 {times['p99']} ms of {times['count']}"
            if times
            else f"  {phase}: none"
        )
    said += [f"  killed: {what}" for what in made["killed"]]
    said += [f"  broken: {sentence}" for sentence in made["invariants"]]
    return "\n".join(said)


COUNTS = {
    "presses": "presses on submit",
    "accepted": "versions accepted",
    "acknowledged": "receipts shown to applicants",
    "refused": "presses refused",
    "answered_broken": "answers that said the portal was broken, pressed again",
    "connections_died": "connections that died, pressed again",
    "in_manifest_but_not_acknowledged": "in the sealed set but not acknowledged (allowed where the connection died)",
    "refused_but_not_on_record": "refused as late but not on record (allowed where database and server were killed)",
    "accepted_though_answered_broken": "accepted though the answer said broken (pressing again showed the receipt)",
}

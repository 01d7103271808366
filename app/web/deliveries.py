"""/manage/deliveries: what EuroHPC says it has, reconciled with the seal."""

import csv
from io import StringIO

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db
from app.domain import audit, calls, deliveries, dossiers, seals
from app.infra import times
from app.web import pages
from app.web.guards import Coordinator

router = APIRouter(prefix="/manage")

ROWS = 100
BYTE_ORDER_MARK = "\ufeff"  # by which spreadsheets know that it is UTF-8


@router.get("/deliveries")
def reconciliation(request: Request, actor: Coordinator, db: Db, call: str = "", after: str = "") -> Response:
    """A call in figures, and each of its sealed submissions with how far it got."""
    listed = calls.all_calls(db)
    chosen = calls.by_code(db, call) if call else next((c for c in listed if c.sealed_at), next(iter(listed), None))
    seal = seals.of_call(db, chosen) if chosen else None
    if chosen is None or seal is None:
        return pages.render(request, "manage/deliveries.html", listed=listed, chosen=chosen, totals=None)
    found = deliveries.reconciled(db, actor, chosen, after.replace("\x00", ""), ROWS + 1)
    audit.record_call(db, actor, "deliveries.read", chosen.id, rows=len(found[:ROWS]))
    return pages.render(
        request,
        "manage/deliveries.html",
        listed=listed,
        chosen=chosen,
        totals=deliveries.totals(db, actor, chosen),
        size=seal.body["size"],
        rows=found[:ROWS],
        further=found[ROWS - 1].submission.reference if len(found) > ROWS else None,
    )


@router.get("/deliveries.csv")
def as_csv(actor: Coordinator, db: Db, call: str) -> Response:
    """The whole reconciliation, as a table."""
    chosen = calls.by_code(db, call)
    dossiers.require_closed(db, chosen)
    out = StringIO()
    lines = csv.writer(out, lineterminator="\r\n")
    instants = ("released_at", "taken_back_at", "delivered_at")
    lines.writerow(["reference", "version", "payload_sha256", "state", *instants, "files", "files_missing"])
    count = 0
    for row in deliveries.everything(db, actor, chosen):
        count += 1
        at = [times.iso(value) if (value := getattr(row, name)) else "" for name in instants]
        version = row.version
        named = [row.submission.reference, version.number, version.payload_sha256, row.state]
        lines.writerow([*named, *at, row.files, row.missing if row.delivered_at else row.files])
    audit.record_call(db, actor, "deliveries.read", chosen.id, rows=count, format="csv")
    content = (BYTE_ORDER_MARK + out.getvalue()).encode()
    return pages.download(content, "text/csv; charset=utf-8", f"{chosen.code}-deliveries.csv")

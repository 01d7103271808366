"""What the virus scanner said of files. A file that waits holds up no submit, only its reading; an infected one nobody gets."""

from collections.abc import Iterable

from sqlalchemy import Text, any_, cast, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.access import SYSTEM
from app.domain.barriers import FileWaits
from app.infra.files import FileStore
from app.models import FileScan

RETRY = 10  # seconds: most files are looked at sooner
NOT_SCANNED, PENDING, CLEAN, INFECTED = "not_scanned", "pending", "clean", "infected"


def await_one(db: Session, sha256: str) -> None:
    """A file came in: it is to be looked at, unless one with the same bytes was."""
    db.execute(insert(FileScan).values(digest=sha256).on_conflict_do_nothing())


def state(db: Session, sha256: str, has_scanner: bool) -> str:
    """How far a file is: `not_scanned` where there is no scanner to look at it."""
    found = db.scalar(select(FileScan.state).where(FileScan.digest == sha256)) or PENDING
    return NOT_SCANNED if found == PENDING and not has_scanner else found


def held_back(db: Session, digests: Iterable[str], has_scanner: bool) -> dict[str, str]:
    """Those of some files that are named and not opened, each with its state: `pending` or `infected`."""
    states = (PENDING, INFECTED) if has_scanner else (INFECTED,)
    wanted = sorted(set(digests))
    named = FileScan.digest == any_(cast(wanted, ARRAY(Text)))  # one parameter: an export names any number
    held = select(FileScan.digest, FileScan.state).where(named, FileScan.state.in_(states))
    return {row.digest: row.state for row in db.execute(held)} if wanted else {}


def require_looked_at(db: Session, digests: Iterable[str], has_scanner: bool) -> None:
    """FileWaits while the scanner has yet to look at one of the files. For readings by others than who gave it."""
    if has_scanner and PENDING in held_back(db, digests, has_scanner).values():
        raise FileWaits(retry_after=RETRY)


def waiting(db: Session, most: int) -> list[str]:
    """Files to be looked at, those first that waited longest since they came or were last tried."""
    since = func.coalesce(FileScan.tried_at, FileScan.arrived_at)
    return list(db.scalars(select(FileScan.digest).where(FileScan.state == PENDING).order_by(since).limit(most)))


def record(db: Session, files: FileStore, sha256: str, finding: str | None) -> None:
    """Keep what the scanner said; an infected file is shut away before anybody can be told of it."""
    if finding is not None:
        files.shut_away(sha256)
    said = {"state": CLEAN if finding is None else INFECTED, "finding": (finding or "")[:200]}
    mine = update(FileScan).where(FileScan.digest == sha256, FileScan.state == PENDING)
    kept = db.scalar(mine.values(**said, tried_at=func.clock_timestamp()).returning(FileScan.digest))
    if kept is not None and finding is not None:
        audit.record(db, SYSTEM, "file.infected", sha256=sha256, finding=finding[:200])


def put_off(db: Session, sha256: str) -> None:
    """The file could not be looked at now: others go first."""
    db.execute(update(FileScan).where(FileScan.digest == sha256).values(tried_at=func.clock_timestamp()))


def shut_away_again(db: Session, files: FileStore) -> None:
    """After a restore, or in another folder: every file found infected is shut away there too."""
    for sha256 in db.scalars(select(FileScan.digest).where(FileScan.state == INFECTED)):
        files.shut_away(sha256)

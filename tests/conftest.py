"""One PostgreSQL cluster a run, migrated for real; a transaction a test, or a clone of the database for `committed` tests."""

import email
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.policy import default
from pathlib import Path

import hypothesis
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker
from starlette.testclient import TestClient

from app import server
from app.deps import Portal
from app.domain import accounts, factors, outbox
from app.infra import database
from app.infra.files import FileStore
from app.infra.mailer import Mailer
from app.infra.postgres import Cluster
from app.infra.signing import Signer
from app.main import create_app
from app.settings import Settings

TEMPLATE = "eoi_template"

# The suite tries the same examples each time; `pytest --hypothesis-profile=search` looks further, and differently.
hypothesis.settings.register_profile("suite", max_examples=25, derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("search", max_examples=1000, deadline=None, database=None)
hypothesis.settings.load_profile("suite")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The run's own PostgreSQL with a migrated template database."""
    with Cluster(tmp_path_factory.mktemp("postgres")) as made:
        made.ensure_database(TEMPLATE)
        server.migrate(made.owner_url(TEMPLATE))
        yield made


@pytest.fixture(scope="session")
def shared_database(cluster: Cluster) -> str:
    """A clone of the template for the tests that roll back: a template in use could not be cloned."""
    return clone(cluster, "eoi_shared")


def clone(cluster: Cluster, name: str) -> str:
    """A database just like the template."""
    cluster.ensure_database(name, template=TEMPLATE)
    return name


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Demonstration settings in a folder of the run's own."""
    environ = {"DATA": str(tmp_path_factory.mktemp("data")), "BASE_URL": "http://testserver"}
    return Settings.from_env(environ, demo=True)


@pytest.fixture(scope="session")
def signer(settings: Settings) -> Signer:
    """The run's signing key."""
    return Signer.load_or_create(settings.data / "keys")


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    """A file store of the test's own."""
    return FileStore(tmp_path / "files")


@pytest.fixture
def db(cluster: Cluster, shared_database: str) -> Iterator[Session]:
    """A session as the serving role, in a transaction that is rolled back."""
    engine = database.engine(cluster.superuser_url(shared_database))
    with engine.connect() as connection:
        transaction = connection.begin()
        connection.execute(text("set local role eoi_app"))
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        transaction.rollback()
    engine.dispose()


@pytest.fixture
def portal(db: Session, settings: Settings, signer: Signer, files: FileStore, tmp_path: Path) -> Portal:
    """A portal whose every session is a savepoint in the test's transaction."""
    bind = db.get_bind()
    mailer = Mailer.from_url(f"folder://{tmp_path / 'mail'}")
    sessions = sessionmaker(bind, expire_on_commit=False, join_transaction_mode="create_savepoint")
    made = Portal(replace(settings), bind.engine, sessions, signer, files, mailer)
    made.snapshots = sessions
    return made


@pytest.fixture
def client(portal: Portal) -> Iterator[TestClient]:
    """A browser without a screen, on the real application, sending what browsers send with a form."""
    with_origin = {"Origin": "http://testserver"}
    client = TestClient(create_app(portal), headers=with_origin, follow_redirects=False, raise_server_exceptions=False)
    yield client
    client.close()


@pytest.fixture
def committed_portal(
    cluster: Cluster, settings: Settings, signer: Signer, files: FileStore, tmp_path: Path
) -> Iterator[Portal]:
    """A portal on a database of its own, where transactions really commit."""
    name = clone(cluster, f"eoi_{secrets.token_hex(6)}")
    engine = database.engine(cluster.app_url(name))
    mailer = Mailer.from_url(f"folder://{tmp_path / 'mail'}")
    yield Portal(settings, engine, database.sessions(engine), signer, files, mailer)
    engine.dispose()
    admin = create_engine(database.sqlalchemy_url(cluster.superuser_url("postgres")), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f'drop database "{name}" with (force)'))
    admin.dispose()


def deliver(portal: Portal) -> list[str]:
    """Send what is queued; return the mails now in the folder, as text."""
    with portal.sessions.begin() as db:
        while outbox.deliver_due(db, portal.mailer, portal.settings.mail_sender):
            db.flush()
    assert portal.mailer.folder is not None
    read = [
        email.message_from_bytes(p.read_bytes(), policy=default) for p in sorted(portal.mailer.folder.glob("*.eml"))
    ]
    return [str(mail.get_content()) for mail in read]


def give_factor(client: TestClient, db: Session, portal: Portal, address: str) -> None:
    """Give the second factor that is asked of staff: a code of an authenticator app that is theirs from now on."""
    person = accounts.find_person(db, address)
    assert person
    app = factors.issue_app(db, person.id, "of the test")
    page = client.get("/account/factors/ask")
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token, page.text
    code = factors.shown_code(db, app, portal.root_key)
    given = client.post("/account/factors/ask", data={"csrf_token": token[1], "code": code, "next": "/account"})
    assert given.status_code == 303, given.text


@pytest.fixture
def sign_in(portal: Portal, db: Session) -> Callable[[TestClient, str], str]:
    """Sign a client in by the link in the mail, as a person would; returns the session's CSRF token."""

    def go(client: TestClient, address: str = "lead@firm.example") -> str:
        client.cookies.clear()
        answer = client.post("/account/sign-in", data={"email": address, "next": "/account"})
        assert answer.status_code == 200, answer.text
        links = [m for mail in deliver(portal) for m in re.findall(r"/account/link/[\w-]+", mail)]
        token = links[-1]
        answer = client.post(token)
        assert answer.status_code == 303
        if "/account/factors/" in answer.headers["location"]:
            give_factor(client, db, portal, address)
        page = client.get("/account")
        found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert found, page.text
        return found[1]

    return go

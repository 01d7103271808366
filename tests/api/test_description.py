"""The description of the API: its examples are real, fit it, and are still what a sandbox answers; a client is made from it."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from app import demo
from app.api import description, problems
from app.deps import Portal
from app.domain import accounts
from app.infra.postgres import Cluster
from app.main import create_app
from app.models import Person
from clients import eoi_pull
from tests import make
from tests.test_cutoff import database_of
from tools import examples

AGREED = json.loads((make.HERE / "openapi.json").read_text())
OPERATIONS = {op["operationId"]: op for verbs in AGREED["paths"].values() for op in verbs.values()}
HELD = description.examples()
BINARY = {"attachment", "export_xlsx", "export_zip"}  # nothing that could stand in a description


def described(content: dict[str, Any]) -> dict[str, Any]:
    """A schema of the description, with what it refers to."""
    return {**content["schema"], "components": AGREED["components"]}


def shown(operation: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """All places for an example: of the body that is sent, and of each body that is answered."""
    places = [("request", content) for content in operation.get("requestBody", {}).get("content", {}).values()]
    for status, answer in operation["responses"].items():
        places += [(status, content) for content in answer.get("content", {}).values()]
    return places


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_operation_has_examples_that_fit_it(name: str) -> None:
    places = shown(OPERATIONS[name])
    assert len(places) > ("security" in OPERATIONS[name])
    for place, content in places:
        if "example" not in content:
            assert name in BINARY, place
            continue
        jsonschema.Draft202012Validator(described(content)).validate(content["example"])


def test_the_examples_are_of_one_sandbox_and_prove_each_other() -> None:
    document, proof = HELD["show_submission"]["answer"], HELD["submission_proof"]["answer"]
    assert document["is_synthetic"]
    digest = eoi_pull.content_digest(document)
    said = HELD["verify_receipt"]
    assert (digest, said["answer"]["outcome"]) == (document["payload_sha256"], "valid")
    assert (proof["leaf"]["payload_sha256"], said["request"]["statement"]["payload_sha256"]) == (digest, digest)
    leaves = HELD["leaves"]["answer"]["seal"]["leaves"]
    leaf = hashlib.sha256(b"\0" + eoi_pull.canonical(proof["leaf"])).hexdigest()
    assert (leaves[proof["index"]], eoi_pull.root_of(leaves)) == (leaf, proof["root"])
    jsonschema.validate(
        {
            n: v
            for part in ("envelope", "technical", "impact", "financial")
            for s in document[part].values()
            for n, v in s["answers"].items()
        },
        HELD["call_schema"]["answer"],
    )
    *lines, manifest = HELD["export"]["answer"].splitlines(keepends=True)
    assert json.loads(manifest)["sha256"] == hashlib.sha256("".join(lines).encode()).hexdigest()


def shape(value: Any, depth: int = 3) -> Any:
    """Which members a document has, and of what sort, as far as the answers of a questionnaire do not decide it.

    The members of lists are held against the description, as all examples are."""
    if isinstance(value, dict):
        return {name: shape(one, depth - 1) for name, one in sorted(value.items())} if depth else "object"
    return "number" if isinstance(value, int) and not isinstance(value, bool) else type(value).__name__


@pytest.fixture
def sandbox(committed_portal: Portal, cluster: Cluster) -> tuple[TestClient, str]:
    """A sandbox of two submissions, one taken back, and what asks it."""
    portal = replace(committed_portal, settings=replace(committed_portal.settings, base_url="http://testserver"))
    with portal.sessions.begin() as db:
        accounts.invite_staff(db, "c@rvo.example", "coordinator")
    with portal.sessions.begin() as db:
        by = accounts.actor_for(db, db.scalars(select(Person).where(Person.email == "c@rvo.example")).one())
    made = demo.sandbox(portal, cluster.owner_url(database_of(portal)), "sandbox-2", 2, 1, by)
    return TestClient(create_app(portal), headers={"Authorization": f"Bearer {made['key']}"}), made["call"]


@pytest.mark.committed
def test_a_sandbox_still_answers_as_the_examples_do(sandbox: tuple[TestClient, str]) -> None:
    client, call = sandbox
    found = examples.collect(client, call, AGREED)
    assert set(found) == set(OPERATIONS) - BINARY - {"token"} == set(HELD)
    for name, one in found.items():
        apart = {"call_schema", "export", "export_csv", "export_json", "export_schema", "codes_of_call"} & {name}
        assert one["status"] == HELD[name]["status"]
        assert apart or shape(one["answer"]) == shape(HELD[name]["answer"]), name
        assert shape(one.get("request")) == shape(HELD[name].get("request")), name


def test_every_status_has_an_example_with_its_own_code() -> None:
    for status, refusal in description.SAID.items():
        said = problems.document(refusal)
        assert (str(said["status"]), said["code"] in problems.MEANINGS) == (status, True)

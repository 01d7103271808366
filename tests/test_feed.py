"""The feed in a race: nothing is lost, doubled or left out, whoever is killed, and nobody waits for another in a circle."""

from pathlib import Path

import pytest

from app.deps import Portal
from app.domain import calls
from app.infra.postgres import Cluster
from bench import feed as bench
from tests import make
from tests.test_cutoff import database_of, prepare, press_submit, publish, set_window


@pytest.mark.committed
def test_twenty_four_writers_on_two_calls_and_a_reader_that_is_killed_again_and_again(
    committed_portal: Portal, cluster: Cluster, tmp_path: Path
) -> None:
    portal = committed_portal
    for code in ("one", "two"):
        publish(portal, cluster, code=code)
        for actor, reference in prepare(portal, code, 24):
            assert press_submit(portal, actor, reference, "k") == "accepted"
        set_window(portal, cluster, code, 0)
        with portal.sessions.begin() as db:
            make.seal(db, calls.by_code(db, code), portal.signer)
    url = cluster.app_url(database_of(portal))
    found = bench.race(url, ["one", "two"], portal.signer.jwks(), tmp_path, 5, "seed")
    assert found["entries"] > 100, str(found)
    assert found["kills"] >= 3
    promised = {"lost": 0, "doubled": 0, "in order": True, "completeness": [], "invariants": [], "faults": []}
    assert {name: found[name] for name in promised} == promised

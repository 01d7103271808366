"""The crowd of a drill: applicants who submit at a random moment, some twice, some again after a change."""

import http.client
import secrets
import threading
import time
import urllib.parse
from dataclasses import dataclass
from random import Random
from typing import Literal

from app.drill.stage import Applicant

HABITS = {"once": 6, "twice": 2, "changes": 2}  # of ten applicants
TIMEOUT = 30  # seconds until an applicant gives up waiting for an answer
AGAIN = 0.3  # seconds until they press again after a connection died


@dataclass(frozen=True)
class Press:
    """One press on submit. Instants are seconds since 1970; `version` is of the receipt that was shown."""

    reference: str
    sent_at: float
    took: float
    outcome: Literal["acknowledged", "refused", "invalid", "broken", "died"]
    version: int | None = None


class Crowd:
    """Drives all applicants over HTTP from the moment it is started; `presses` is what they saw."""

    def __init__(self, url: str, applicants: list[Applicant], seconds: float, chance: Random, grace: float) -> None:
        self.host = urllib.parse.urlsplit(url)
        self.url, self.seconds, self.grace = url, seconds, grace
        self.presses: list[Press] = []
        self.started_at = 0.0
        chances = [Random(chance.random()) for _ in applicants]  # noqa: S311 (a rehearsal)
        self.threads = [
            threading.Thread(target=self._live, args=each, daemon=True)
            for each in zip(applicants, chances, strict=True)
        ]

    def start(self) -> None:
        """Begin the time of the drill."""
        self.started_at = time.time()
        for thread in self.threads:
            thread.start()

    def is_busy(self) -> bool:
        """Whether somebody is not done yet."""
        return any(thread.is_alive() for thread in self.threads)

    def _until(self, moment: float) -> None:
        time.sleep(max(0.0, self.started_at + moment - time.time()))

    def _live(self, one: Applicant, chance: Random) -> None:
        moment = chance.uniform(0, self.seconds)
        habit = chance.choices(list(HABITS), list(HABITS.values()))[0]
        self._until(moment)
        key = secrets.token_urlsafe(12)
        if habit == "twice":
            double = threading.Thread(target=self._submit, args=(one, key), daemon=True)
            double.start()
            self._submit(one, key)
            double.join()
            return
        self._submit(one, key)
        if habit == "changes":
            self._until(chance.uniform(moment, self.seconds))
            self._change(one)
            self._submit(one, secrets.token_urlsafe(12))

    def _change(self, one: Applicant) -> None:
        """Save another title; where that fails the submit that follows is of what was there."""
        fields = one.answers | {"title": f"Changed {secrets.token_hex(4)}", "revision": "1", "action": "save"}
        try:
            self._post(one, one.step, fields)
        except (OSError, http.client.HTTPException):
            return

    def _submit(self, one: Applicant, key: str) -> None:
        """Press submit; and again with the same key while the connection dies or the portal is broken, as people do."""
        while True:
            sent_at, started = time.time(), time.perf_counter()
            press = Press(one.reference, sent_at, 0, "died")
            try:
                status, place = self._post(one, "receipts", {"key": key})
            except (OSError, http.client.HTTPException):
                self.presses.append(press)
            else:
                took = time.perf_counter() - started
                number = place.rpartition("/")[2]
                if status == 303 and number.isdigit():
                    self.presses.append(Press(one.reference, sent_at, took, "acknowledged", int(number)))
                    return
                if status < 500:
                    outcome: Literal["invalid", "refused"] = "invalid" if status == 422 else "refused"
                    self.presses.append(Press(one.reference, sent_at, took, outcome))
                    return
                self.presses.append(Press(one.reference, sent_at, took, "broken"))
            if time.time() > self.started_at + self.seconds + self.grace:
                return
            time.sleep(AGAIN)

    def _post(self, one: Applicant, place: str, fields: dict[str, str]) -> tuple[int, str]:
        """Status, and where it leads."""
        body = urllib.parse.urlencode({"csrf_token": one.token, **fields})
        headers = {
            "Cookie": f"eoi={one.cookie}",
            "Origin": self.url,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        connection = http.client.HTTPConnection(self.host.hostname or "", self.host.port, timeout=TIMEOUT)
        try:
            connection.request("POST", f"/apply/{one.reference}/{place}", body, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.headers.get("Location") or ""
        finally:
            connection.close()

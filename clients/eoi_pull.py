"""eoi-pull: keeps a folder equal to what an expression of interest portal has released to you, and shows that it is.

    EOI_KEY=eoi_... python eoi_pull.py https://eoi.example aigf-eoi ./aigf-eoi    (needs httpx and cryptography)

It may be killed at any moment and run again: what is in `submissions/` is whole, and it goes on where it was. Exit codes:
0 up to date and complete, 1 refused or something does not fit, 2 wrong usage, 75 temporary failure: try again later.
"""

import argparse
import base64
import fcntl
import hashlib
import json
import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

DONE, REFUSED, USAGE, LATER, PARALLEL = 0, 1, 2, 75, 4
REFERENCE, DIGEST = re.compile("[0-9A-Z]{5}-[0-9A-Z]{5}-[0-9A-Z]{4}"), re.compile("[0-9a-f]{64}")
FLAWS = (OSError, ValueError, LookupError, TypeError, AttributeError)  # of documents that are not as described


class Stop(Exception):
    """The run ends here, with an exit code, a sentence, and for how long the portal asks to wait."""


def canonical(value: Any) -> bytes:
    """RFC 8785, for JSON without fractions whose members have ASCII names: what the portal takes digests over."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def content_digest(document: dict[str, Any]) -> str:
    """The digest on the receipt, computed anew from the submission: another answer gives another digest."""
    content = {name: document[name] for name in ("call", "definition", "reference", "kind", "language", "organisation")}
    headings = (document[name] for name in ("envelope", "technical", "impact", "financial", "other"))
    answers = {name: given for heading in headings for s in heading.values() for name, given in s["answers"].items()}
    files = [{n: f[n] for n in ("id", "question", "name", "media_type", "size", "sha256")} for f in document["files"]]
    warnings = [{name: w[name] for name in ("code", "path", "reason")} for w in document["warnings"]]
    content |= {"format": "eoi-submission/1", "answers": answers, "files": files, "warnings": warnings}
    return hashlib.sha256(canonical(content)).hexdigest()


def root_of(leaves: list[str]) -> str:
    """The root of the seal's tree (RFC 9162): pairs under a byte 1, a node without a neighbour moves up as it is."""
    level = [bytes.fromhex(leaf) for leaf in leaves] or [hashlib.sha256(b"").digest()]
    while len(level) > 1:
        pairs = [hashlib.sha256(b"\x01" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0].hex()


def signed(jws: str, keys: dict[str, Any]) -> dict[str, Any]:
    """What a compact JWS says; nothing where its Ed25519 signature is not by one of the keys."""
    _, body, signature = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in jws.split("."))
    for public in [Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(k["x"] + "=")) for k in keys["keys"]]:
        with suppress(InvalidSignature):
            public.verify(signature, jws.rpartition(".")[0].encode())
            return dict(json.loads(body))
    return {}


def settle(path: Path) -> None:
    """Have the disk keep a file's bytes, or a folder's names."""
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def write(path: Path, value: Any) -> None:
    """A JSON file, whole or not at all."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n")
    settle(draft)
    draft.replace(path)
    settle(path.parent)


class Copy:
    """A call in a folder: `submissions/REFERENCE/`, what was taken back in `withdrawn/`, and how far the feed was read."""

    def __init__(self, given: argparse.Namespace) -> None:
        key = f"Bearer {given.key_file.read_text().strip() if given.key_file else os.environ['EOI_KEY']}"
        self.http = httpx.Client(base_url=f"{given.portal}/api/v1", headers={"Authorization": key}, timeout=60)
        self.keys: Any = json.loads(given.keys.read_bytes()) if given.keys else None
        self.given, self.call, self.folder = given, f"/calls/{given.call}", given.folder
        self.faults: dict[str, str] = {}
        for name in ("submissions", "withdrawn", "partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.lock = (self.folder / ".lock").open("w")
        fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError when another run is at work
        place, of = self.folder / "state.json", f"{given.portal} {given.call}"
        self.state = json.loads(place.read_bytes()) if place.exists() else {"of": of, "cursor": ""}
        if self.state["of"] != of:
            raise Stop(USAGE, f"{self.folder} holds {self.state['of']}. Name another folder.")

    def send(self, path: str, *fine: int, method: str = "GET", into: Path | None = None, **more: Any) -> httpx.Response:
        """An answer with one of the statuses `fine`, tried again where that may help; its body goes on `into` a file."""
        reason, pause = "", 0.0
        for attempt in range(self.given.tries):
            time.sleep(attempt and (pause or min(2.0**attempt, 60) * (0.5 + os.urandom(1)[0] / 512)))
            if into:  # goes on behind what is there
                have = into.stat().st_size if into.exists() else 0
                more["headers"] = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
            try:
                with self.http.stream(method, path, **more) as answer:
                    if into and answer.status_code in (200, 206):
                        with into.open("ab" if answer.status_code == 206 else "wb") as file:
                            file.writelines(answer.iter_bytes())
                    else:
                        answer.read()
            except httpx.TransportError as failure:
                reason, pause = repr(failure), 0.0
                continue
            if answer.status_code in fine:
                return answer
            after = answer.headers.get("retry-after", "")
            reason, pause = f"HTTP {answer.status_code}", min(float(after), 300) if after.isdecimal() else 0.0
            waits = answer.status_code == 409 and '"file_waits"' in answer.text  # the portal's scanner is at it
            if not waits and answer.status_code not in (429, 500, 502, 503, 504):
                early = '"call_not_closed"' in answer.text
                raise Stop(LATER if early else REFUSED, f"{path}: {answer.status_code} {answer.text[:500]}", pause)
        raise Stop(LATER, f"{path}: {reason}, {self.given.tries} times", pause)

    def follow(self, wait: int) -> int:
        """Read the feed to its end and do what it says; how many entries that were. `wait`: seconds, while there are none."""
        seen, more = 0, True
        while more:
            query = {"after": self.state["cursor"], "limit": 200, "wait": 0 if seen else wait}
            answer = self.send(f"{self.call}/feed", 200, 410, params=query)
            anew: Any = {
                "items": [],
                "cursor": "",
                "has_more": True,
            }  # the database was restored: entries twice do no harm
            page = answer.json() if answer.status_code == 200 else anew
            latest = {entry["reference"]: entry for entry in page["items"]}  # the last word on each counts
            with ThreadPoolExecutor(PARALLEL) as pool:
                list(pool.map(self.obey, latest.values()))
            self.state["cursor"] = page["cursor"]
            write(self.folder / "state.json", self.state)
            seen, more = seen + len(page["items"]), page["has_more"]
        return seen

    def obey(self, entry: dict[str, Any]) -> None:
        """Do what an entry says. What does not fit is told at the end, and does not hold up the rest."""
        reference, wanted = entry["reference"], (entry["version"], entry["payload_sha256"])
        if not REFERENCE.fullmatch(reference):
            raise Stop(REFUSED, f"The portal names a submission {reference!r}, which cannot be.")
        self.faults.pop(reference, None)
        kept = self.folder / "submissions" / reference
        try:
            if entry["kind"] == "withdrawn":
                self.put_away(kept, f"entry{entry['number']}")
            elif entry["kind"] in ("released", "replaced") and (self.held(kept) == wanted or self.fetch(kept, *wanted)):
                files = {file["sha256"] for file in json.loads((kept / "submission.json").read_bytes())["files"]}
                body = {"version": wanted[0], "payload_sha256": wanted[1], "files": sorted(files)}
                path, fine = f"/submissions/{reference}/deliveries", (200, 201, 403, 409)  # 403: a key that only reads
                if self.send(path, *fine, method="POST", json=body).status_code == 409:
                    raise ValueError("the portal says that what arrived is not what was released")
        except FLAWS as failure:
            self.faults[reference] = f"{reference}: {failure}"

    def held(self, kept: Path) -> tuple[int, str] | None:
        """Which version lies there whole, by its content and its files; None for anything less."""
        try:
            document = json.loads((kept / "submission.json").read_bytes())
            for place, file in self.files(kept, document):
                digest = hashlib.sha256(place.read_bytes()).hexdigest() if self.given.recheck else file["sha256"]
                if (place.stat().st_size, digest) != (file["size"], file["sha256"]):
                    return None
            return document["version"], content_digest(document)
        except FLAWS:
            return None

    def files(self, kept: Path, document: dict[str, Any]) -> list[tuple[Path, dict[str, Any]]]:
        """Where each file lies: by its digest, with as much of its name as any file system takes."""
        if not all(DIGEST.fullmatch(file["sha256"]) for file in document["files"]):
            raise ValueError("a file has no digest")
        named = [(re.sub(r"[^\w.-]", "_", file["name"], flags=re.ASCII)[-80:], file) for file in document["files"]]
        return [(kept / f"{file['sha256'][:16]}-{name}", file) for name, file in named]

    def fetch(self, kept: Path, number: int, digest: str) -> bool:
        """Bring a version and its files, checked, under its name at once; False when it is not there any more."""
        here = f"/submissions/{kept.name}"
        answer = self.send(f"{here}/versions/{int(number)}", 200, 404)
        if answer.status_code == 404:
            return False
        document, wanted = answer.json(), (kept.name, number, digest)
        if (document["reference"], document["version"], content_digest(document)) != wanted:
            raise ValueError("what came is not what was announced")
        said = signed(document["receipt"]["jws"], self.keys) if self.keys else {}
        if self.keys and tuple(said.get(name) for name in ("reference", "version", "payload_sha256")) != wanted:
            raise ValueError("its receipt does not fit, or is not signed with one of the keys")
        work = self.folder / "partial" / f"{kept.name}-v{number}"
        work.mkdir(exist_ok=True)
        for place, file in self.files(work, document):
            if not place.exists() and not self.download(place, f"{here}/attachments/{file['sha256']}", file):
                return False
        write(work / "submission.json", document)
        self.put_away(kept, "replaced")
        work.rename(kept)
        settle(kept.parent)
        return True

    def download(self, place: Path, path: str, file: dict[str, Any]) -> bool:
        """One file, going on where an earlier run broke off, kept when its digest is right; False when it is gone."""
        part = place.with_name(f"{place.name}.part")
        for _ in range(2):
            have = part.stat().st_size if part.exists() else -1
            if have < file["size"] and self.send(path, 200, 206, 404, 416, into=part).status_code == 404:
                return False
            if part.exists() and hashlib.sha256(part.read_bytes()).hexdigest() == file["sha256"]:
                settle(part)
                part.replace(place)
                return True
            part.unlink(missing_ok=True)  # what was begun is of something else: once more from the start
        raise ValueError(f"{file['name']} does not come with its digest")

    def put_away(self, kept: Path, why: str) -> None:
        """Move what is held of a submission to `withdrawn/`."""
        if kept.exists():
            kept.rename(self.folder / "withdrawn" / f"{kept.name}-{why}-{time.time_ns()}")
            settle(kept.parent)

    def complete(self) -> str:
        """Hold what is here against the seal, fetch what lacks, and say so in a sentence; Stop(REFUSED) where it does not fit."""
        place = self.folder / "leaves.json"
        tag = json.loads(place.read_bytes())["cursor"] if place.exists() else ""
        answer = self.send(f"{self.call}/leaves", 200, 304, headers={"If-None-Match": f'"{tag}"'} if tag else {})
        if answer.status_code == 200:
            write(place, answer.json())
        told = json.loads(place.read_bytes())
        if told["cursor"] != self.state["cursor"]:  # something happened meanwhile
            self.follow(0)
            return self.complete()
        leaves, said = told["seal"]["leaves"], told["seal"]["statement"]
        if leaves != sorted(leaves) or len(leaves) != said["size"] or root_of(leaves) != said["root"]:
            raise Stop(REFUSED, "The leaves do not lead to the root of the seal.")
        if said["call"] != self.given.call or (self.keys and signed(told["seal"]["jws"], self.keys) != said):
            raise Stop(REFUSED, "The seal is not what was signed, or not with one of the keys, or of another call.")
        held = {kept.name: self.held(kept) for kept in (self.folder / "submissions").iterdir()}
        released = [(one["index"], one["leaf"]) for one in told["released"]]
        for index, leaf in released:
            reference, right = leaf["reference"], (leaf["version"], leaf["payload_sha256"])
            if held.get(reference) != right:
                self.obey(leaf | {"kind": "released"})
                held[reference] = self.held(self.folder / "submissions" / reference)
            if hashlib.sha256(b"\0" + canonical(leaf)).hexdigest() != leaves[index]:
                self.faults[reference] = f"{reference} is not in the sealed set as it was released."
            elif held[reference] != right:
                self.faults.setdefault(reference, f"{reference} is missing.")
        for reference in held.keys() - {leaf["reference"] for _, leaf in released}:
            self.faults[reference] = f"{reference} is held and not released."
        if self.faults:
            raise Stop(REFUSED, "\n".join(self.faults[r] for r in sorted(self.faults)))
        rest = f"signature {'checked' if self.keys else 'not checked'}); {len(leaves) - len(held)} others were not released"
        return f"Complete: {len(held)} of {len(released)} released, all under root {said['root']} of the seal ({rest}."


def main(words: list[str] | None = None) -> int:
    """One run, or with `--wait` one that does not end by itself; the exit code."""
    usage = argparse.ArgumentParser(prog="eoi-pull", description=(__doc__ or "").split("\n\n")[0])
    usage.add_argument("portal", help="such as https://eoi.example", type=lambda given: given.rstrip("/"))
    usage.add_argument("call", help="code of the call")
    usage.add_argument("folder", type=Path, help="where the copy is kept")
    usage.add_argument("--key-file", type=Path, required="EOI_KEY" not in os.environ, help="holds the key")
    usage.add_argument("--keys", type=Path, help="public keys (/.well-known/jwks.json) to check signatures with")
    usage.add_argument("--wait", action="store_true", help="stay and follow the feed")
    usage.add_argument("--recheck", action="store_true", help="compute the digest of every file held anew")
    usage.add_argument("--tries", type=int, default=6, help="how often to ask when the portal does not answer")
    given, copy, wait = usage.parse_args(words), None, 0
    while True:
        try:
            copy = copy or Copy(given)
            if copy.follow(wait) or not wait:
                print(copy.complete(), flush=True)
            if not given.wait:
                return DONE
            wait = 30
        except Stop as stop:
            code, sentence, *pause = stop.args
            print(f"eoi-pull: {sentence}", file=sys.stderr, flush=True)
            if code != LATER or not given.wait:
                return int(code)
            time.sleep(sum(pause) or 10)
        except FLAWS as failure:
            print(f"eoi-pull: {failure!r}", file=sys.stderr)
            return LATER if isinstance(failure, BlockingIOError) else REFUSED if copy else USAGE


if __name__ == "__main__":
    sys.exit(main())

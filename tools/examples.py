"""Ask a sandbox for everything that the API has, and keep what was asked and answered as the examples of its description.

    python -m app sandbox --by coordinator@demo.example --code sandbox-2 --submissions 2 --taken-back 1
    EOI_KEY=eoi_... python tools/examples.py http://127.0.0.1:8000 sandbox-2

The sandbox is one of two submissions, so that each answer can stand there as it is. A test asks another one and compares.
"""

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx

PLACE = Path(__file__).parents[1] / "app" / "api" / "examples.json"
WHOLE = ("application/json", "application/x-ndjson", "text/csv")


def collect(http: Any, call: str, described: dict[str, Any]) -> dict[str, Any]:
    """By name of operation: what was asked, and what was answered. `http` sends a key to `call` with each request."""
    feed = http.get(f"/api/v1/calls/{call}/feed").json()["items"]
    gone = {entry["reference"] for entry in feed if entry["kind"] == "withdrawn"}
    entry = next(entry for entry in feed if entry["reference"] not in gone)
    document = http.get(entry["url"]).json()
    digests = [file["sha256"] for file in document["files"]]
    names = {"code": call, "ref": entry["reference"], "number": str(entry["version"]), "sha256": digests[0]}
    names["name"] = "member_states"
    jws = document["receipt"]["jws"]
    said = jws.split(".")[1]
    statement = json.loads(base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)))
    asked = {
        "acknowledge": {"version": entry["version"], "payload_sha256": entry["payload_sha256"], "files": digests},
        "verify_receipt": {"statement": statement, "jws": jws},
    }
    found: dict[str, Any] = {}
    for path, verbs in sorted(described["paths"].items(), key=lambda one: "get" in one[1]):
        for verb, operation in sorted(verbs.items(), reverse=True):
            name = operation["operationId"]
            if verb == "get":
                answer = http.get("/api/v1" + path.format_map(names))
            elif name in asked:
                answer = http.post("/api/v1" + path.format_map(names), json=asked[name])
            else:
                continue
            sort = answer.headers["content-type"].partition(";")[0]
            if sort in WHOLE:
                body = answer.json() if sort == WHOLE[0] else answer.text
                if name == "export_schema":  # a hundred kilobytes: of its parts one is enough
                    body["$defs"] = {"Manifest": body["$defs"]["Manifest"]}
                found[name] = {"status": str(answer.status_code), "answer_type": sort, "answer": body}
                found[name] |= {"request_type": WHOLE[0], "request": asked[name]} if name in asked else {}
    return found


def main() -> None:
    """Write the file."""
    portal, call = sys.argv[1:]
    headers = {"Authorization": f"Bearer {os.environ['EOI_KEY']}"}
    with httpx.Client(base_url=portal, headers=headers, timeout=60) as http:
        described = http.get("/api/v1/openapi.json").json()
        found = collect(http, call, described)
    PLACE.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

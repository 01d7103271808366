"""Scan a demonstration with wapiti as each role that meets it: sign in, start at every page of tests/routes.json, tell the findings.

    pip install wapiti3 (in an environment of its own), then
    python -m tools.scan http://127.0.0.1:8000 --wapiti /path/to/bin/wapiti --key "$(cat data/demo-api-key)"

It changes what it finds: scan a demonstration with data of its own, on this machine. Exit code 1 where anything was found that
docs/security.md does not explain. The log of the portal is the other half: it must hold no ERROR.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import httpx

ROOT = Path(__file__).resolve().parent.parent
PEOPLE = {
    "company": "company@demo.example",
    "state": "ministry@demo.example",
    "reviewer": "reviewer@demo.example",
    "coordinator": "coordinator@demo.example",
    "admin": "admin@demo.example",
}
STAFF = ("reviewer", "coordinator", "admin")
ROLES = (
    "anonymous",
    "machine",
    *PEOPLE,
)  # the mightiest last: an administrator that presses everything ends the roles of others
# Those that need no listener elsewhere, but for what a demonstration without TLS has not (cookieflags) and no portal has (ldap).
MODULES = (
    "backup,crlf,csp,exec,file,htaccess,http_headers,methods,permanentxss,redirect,"
    "shellshock,spring4shell,sql,timesql,upload,xss"
)
SIGNED_IN = "csrf"  # before a session there is nothing to forge, and no token: the origin is what is checked
EXPLAINED = re.compile(r"^Backup file GET \S*~$")  # references are read leniently, with whatever sign behind them
LEAVES = ("/account/sign-out", "/account/sign-ins", "/static/", "/demo/mail")  # end the session, or are no pages
TOKEN = re.compile(r'name="csrf_token" value="([^"]*)"')


def sign_in(url: str, role: str) -> dict[str, str]:
    """The cookies of somebody who followed the mailed link and gave the second factor that the demonstration shows."""
    email, home = PEOPLE[role], "/review/mine" if role in STAFF else "/apply"
    with httpx.Client(base_url=url, headers={"Origin": url}, follow_redirects=True, timeout=30) as client:
        known = links(client, email)
        client.post("/account/sign-in", data={"csrf_token": token(client, "/account/sign-in"), "email": email})
        while not (new := [one for one in links(client, email) if one not in known]):
            time.sleep(0.2)
        page = client.post(new[0], data={"csrf_token": token(client, new[0])})
        while page.url.path == "/account/factors/ask":
            if code := re.search(r"data-code[^>]*>\s*(\d+)", page.text):
                form = {"csrf_token": TOKEN.findall(page.text)[0], "code": code[1], "next": "/review/mine"}
                page = client.post("/account/factors/ask", data=form)
            else:
                time.sleep(1)  # each code is taken once
                page = client.get("/account/factors/ask?next=/review/mine")
        if (page.status_code, page.url.path) != (200, home):
            raise SystemExit(f"{email} is no {role} here: {page.status_code} at {page.url.path}. Scan fresh data.")
        return dict(client.cookies)


def token(client: httpx.Client, path: str) -> str:
    """What the form of a page carries."""
    return (TOKEN.findall(client.get(path).text) or [""])[0]


def links(client: httpx.Client, email: str) -> list[str]:
    """The sign-in links that were mailed to an address, newest first."""
    articles = client.get("/demo/mail").text.split("<article")
    return [
        found for one in articles if email in one for found in re.findall(r'href="[^"]*(/account/link/[^"]+)"', one)
    ]


def starts(role: str) -> list[str]:
    """The pages that a scan begins at, beside what it finds by itself."""
    routes = json.loads((ROOT / "tests" / "routes.json").read_text())
    paths = {line.split(" ")[1] for line in routes if line.startswith("GET ")}
    names = {"{code}": "aigf-rehearsal", "{state}": "NL", "{name}": "countries"}
    for brace, word in names.items():
        paths = {path.replace(brace, word) for path in paths}
    mine = {path for path in paths if "{" not in path and path.startswith("/api/") == (role == "machine")}
    return sorted(path for path in mine if not path.startswith(LEAVES))


def scan(url: str, role: str, given: argparse.Namespace, folder: Path) -> list[tuple[str, str, str, str]]:
    """What wapiti found as this role: severity, what, where, how."""
    report = folder / f"{role}.json"
    modules = f"{MODULES},{SIGNED_IN}" if role in PEOPLE else MODULES
    command = [given.wapiti, "-u", f"{url}/", "--scope", "folder", "-m", modules, "-f", "json", "-o", str(report)]
    command += ["--max-scan-time", str(given.crawl), "--max-attack-time", str(given.attack), "--tasks", "2", "-v", "1"]
    command += ["--store-session", str(folder / role), "--flush-session", "--no-bugreport", "-S", "normal", "-d", "6"]
    command += ["--max-parameters", "60", "-H", f"Origin: {url}"]
    for path in starts(role):
        command += ["-s", f"{url}{path}"]
    for path in LEAVES if role not in PEOPLE else (*LEAVES, "/account/sign-in", "/account/link"):
        command += ["-x", f"{url}{path}*"]
    if role in PEOPLE:
        cookies = sign_in(url, role)
        command += ["-C", ";".join(f"{name}={value}" for name, value in cookies.items())]
    if role == "machine":
        command += ["-H", f"Authorization: Bearer {given.key}", "--swagger", f"{url}/api/v1/openapi.json"]
    with (folder / f"{role}.log").open("w") as log:
        subprocess.run(command, stdout=log, stderr=log, check=False, timeout=given.crawl + 60 * given.attack)
    told = json.loads(report.read_text())
    found = [
        (f"{group} {one['level']}", what, f"{one['method']} {one['path']}", one["info"])
        for group in ("vulnerabilities", "anomalies")
        for what, ones in told[group].items()
        for one in ones
        if not EXPLAINED.match(f"{what} {one['method']} {one['path']}")
    ]
    print(f"{role}: {told['infos']['crawled_pages_nbr']} pages crawled, {len(found)} findings", flush=True)
    return found


def main() -> None:
    """Scan as each role, one after another, and tell each finding once."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("url")
    options.add_argument("--wapiti", default="wapiti")
    options.add_argument("--key", default="", help="of the API, for the role `machine`")
    options.add_argument("--roles", nargs="*", choices=ROLES, default=ROLES)
    options.add_argument("--crawl", type=int, default=60, help="seconds")
    options.add_argument("--attack", type=int, default=20, help="seconds for each kind of attack")
    options.add_argument("--out", type=Path, help="folder in which reports and logs are kept")
    given = options.parse_args()
    if urlsplit(given.url).hostname not in ("127.0.0.1", "localhost"):
        raise SystemExit("Scan a demonstration on this machine only.")
    with tempfile.TemporaryDirectory() as name:
        folder = given.out or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        seen = Counter((role, *one) for role in given.roles for one in scan(given.url.rstrip("/"), role, given, folder))
    for (role, level, what, where, how), times in sorted(seen.items()):
        print(f"{role}\t{level}\t{what}\t{where}\t{how}" + (f" ({times} times)" if times > 1 else ""))
    sys.exit(1 if seen else 0)


if __name__ == "__main__":
    main()

"""Write docs/licences.md: every locked package that the portal runs with, and what it may be used under."""

import json
import re
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKED = re.compile(r"^([a-z0-9-]+)==(\S+)", re.M)


def licence(name: str) -> str:
    """As the package tells it: an expression, a classifier, or its first words; `other platform` where it is not installed."""
    try:
        told = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return "other platform"
    classifiers = [c.rpartition(" :: ")[2] for c in told.get_all("Classifier") or () if c.startswith("License :: ")]
    short = (told.get("License") or "").strip().splitlines()
    return told.get("License-Expression") or "; ".join(classifiers) or (short[0][:60] if short else "not told")


def lines() -> list[str]:
    """A row for each package of Python and of the front end."""
    locked = LOCKED.findall((ROOT / "requirements" / "run.txt").read_text())
    rows = [f"| {name} | {version} | {licence(name)} |" for name, version in dict(locked).items()]
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    wanted = json.loads((ROOT / "package.json").read_text())["dependencies"]
    found = {name: packages[f"node_modules/{name}"] for name in wanted}
    return rows + [
        f"| {name} (npm) | {one['version']} | {one.get('license', 'not told')} |" for name, one in found.items()
    ]


def main() -> None:
    """Write it."""
    head = "# What the portal is made of, and under which licence\n\nMade by `make sbom`.\n\n| package | version | licence |\n|---|---|---|\n"
    (ROOT / "docs" / "licences.md").write_text(head + "\n".join(lines()) + "\n")


if __name__ == "__main__":
    main()

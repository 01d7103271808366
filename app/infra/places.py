"""Where the portal's own files lie: beside `app/` in the source tree, inside it once installed from a wheel."""

from pathlib import Path

APP = Path(__file__).resolve().parents[1]


def place(name: str) -> Path:
    """A folder of the house by its name: templates, migrations, locales, calls; and static, which is always inside."""
    inside = APP / name
    return inside if inside.is_dir() else APP.parent / name

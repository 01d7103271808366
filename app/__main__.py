"""`python -m app`: the command line. A server process that is started anew reads this file too, and needs none of it."""

import sys

from app import forge

if __name__ == "__main__":
    if "serve" in sys.argv[1:2]:
        forge.heat()
    from app.cli import app

    app(prog_name="python -m app")

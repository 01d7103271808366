"""`python -m app`: the command line. A server process that is started anew reads this file too, and needs none of it."""

if __name__ == "__main__":
    from app.cli import app

    app(prog_name="python -m app")

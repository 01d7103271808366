"""The rush of the last minute: 300 applicants, two workers; beside it a raw commit of the same rows. See README.md."""

import argparse
import secrets
import tempfile
from pathlib import Path
from random import Random

from app.drill import rehearsal, report
from app.drill.stage import raised
from bench.submit import raw


def main() -> None:
    """Run it, print the figures; exit code 1 when a promise is broken."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--applicants", type=int, default=300)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--seed", default=secrets.token_hex(4))
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name, raised(Path(name), given.workers) as stage:
        made = rehearsal.run(stage, given.applicants, given.seconds, False, Random(given.seed), closes_after=1.0)
        base = raw(stage.cluster, Path(name), 10)
    print(f"{given.applicants} applicants in the last {given.seconds:g} s, {given.workers} workers, seed {given.seed}")
    print(report.lines(made))
    busy = made["milliseconds"]["last second"] or made["milliseconds"]["before"]
    rate = made["accepted"] / given.seconds
    print(f"p99 of submit under load: {made['milliseconds']['before']['p99']} ms; in the last second {busy['p99']} ms")
    print(
        f"raw commit of the same rows by pgbench: {base:.0f}/s; accepted {rate:.1f}/s, which is {rate / base:.1%} of it"
    )
    raise SystemExit("\n".join(report.broken(made)) or 0)


if __name__ == "__main__":
    main()

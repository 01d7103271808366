"""Kill -9 of workers and PostgreSQL at random moments, 20 times under load; every receipt is looked for. See README.md."""

import argparse
import secrets
import tempfile
from pathlib import Path
from random import Random

from app.drill import rehearsal, report
from app.drill.stage import raised

SUMS = (*report.COUNTS, "seals")


def main() -> None:
    """Run the drills one after another on one portal, print a line for each; exit code 1 when a promise is broken."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--times", type=int, default=20)
    options.add_argument("--applicants", type=int, default=30)
    options.add_argument("--seconds", type=float, default=6)
    options.add_argument("--seed", default=secrets.token_hex(4))
    given = options.parse_args()
    chance = Random(given.seed)
    totals, waits, broken = dict.fromkeys(SUMS, 0), [], []
    print(f"seed {given.seed}")
    with tempfile.TemporaryDirectory() as name, raised(Path(name)) as stage:
        for number in range(1, given.times + 1):
            made = rehearsal.run(stage, given.applicants, given.seconds, True, chance)
            totals = {figure: totals[figure] + made[figure] for figure in totals}
            waits.append(made["seal_wait_seconds"])
            broken += [f"{number}: {promise}" for promise in [*report.broken(made), *made["invariants"]]]
            lost = sum(times for promise, times in made["promises"].items() if promise.startswith("acknowledged"))
            print(
                f"{number:>3}: {made['acknowledged']} receipts shown, {lost} lost; seal after {waits[-1]} s; "
                f"killed {'; '.join(made['killed'])}" + "; NOT ALL KEPT" * bool(report.broken(made)),
                flush=True,
            )
    print("\n".join(f"{total:>8}  {figure.replace('_', ' ')}" for figure, total in totals.items()))
    print(f"seal waits: {sorted(wait for wait in waits if wait is not None)}")
    raise SystemExit("\n".join(broken) or 0)


if __name__ == "__main__":
    main()

"""The command line of `scripts/faults`: which rows run, and the tables at the end."""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from faults import rows
from faults.harness import ROWS, Result, Row, execute

DEFENCES = ("lock", "heal", "crc", "tail-hash", "fsync-before-rename", "sanitiser", "redaction")


def main(root: Path, arguments: list[str]) -> int:
    """Runs what the arguments ask for; 1 if a row failed, or a defence is missed by none."""
    options = parse(arguments)
    rows.load()
    chosen = [row for row in ROWS if not options.only or any(row.matches(only) for only in options.only)]
    if options.list:
        print("\n".join(f"{row.number:>4}  {row.name}: {row.expected}" for row in chosen))
        return 0
    # A terminated suite cleans up as an interrupted one does; an interrupted one also where a shell ignores the signal.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    binary = binary_of(root)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**32)
    print(f"seed {seed}, binary {binary.name}, {'quick' if options.quick else 'full'} run", file=sys.stderr)
    if options.mutations:
        return mutations(chosen, binary, seed)
    results = run(chosen, binary, options.quick, seed, {})
    print(f"Seed {seed}, {'quick' if options.quick else 'full'} run.\n\n{table(results)}")
    if options.json:
        options.json.write_text(json.dumps({"seed": seed, "rows": [as_json(result) for result in results]}, indent=1))
    return int(any(result.failed for result in results))


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="scripts/faults", description="The real program against faults.")
    parser.add_argument("--list", action="store_true", help="name the rows and what they expect")
    parser.add_argument("--only", action="append", metavar="PATTERN", help="rows by number, group or part of the name")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: a few minutes in all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    parser.add_argument("--mutations", action="store_true", help="turn every defence off and see that a row fails")
    parser.add_argument("--seed", type=int, help="repeat a run")
    return parser.parse_args(arguments)


def binary_of(root: Path) -> Path:
    """The program under test: named by the environment, else built."""
    if named := os.environ.get("AGENTLOG_BIN"):
        return Path(named).resolve(strict=True)
    subprocess.run(["cargo", "build", "--features", "weaken"], cwd=root, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", root / "target")) / "debug/agentlog"


def run(chosen: list[Row], binary: Path, quick: bool, seed: int, environment: dict[str, str]) -> list[Result]:
    """The rows one after the other: some of them measure time."""
    results = []
    for row in chosen:
        result = execute(row, binary, quick, seed, environment)
        print(
            f"{row.number:>4} {row.name}: {result.verdict}, {result.seconds:.1f} s; {result.measured}",
            file=sys.stderr,
            flush=True,
        )
        results.append(result)
    return results


def mutations(chosen: list[Row], binary: Path, seed: int) -> int:
    """A defence that no row misses is none: with each turned off, at least one row of its tag must fail."""
    lines = ["| defence | rows that failed without it |", "|---|---|"]
    missed = 0
    for defence in DEFENCES:
        tagged = [row for row in chosen if defence in row.tags]
        without = run(tagged, binary, True, seed, {"AGENTLOG_WITHOUT": defence})
        # A row that fails anyway proves nothing.
        whole = run([result.row for result in without if result.failed], binary, True, seed, {})
        failed = [f"{result.row.number} {result.row.name}" for result in whole if not result.failed]
        missed += not failed
        lines.append(f"| {defence} | {'; '.join(failed) or '**none**'} |")
    print("\n".join(lines))
    return int(missed > 0)


def table(results: list[Result]) -> str:
    """The results as Markdown."""
    cells = [
        [result.row.number, result.row.name, result.row.expected, result.measured, result.verdict] for result in results
    ]
    lines = ["| # | fault | expected | measured | verdict |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
    counts = [sum(result.verdict.startswith(word) for result in results) for word in ("ok", "FAILED", "skipped")]
    return "\n".join(lines) + "\n\n{} ok, {} failed, {} skipped".format(*counts)


def as_json(result: Result) -> dict[str, object]:
    """The result for programs."""
    row = result.row
    return {
        "number": row.number,
        "name": row.name,
        "expected": row.expected,
        "measured": result.measured,
        "verdict": result.verdict,
        "seconds": round(result.seconds, 2),
    }

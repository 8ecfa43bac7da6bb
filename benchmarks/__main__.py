"""All benchmarks one after the other, and one table: `make bench`.

    python benchmarks --out benchmarks/results.json

Each script beside this file runs as a process of its own and ends with a line of JSON; its `rows`
make the table. What is `wanted` are the project's own bounds; a machine that is busy misses some.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SCRIPTS = ("drafts", "films", "sharing", "scale", "cleaning", "serving", "merging")


def measured(name: str) -> dict[str, Any]:
    """The last line of a script; the others are shown as they come."""
    print(f"-- {name}", flush=True)
    last = ""
    with subprocess.Popen(
        [sys.executable, str(HERE / f"{name}.py")], stdout=subprocess.PIPE, text=True
    ) as script:
        assert script.stdout is not None
        for line in script.stdout:
            if line.startswith("{"):
                last = line
            else:
                print(line, end="", flush=True)
    if script.returncode or not last:
        raise SystemExit(f"{name} ended with status {script.returncode}")
    result: dict[str, Any] = json.loads(last)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=SCRIPTS)
    parser.add_argument("--out", default=str(HERE / "results.json"), metavar="FILE")
    wanted = parser.parse_args()
    results = {name: measured(name) for name in wanted.only}
    rows = [row for result in results.values() for row in result["rows"]]
    width = max(len(row["what"]) for row in rows)
    print(f"\n{'what':{width}}  measured  wanted")
    for row in rows:
        print(f"{row['what']:{width}}  {row['measured']:8.2f}  {row['wanted']}")
    machine = {"python": platform.python_version(), "machine": platform.platform()}
    Path(wanted.out).write_text(json.dumps({**machine, **results}, indent=1) + "\n")
    print(f"all figures: {wanted.out}")


if __name__ == "__main__":
    main()

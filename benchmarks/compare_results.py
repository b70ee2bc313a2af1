#!/usr/bin/env python3
"""Compares two result files of a benchmark, and says which times moved beyond the noise.

    python3 benchmarks/compare_results.py before.json after.json [--noise 0.05] [--fail]

The files are those that rank_throughput (--benchmark_out), peers, storages, adapters and the like
write. A time has a spread: from the fastest to the slowest turn, or from the best to the median. It
moved if the spreads of both files do not overlap and the times differ by more than --noise (5 % if
left out); where a file has one number and no spread, the difference alone counts. --fail makes what
became slower an error, for scripts.
"""

import argparse
import json
import pathlib
import statistics
import sys
from typing import NamedTuple


class Time(NamedTuple):
    value: float
    least: float
    most: float


def of_google_benchmark(result: dict) -> dict[str, Time]:
    runs = {}
    for run in result["benchmarks"]:
        if run.get("run_type") != "aggregate":
            runs.setdefault(run["name"], []).append(run["real_time"])
    return {name: Time(statistics.median(times), min(times), max(times))
            for name, times in runs.items()}


def of_turns(row: dict) -> dict[str, Time]:
    """A case of benchmarks/peers, with the times of each side's variants."""
    return {f"{row['case']} threads:{row['threads']} {time['side']} {time['variant']} "
            f"{time['operation']}": Time(time["seconds"], time["fastest"], time["slowest"])
            for time in row["times"]}


def of_best(row: dict, names: list[str]) -> dict[str, Time]:
    """A row with its best times and, where measured, their medians."""
    what = " ".join(f"{key}:{value}" for key, value in sorted(row.items())
                    if isinstance(value, (str, int)))
    return {f"{what} {name}": Time(row[name], row[name], row.get(f"median_{name}", row[name]))
            for name in names if name in row}


def times_of(result: dict) -> dict[str, Time]:
    """Returns the times of a result file by what was timed."""
    if "benchmarks" in result:
        return of_google_benchmark(result)
    rows = result["rows"]
    if all("times" in row for row in rows):
        return {name: time for row in rows for name, time in of_turns(row).items()}
    names = sorted({key.removeprefix("median_") for row in rows for key in row
                    if key.startswith("median_")})
    return {name: time for row in rows for name, time in of_best(row, names).items()}


def moved(before: Time, after: Time, noise: float) -> float | None:
    """Returns how many times as long it takes now, or None where that may be noise."""
    ratio = after.value / before.value
    apart = after.least > before.most or after.most < before.least
    return ratio if apart and max(ratio, 1 / ratio) > 1 + noise else None


def report(before: dict, after: dict, noise: float) -> tuple[list[str], int]:
    """Returns the lines to print, and how many times are slower."""
    old, new = times_of(before), times_of(after)
    lines = []
    for key in ("cpu", "compiler", "flags", "torch", "peft"):
        was, now = (result.get("context", {}).get(key) for result in (before, after))
        if was != now:
            lines.append(f"other {key}: {was} before, {now} after")
    both = [name for name in old if name in new]
    changed = {name: moved(old[name], new[name], noise) for name in both}
    for name, ratio in sorted(changed.items(), key=lambda item: -(item[1] or 0)):
        if ratio is not None:
            words = f"{ratio:.2f} times as long" if ratio > 1 else f"{1 / ratio:.2f} times as fast"
            lines.append(f"{words}: {name}")
    slower = sum(ratio is not None and ratio > 1 for ratio in changed.values())
    faster = sum(ratio is not None and ratio < 1 for ratio in changed.values())
    lines.append(f"{len(both)} times in both files: {slower} slower, {faster} faster, "
                 f"{len(both) - slower - faster} within the noise; "
                 f"{len(old) - len(both)} only before, {len(new) - len(both)} only after")
    return lines, slower


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=pathlib.Path)
    parser.add_argument("after", type=pathlib.Path)
    parser.add_argument("--noise", type=float, default=0.05)
    parser.add_argument("--fail", action="store_true")
    options = parser.parse_args(arguments)
    results = [json.loads(path.read_text("utf-8")) for path in (options.before, options.after)]
    lines, slower = report(*results, options.noise)
    print("\n".join(lines))
    return 1 if options.fail and slower > 0 else 0


if __name__ == "__main__":
    sys.exit(main())

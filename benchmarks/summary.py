#!/usr/bin/env python3
"""Prints one table of what the benchmarks' result files say.

    python3 benchmarks/summary.py [FILE_OR_FOLDER ...]

Reads the JSON files that rank_throughput (--benchmark_out), peers, storages and adapters write; without
arguments those in benchmarks/results. A line has what was timed, its milliseconds here, what that is
beside another time of the same run, and the processor and the day. Of rank_throughput it has rank 8 and
what has no rank. Where a line stands for several numbers of threads or tokens, values are in their order,
with slashes between them. A file that is no such result ends the program with its name.
"""

import argparse
import json
import pathlib
import sys
from typing import NamedTuple

RESULTS = pathlib.Path(__file__).resolve().parent / "results"
HEADER = ("benchmark", "what", "milliseconds here", "beside", "machine, date")


class Line(NamedTuple):
    what: str
    milliseconds: str
    beside: str


def digits(value: float) -> str:
    """Writes a positive number with three digits, without an exponent."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def joined(values) -> str:
    return " / ".join(digits(value) for value in values)


def grouped(rows, *names) -> dict:
    """Groups rows by the values of `names`, both in the order in which they come."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups


def of_rank_throughput(result: dict) -> list[Line]:
    to_milliseconds = {"ns": 1e-6, "us": 1e-3, "ms": 1, "s": 1e3}
    lines = []
    for run in result["benchmarks"]:
        parts = run["name"].removesuffix("/manual_time").split("/")
        rank = next((part for part in parts if part.startswith("rank:")), "rank:8")
        if run.get("run_type") != "aggregate" and rank == "rank:8":
            beside = run.get("over_frozen")
            lines.append(Line(", ".join(part.replace(":", " ") for part in parts),
                              digits(run["real_time"] * to_milliseconds[run["time_unit"]]),
                              f"{beside:.2f} times the frozen product" if beside else ""))
    return lines


def of_peers(result: dict) -> list[Line]:
    lines = []
    for (case,), rows in grouped(result["rows"], "case").items():
        figures = [row["figures"] for row in rows]
        threads = "/".join(str(row["threads"]) for row in rows)
        beside = [f"{joined(each[key] for each in figures)} times as fast as {peer}"
                  for peer, key in (("PEFT", "faster_than_peft"),
                                    ("libtorch", "faster_than_libtorch"))
                  if all(key in each for each in figures)]
        lines.append(Line(f"{case.replace('/', ', ').replace(':', ' ')}, threads {threads}",
                          joined(each["seconds"] * 1e3 for each in figures), ", ".join(beside)))
    return lines


def of_storages(result: dict) -> list[Line]:
    here = [row for row in result["rows"] if row["side"] == "here"]
    lines = []
    for (storage, size, threads), rows in grouped(here, "storage", "size", "threads").items():
        tokens = "/".join(str(row["tokens"]) for row in rows)
        lines.append(Line(f"{storage}, size {size}, tokens {tokens}, threads {threads}",
                          joined(row["step"] * 1e3 for row in rows),
                          f"{joined(row['faster_than_float32'] for row in rows)} times as fast as "
                          "float32"))
    return lines


def of_adapters(result: dict) -> list[Line]:
    here = [row for row in result["rows"] if row["side"] == "here"]
    lines = []
    for (size, threads), rows in grouped(here, "size", "threads").items():
        adapters = "/".join(str(row["adapters"]) for row in rows)
        one = next((row for row in rows if row["adapters"] == 1), None)
        beside = one and (f"{joined(row['training'] / one['training'] for row in rows)} times as "
                          "long as one adapter")
        lines.append(Line(f"training, size {size}, adapters {adapters}, threads {threads}",
                          joined(row["training"] * 1e3 for row in rows), beside or ""))
    return lines


def lines_of(result: dict) -> list[Line]:
    """Returns what a result file has to say. Throws KeyError or TypeError for another file."""
    if "benchmarks" in result:
        return of_rank_throughput(result)
    first = result["rows"][0]
    if "figures" in first:
        return of_peers(result)
    return of_storages(result) if "storage" in first else of_adapters(result)


def summary(files: list[pathlib.Path]) -> str:
    """Returns the table in Markdown, a line for each figure of each file."""
    rows = [HEADER, ("---",) * len(HEADER)]
    for file in files:
        try:
            result = json.loads(file.read_text("utf-8"))
            context = result["context"]
            where = f"{context['cpu']}, {context['date'][:10]}"
            rows += [(file.stem, *line, where) for line in lines_of(result)]
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            raise SystemExit(f"{file}: expected a result file of a benchmark ({error!r})") from error
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=pathlib.Path, nargs="*", default=[RESULTS],
                        metavar="FILE_OR_FOLDER")
    files = []
    for path in parser.parse_args(arguments).paths:
        files += sorted(path.glob("*.json")) if path.is_dir() else [path]
    print(summary(files))
    return 0


if __name__ == "__main__":
    sys.exit(main())

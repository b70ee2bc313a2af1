"""Batches whose rows go to different adapters, beside batches of one adapter and beside PEFT.

    python3 benchmarks/adapters/run.py [--sizes N ...] [--adapters N ...] [--rank N] [--rows N]
                                       [--threads N ...] [--turns N] [--rounds N] [--out FOLDER]

Times the evaluation and the training step of one layer (size x size, float32) on a batch whose rows
go to so many adapters in turns; 0 stands for a batch without routes, all of it with the active
adapter. PEFT's adapter_names are for evaluation alone. Each side runs in processes of its own, in
turns; the best time counts. Prints one table for each number of threads; with --out, writes
adapters.json and draws adapters.svg, of the first number of threads. requirements.txt lists what it
needs.
"""

import argparse
import datetime
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "peers")]
from side_programs import build_programs, result_of  # noqa: E402
from sides import TORCH_SETTINGS  # noqa: E402

TIMES = ("evaluation", "training", "median_evaluation", "median_training")


def add_rows(rows, more):
    """Joins what another process measured to `rows`: of each time the best."""
    for row in more:
        key = (row["threads"], row["size"], row["side"], row["adapters"])
        before = rows.get(key, row)
        rows[key] = row | {time: min(row[time], before[time]) for time in TIMES if time in row}


def add_ratios(rows):
    """Says of each row how long it takes against one adapter on its own side, and PEFT's against
    that here."""
    for (threads, size, side, adapters), row in rows.items():
        one = rows.get((threads, size, side, 1), row)
        for time in ("evaluation", "training"):
            if time in row:
                row[f"{time}_against_one"] = row[time] / one[time]
        if side == "PEFT":
            row["slower_than_here"] = (row["evaluation"]
                                       / rows[threads, size, "here", adapters]["evaluation"])


def measure(options, binary):
    context, rows = {}, {}
    for threads in options.threads:
        arguments = ["--sizes", *options.sizes, "--adapters", *options.adapters, "--rank",
                     options.rank, "--rows", options.rows, "--turns", options.turns, "--threads",
                     threads]
        for _ in range(options.rounds):
            for command, settings in (([binary, *arguments], {}),
                                      ([sys.executable, HERE / "torch_side.py", *arguments],
                                       TORCH_SETTINGS)):
                result = result_of(command, threads, settings)
                context |= result["context"]
                add_rows(rows, result["rows"])
    add_ratios(rows)
    context |= {"date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
                "turns": options.turns, "rounds": options.rounds, "settings": TORCH_SETTINGS}
    return {"context": context, "rows": list(rows.values())}


def table(rows):
    lines = ["| size | adapters | evaluation, ms | training, ms | PEFT's evaluation, ms |",
             "| ---: | ---: | ---: | ---: | ---: |"]
    peers = {(row["size"], row["adapters"]): row for row in rows if row["side"] == "PEFT"}
    for row in rows:
        if row["side"] != "here":
            continue
        peer = peers[row["size"], row["adapters"]]
        lines.append(
            f"| {row['size']} | {row['adapters'] or 'no routes'} "
            f"| {1e3 * row['evaluation']:.3g} ({row['evaluation_against_one']:.2f}x) "
            f"| {1e3 * row['training']:.3g} ({row['training_against_one']:.2f}x) "
            f"| {1e3 * peer['evaluation']:.3g} ({peer['slower_than_here']:.1f}x) |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--adapters", type=int, nargs="+", default=[0, 1, 8, 64])
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--rows", type=int, default=64, help="of a batch")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--turns", type=int, default=30, help="of each process")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each side")
    parser.add_argument("--build", type=pathlib.Path, help="folder for the programs (a temporary one)")
    parser.add_argument("--out", type=pathlib.Path, help="folder for adapters.json and adapters.svg")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = build_programs((options.build or pathlib.Path(work) / "build").resolve(),
                                "lora_adapters", "plot_adapters")
        result = measure(options, folder / "adapters" / "lora_adapters")
        for threads in options.threads:
            print(f"\n{threads} thread{'s' if threads > 1 else ''}, {options.rows} rows, rank {options.rank}:\n")
            print(table([row for row in result["rows"] if row["threads"] == threads]))
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            file = options.out / "adapters.json"
            file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
            subprocess.run([folder / "plot_adapters", file, file.with_suffix(".svg")], check=True)


if __name__ == "__main__":
    main()

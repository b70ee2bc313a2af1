"""The storages of a frozen weight here beside PyTorch's, bitsandbytes' and torchao's, on one machine.

    python3 benchmarks/storages/run.py [--size N] [--tokens N ...] [--threads N ...] [--turns N]
                                       [--rounds N] [--hot] [--out FOLDER]

Times y = x W^T and dx = dy W, in float32 but for PyTorch's bfloat16, with W out of the caches as in a
model that is larger than they are, or where the last product left it (--hot). Each side runs in
processes of its own, in turns; the best time counts. Prints one table for each number of threads:
milliseconds for y + for dx, and in brackets how many times as fast that is as float32 here. Of the
others' evaluation, which makes y alone, that is how many times as fast as y in float32 here. With
--out, writes storages.json and draws storages.svg. requirements.txt lists what it needs.
"""

import argparse
import datetime
import json
import pathlib
import subprocess
import sys
import tempfile

from table import table

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "peers")]
from side_programs import build_programs, result_of  # noqa: E402
from sides import TORCH_SETTINGS  # noqa: E402

TIMES = ("evaluation", "forward", "backward", "median_forward", "median_backward")


def add_rows(rows, more):
    """Joins what another process measured to `rows`: of each time the best."""
    for row in more:
        key = (row["threads"], row["tokens"], row["side"], row["storage"])
        before = rows.get(key, row)
        row = row | {time: min(row[time], before[time]) for time in TIMES if time in row}
        rows[key] = row | {"step": row["forward"] + row["backward"]}


def add_ratios(rows):
    for row in rows.values():
        float32 = rows[row["threads"], row["tokens"], "here", "float32"]
        row["faster_than_float32"] = float32["step"] / row["step"]
        if "evaluation" in row:
            row["evaluation_faster_than_float32"] = float32["forward"] / row["evaluation"]


def measure(options, folder):
    context, rows = {}, {}
    for threads in options.threads:
        arguments = ["--size", options.size, "--tokens", *options.tokens, "--turns", options.turns,
                     "--threads", threads, *(["--hot"] if options.hot else [])]
        for _ in range(options.rounds):
            for command, settings in (
                    ([folder / "storages" / "lora_storages", *arguments], {}),
                    ([sys.executable, HERE / "torch_side.py", *arguments], TORCH_SETTINGS)):
                result = result_of(command, threads, settings)
                context |= result["context"]
                add_rows(rows, result["rows"])
    add_ratios(rows)
    context |= {"date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
                "turns": options.turns, "rounds": options.rounds, "settings": TORCH_SETTINGS}
    return {"context": context, "rows": list(rows.values())}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=4096, help="rows and columns of W")
    parser.add_argument("--tokens", type=int, nargs="+", default=[1, 16, 256])
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--turns", type=int, default=5, help="of each process")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each side")
    parser.add_argument("--hot", action="store_true", help="leave the weights in the caches")
    parser.add_argument("--build", type=pathlib.Path, help="folder for the programs (a temporary one)")
    parser.add_argument("--out", type=pathlib.Path, help="folder for storages.json and storages.svg")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = build_programs((options.build or pathlib.Path(work) / "build").resolve(),
                                "lora_storages", "plot_storages")
        result = measure(options, folder)
        for threads in options.threads:
            print(table([row for row in result["rows"] if row["threads"] == threads]))
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            file = options.out / "storages.json"
            file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
            subprocess.run([folder / "plot_storages", file, file.with_suffix(".svg")], check=True)


if __name__ == "__main__":
    main()

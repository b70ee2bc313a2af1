#!/usr/bin/env python3
"""Measures this library against PyTorch with PEFT and against PyTorch's C++ API, on one machine:

    python3 benchmarks/peers/run.py [--quick] [--out FOLDER]

README.md beside this file says what is measured and what is held equal.
"""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import environment


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true",
                        help="5 turns instead of 20, and no torch.compile: about two minutes")
    parser.add_argument("--build", type=pathlib.Path, default=environment.ROOT / "build" / "peers",
                        help="folder for programs and packages (build/peers)")
    parser.add_argument("--out", type=pathlib.Path,
                        help="folder for peers.json and peers.svg (the build folder)")
    parser.add_argument("--python", default=os.environ.get("LORA_PEERS_PYTHON"),
                        help="a Python that has requirements.txt, instead of making one")
    parser.add_argument("--threads", type=int, nargs="+", help="numbers of threads (1 and 2)")
    parser.add_argument("--only", default="", help="the cases whose name contains this")
    parser.add_argument("--turns", type=int, help="turns of each case (20)")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    return parser.parse_args()


def side_commands(programs, python):
    from sides import TORCH_SETTINGS
    return {
        "lora": ([programs / "peers" / "lora_side"], {}),
        "peft": ([python, "-u", environment.HERE / "torch_side.py"], TORCH_SETTINGS),
        "libtorch": ([programs / "peers" / "libtorch_side"], TORCH_SETTINGS),
    }


def start(commands, threads, folder):
    from sides import Side
    return {name: Side(name, command, threads, folder, settings)
            for name, (command, settings) in commands.items()}


def measure_memory(commands, threads, folder):
    """Returns the peak memory of three training steps of each side, in a process of its own."""
    from cases import MEMORY_CASES, STORAGES
    from measure import write_data
    from sides import Side, SideError
    variants = [("lora", storage) for storage in STORAGES] + [("peft", "eager"),
                                                              ("libtorch", "cpp")]
    rows = []
    for case in MEMORY_CASES:
        write_data(case, folder)
        for name, variant in variants:
            command, settings = commands[name]
            side = Side(name, command, threads, folder, settings)
            side.ask("info")
            before = side.memory_mib()[0]
            side.set_up(threads, **case.layer)
            try:
                side.time("train", variant, 0, 3)
            except SideError as error:
                if "no variant" not in str(error):
                    raise
                side.close()
                continue
            rows.append({"case": case.name, "threads": threads, "side": name, "variant": variant,
                         "peak_mib": side.memory_mib()[0], "start_mib": before})
            side.close()
    return rows


def measure_all(options, programs, folder):
    from cases import CASES
    from measure import better_limits, measure_limits, run_case
    from report import add_figures
    commands = side_commands(programs, sys.executable)
    turns = options.turns or (5 if options.quick else 20)
    compiled = not (options.quick or options.no_compile)
    most = os.cpu_count() or 1
    result = {"context": {}, "limits": [], "rows": [], "memory": []}
    for threads in options.threads or [n for n in (1, 2) if n <= most]:
        limits = measure_limits(programs / "machine_limits", threads)
        sides = start(commands, threads, folder)
        for side in sides.values():
            result["context"].update(json.loads(side.ask("info")))
        rows = []
        for case in CASES:
            if options.only not in case.name:
                continue
            began = time.monotonic()
            entries = [entry for entry in case.entries() if compiled or entry[1] != "compiled"]
            rows.append((run_case(case, threads, sides, entries, turns, folder), case))
            print(f"{case.name}, {threads} thr: {time.monotonic() - began:.0f} s", flush=True)
            limits = better_limits(limits, measure_limits(programs / "machine_limits", threads))
        for side in sides.values():
            side.close()
        result["limits"].append(limits)
        result["rows"] += [add_figures(row, case, limits) for row, case in rows]
    if not options.only:
        result["memory"] = measure_memory(commands, 1, folder)
    result["context"].update({
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "turns": turns, "settings": side_commands(programs, sys.executable)["peft"][1]})
    return result


def main():
    options = arguments()
    options.build = options.build.resolve()
    options.build.mkdir(parents=True, exist_ok=True)
    environment.continue_in(environment.python_with_torch(options.build, options.python))
    environment.require_versions()
    from report import memory_table, table
    from sides import SideError

    programs = environment.build_programs(options.build)
    began = time.monotonic()
    out = (options.out or options.build).resolve()
    out.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="data-", dir=options.build))
    try:
        result = measure_all(options, programs, folder)
    except SideError as error:
        sys.exit(f"run.py: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)

    (out / "peers.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print()
    for limits in result["limits"]:
        print(f"{limits['threads']} thr: FMA peak {limits['fma_flops'] / 1e9:.0f} GFLOP/s, read "
              f"{limits['read_bytes'] / 1e9:.1f} GB/s, read and write in place "
              f"{limits['read_write_bytes'] / 1e9:.1f} GB/s")
    print()
    print(table(result["rows"]))
    if result["memory"]:
        print()
        print(memory_table(result["memory"]))
    subprocess.run([programs / "plot_peers", out / "peers.json", out / "peers.svg"], check=True)
    print(f"\n{time.monotonic() - began:.0f} s; {out / 'peers.json'}, {out / 'peers.svg'}")


if __name__ == "__main__":
    main()

"""Builds the programs of a benchmark's sides, and starts them: what several run.py have in common."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def build_programs(build, *targets):
    """Builds the targets in the folder `build`; returns where the benchmarks' programs then are."""
    subprocess.run(["cmake", "-S", ROOT, "-B", build, "-DCMAKE_BUILD_TYPE=Release",
                    "-DLORA_BUILD_TESTS=OFF", "-DLORA_BUILD_EXAMPLES=OFF"],
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", build, "--target", *targets], check=True,
                   stdout=subprocess.DEVNULL)
    return build / "benchmarks"


def result_of(command, threads, settings=None):
    """Runs the command on so many threads; returns the JSON on the last line that it prints."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads),
                                "KMP_BLOCKTIME": "1"} | (settings or {})
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                         env=environment)
    if run.returncode != 0:
        sys.exit(f"{command[0]}: failed\n{run.stderr[-2000:]}")
    return json.loads(run.stdout.splitlines()[-1])

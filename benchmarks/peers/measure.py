"""Runs a case: equal data, outputs that agree, and calls in turn."""

import json
import pathlib
import shutil
import statistics
import subprocess

import numpy

from cases import TENSOR_SIZE, TENSORS
from sides import SideError, wait_until_idle

AGREEMENT = 1e-4


def write_data(case, folder):
    """Writes the numbers that every side starts from."""
    generator = numpy.random.default_rng(1)

    def write(name, *shape, limit=1.0):
        values = generator.random(shape, dtype=numpy.float32)
        ((2 * values - 1) * numpy.float32(limit)).tofile(folder / f"{name}.f32")

    if case.operation == "adamw":
        write("p", TENSORS, TENSOR_SIZE)
        write("g", TENSORS, TENSOR_SIZE)
        return
    write("x", case.tokens, case.width)
    write("dy", case.tokens, case.width)
    write("w", case.width, case.width, limit=case.width**-0.5)
    write("a", case.rank, case.width, limit=case.width**-0.5)
    write("b", case.width, case.rank, limit=case.rank**-0.5)


def check_agreement(case, sides, entries, folder):
    """Lets every entry compute once and compares its results with PEFT's: the largest difference,
    over the largest number of the result, is at most 1e-4. Returns the largest of all, and the
    entries that there are: a variant that a side has not is left out."""
    largest, present = 0.0, []
    reference = pathlib.Path(folder) / "reference"
    ordered = sorted(entries, key=lambda entry: entry[:2] != ("peft", "eager"))
    if case.operation == "adamw":
        ordered = sorted(entries, key=lambda entry: entry[:2] != ("peft", "loop"))
    for entry in ordered:
        side, variant, operation = entry
        out = pathlib.Path(folder) / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        try:
            sides[side].ask("check", operation, variant, "out")
        except SideError as error:
            if "no variant" in str(error):
                continue
            raise
        present.append(entry)
        if operation != case.operation:
            continue  # the frozen part alone, which is not the same computation
        if not reference.exists():
            out.rename(reference)
            continue
        for expected in sorted(reference.glob("*.f32")):
            want = numpy.fromfile(expected, dtype=numpy.float32)
            got = numpy.fromfile(out / expected.name, dtype=numpy.float32)
            difference = float(numpy.max(numpy.abs(got - want)) / numpy.max(numpy.abs(want)))
            if not difference <= AGREEMENT:
                raise SideError(f"{case.name}: {expected.stem} of {side} {variant} differs from "
                                f"PEFT's by {difference:.2g} of its largest number, "
                                f"expected at most {AGREEMENT:g}")
            largest = max(largest, difference)
    shutil.rmtree(reference, ignore_errors=True)
    return largest, [entry for entry in entries if entry in present]


def time_in_turn(sides, entries, turns, seconds_a_turn=0.01):
    """Times every entry once in each turn, one after the other with the rest idle, so that what
    else the machine does falls on all alike. A call that is short is repeated within a turn, after
    some untimed ones that bring its data into the caches, and the median of them counts.
    Returns the seconds of each entry, one for each turn."""
    calls = {}
    for side, variant, operation in entries:
        wait_until_idle(sides.values())
        once = min(sides[side].time(operation, variant, 1, 3))
        calls[side, variant, operation] = max(1, min(50, round(seconds_a_turn / once)))
    number = max(calls.values())  # the same for all
    untimed = 0 if number == 1 else max(1, number // 5)
    times = {entry: [] for entry in entries}
    for turn in range(turns):
        # Nobody always follows the same neighbour.
        for entry in entries[turn % len(entries):] + entries[:turn % len(entries)]:
            side, variant, operation = entry
            wait_until_idle(sides.values())
            seconds = sides[side].time(operation, variant, untimed, number)
            times[entry].append(statistics.median(seconds))
    return times


def run_case(case, threads, sides, entries, turns, folder):
    """Returns the case's figures: see README.md for the names."""
    write_data(case, pathlib.Path(folder))
    settings = case.layer if case.operation != "adamw" else {
        "kind": "adamw", "tensors": TENSORS, "size": TENSOR_SIZE}
    for side in {side for side, _, _ in entries}:
        sides[side].set_up(threads, **settings)
    difference, entries = check_agreement(case, sides, entries, folder)
    times = time_in_turn(sides, entries, turns)
    return {
        "case": case.name, "threads": threads, "difference": difference,
        "times": [{"side": side, "variant": variant, "operation": operation,
                   "seconds": statistics.median(seconds), "fastest": min(seconds),
                   "slowest": max(seconds), "turns": len(seconds)}
                  for (side, variant, operation), seconds in times.items()],
    }


def measure_limits(program, threads):
    """Returns what the machine can do with so many threads."""
    answer = subprocess.run([program, str(threads)], check=True, capture_output=True, text=True)
    return json.loads(answer.stdout)


def better_limits(one, other):
    """The limits of two measurements: a limit is what was ever reached."""
    return {key: max(value, other[key]) for key, value in one.items()}

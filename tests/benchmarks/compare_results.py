"""Tests benchmarks/compare_results.py."""

import contextlib
import copy
import io
import json
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import compare_results  # noqa: E402


def published(name):
    return json.loads((ROOT / "benchmarks/results" / name).read_text("utf-8"))


def last_line(before, after, noise=0.05):
    return compare_results.report(before, after, noise)[0][-1]


class CompareResults(unittest.TestCase):
    def test_nothing_moved_in_a_file_beside_itself(self):
        for name in ("peers.json", "rank_throughput.json", "storages.json"):
            with self.subTest(name):
                result = published(name)
                count = len(compare_results.times_of(result))
                self.assertGreater(count, 40)
                self.assertEqual(compare_results.report(result, result, 0),
                                 ([f"{count} times in both files: 0 slower, 0 faster, {count} within "
                                   "the noise; 0 only before, 0 only after"], 0))

    def test_turns_that_overlap_are_noise(self):
        def result(seconds, fastest, slowest):
            return {"rows": [{"case": "train", "threads": 1, "times": [
                {"side": "lora", "variant": "dense", "operation": "train", "seconds": seconds,
                 "fastest": fastest, "slowest": slowest}]}]}
        before = result(1.0, 0.9, 1.3)
        self.assertIn("1 within the noise", last_line(before, result(1.25, 1.2, 1.4)))
        self.assertIn("1 slower", last_line(before, result(1.5, 1.31, 1.6)))
        self.assertIn("1 faster", last_line(before, result(0.8, 0.7, 0.89)))
        self.assertIn("1 within the noise", last_line(before, result(1.5, 1.31, 1.6), noise=0.6))

    def test_a_median_is_the_spread_of_a_best_time(self):
        before = published("storages.json")
        after = copy.deepcopy(before)
        after["rows"][0]["forward"] *= 1.5
        after["rows"][0]["median_forward"] *= 1.5
        after["rows"][1]["forward"] *= 1.01
        lines, slower = compare_results.report(before, after, 0.05)
        self.assertEqual(slower, 1)
        self.assertRegex(lines[0], r"^1\.50 times as long: .*storage:float32.* forward$")

    def test_other_machines_and_missing_rows_are_said(self):
        before = published("rank_throughput.json")
        after = copy.deepcopy(before)
        after["context"]["cpu"] = "another"
        del after["benchmarks"][0]
        after["benchmarks"][0]["real_time"] /= 2
        lines, slower = compare_results.report(before, after, 0.05)
        self.assertTrue(lines[0].startswith("other cpu: AMD EPYC"))
        self.assertTrue(lines[1].startswith("2.00 times as fast: "))
        self.assertIn("1 only before, 0 only after", lines[-1])
        self.assertEqual(slower, 0)

    def test_slower_can_be_an_error(self):
        result = published("rank_throughput.json")
        with tempfile.TemporaryDirectory() as folder:
            files = [pathlib.Path(folder) / name for name in ("before.json", "after.json")]
            files[0].write_text(json.dumps(result), "utf-8")
            result["benchmarks"][0]["real_time"] *= 2
            files[1].write_text(json.dumps(result), "utf-8")
            with contextlib.redirect_stdout(io.StringIO()):
                self.assertEqual(compare_results.main([*map(str, files)]), 0)
                self.assertEqual(compare_results.main([*map(str, files), "--fail"]), 1)


if __name__ == "__main__":
    unittest.main()

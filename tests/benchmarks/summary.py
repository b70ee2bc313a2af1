"""Tests benchmarks/summary.py, and that the page on performance has what is published elsewhere."""

import contextlib
import io
import json
import pathlib
import re
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import summary  # noqa: E402


def printed(*arguments):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        summary.main([*map(str, arguments)])
    return out.getvalue().splitlines()


class Summary(unittest.TestCase):
    def test_published_files_give_one_table(self):
        lines = printed()
        self.assertEqual({line.count("|") for line in lines}, {6})
        files = {line.split(" | ")[0].removeprefix("| ") for line in lines[2:]}
        self.assertEqual(files, {file.stem for file in summary.RESULTS.glob("*.json")})

    def test_of_rank_throughput_rank_8_and_what_has_no_rank(self):
        lines = printed(summary.RESULTS / "rank_throughput.json")
        self.assertTrue(any("frozen, tokens 512, width 768 | 5.96 |" in line for line in lines))
        self.assertTrue(any("forward, tokens 512, width 768, rank 8 | 6.19 | 1.04 times the frozen"
                            in line for line in lines))
        self.assertFalse(any("rank 64" in line for line in lines))

    def test_threads_and_tokens_share_a_line(self):
        self.assertTrue(any("merge, width 4096, rank 16, threads 1/2 | 7.82 / 3.98 | 2.55 / 3.25 times "
                            "as fast as PEFT" in line for line in printed(summary.RESULTS / "peers.json")))
        self.assertTrue(any(line.count(" / ") >= 2 and "| NF4, size 4096, tokens 1/16/256, threads 1 | "
                            in line for line in printed(summary.RESULTS / "storages.json")))

    def test_adapters_beside_one(self):
        rows = [{"side": side, "size": 1024, "threads": 1, "adapters": count, "evaluation": 1,
                 "training": training}
                for side, count, training in (("here", 1, 0.002), ("PEFT", 1, 1), ("here", 8, 0.003))]
        self.assertEqual(summary.lines_of({"rows": rows}),
                         [("training, size 1024, adapters 1/8, threads 1", "2 / 3",
                           "1 / 1.5 times as long as one adapter")])

    def test_numbers_have_three_digits_and_no_exponent(self):
        self.assertEqual(summary.joined([0.05961, 1, 99.96, 1234.4]), "0.0596 / 1 / 100 / 1234")

    def test_another_file_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "other.json"
            for text in ("{", "[]", "{}", '{"context": {}}', json.dumps(
                    {"context": {"cpu": "a", "date": "2026-11-24"}, "rows": [{"tokens": 1}]})):
                with self.subTest(text):
                    file.write_text(text, "utf-8")
                    with self.assertRaisesRegex(SystemExit, "other.json: expected a result file"):
                        printed(file)


class Page(unittest.TestCase):
    def test_it_names_each_text_with_a_figure_and_each_result_file(self):
        page = (ROOT / "examples/guides/performance.md").read_text("utf-8")
        figure = re.compile(r"tokens/s|\d (MiB|ms|seconds|minutes)\b|took (two|three) minutes")
        texts = [*ROOT.glob("examples/*/README.md"), *ROOT.glob("benchmarks/*/README.md")]
        for text in texts:
            if figure.search(text.read_text("utf-8")):
                with self.subTest(text.parent.name):
                    self.assertTrue(f"/{text.parent.name})" in page, "no link")
        for file in summary.RESULTS.glob("*.json"):
            self.assertIn(f"results/{file.name}", page)

    def test_tables_beside_peft_agree(self):
        tables = [[line for line in (ROOT / text).read_text("utf-8").splitlines()
                   if re.fullmatch(r"\| [^|]+ \| [12] (\| [\d.]+ ){3}\| [\d.]+x \|", line)]
                  for text in ("README.md", "examples/guides/performance.md")]
        self.assertGreater(len(tables[0]), 5)
        self.assertEqual(*tables)


if __name__ == "__main__":
    unittest.main()

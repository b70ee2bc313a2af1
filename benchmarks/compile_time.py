"""Measures what including the library costs: seconds of CPU to compile programs, each alone.

    python3 benchmarks/compile_time.py [--compiler g++] [--turns 3] [--eigen /usr/include/eigen3]

The programs are the README's and one that loads a BERT, each with the headers alone and as one that
links lora::compiled, beside Eigen/Core by itself. Flags are those of a Release build for this
machine. The smallest of the turns is shown: other work on the machine only adds.
"""

import argparse
import pathlib
import re
import resource
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent

BERT = """#include <lora/models.hpp>

int main(int, char** argv) {
  lora::models::BertForSequenceClassification<float> model(argv[1]);
  lora::models::BertTape<float> tape;
  lora::text::TokenBatch batch;
  lora::Matrix<float> logits, dlogits;
  model.forward(batch, tape, logits);
  model.backward(dlogits, tape);
  model.save_adapter("adapter");
}
"""


def readme_program():
    blocks = re.findall(r"```cpp\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    return next(block for block in blocks if "int main" in block)


def seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--compiler", default="g++")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--eigen", default="/usr/include/eigen3")
    options = parser.parse_args()

    programs = {"Eigen/Core alone": "#include <Eigen/Core>\nint main() {}\n",
                "README's program": readme_program(), "a BERT program": BERT}
    tune = [] if "clang" in options.compiler else ["-mtune=haswell"]
    flags = ["-std=c++20", "-O3", "-DNDEBUG", "-march=native", *tune, "-fopenmp",
             f"-I{ROOT / 'include'}", "-isystem", options.eigen]
    print(f"| seconds of CPU, {options.compiler} -O3 | headers alone | with lora::compiled |")
    print("| --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in programs.items():
            source = pathlib.Path(folder) / "program.cpp"
            source.write_text(text)
            row = []
            for define in ([], ["-DLORA_COMPILED"]):
                command = [options.compiler, *flags, *define, "-c", str(source),
                           "-o", str(source.with_suffix(".o"))]
                row.append(min(seconds(command) for _ in range(options.turns)))
            print(f"| {name} | {row[0]:.1f} | {row[1]:.1f} |", flush=True)


if __name__ == "__main__":
    main()

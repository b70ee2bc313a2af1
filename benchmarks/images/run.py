"""A ResNet with LoRA adapters here and in transformers with PEFT, on the same weights and images.

    python3 benchmarks/images/run.py [--model FOLDER] [--depths 18 50] [--batches 1 16] [--threads 1 2]

Rank 8 on all convolutions and a head that trains, float32, images of 224 pixels. PEFT is at its best:
channels_last, and its norms in evaluation (in training they would move their statistics). Without
--model the weights are random, of the depths asked for. Each side runs in processes of its own, in
turns; the best time counts. Prints one table, and how far the logits are apart.
requirements.txt lists what it needs.
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SIZES = {18: dict(depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic"), 50: {}}


def best(action, turns):
    times = []
    for _ in range(turns):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def peft_side(options):
    """Does in Python what lora_side.cpp does; prints JSON. Runs in a process of its own."""
    import peft
    import safetensors.torch
    import torch
    import transformers

    torch.set_num_threads(options.threads[0])
    pixels = safetensors.torch.load_file(options.pixels)["pixels"]
    images = pixels.reshape(options.batches[0], 224, 224, 3).permute(0, 3, 1, 2)
    model = transformers.ResNetForImageClassification.from_pretrained(options.model).eval()
    model = model.to(memory_format=torch.channels_last)
    with torch.no_grad():
        frozen = best(lambda: model(images), options.turns)
    tuned = peft.get_peft_model(model, peft.LoraConfig(
        r=8, lora_alpha=16, target_modules=["convolution"], modules_to_save=["classifier"]))
    tuned = tuned.to(memory_format=torch.channels_last).eval()
    labels = torch.ones(options.batches[0], dtype=torch.long)
    with torch.no_grad():
        forward = best(lambda: tuned(images), options.turns)

    def step():
        tuned.zero_grad()
        torch.nn.functional.cross_entropy(tuned(images).logits, labels).backward()

    result = {"frozen": frozen, "forward": forward, "step": best(step, options.turns)}
    result["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with torch.no_grad():
        result["logits"] = tuned(images).logits.flatten().tolist()
    print(json.dumps(result))


def made_model(depth, folder):
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.ResNetConfig(num_labels=10, **SIZES[depth])
    transformers.ResNetForImageClassification(config).save_pretrained(folder)
    return folder


def program():
    build = pathlib.Path(tempfile.mkdtemp()) / "build"
    subprocess.run(["cmake", "-S", HERE.parents[1], "-B", build, "-G", "Ninja",
                    "-DCMAKE_BUILD_TYPE=Release", "-DLORA_BUILD_TESTS=OFF",
                    "-DLORA_BUILD_EXAMPLES=OFF"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", build, "--target", "lora_images"], check=True,
                   stdout=subprocess.DEVNULL)
    return build / "benchmarks/images/lora_images"


def result_of(command):
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"{command[0]}: failed\n{run.stderr[-2000:]}")
    return json.loads(run.stdout.splitlines()[-1])


def better(one, other):
    """Joins two turns of one side: the best times, the largest memory."""
    if one is None:
        return other
    return other | {key: min(one[key], other[key]) for key in ("frozen", "forward", "step")} | {
        "peak_mib": max(one["peak_mib"], other["peak_mib"])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", help="a ResNet in transformers' layout")
    parser.add_argument("--depths", type=int, nargs="+", default=[18, 50], choices=sorted(SIZES))
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--turns", type=int, default=5, help="of each process")
    parser.add_argument("--rounds", type=int, default=2, help="processes of each side")
    parser.add_argument("--pixels", help=argparse.SUPPRESS)
    parser.add_argument("--peft-side", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peft_side:
        return peft_side(options)
    import safetensors.torch
    import torch

    ours = program()
    print("| model | batch | threads | side | frozen forward | LoRA forward | LoRA step | step / frozen "
          "| peak MiB |\n| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        models = ([("model", options.model)] if options.model else
                  [(f"ResNet-{d}", made_model(d, work / str(d))) for d in options.depths])
        for name, model in models:
            for batch in options.batches:
                torch.manual_seed(batch)
                pixels = work / "pixels.safetensors"
                safetensors.torch.save_file({"pixels": torch.randn(batch * 224 * 224, 3)}, pixels)
                for threads in options.threads:
                    sides = {"here": None, "PEFT": None}
                    common = ["--model", model, "--pixels", pixels, "--turns", options.turns,
                              "--threads", threads]
                    for _ in range(options.rounds):
                        sides["here"] = better(sides["here"], result_of(
                            [ours, *common, "--batch", batch]))
                        sides["PEFT"] = better(sides["PEFT"], result_of(
                            [sys.executable, __file__, "--peft-side", *common, "--batches", batch]))
                    for side, r in sides.items():
                        print(f"| {name} | {batch} | {threads} | {side} | {r['frozen']:.3f} s | "
                              f"{r['forward']:.3f} s | {r['step']:.3f} s | "
                              f"{r['step'] / r['frozen']:.2f} | {r['peak_mib']:.0f} |")
                    here, there = sides["here"], sides["PEFT"]
                    apart = max(abs(a - b) for a, b in zip(here["logits"], there["logits"]))
                    print(f"logits at most {apart:.1e} apart; "
                          f"{here['tape_mib'] / batch:.1f} MiB of activations an image here",
                          file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

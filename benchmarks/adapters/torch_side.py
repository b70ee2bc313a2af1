"""Does in Python what lora_side.cpp does, with PEFT's adapter_names:

    python3 torch_side.py --sizes N ... --adapters N ... --rank N --rows N --threads N --turns N

Prints one JSON object, as lora_adapters does. PEFT's mixed batches are for inference alone: it
refuses adapter_names in training. An adapter count of 0 is a batch without adapter_names.
"""

import argparse
import json
import statistics
import time

import peft
import torch


def mixed_model(size, rank, adapters):
    torch.manual_seed(1)
    config = peft.LoraConfig(r=rank, lora_alpha=16, target_modules=["0"], init_lora_weights=False)
    model = peft.get_peft_model(torch.nn.Sequential(torch.nn.Linear(size, size, bias=False)), config,
                                adapter_name="adapter0")
    for i in range(1, adapters):
        model.add_adapter(f"adapter{i}", config)
    return model.eval()


def seconds_of(model, x, names):
    options = {} if names is None else {"adapter_names": names}
    start = time.perf_counter()
    with torch.no_grad():
        model(x, **options)
    return time.perf_counter() - start


def measure(options):
    rows = []
    for size in options.sizes:
        model = mixed_model(size, options.rank, max(1, *options.adapters))
        x = torch.randn(options.rows, size)
        batches = [[f"adapter{i % count}" for i in range(options.rows)] if count else None
                   for count in options.adapters]
        times = [[] for _ in batches]
        for turn in range(-1, options.turns):
            for names, seconds in zip(batches, times):
                taken = seconds_of(model, x, names)
                if turn >= 0:
                    seconds.append(taken)
        rows += [{"side": "PEFT", "size": size, "rank": options.rank, "rows": options.rows,
                  "adapters": count, "threads": options.threads, "evaluation": min(seconds),
                  "median_evaluation": statistics.median(seconds)}
                 for count, seconds in zip(options.adapters, times)]
    return {"context": {"torch": torch.__version__, "peft": peft.__version__}, "rows": rows}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--adapters", type=int, nargs="+", default=[0, 1, 8, 64])
    for name, value in (("rank", 8), ("rows", 64), ("turns", 30), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(json.dumps(measure(options)))


if __name__ == "__main__":
    main()

"""Does in Python what lora_side.cpp does, with the storages of PyTorch, bitsandbytes and torchao:

    python3 torch_side.py --size N --tokens N ... --threads N --turns N [--hot] [--sweep MIB]

Prints one JSON object, as lora_storages does. Training is forward and backward to x, with W frozen;
evaluation is forward without a tape. bitsandbytes computes in float32, as the other side does, and
gives its four-bit weights another order for evaluation, which cannot train any more.
"""

import argparse
import functools
import json
import time

import torch


def float32(linear):
    return linear


def bfloat16(linear):
    return linear.to(torch.bfloat16)


def four_bit(kind, linear):
    import bitsandbytes
    made = bitsandbytes.nn.Linear4bit(linear.in_features, linear.out_features, bias=False,
                                      compute_dtype=torch.float32, quant_type=kind)
    made.weight = bitsandbytes.nn.Params4bit(linear.weight.detach().clone(), requires_grad=False,
                                             quant_type=kind, compress_statistics=False)
    return made.to("cpu")


def int8(linear):
    import bitsandbytes
    made = bitsandbytes.nn.Linear8bitLt(linear.in_features, linear.out_features, bias=False,
                                        has_fp16_weights=False)
    made.weight = bitsandbytes.nn.Int8Params(linear.weight.detach().clone(), requires_grad=False,
                                             has_fp16_weights=False)
    return made.to("cpu")


def torchao_int8(linear):
    from torchao.quantization import Int8WeightOnlyConfig, quantize_
    quantize_(linear, Int8WeightOnlyConfig())
    return linear


# With the bytes that a weight takes, scales among them.
SIDES = [
    ("PyTorch", "float32", 4, float32),
    ("PyTorch", "bfloat16", 2, bfloat16),
    ("bitsandbytes", "NF4", 0.5625, functools.partial(four_bit, "nf4")),
    ("bitsandbytes", "FP4", 0.5625, functools.partial(four_bit, "fp4")),
    ("bitsandbytes", "int8", 1, int8),
    ("torchao", "int8", 1, torchao_int8),
]


class Timer:
    """Times one call, with W out of the caches or, hot, where the call before it left W."""

    def __init__(self, hot, sweep_mib):
        self.hot = hot
        self.sweep = torch.ones(1 if hot else sweep_mib * 2**18)

    def seconds(self, prepare, action):
        given = prepare()
        if self.hot:
            action(given)
            given = prepare()
        else:
            self.sweep.sum()
        start = time.perf_counter()
        action(given)
        return time.perf_counter() - start


def products(layer, x):
    """Returns the three calls that are timed, each with what it is prepared by."""
    dtype = next(iter(layer.parameters())).dtype
    x = x.to(dtype if dtype == torch.bfloat16 else torch.float32)
    taped = x.clone().requires_grad_()
    dy = torch.rand(x.shape[0], layer.out_features, dtype=x.dtype) * 2 - 1

    def evaluate(_):
        with torch.no_grad():
            layer.eval()(x)

    def forward():
        taped.grad = None
        return layer.train()(taped)

    return {"evaluation": (lambda: None, evaluate), "forward": (lambda: None, lambda _: forward()),
            "backward": (forward, lambda y: y.backward(dy))}


def linear_layer(size):
    linear = torch.nn.Linear(size, size, bias=False).requires_grad_(False)
    torch.manual_seed(1)
    torch.nn.init.normal_(linear.weight, 0, size**-0.5)
    return linear


def made(make, size):
    return make(linear_layer(size)).requires_grad_(False)


def error(layer, size):
    """Returns the root mean square of what W's first columns are off by, over that of these: the
    products with unit vectors say what they are, whatever the storage."""
    weight = linear_layer(size).weight[:, :256].T
    with torch.no_grad():
        units = torch.eye(256, size).to(layer.weight.dtype if layer.weight.dtype == torch.bfloat16
                                        else torch.float32)
        difference = layer.train()(units).float() - weight
    return (difference.norm() / weight.norm()).item()


def measure(options):
    timer = Timer(options.hot, options.sweep)
    # Two layers each: one that evaluates, and may order its weights for that, and one that trains.
    sides = [({"side": side, "storage": storage, "bytes_per_weight": weight_bytes},
              made(make, options.size), made(make, options.size))
             for side, storage, weight_bytes, make in SIDES]
    for row, _, trained in sides:
        row["error"] = error(trained, options.size)
    rows = []
    for tokens in options.tokens:
        x = torch.rand(tokens, options.size) * 2 - 1
        calls, times = [], []
        for _, evaluated, trained in sides:
            calls.append(products(trained, x) | {"evaluation": products(evaluated, x)["evaluation"]})
            times.append({name: [] for name in calls[-1]})
        for turn in range(-1, options.turns):
            for call, taken in zip(calls, times):
                for name, (prepare, action) in call.items():
                    seconds = timer.seconds(prepare, action)
                    if turn >= 0:
                        taken[name].append(seconds)
        for (row, _, _), taken in zip(sides, times):
            best = {name: min(seconds) for name, seconds in taken.items()}
            rows.append(row | best | {
                "size": options.size, "tokens": tokens, "threads": options.threads,
                "step": best["forward"] + best["backward"]})
    return rows


def versions():
    import importlib.metadata
    return {name: importlib.metadata.version(name) for name in ("torch", "bitsandbytes", "torchao")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1, 16, 256])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--sweep", type=int, default=256)
    parser.add_argument("--hot", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(json.dumps({"context": versions(), "rows": measure(options)}))


if __name__ == "__main__":
    main()
